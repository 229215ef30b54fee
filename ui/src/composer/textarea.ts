/** The element's own maximum decides where growing ends and scrolling begins. */
export function growToFit(area: HTMLTextAreaElement): void {
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight}px`;
}

/** Puts text where the cursor is and returns the whole; the cursor ends behind it. */
export function insertAtCursor(area: HTMLTextAreaElement, inserted: string): string {
  const { selectionStart, selectionEnd, value } = area;
  const whole = value.slice(0, selectionStart) + inserted + value.slice(selectionEnd);
  area.value = whole;
  const cursor = selectionStart + inserted.length;
  area.setSelectionRange(cursor, cursor);
  return whole;
}

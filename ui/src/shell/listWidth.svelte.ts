// The list's width, kept in this browser.

export const LIST_WIDTH_MIN = 260;
export const LIST_WIDTH_MAX = 420;
export const LIST_WIDTH_DEFAULT = 320;
const KEY = 'aside.list-width';

export function clampWidth(width: number): number {
  return Math.round(Math.min(LIST_WIDTH_MAX, Math.max(LIST_WIDTH_MIN, width)));
}

class ListWidth {
  value = $state(LIST_WIDTH_DEFAULT);

  constructor() {
    const kept = Number(localStorage.getItem(KEY));
    if (kept) this.value = clampWidth(kept);
  }

  set(width: number): void {
    this.value = clampWidth(width);
    localStorage.setItem(KEY, String(this.value));
  }
}

export const listWidth = new ListWidth();

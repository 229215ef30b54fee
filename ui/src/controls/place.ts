// Puts a floating thing beside a point or an element, inside the window.

export type Place = { x: number; y: number } | { beside: HTMLElement; align?: 'start' | 'end' };

const GAP = 4;
const EDGE = 8;

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Below and start-aligned where there is room; otherwise above, or pushed in from the edge. */
export function placeBox(anchor: Box, size: Size, window: Size, alignEnd: boolean): { left: number; top: number } {
  const wantedLeft = alignEnd ? anchor.right - size.width : anchor.left;
  const left = Math.max(EDGE, Math.min(wantedLeft, window.width - size.width - EDGE));
  const below = anchor.bottom + GAP;
  const above = anchor.top - GAP - size.height;
  const fitsBelow = below + size.height <= window.height - EDGE;
  const top = fitsBelow || above < EDGE ? below : above;
  return { left, top: Math.max(EDGE, Math.min(top, window.height - size.height - EDGE)) };
}

export function placeBeside(element: HTMLElement, at: Place): void {
  const anchor =
    'beside' in at
      ? at.beside.getBoundingClientRect()
      : { left: at.x, right: at.x, top: at.y, bottom: at.y };
  const alignEnd = 'beside' in at && at.align === 'end';
  const size = { width: element.offsetWidth, height: element.offsetHeight };
  const { left, top } = placeBox(anchor, size, { width: innerWidth, height: innerHeight }, alignEnd);
  element.style.left = `${left}px`;
  element.style.top = `${top}px`;
}

// Which of many equal rows are near the part of the list that can be seen.

const OVERSCAN_ROWS = 8;

export function rowsInView(above: number, viewHeight: number, rowHeight: number, count: number): { start: number; end: number } {
  const first = Math.floor(above / rowHeight) - OVERSCAN_ROWS;
  const last = Math.ceil((above + viewHeight) / rowHeight) + OVERSCAN_ROWS;
  const start = Math.max(0, Math.min(first, count - 1));
  return { start, end: Math.max(start, Math.min(last, count)) };
}

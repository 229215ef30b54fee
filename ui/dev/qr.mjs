// Development only: the drawings that the real client makes itself.
import encodeQR from 'qr';

const QUIET = 4;

/** Rows of modules, dark ones true, with the quiet zone around them. */
export function qrRows(text) {
  return encodeQR(text, 'raw', { ecc: 'medium', border: QUIET });
}

export function qrSvg(text) {
  const rows = qrRows(text);
  const side = rows.length;
  let path = '';
  rows.forEach((row, y) => row.forEach((dark, x) => dark && (path += `M${x} ${y}h1v1h-1z`)));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${side} ${side}" shape-rendering="crispEdges"><rect width="${side}" height="${side}" fill="#fff"/><path d="${path}" fill="#000"/></svg>`;
}

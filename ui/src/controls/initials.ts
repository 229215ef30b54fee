// What an avatar shows: two letters and a hue that stays the same for the same address.

const HUES = 8;
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

export function initials(name: string): string {
  const parts = name
    .trim()
    .split(/[\s._-]+/u)
    .filter((part) => /[\p{L}\p{N}]/u.test(part));
  const first = firstLetter(parts[0] ?? name.trim());
  const last = parts.length > 1 ? firstLetter(parts.at(-1) ?? '') : '';
  return (first + last).toLocaleUpperCase() || '?';
}

function firstLetter(part: string): string {
  for (const { segment } of graphemes.segment(part)) {
    if (/[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(segment)) return segment;
  }
  return '';
}

/** FNV-1a: short, stable across versions, spread well enough over eight hues. */
export function hueOf(identity: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(identity)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  }
  return ((hash ^ (hash >>> 15)) >>> 0) % HUES;
}

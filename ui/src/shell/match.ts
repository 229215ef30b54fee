// Finds names by a few letters, whatever their accents.

function plain(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLocaleLowerCase();
}

/** Higher is better; below zero is no match. The start of a name beats the start of a word, which beats the middle. */
export function matchScore(query: string, text: string): number {
  const wanted = plain(query.trim());
  const found = plain(text);
  if (wanted === '') return 0;
  if (found === '') return -1;
  if (found.startsWith(wanted)) return 3;
  if (found.split(/[\s@._-]+/u).some((word) => word.startsWith(wanted))) return 2;
  return found.includes(wanted) ? 1 : -1;
}

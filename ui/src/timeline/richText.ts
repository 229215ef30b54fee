// Splits a message into text and links. Only addresses that a browser opens as a page become links.

export type Piece = { kind: 'text'; text: string } | { kind: 'link'; text: string; href: string };

const LINK = /\bhttps?:\/\/[^\s<>"'`]+/giu;
const TRAILING = /[.,:;!?)\]}»”’]+$/u;

export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(LINK)) {
    const raw = trimmed(match[0]);
    const href = safeHref(raw);
    if (!href) continue;
    if (match.index > at) found.push({ kind: 'text', text: text.slice(at, match.index) });
    found.push({ kind: 'link', text: raw, href });
    at = match.index + raw.length;
  }
  if (at < text.length) found.push({ kind: 'text', text: text.slice(at) });
  return found;
}

/** Punctuation after a link belongs to the sentence, except a bracket that was opened inside it. */
function trimmed(raw: string): string {
  const tail = TRAILING.exec(raw)?.[0] ?? '';
  const bare = raw.slice(0, raw.length - tail.length);
  return tail.startsWith(')') && bare.includes('(') ? `${bare})` : bare;
}

function safeHref(raw: string): string | undefined {
  try {
    const url = new URL(raw);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : undefined;
  } catch {
    return undefined;
  }
}

const EMOJI_ONLY = /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}|\p{Emoji_Modifier}|\u200d|\ufe0f|\s)+$/u;
const BIG_MAX = 3;

/** One to three emoji and nothing else are drawn large. */
export function isBigEmoji(text: string): boolean {
  if (!EMOJI_ONLY.test(text)) return false;
  const count = [...new Intl.Segmenter().segment(text.replace(/\s/gu, ''))].length;
  return count > 0 && count <= BIG_MAX;
}

const STRONG_RTL = /^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;

/** Whether dir="auto" will set the text from right to left. */
export function startsRightToLeft(text: string): boolean {
  return STRONG_RTL.test(text);
}

import { describe, expect, it } from 'vitest';
import { isBigEmoji, pieces, startsRightToLeft } from './richText';

const links = (text: string) => pieces(text).flatMap((piece) => (piece.kind === 'link' ? [piece.href] : []));

describe('pieces', () => {
  it('loses no character', () => {
    const text = 'See https://a.example/x?y=1, (https://b.example/p_(q)) and that.';
    expect(pieces(text).map((piece) => piece.text).join('')).toBe(text);
  });

  it('leaves the punctuation of the sentence out of the link', () => {
    expect(links('Look: https://a.example/x.')).toEqual(['https://a.example/x']);
    expect(links('(https://a.example/p_(q))')).toEqual(['https://a.example/p_(q)']);
  });

  it('makes links of pages only', () => {
    expect(links('javascript:alert(1) data:text/html,x file:///etc/passwd ftp://a.example')).toEqual([]);
    expect(links('https://')).toEqual([]);
  });

  it('keeps markup as text', () => {
    expect(pieces('<img src=x onerror=alert(1)>')).toEqual([{ kind: 'text', text: '<img src=x onerror=alert(1)>' }]);
  });
});

describe('isBigEmoji', () => {
  it('takes one to three emoji and nothing else', () => {
    expect(['🏕️', '👍🏽', '❤️', '👩‍👩‍👧 🎉', '😂😂😂'].map(isBigEmoji)).toEqual([true, true, true, true, true]);
    expect(['', '1', 'ok 👍', '😂😂😂😂', '#'].map(isBigEmoji)).toEqual([false, false, false, false, false]);
  });
});

describe('startsRightToLeft', () => {
  it('goes by the first letter', () => {
    expect(startsRightToLeft('שלום hello')).toBe(true);
    expect(startsRightToLeft('12 – مرحبا')).toBe(true);
    expect(startsRightToLeft('hello שלום')).toBe(false);
  });
});

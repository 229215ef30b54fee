import { expect, it } from 'vitest';
import { emojiGroups, findEmoji, QUICK_REACTIONS } from './emojiList';

it('lists every emoji once, with a name', () => {
  const entries = emojiGroups.flatMap(([, list]) => list);
  expect(new Set(entries.map(({ emoji }) => emoji)).size).toBe(entries.length);
  for (const { emoji, names } of entries) {
    expect(names, emoji).toMatch(/^[a-z ]+$/);
    expect(emoji).toMatch(/\p{Extended_Pictographic}/u);
  }
});

it('offers quick reactions that the list knows', () => {
  const known = new Set(emojiGroups.flatMap(([, list]) => list.map(({ emoji }) => emoji)));
  expect(QUICK_REACTIONS).toHaveLength(6);
  expect(QUICK_REACTIONS.filter((emoji) => !known.has(emoji))).toEqual([]);
});

it('finds by the beginnings of words', () => {
  expect(findEmoji('heart re').map(({ emoji }) => emoji)).toEqual(['❤️']);
  expect(findEmoji('zzz')).toEqual([]);
});

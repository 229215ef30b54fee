import { expect, it } from 'vitest';
import { Freshness } from './freshness';

it('knows what was touched after a fetch began, and only that', () => {
  const freshness = new Freshness();
  freshness.touch('a');
  const started = freshness.begin();
  freshness.touch('b');
  expect(freshness.touchedSince('a', started)).toBe(false);
  expect(freshness.touchedSince('b', started)).toBe(true);
  expect(freshness.touchedSince('c', started)).toBe(false);
});

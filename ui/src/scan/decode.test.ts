import { expect, it } from 'vitest';
import { searchSize } from './decode';

it('searches large pictures at a bounded size and in proportion, small ones as they are', () => {
  expect(searchSize(4_000, 3_000)).toEqual({ width: 1_280, height: 960 });
  expect(searchSize(640, 480)).toEqual({ width: 640, height: 480 });
  expect(searchSize(10_000, 1)).toEqual({ width: 1_280, height: 1 });
});

import { expect, it } from 'vitest';
import { rowsInView } from './rowsInView';

it('draws what can be seen and a little more, never more than there is', () => {
  expect(rowsInView(-200, 600, 52, 1000)).toEqual({ start: 0, end: 16 });
  expect(rowsInView(26_000, 600, 52, 1000)).toEqual({ start: 492, end: 520 });
  expect(rowsInView(99_999, 600, 52, 1000)).toEqual({ start: 999, end: 1000 });
  expect(rowsInView(0, 600, 52, 3)).toEqual({ start: 0, end: 3 });
  expect(rowsInView(0, 600, 52, 0)).toEqual({ start: 0, end: 0 });
});

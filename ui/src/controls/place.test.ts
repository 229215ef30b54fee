import { expect, it } from 'vitest';
import { placeBox } from './place';

const window = { width: 400, height: 600 };
const size = { width: 200, height: 150 };

it('stands below its anchor, above where there is no room, and always inside the window', () => {
  expect(placeBox({ left: 50, top: 100, right: 80, bottom: 120 }, size, window, false)).toEqual({ left: 50, top: 124 });
  expect(placeBox({ left: 50, top: 500, right: 80, bottom: 520 }, size, window, false)).toEqual({ left: 50, top: 346 });
  expect(placeBox({ left: 390, top: 0, right: 398, bottom: 10 }, size, window, false).left).toBe(192);
  expect(placeBox({ left: 10, top: 0, right: 30, bottom: 10 }, size, window, true).left).toBe(8);
  const tall = placeBox({ left: 0, top: 300, right: 10, bottom: 310 }, { width: 100, height: 580 }, window, false);
  expect(tall.top).toBe(12);
});

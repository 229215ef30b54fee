import { expect, it } from 'vitest';
import { base64, cropSquare, firstSmall, PICTURE_BYTES_MAX } from './picture';

it('cuts the middle square, nearer by the zoom, and never beyond an edge', () => {
  expect(cropSquare(400, 300, { zoom: 1, x: 0, y: 0 })).toEqual({ left: 50, top: 0, side: 300 });
  expect(cropSquare(400, 300, { zoom: 2, x: 0, y: 0 })).toEqual({ left: 125, top: 75, side: 150 });
  expect(cropSquare(400, 300, { zoom: 1, x: 9, y: -9 })).toEqual({ left: 100, top: 0, side: 300 });
  const corner = cropSquare(400, 300, { zoom: 3, x: 1, y: 1 });
  expect(corner.left + corner.side).toBe(400);
  expect(corner.top + corner.side).toBe(300);
});

it('takes the first try that is small enough, passing over kinds that the browser cannot make', async () => {
  const sizes = [PICTURE_BYTES_MAX + 1, null, PICTURE_BYTES_MAX, 10];
  const tries = sizes.map((size) => async () => (size === null ? null : { size }));
  expect(await firstSmall(tries)).toEqual({ size: PICTURE_BYTES_MAX });
  expect(await firstSmall(tries.slice(0, 2))).toBeNull();
});

it('writes bytes as base64', () => {
  expect(base64(new Uint8Array([0, 255, 16]))).toBe('AP8Q');
});

// A group's picture: cut to a square and made small enough to travel inside the group's own state.

export const PICTURE_BYTES_MAX = 16 * 1024;
/** Sides and qualities to try, from the best down. */
const SIDES_PX = [320, 256, 192, 144, 96];
const QUALITIES = [0.86, 0.74, 0.6, 0.45];
const TYPES = ['image/webp', 'image/jpeg'];

/** The square of the picture that is shown: its middle, nearer by `zoom`, moved by parts of the free room (-1 to 1). */
export interface Crop {
  zoom: number;
  x: number;
  y: number;
}

export function cropSquare(width: number, height: number, { zoom, x, y }: Crop): { left: number; top: number; side: number } {
  const side = Math.min(width, height) / Math.max(1, zoom);
  const held = (value: number) => Math.max(-1, Math.min(1, value));
  return {
    left: ((width - side) / 2) * (1 + held(x)),
    top: ((height - side) / 2) * (1 + held(y)),
    side,
  };
}

/** The first of the tries that is small enough, or the last one. */
export async function firstSmall<T extends { size: number }>(tries: (() => Promise<T | null>)[]): Promise<T | null> {
  let last: T | null = null;
  for (const attempt of tries) {
    const made = await attempt();
    if (made && made.size <= PICTURE_BYTES_MAX) return made;
    last = made ?? last;
  }
  return last && last.size <= PICTURE_BYTES_MAX ? last : null;
}

function drawn(bitmap: ImageBitmap, crop: Crop, px: number): OffscreenCanvas {
  const { left, top, side } = cropSquare(bitmap.width, bitmap.height, crop);
  const canvas = new OffscreenCanvas(px, px);
  const context = canvas.getContext('2d', { alpha: false });
  if (context) {
    context.fillStyle = 'white';
    context.fillRect(0, 0, px, px);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, left, top, side, side, 0, 0, px, px);
  }
  return canvas;
}

/** Null when no try was small enough, which a square of 96 pixels never is. */
export async function encodePicture(bitmap: ImageBitmap, crop: Crop): Promise<{ image: string; media_type: string } | null> {
  const tries = SIDES_PX.flatMap((px) =>
    QUALITIES.flatMap((quality) =>
      TYPES.map((type) => async () => {
        const blob = await drawn(bitmap, crop, px).convertToBlob({ type, quality });
        return blob.type === type ? blob : null;
      }),
    ),
  );
  const blob = await firstSmall(tries);
  return blob && { image: base64(new Uint8Array(await blob.arrayBuffer())), media_type: blob.type };
}

export function base64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

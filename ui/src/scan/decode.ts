// Reads a code from pixels: by the browser's own reader where it has one, else by a small one that is loaded then.

interface Reader {
  detect(source: ImageBitmapSource): Promise<{ rawValue: string }[]>;
}

interface ReaderClass {
  new (options: { formats: string[] }): Reader;
  getSupportedFormats(): Promise<string[]>;
}

const SIDE_MAX_PX = 1_280;
let own: Promise<Reader | null> | undefined;

async function browsersReader(): Promise<Reader | null> {
  const known = (globalThis as { BarcodeDetector?: ReaderClass }).BarcodeDetector;
  if (!known) return null;
  try {
    const formats = await known.getSupportedFormats();
    return formats.includes('qr_code') ? new known({ formats: ['qr_code'] }) : null;
  } catch {
    return null;
  }
}

/** How a picture is made small enough to search, its sides in proportion. */
export function searchSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, SIDE_MAX_PX / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The text of a code in the picture, or nothing when there is none. */
export async function readCode(source: HTMLVideoElement | ImageBitmap): Promise<string | undefined> {
  own ??= browsersReader();
  const reader = await own;
  if (reader) {
    const found = await reader.detect(source).catch(() => []);
    return found[0]?.rawValue;
  }
  const given =
    source instanceof HTMLVideoElement
      ? { width: source.videoWidth, height: source.videoHeight }
      : { width: source.width, height: source.height };
  if (given.width === 0 || given.height === 0) return undefined;
  const { width, height } = searchSize(given.width, given.height);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) return undefined;
  context.drawImage(source, 0, 0, width, height);
  const { decodeQR } = await import('qr/decode.js');
  try {
    return decodeQR({ width, height, data: context.getImageData(0, 0, width, height).data });
  } catch {
    // It says that there is no code by throwing.
    return undefined;
  }
}

/** The text of a code in a file; a file that is no picture has none. */
export async function readCodeOfFile(file: Blob): Promise<string | undefined> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return undefined;
  }
  try {
    return await readCode(bitmap);
  } finally {
    bitmap.close();
  }
}

// A camera that sees a code: a film of one frame, played by the browser's own pretended camera.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qrRows } from '../../dev/qr.mjs';
import config from '../../playwright.visual.config';
import { expect, open, test } from './fixture';

const WIDTH = 640;
const HEIGHT = 480;
const film = join(tmpdir(), `aside-camera-${process.pid}.y4m`);

function filmOf(text: string): Buffer {
  const rows = qrRows(text);
  const scale = Math.floor(HEIGHT / rows.length);
  const left = Math.floor((WIDTH - rows.length * scale) / 2);
  const luma = Buffer.alloc(WIDTH * HEIGHT, 200);
  rows.forEach((row, y) =>
    row.forEach((dark, x) => {
      for (let dy = 0; dy < scale; dy += 1) {
        const start = (y * scale + dy) * WIDTH + left + x * scale;
        luma.fill(dark ? 20 : 235, start, start + scale);
      }
    }),
  );
  const chroma = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  const frame = Buffer.concat([Buffer.from('FRAME\n'), luma, chroma]);
  return Buffer.concat([Buffer.from(`YUV4MPEG2 W${WIDTH} H${HEIGHT} F10:1 Ip A1:1 C420jpeg\n`), frame, frame]);
}

writeFileSync(film, filmOf('aside://contact/bob@home.example.org#k'));
const usual = config.use?.launchOptions ?? {};
test.use({
  permissions: ['camera'],
  launchOptions: {
    ...usual,
    args: [...(usual.args ?? []), '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-video-capture=${film}`],
  },
});

test('a contact is added by holding their code in front of the camera', async ({ page }) => {
  await open(page, 'empty', '#/chats?open=add-contact');
  await page.getByTestId('scan-open').click();
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('bob@home.example.org');
});

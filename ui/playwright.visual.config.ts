import { defineConfig } from '@playwright/test';

const PORT = 5180;

/** Against the imagined world of dev/, with the clock stopped, so that pictures compare. */
export default defineConfig({
  testDir: 'tests/visual',
  workers: 1,
  // A busy machine is slow, and a picture can be taken in the middle of a move: the third time counts.
  timeout: 90_000,
  retries: 2,
  reporter: [['list']],
  snapshotPathTemplate: '{testDir}/baselines/{arg}{ext}',
  expect: { toHaveScreenshot: { maxDiffPixelRatio: 0.0005, animations: 'disabled', caret: 'hide' } },
  use: {
    baseURL: `http://127.0.0.1:${PORT}`,
    locale: 'en-GB',
    timezoneId: 'UTC',
    launchOptions: {
      executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
      args: [
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
  webServer: {
    command: 'node dev/fixture-server.mjs',
    env: { FIXTURE_PORT: String(PORT), FIXTURE_NOW: '1795185120000' },
    url: `http://127.0.0.1:${PORT}/`,
    reuseExistingServer: false,
  },
});

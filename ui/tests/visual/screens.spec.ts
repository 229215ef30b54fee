// A picture of every screen in its states, compared with the committed one.
import { expectNoSeriousFault } from './access';
import { expect, NOW, open, test } from './fixture';
import { screens } from './screens';

const sizes = [
  { size: 'desktop', viewport: { width: 1280, height: 800 }, isMobile: false, hasTouch: false },
  { size: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
] as const;

for (const { size, ...context } of sizes) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${size} ${colorScheme}`, () => {
      test.use({ ...context, colorScheme });
      for (const screen of screens) {
        test(`${screen.name} looks as it should`, async ({ page }) => {
          await page.clock.setFixedTime(NOW);
          await open(page, screen.world, screen.at);
          await page.waitForLoadState('networkidle').catch(() => undefined);
          await page.evaluate(() => document.fonts.ready);
          await screen.act?.(page);
          await expect(page).toHaveScreenshot(`${size}-${colorScheme}/${screen.name}.png`);
          // The other size is looked at by access.spec.ts, in both colours.
          if (size === 'phone' && colorScheme === 'dark') await expectNoSeriousFault(page);
        });
      }
    });
  }
}

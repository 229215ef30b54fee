// axe-core looks at every screen in both colours: what keeps nobody out in light may do so in dark.
import { expectNoSeriousFault } from './access';
import { NOW, open, test } from './fixture';
import { screens } from './screens';

test.use({ viewport: { width: 1280, height: 800 } });

for (const screen of screens) {
  test(`${screen.name} keeps nobody out, in light and in dark`, async ({ page }) => {
    await page.clock.setFixedTime(NOW);
    await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' });
    await open(page, screen.world, screen.at);
    await page.waitForLoadState('networkidle').catch(() => undefined);
    await screen.act?.(page);
    await expectNoSeriousFault(page);
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await expectNoSeriousFault(page);
  });
}

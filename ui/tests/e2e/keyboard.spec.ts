// From the invite to a group, without a pointer; and axe-core looks at every page on the way.
import { expectNoSeriousFault } from '../visual/access';
import { expect, test } from './fixture';
import type { Locator, Page } from '@playwright/test';

const STEPS_MAX = 60;

/** Presses Tab until the thing has the focus. */
async function reach(page: Page, what: Locator, key: 'Tab' | 'Shift+Tab' = 'Tab'): Promise<void> {
  await what.waitFor();
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if (await what.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  throw new Error(`not reached by ${STEPS_MAX} times ${key}: ${what}`);
}

test('everything that two people need is done by the keyboard alone', async ({ world }) => {
  const bob = await world.member('bob');
  await bob.start();
  const alice = world.person('alice');
  await alice.start();
  const page = await alice.open();

  await reach(page, page.getByTestId('invite-input'));
  await page.keyboard.insertText(await world.invite());
  await expect(page.getByTestId('name-input')).toBeFocused();
  await expectNoSeriousFault(page);
  await page.keyboard.type('alice');
  await page.keyboard.press('Enter');

  await reach(page, page.getByTestId('add-first-contact'));
  await expectNoSeriousFault(page);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('contact-link-input')).toBeFocused();
  await expect(page.getByTestId('my-link-qr')).toBeVisible();
  await expectNoSeriousFault(page);
  await page.keyboard.insertText(await bob.aside('contacts', 'link'));
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('composer-input')).toBeFocused();
  await page.keyboard.type('Good morning');
  await page.keyboard.press('Enter');
  await expect(alice.message('Good morning')).toHaveAttribute('data-delivery', /sent|delivered/);

  // The message's own menu: react to it.
  await page.keyboard.press('Shift+Tab');
  await reach(page, page.getByTestId('timeline'), 'Shift+Tab');
  await page.keyboard.press('ArrowUp');
  await expect(alice.message('Good morning')).toBeFocused();
  await page.keyboard.press('e');
  await page.keyboard.press('Enter');
  await expect(alice.message('Good morning').getByTestId('reaction')).toBeVisible();
  await expectNoSeriousFault(page);

  // A group, by way of the switcher.
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('New group');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('group-title-input')).toBeFocused();
  await page.keyboard.type('Choir');
  await reach(page, page.getByTestId('group-member').locator('input'));
  await page.keyboard.press('Space');
  await expectNoSeriousFault(page);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('2 members');
  await expect(page.getByTestId('composer-input')).toBeFocused();
  await page.keyboard.type('At eight');
  await page.keyboard.press('Enter');
  await expect.poll(() => bob.aside('chats')).toContain('Choir');

  // The details, and back.
  await reach(page, page.getByTestId('details-open'), 'Shift+Tab');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('details')).toBeVisible();
  await expectNoSeriousFault(page);
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('details')).toHaveCount(0);

  await page.keyboard.press('Control+,');
  await reach(page, page.getByTestId('settings-recovery'));
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Recovery' })).toBeVisible();
  await expectNoSeriousFault(page);
});

// From the invite to a group, without a pointer; and axe-core looks at every page on the way.
import { expectNoSeriousFault } from '../visual/access';
import { code } from './deeds';
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
  await expect(page.getByRole('heading', { name: 'Recovery', exact: true })).toBeVisible();
  await expectNoSeriousFault(page);
});

test('a device is let in, named and removed by the keyboard alone', async ({ world }) => {
  test.setTimeout(180_000);
  const [alice, bob] = await world.pair();
  const phone = alice.device('alice-phone');
  await phone.start();
  const [page, fresh] = [alice.page, await phone.open()];
  await page.keyboard.press('Control+,');
  await reach(page, page.getByTestId('settings-devices'));
  await page.keyboard.press('Enter');
  await reach(page, page.getByTestId('link-device-open'));
  await expectNoSeriousFault(page);
  await page.keyboard.press('Enter');
  const link = (await page.getByTestId('device-link').textContent()) ?? '';
  await expectNoSeriousFault(page);

  await reach(fresh, fresh.getByTestId('begin-device'));
  await fresh.keyboard.press('Enter');
  await expect(fresh.getByTestId('device-link-input')).toBeFocused();
  await fresh.keyboard.insertText(link);
  await reach(fresh, fresh.getByTestId('device-name-input'));
  await fresh.keyboard.press('Control+a');
  await fresh.keyboard.insertText('Phone');
  await expectNoSeriousFault(fresh);
  await fresh.keyboard.press('Enter');
  await expect(fresh.getByTestId('linking')).toHaveAttribute('data-state', 'waiting');
  await expectNoSeriousFault(fresh);

  await expect(page.getByTestId('device-request')).toContainText('Phone');
  expect(await code(alice)).toBe(await code(phone));
  await expectNoSeriousFault(page);
  await reach(page, page.getByTestId('device-accept'));
  await page.keyboard.press('Enter');
  await expect(phone.row('bob')).toBeVisible({ timeout: 60_000 });

  const row = page.getByTestId('device-row').filter({ hasText: 'Phone' });
  await reach(page, row.getByTestId('device-rename'));
  await page.keyboard.press('Enter');
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText('Old phone');
  await page.keyboard.press('Enter');
  const renamed = page.getByTestId('device-row').filter({ hasText: 'Old phone' });
  await reach(page, renamed.getByTestId('device-revoke'));
  await page.keyboard.press('Enter');
  await expectNoSeriousFault(page);
  await reach(page, page.getByTestId('revoke-confirm'));
  await page.keyboard.press('Enter');
  await expect(renamed).toContainText('Removed on', { timeout: 60_000 });
  await expect(phone.page.getByTestId('device-removed')).toBeVisible({ timeout: 60_000 });
  await expectNoSeriousFault(fresh);
  await expect(bob.page.getByTestId('notice-key_changed')).toHaveCount(0);
});

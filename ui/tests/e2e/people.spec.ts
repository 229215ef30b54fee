// Contacts, links, strangers and codes: real people on a real server.
import { expect, test, type Person } from './fixture';
import type { Locator, Page } from '@playwright/test';

/** What a camera would see of a code on somebody's screen, as a file to choose. */
async function photograph(page: Page, code: Locator): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  await expect.poll(() => code.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  await page.waitForTimeout(200);
  return { name: 'photograph.png', mimeType: 'image/png', buffer: await code.screenshot() };
}

async function scans(person: Person, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await person.page.getByTestId('scan-file').setInputFiles(file);
}

async function card(person: Person, other: Person) {
  await person.page.getByTestId('section-people').click();
  await person.page.locator(`[data-testid=contact-row][data-address="${other.address}"]`).click();
  return person.page.getByTestId('contact-card');
}

test('a contact is added from a photograph of their code, and verified from another', async ({ world }) => {
  const [alice, bob] = [await world.member('alice'), await world.member('bob')];
  for (const person of [alice, bob]) {
    await person.start();
    await person.open();
  }
  await alice.page.getByTestId('add-contact-open').click();
  const code = await photograph(alice.page, alice.page.getByTestId('my-link-qr'));
  await alice.page.keyboard.press('Escape');
  await bob.page.getByTestId('add-contact-open').click();
  await bob.page.getByTestId('scan-open').click();
  await scans(bob, code);
  await expect(bob.page.getByTestId('conversation-subtitle')).toHaveText(alice.address);
  await expect(alice.row('bob')).toBeVisible();
  await expect(bob.page.getByTestId('pending-note')).toHaveCount(0);

  await card(bob, alice);
  await bob.page.getByTestId('safety-open').click();
  const safety = await photograph(bob.page, bob.page.getByTestId('safety-qr'));
  await card(alice, bob);
  await alice.page.getByTestId('safety-open').click();
  await alice.page.getByTestId('safety-scan').click();
  await scans(alice, code);
  await expect(alice.page.getByRole('alert')).toBeVisible();
  await alice.page.getByTestId('safety-scan').click();
  await scans(alice, safety);
  await expect(alice.page.getByRole('dialog')).toContainText('You have verified bob.');
  await alice.page.keyboard.press('Escape');
  await expect(alice.page.getByTestId('contact-card')).toContainText('Verified');
});

test('links are made, listed and withdrawn; one that was withdrawn adds nobody', async ({ world }) => {
  const [alice, bob] = [await world.member('alice'), await world.member('bob')];
  await alice.start();
  await alice.open();
  await alice.page.getByTestId('section-people').click();
  await alice.page.getByTestId('links-open').click();
  await alice.page.getByTestId('link-make').click();
  const row = alice.page.getByTestId('link-row').first();
  await expect(row).toContainText(`aside://${world.address}/contact/alice#`);
  const link = (await row.locator('.text').textContent()) ?? '';
  await alice.page.getByTestId('link-make').click();
  await expect(alice.page.getByTestId('link-row')).toHaveCount(2);
  await alice.page.getByTestId('link-row').filter({ hasText: link.slice(-12) }).getByTestId('link-withdraw').click();
  await expect(alice.page.getByTestId('link-row')).toHaveCount(1);
  // Gone for real when undo is over.
  await expect(alice.page.getByTestId('toast-undo')).toHaveCount(0);
  await alice.page.reload();
  await expect(alice.page.getByTestId('link-row')).toHaveCount(1);

  await bob.start();
  await bob.open();
  await bob.page.getByTestId('add-contact-open').click();
  await bob.page.getByTestId('contact-link-input').fill(link);
  await bob.page.getByTestId('add-contact-button').click();
  await bob.page.getByTestId('section-people').click();
  await expect(bob.page.getByTestId('contact-row')).toContainText('Could not be added');
});

test('a contact gets a name that only I see, and is blocked and unblocked', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await card(alice, bob);
  await alice.page.getByTestId('nickname-open').click();
  await alice.page.getByTestId('name-dialog-input').fill('Bob from the choir');
  await alice.page.getByTestId('name-dialog-save').click();
  await expect(alice.page.getByTestId('contact-row')).toContainText('Bob from the choir');

  await alice.page.getByTestId('block').click();
  await expect(alice.page.getByTestId('contact-card')).toContainText('Blocked');
  await bob.aside('send', alice.address, 'You do not hear this');
  await alice.page.getByTestId('section-chats').click();
  await alice.row('Bob from the choir').click();
  await expect(alice.page.getByTestId('blocked-note')).toBeVisible();
  await expect(alice.page.getByTestId('composer-input')).toHaveCount(0);
  await alice.page.getByTestId('unblock-here').click();
  await expect(alice.page.getByTestId('composer-input')).toBeVisible();
  await bob.aside('send', alice.address, 'But this');
  await expect(alice.message('But this')).toBeVisible();
});

test('somebody who is no contact any more asks again, and is declined or accepted', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await card(alice, bob);
  await alice.page.getByTestId('remove-contact').click();
  await expect(alice.page.getByTestId('toast-undo')).toHaveCount(0, { timeout: 10_000 });
  await bob.opens('alice');
  await bob.writes('Did I say something wrong?');
  await alice.page.getByTestId('section-chats').click();
  await alice.page.getByTestId('requests-open').click();
  await alice.row('bob').click();
  await expect(alice.message('Did I say something wrong?')).toBeVisible();
  await expect(alice.page.getByTestId('composer-input')).toHaveCount(0);
  await alice.page.getByTestId('delete-request').click();
  await alice.page.getByTestId('toast-undo').click();
  await alice.page.getByTestId('requests-open').click();
  await alice.row('bob').click();
  await alice.page.getByTestId('accept-request').click();
  await alice.writes('Not at all');
  await expect(bob.message('Not at all')).toBeVisible();
});

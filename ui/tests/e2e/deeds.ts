// What people do with devices, words and requests, the way that they do it on the screen.
import { expect, type Person } from './fixture';

/** A person looks at one of the pages below the settings. */
export async function settingsPage(person: Person, page: 'devices' | 'recovery'): Promise<void> {
  await person.page.keyboard.press('Escape');
  await person.page.getByTestId('section-settings').click();
  const back = person.page.getByTestId('settings-back');
  const open = person.page.getByTestId(`settings-${page}`);
  await back.or(open).first().waitFor();
  if (await back.isVisible()) await back.click();
  await open.click();
}

export async function chats(person: Person): Promise<void> {
  await person.page.getByTestId('section-chats').click();
}

/** Somebody makes a group of people whom they have as contacts, and stands in it. */
export async function foundsGroup(founder: Person, title: string, members: Person[]): Promise<void> {
  const { page } = founder;
  await page.getByTestId('new-group-open').click();
  await page.getByTestId('group-title-input').fill(title);
  for (const { address } of members) {
    await page.locator(`[data-testid=group-member][data-address="${address}"]`).click();
  }
  await page.getByTestId('group-create-button').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();
}

/** The new device asks with the link that the old one shows; both stop at the code that is to be compared. */
export async function asksToBeLinked(old: Person, fresh: Person, name: string): Promise<void> {
  await settingsPage(old, 'devices');
  await old.page.getByTestId('link-device-open').click();
  const link = (await old.page.getByTestId('device-link').textContent()) ?? '';
  await fresh.start();
  const page = await fresh.open();
  await page.getByTestId('begin-device').click();
  await page.getByTestId('device-link-input').fill(link);
  await page.getByTestId('device-name-input').fill(name);
  await page.getByTestId('device-link-button').click();
  await expect(page.getByTestId('linking')).toHaveAttribute('data-state', 'waiting');
}

export async function code(person: Person): Promise<string> {
  return ((await person.page.getByTestId('device-code').textContent()) ?? '').replace(/\D/g, '');
}

/** Links a device: the codes are compared, and the old one lets the new one in with so much of the past. */
export async function links(old: Person, fresh: Person, name: string, history: 'all' | 'month' | 'none' = 'all'): Promise<void> {
  await asksToBeLinked(old, fresh, name);
  await expect(old.page.getByTestId('device-request')).toContainText(name);
  const shown = await code(fresh);
  expect(shown).toMatch(/^[0-9]{6}$/);
  expect(await code(old)).toBe(shown);
  await old.page.getByTestId(`history-${history}`).click();
  await old.page.getByTestId('device-accept').click();
  await expect(old.page.getByTestId('device-row').filter({ hasText: name })).toBeVisible();
  await expect(fresh.page.getByTestId('section-chats')).toBeVisible();
}

/** Reads the words, writes them on paper, and types those that are asked for. What stands on the paper. */
export async function writesWordsDown(person: Person): Promise<string[]> {
  const { page } = person;
  await settingsPage(person, 'recovery');
  await page.getByTestId('phrase-open').click();
  await page.getByTestId('phrase-show').click();
  const shown = await page.getByTestId('phrase-words').locator('li').allTextContents();
  const words = shown.map((text) => text.replace(/^[0-9]+/, ''));
  expect(words).toHaveLength(24);
  await page.getByTestId('phrase-written').click();
  const fields = page.getByTestId('word-grid').locator('input');
  for (let i = 0; i < (await fields.count()); i += 1) {
    await fields.nth(i).fill(words[Number(await fields.nth(i).getAttribute('data-word'))] ?? '');
  }
  await page.getByTestId('phrase-confirm').click();
  await expect(page.getByTestId('phrase-confirmed')).toBeVisible();
  await expect(page).not.toHaveURL(/open=/);
  return words;
}

/** Removes a device; with the words where there is a paper at hand. */
export async function revokes(person: Person, device: string, words?: string[]): Promise<void> {
  await settingsPage(person, 'devices');
  const row = person.page.getByTestId('device-row').filter({ hasText: device });
  await row.getByTestId('device-revoke').click();
  if (words) {
    await person.page.getByTestId('revoke-with-words').click();
    await person.page.getByLabel('Word 1', { exact: true }).fill(words.join(' '));
  }
  await person.page.getByTestId('revoke-confirm').click();
  await expect(row).toContainText('Removed on', { timeout: 40_000 });
}

/** Adds somebody by the link that they gave, on the screen; the other side is asked. */
export async function addsByLink(person: Person, other: Person): Promise<void> {
  await chats(person);
  await person.page.getByTestId('add-contact-open').first().click();
  await person.page.getByTestId('contact-link-input').fill(await other.aside('contacts', 'link'));
  await person.page.getByTestId('add-contact-button').click();
  await expect(person.page.getByTestId('composer-input')).toBeVisible();
}

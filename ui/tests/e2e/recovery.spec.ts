// Everything is lost but the paper: the account comes back with its history, and the old conversation goes on.
import { readFile } from 'node:fs/promises';
import { chats, links, settingsPage, writesWordsDown } from './deeds';
import { expect, test, type Person } from './fixture';

test.describe.configure({ timeout: 300_000 });

const SOON = { timeout: 60_000 };

async function types(person: Person, words: string[]): Promise<void> {
  await person.page.getByLabel('Word 1', { exact: true }).fill(words.join(' '));
}

/** What somebody finds who has come back: the history, in its order, and somebody who answers. */
async function goesOn(back: Person, bob: Person): Promise<void> {
  await expect(back.row('bob')).toBeVisible(SOON);
  await back.opens('bob');
  await expect(back.page.getByTestId('message')).toHaveCount(2, SOON);
  expect(await back.texts()).toEqual(['Written before the fire', 'Answered before the fire']);
  await expect(back.message('Written before the fire')).toHaveAttribute('data-own', 'true');
  await back.writes('I am back');
  await expect(bob.message('I am back')).toBeVisible({ timeout: 120_000 });
  await expect(bob.page.getByTestId('notice-key_changed')).toHaveCount(0);
  await bob.writes('Welcome back');
  await expect(back.message('Welcome back')).toBeVisible(SOON);
}

for (const from of ['file', 'server'] as const) {
  test(`the words are written down, and bring everything back from a backup ${from === 'file' ? 'in a file' : 'on the server'}`, async ({ world }) => {
    const there = await world.server('elsewhere');
    const [alice, bob] = await world.pair({}, there);
    await alice.opens('bob');
    await bob.opens('alice');
    await alice.writes('Written before the fire');
    await expect(bob.message('Written before the fire')).toBeVisible();
    await bob.writes('Answered before the fire');
    await expect(alice.message('Answered before the fire')).toBeVisible();

    const words = await writesWordsDown(alice);
    // Once confirmed, they are only on paper.
    await alice.page.reload();
    await expect(alice.page.getByTestId('phrase-confirmed')).toBeVisible();
    await expect(alice.page.getByTestId('phrase-open')).toHaveCount(0);
    let file = { name: '', mimeType: 'application/octet-stream', buffer: Buffer.of() };
    if (from === 'file') {
      const download = alice.page.waitForEvent('download');
      await alice.page.getByTestId('backup-file').click();
      const saved = await download;
      file = { ...file, name: saved.suggestedFilename(), buffer: await readFile(await saved.path()) };
      expect(file.buffer.subarray(0, 21).toString()).toBe('age-encryption.org/v1');
      expect(file.buffer.includes('before the fire')).toBe(false);
    } else {
      await alice.page.getByTestId('backup-now').click();
      await expect(alice.page.getByText('Last backup: today')).toBeVisible(SOON);
    }
    await alice.closePage();
    await alice.isKilled();

    const back = alice.device('alice-anew');
    await back.start();
    const page = await back.open();
    await page.getByTestId('begin-restore').click();
    if (from === 'file') {
      await page.getByTestId('restore-from-file').click();
      await page.getByTestId('restore-file').setInputFiles(file);
    } else {
      await page.getByTestId('restore-address').fill(alice.address);
    }
    await types(back, [...words.slice(0, 23), words[23] === 'zoo' ? 'zone' : 'zoo']);
    await expect(page.getByTestId('restore-button')).toBeDisabled();
    await types(back, words);
    await page.getByTestId('restore-button').click();
    // What was found is looked at before anything of the account is changed.
    await expect(page.getByTestId('restore-found')).toContainText(/Today, .*Messages2Contacts1/, SOON);
    await page.getByTestId('restore-use').click();
    await expect(page.getByTestId('restored')).toContainText('Restored from the backup made today', SOON);
    await page.getByTestId('restored-done').click();
    await goesOn(back, bob);
    await settingsPage(back, 'recovery');
    await expect(page.getByTestId('phrase-confirmed')).toBeVisible();
    await expect(page.getByTestId('restored-here')).toContainText('Restored on this device: today');
    await settingsPage(back, 'devices');
    await expect(page.getByTestId('device-row')).toHaveCount(1, SOON);
    await expect(page.getByTestId('device-row')).toContainText('This device');
  });
}

test('other words open nothing, and say so', async ({ world }) => {
  const [alice] = await world.pair();
  const words = await writesWordsDown(alice);
  const carol = await world.member('carol');
  await carol.start();
  await carol.open();
  const others = await writesWordsDown(carol);
  expect(others).not.toEqual(words);
  const back = alice.device('alice-anew');
  await back.start();
  const page = await back.open();
  await page.getByTestId('begin-restore').click();
  await page.getByTestId('restore-address').fill(alice.address);
  await types(back, others);
  await page.getByTestId('restore-button').click();
  await expect(page.getByRole('alert')).toBeVisible(SOON);
  await expect(page.getByTestId('restore-button')).toBeVisible();
});

test('a device that was removed with the words is a quiet change', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await bob.opens('alice');
  const phone = alice.device('alice-phone');
  await links(alice, phone, 'Phone');
  const words = await writesWordsDown(alice);
  await settingsPage(alice, 'devices');
  const row = alice.page.getByTestId('device-row').filter({ hasText: 'Phone' });
  await row.getByTestId('device-revoke').click();
  await alice.page.getByTestId('revoke-with-words').click();
  await types(alice, words);
  await alice.page.getByTestId('revoke-confirm').click();
  await expect(row).toContainText('Removed on', SOON);
  await expect(bob.page.getByTestId('event').filter({ hasText: "alice's devices changed" })).toBeVisible(SOON);
  await expect(bob.page.getByTestId('notice-key_changed')).toHaveCount(0);
  await bob.writes('Is everything all right?');
  await chats(alice);
  await alice.opens('bob');
  await expect(alice.message('Is everything all right?')).toBeVisible(SOON);
});

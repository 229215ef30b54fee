// Devices, words and backups, against the imagined world.
import { NO_BACKUP, WORDS } from '../../dev/recovery.mjs';
import { deed, expect, NOW, open, test } from './fixture';

test('a device is named and removed, with or without the words', async ({ page }) => {
  await open(page, 'busy', '#/settings');
  await page.getByTestId('settings-devices').click();
  const other = page.getByTestId('device-row').filter({ hasText: 'Kitchen laptop' });
  await other.getByTestId('device-rename').click();
  await page.getByTestId('name-dialog-input').fill('Hall laptop');
  await page.keyboard.press('Enter');
  const renamed = page.getByTestId('device-row').filter({ hasText: 'Hall laptop' });
  await renamed.getByTestId('device-revoke').click();
  await page.getByTestId('revoke-with-words').click();
  await expect(page.getByTestId('revoke-confirm')).toBeDisabled();
  await page.getByLabel('Word 1', { exact: true }).fill(WORDS.join(' '));
  await expect(page.getByTestId('revoke-confirm')).toBeEnabled();
  await page.getByTestId('revoke-confirm').click();
  await expect(renamed).toContainText('Removed on');
  await expect(renamed.getByTestId('device-revoke')).toHaveCount(0);
  await page.getByTestId('settings-back').click();
  await expect(page.getByTestId('settings-devices')).toBeVisible();
});

test('this device cannot remove itself', async ({ page }) => {
  await open(page, 'busy', '#/settings/devices');
  await expect(page.getByTestId('device-row').filter({ hasText: 'This device' }).getByTestId('device-revoke')).toHaveCount(0);
});

test('a new device asks, the codes are compared, and it gets as much of the past as is chosen', async ({ page }) => {
  await page.clock.setFixedTime(NOW);
  await open(page, 'busy', '#/settings/devices');
  await page.getByTestId('link-device-open').click();
  await expect(page.getByTestId('device-link')).toContainText('/device/');
  await deed(page, 'knock', { name: 'Travel laptop', code: '482913' });
  await expect(page.getByTestId('device-code')).toHaveText(/482\s*913/);
  await page.getByTestId('history-month').click();
  await page.getByTestId('device-accept').click();
  await expect(page.getByTestId('device-row').filter({ hasText: 'Travel laptop' })).toBeVisible();
  expect((await deed(page, 'told')).history).toBe('month');
});

test('a device that asks is seen from anywhere, and can be declined', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('composer-input')).toBeVisible();
  await deed(page, 'knock', { name: 'Somebody’s phone', code: '000111' });
  await page.getByTestId('device-banner-open').click();
  await page.getByTestId('device-decline').click();
  await expect(page.getByTestId('device-banner')).toHaveCount(0);
  await expect(page.getByTestId('composer-input')).toBeVisible();
});

test('this device is linked: the link, the code, the waiting, and then the chats', async ({ page }) => {
  await open(page, 'first-run');
  await page.getByTestId('begin-device').click();
  await page.getByTestId('device-link-input').fill('aside://join/home.example.org#4fT9');
  await page.getByTestId('device-link-button').click();
  await expect(page.getByRole('alert')).toContainText('not a link for a new device');
  await page.getByTestId('device-link-input').fill('aside://home.example.org/device/mira#x3Vb9');
  await page.getByTestId('device-name-input').fill('Travel laptop');
  await page.getByTestId('device-link-button').click();
  await expect(page.getByTestId('linking')).toHaveAttribute('data-state', 'asking');
  await deed(page, 'linking', { linking: { state: 'waiting', code: '482913' } });
  await expect(page.getByTestId('device-code')).toHaveText(/482\s*913/);
  await page.reload();
  await expect(page.getByTestId('device-code')).toBeVisible();
  await deed(page, 'linking', { linking: { state: 'failed', words: 'It was declined on your other device.' } });
  await expect(page.getByRole('alert')).toContainText('declined');
  await page.getByTestId('linking-again').click();
  await expect(page.getByTestId('device-link-input')).toBeVisible();
  await deed(page, 'linking', { linking: { state: 'receiving' } });
  await expect(page.getByTestId('linking')).toHaveAttribute('data-state', 'receiving');
  await deed(page, 'linking', { linking: undefined, joined: true });
  await expect(page.getByText('No chats yet')).toBeVisible();
});

test('back leads from the other beginnings to the first', async ({ page }) => {
  await open(page, 'first-run');
  await page.getByTestId('begin-restore').click();
  await expect(page.getByTestId('word-grid')).toBeVisible();
  await page.goBack();
  await expect(page.getByTestId('invite-input')).toBeVisible();
  await page.getByTestId('begin-device').click();
  await page.getByTestId('begin-back').click();
  await expect(page.getByTestId('invite-input')).toBeVisible();
});

test('an account is restored with words that are completed as they are typed', async ({ page }) => {
  await page.clock.setFixedTime(NOW + 48 * 60 * 60 * 1000);
  await open(page, 'first-run', '#/chats?begin=restore');
  await page.getByTestId('restore-address').fill('mira@home.example.org');
  await page.getByLabel('Word 1', { exact: true }).focus();
  await page.keyboard.type('aban ');
  await expect(page.getByLabel('Word 1', { exact: true })).toHaveValue('abandon');
  await expect(page.getByLabel('Word 2', { exact: true })).toBeFocused();
  await page.keyboard.type('aba');
  await expect(page.getByTestId('word-suggestion').first()).toHaveText('abandon');
  await page.keyboard.press('Tab');
  await expect(page.getByLabel('Word 2', { exact: true })).toHaveValue('abandon');
  await page.getByLabel('Word 3', { exact: true }).fill([...WORDS.slice(2, 23), 'zoo'].join('\n'));
  await expect(page.getByRole('alert')).toContainText('do not belong together');
  await expect(page.getByTestId('restore-button')).toBeDisabled();
  await page.getByLabel('Word 24', { exact: true }).fill('art');
  await page.getByTestId('restore-button').click();
  await expect(page.getByTestId('restore-found')).toContainText(/19 Nov.*12,043.*37/);
  // Back from what was found, the words are still there.
  await page.getByTestId('restore-other').click();
  await expect(page.getByLabel('Word 24', { exact: true })).toHaveValue('art');
  await page.getByTestId('restore-button').click();
  await page.getByTestId('restore-devices-keep').click();
  await page.getByTestId('restore-use').click();
  await expect(page.getByTestId('restored')).toContainText(/made 19 Nov.*comes back from other people/);
  await page.getByTestId('restored-done').click();
  await expect(page.getByText('No chats yet')).toBeVisible();
  expect((await deed(page, 'told')).restored).toEqual({ phrase: WORDS.join(' '), address: 'mira@home.example.org', keep_devices: true });
});

test('where there is no backup, that is said before anything is changed, and after', async ({ page }) => {
  await open(page, 'first-run', '#/chats?begin=restore');
  await deed(page, 'backup', { at: null, messages: 0, contacts: 0, words: NO_BACKUP });
  await page.getByTestId('restore-address').fill('mira@home.example.org');
  await page.getByLabel('Word 1', { exact: true }).fill(WORDS.join(' '));
  await page.getByTestId('restore-button').click();
  await expect(page.getByRole('heading', { name: 'There is no backup' })).toBeVisible();
  await expect(page.getByTestId('restore-found-words')).toContainText('without contacts');
  await page.getByTestId('restore-use').click();
  await expect(page.getByTestId('restored')).toContainText('There was no backup');
  await page.getByTestId('restored-done').click();
  await page.goto('#/settings/recovery');
  await expect(page.getByTestId('restored-here')).toContainText('There was no backup');
});

test('an account is restored from a file', async ({ page }) => {
  await open(page, 'first-run', '#/chats?begin=restore');
  await page.getByTestId('restore-from-file').click();
  await page.getByTestId('restore-file').setInputFiles({ name: 'aside-mira.age', mimeType: 'application/octet-stream', buffer: Buffer.from('age!') });
  await page.getByLabel('Word 1', { exact: true }).fill(WORDS.join(' '));
  await page.getByTestId('restore-button').click();
  await page.getByTestId('restore-use').click();
  await page.getByTestId('restored-done').click();
  await expect(page.getByText('No chats yet')).toBeVisible();
  expect((await deed(page, 'told')).restored['file']).toBe(Buffer.from('age!').toString('base64'));
});

test('the words are shown when the person is ready, and some of them are asked for', async ({ page }) => {
  await open(page, 'unprepared', '#/settings/recovery');
  await page.getByTestId('phrase-open').click();
  await expect(page.getByTestId('phrase-words')).toHaveCount(0);
  await page.getByTestId('phrase-show').click();
  const shown = await page.getByTestId('phrase-words').locator('li').allTextContents();
  expect(shown.map((text) => text.replace(/^[0-9]+/, ''))).toEqual(WORDS);
  await page.getByTestId('phrase-written').click();
  const fields = page.getByTestId('word-grid').locator('input');
  await expect(fields).toHaveCount(4);
  for (let i = 0; i < 4; i += 1) await fields.nth(i).fill('zoo');
  await page.getByTestId('phrase-confirm').click();
  await expect(page.getByRole('alert')).toContainText('Look at your paper again');
  for (let i = 0; i < 4; i += 1) await fields.nth(i).fill(WORDS[Number(await fields.nth(i).getAttribute('data-word'))] ?? '');
  await page.getByTestId('phrase-confirm').click();
  await expect(page.getByTestId('phrase-confirmed')).toBeVisible();
});

test('a backup is made now, and saved to a file', async ({ page }) => {
  await page.clock.setFixedTime(NOW);
  await open(page, 'unprepared', '#/settings/recovery');
  await expect(page.getByText('No backup yet')).toBeVisible();
  await page.getByTestId('backup-now').click();
  await expect(page.getByText('Last backup: today')).toBeVisible();
  const download = page.waitForEvent('download');
  await page.getByTestId('backup-file').click();
  expect((await download).suggestedFilename()).toMatch(/^aside-Mira-Lindqvist-[0-9-]+\.age$/);
});

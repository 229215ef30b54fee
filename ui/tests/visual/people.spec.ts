// Contacts, strangers, keys and codes, against the imagined world.
import { qrSvg } from '../../dev/qr.mjs';
import { deed, expect, open, test } from './fixture';
import type { Page } from '@playwright/test';

/** A photograph of a code, as a file to choose. */
async function pictureOf(page: Page, text: string): Promise<{ name: string; mimeType: string; buffer: Buffer }> {
  const url = await page.evaluate(async (svg) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 480;
    canvas.getContext('2d')?.drawImage(image, 0, 0, 480, 480);
    return canvas.toDataURL('image/png');
  }, qrSvg(text));
  return { name: 'code.png', mimeType: 'image/png', buffer: Buffer.from(url.split(',')[1] ?? '', 'base64') };
}

test('somebody on the own server is added by name, and a name that nobody has is refused in words', async ({ page }) => {
  await open(page, 'empty', '#/chats?open=add-contact');
  await page.getByTestId('contact-link-input').fill('nobody');
  await page.getByTestId('add-contact-button').click();
  await expect(page.getByRole('alert')).toContainText('is called nobody');
  await page.getByTestId('contact-link-input').fill('bob@home.example.org');
  await page.getByTestId('add-contact-button').click();
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('bob@home.example.org');
});

test('a contact is added from a picture of their code; a picture without one is refused in words', async ({ page }) => {
  await open(page, 'empty', '#/chats?open=add-contact');
  await page.getByTestId('scan-open').click();
  await expect(page.getByTestId('scanner')).toHaveAttribute('data-camera', 'none');
  await page.getByTestId('scan-file').setInputFiles({ name: 'x.png', mimeType: 'image/png', buffer: Buffer.from('x') });
  await expect(page.getByRole('alert')).toContainText('No code was found');
  await page.getByTestId('scan-file').setInputFiles(await pictureOf(page, 'aside://contact/bob@home.example.org#k'));
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('bob@home.example.org');
});

test('a link with other keys than the known ones is only taken after asking them', async ({ page }) => {
  await open(page, 'empty', '#/chats?open=add-contact');
  await page.getByTestId('contact-link-input').fill('aside://contact/otherkeys@home.example.org#k');
  await page.getByTestId('add-contact-button').click();
  await expect(page.getByRole('alert')).toContainText('other keys');
  await page.getByTestId('add-contact-button').filter({ hasText: 'I have asked' }).click();
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('otherkeys@home.example.org');
});

test('what somebody who is blocked writes in a group is shown only when it is asked for', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}');
  await expect(page.getByTestId('message').last()).toBeVisible();
  const { group } = await deed(page, 'told');
  await deed(page, 'arrive', { conversation: group, text: 'Buy my carrots', fields: { from_blocked: true } });
  await expect(page.getByTestId('blocked-message')).toBeVisible();
  await expect(page.getByText('Buy my carrots')).toHaveCount(0);
  await page.getByTestId('blocked-message').getByRole('button').click();
  await expect(page.getByTestId('message').filter({ hasText: 'Buy my carrots' })).toBeVisible();
});

test('links are listed, made and withdrawn with the way back at hand', async ({ page }) => {
  await open(page, 'busy', '#/people');
  await page.getByTestId('links-open').click();
  await expect(page.getByText('You have given out no link.')).toBeVisible();
  await page.getByTestId('link-make').click();
  await page.getByTestId('link-make').click();
  await expect(page.getByTestId('link-row')).toHaveCount(2);
  await page.getByTestId('link-withdraw').first().click();
  await expect(page.getByTestId('link-row')).toHaveCount(1);
  await page.getByTestId('link-withdraw').click();
  await expect(page.getByTestId('link-row')).toHaveCount(0);
  await page.reload();
  await expect.poll(async () => (await deed(page, 'told')).links).toBe(0);
});

test('a contact gets another name, is blocked and unblocked, and is removed', async ({ page }) => {
  await open(page, 'busy', '#/people/tomas@home.example.org');
  await page.getByTestId('nickname-open').click();
  await page.getByTestId('name-dialog-input').fill('Tomás (plumber)');
  await page.getByTestId('name-dialog-save').click();
  await expect(page.getByTestId('contact-row').filter({ hasText: 'plumber' })).toBeVisible();

  await page.getByTestId('block').click();
  await expect(page.getByTestId('contact-card')).toContainText('Blocked');
  await page.getByTestId('toast-undo').click();
  await expect(page.getByTestId('message-contact')).toBeVisible();
  await page.getByTestId('block').click();
  await page.getByTestId('section-chats').click();
  await page.getByTestId('chat-row').filter({ hasText: 'plumber' }).click();
  await expect(page.getByTestId('blocked-note')).toBeVisible();
  await page.getByTestId('unblock-here').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();

  await page.getByTestId('section-people').click();
  await page.getByTestId('contact-row').filter({ hasText: 'plumber' }).click();
  await page.getByTestId('remove-contact').click();
  await expect(page.getByTestId('contact-row').filter({ hasText: 'plumber' })).toHaveCount(0);
  await page.getByTestId('toast-undo').last().click();
  await expect(page.getByTestId('contact-row').filter({ hasText: 'plumber' })).toBeVisible();
});

test('a request is deleted with the way back at hand, or blocked and reported', async ({ page }) => {
  await open(page, 'busy', '#/chats/{request}?list=requests');
  await page.getByTestId('delete-request').click();
  await expect(page.getByTestId('requests-open')).toHaveCount(0);
  await page.getByTestId('toast-undo').click();
  await page.getByTestId('requests-open').click();
  await page.getByTestId('chat-row').click();
  await page.getByTestId('block-request').click();
  await page.getByTestId('block-report').click();
  await page.getByTestId('block-confirm').click();
  await expect(page.getByTestId('requests-open')).toHaveCount(0);
  await page.reload();
  await expect.poll(async () => (await deed(page, 'told')).reports.length).toBe(1);
});

test('only the chosen messages are reported, the one from whose menu it began among them', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}');
  const message = page.getByTestId('message').filter({ hasText: 'Eleven of them.' });
  await message.press('Enter');
  await page.getByTestId('menu-report').click();
  const id = await message.getAttribute('data-message-id');
  await expect(page.locator(`[data-testid=report-message][data-message-id="${id}"] input`)).toBeChecked();
  await expect(page.getByTestId('report-message').filter({ hasText: 'Water is back on' })).toHaveCount(0);
  await page.getByTestId('report-note').fill('Too many.');
  await page.getByTestId('report-send').click();
  await expect(page.getByText('The report was sent')).toBeVisible();
  expect((await deed(page, 'told')).reports).toMatchObject([{ messages: [id], note: 'Too many.' }]);
});

test('a code that is scanned says whether it is really them', async ({ page }) => {
  await open(page, 'busy', '#/people/tomas@home.example.org?open=safety');
  await expect(page.getByTestId('safety-number').locator('li')).toHaveCount(12);
  const digits = await page.getByTestId('safety-number').locator('li').allTextContents();
  await page.getByTestId('safety-scan').click();
  await page.getByTestId('scan-file').setInputFiles(await pictureOf(page, 'aside-safety:000'));
  await expect(page.getByTestId('safety-differs')).toContainText('differ');
  await page.getByTestId('safety-scan').click();
  await page.getByTestId('scan-file').setInputFiles(await pictureOf(page, `aside-safety:${digits.join('')}`));
  await expect(page.getByText('You have verified Tomás Herrera.')).toBeVisible();
});

test('a new key stops writing until the person has looked', async ({ page }) => {
  await open(page, 'trouble', '#/chats/{keys}');
  await expect(page.getByTestId('notice-key_changed')).toContainText('Is it still the same person?');
  await expect(page.getByTestId('composer-input')).toHaveCount(0);
  await page.getByTestId('notice-compare').click();
  await expect(page.getByTestId('safety-number')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByTestId('notice-accept_keys').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();
});

test('a group that came apart goes on when the person says so', async ({ page }) => {
  await open(page, 'trouble', '#/chats/{fork}');
  await expect(page.getByTestId('notice-fork')).toBeVisible();
  await page.getByTestId('notice-evidence').click();
  await expect(page.getByTestId('evidence-piece')).toContainText('ines@home.example.org');
  const download = page.waitForEvent('download');
  await page.getByTestId('evidence-save').click();
  expect((await download).suggestedFilename()).toMatch(/^aside-evidence-[0-9-]+\.json$/);
  await page.keyboard.press('Escape');
  await page.getByTestId('notice-continue').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();
});

test('a quoted message that lies pages back is fetched and shown', async ({ page }) => {
  await open(page, 'huge', '#/chats/{huge}');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
  const { huge } = await deed(page, 'told');
  const reply_to = { id: 'h99000', sender: { address: 'a@x', display_name: 'The long archive', is_self: false }, text: 'long ago' };
  await deed(page, 'arrive', { conversation: huge, text: 'About that', fields: { reply_to } });
  await page.getByTestId('message').filter({ hasText: 'About that' }).getByRole('button', { name: /Reply to/ }).click();
  await expect(page.locator('[data-message-id="h99000"]')).toBeInViewport();
});

test('the end stays in sight whatever comes and goes above and below it', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('message').last()).toBeInViewport();
  const left = () => page.getByTestId('timeline').evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
  for (let i = 0; i < 6; i += 1) {
    await deed(page, 'connect', { status: i % 2 === 0 ? 'offline' : 'connected' });
    await page.getByTestId('composer-input').fill(i % 2 === 0 ? 'one\ntwo\nthree' : '');
    await expect(page.getByTestId('connection-status')).toHaveAttribute('data-status', i % 2 === 0 ? 'offline' : 'connected');
    await expect.poll(left).toBeLessThan(2);
    await expect(page.getByTestId('jump-to-latest')).toHaveCount(0);
  }
});

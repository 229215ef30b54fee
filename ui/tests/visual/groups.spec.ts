// What is done to groups, against the imagined world.
import { deed, expect, open, test } from './fixture';
import { drawnPicture } from './screens';

const member = (page: import('@playwright/test').Page, name: string) => page.getByTestId('member').filter({ hasText: name });

test('a group gets another name and a picture that is small enough', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await page.getByTestId('group-rename').click();
  await page.getByTestId('name-dialog-input').fill('Courgette farm');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('chat-row').filter({ hasText: 'Courgette farm' })).toBeVisible();

  const sent = page.waitForRequest((request) => request.method() === 'PUT' && request.url().endsWith('/picture'));
  const buffer = await drawnPicture(page, 1600, 900);
  await page.getByTestId('group-picture-file').setInputFiles({ name: 'wide.png', mimeType: 'image/png', buffer });
  await page.getByRole('application').press('ArrowRight');
  await page.getByTestId('crop-use').click();
  const { image, media_type } = (await sent).postDataJSON() as { image: string; media_type: string };
  expect(media_type).toMatch(/^image\/(webp|jpeg)$/);
  expect(Buffer.from(image, 'base64').length).toBeLessThanOrEqual(16 * 1024);
  await expect(page.getByTestId('group-picture').locator('img')).toBeVisible();

  await page.getByTestId('group-picture').click();
  await page.getByTestId('picture-remove').click();
  await expect(page.getByTestId('group-picture').locator('img')).toHaveCount(0);
});

test('a file that is no picture is refused in words', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await page.getByTestId('group-picture-file').setInputFiles({ name: 'a.png', mimeType: 'image/png', buffer: Buffer.from('no') });
  await expect(page.getByRole('alert')).toContainText('not a picture');
  await expect(page.getByTestId('crop-use')).toBeDisabled();
});

test('members are added by name and seen on their way in', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await page.getByTestId('add-members-open').click();
  await expect(page.locator('[data-address="anna@home.example.org"][data-testid=group-member]')).toHaveCount(0);
  await page.getByTestId('picker-search').fill('mat');
  await page.getByTestId('group-member').click();
  await page.getByTestId('add-members-button').click();
  await expect(member(page, 'Matti')).toHaveAttribute('data-state', 'adding');
  await expect(member(page, 'Matti')).toHaveAttribute('data-state', 'member');
  await expect(page.getByTestId('event').last()).toContainText('You added Matti');
});

test('an admin is made, unmade, and a member removed with the way back at hand', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await member(page, 'Jun').getByTestId('member-menu').click();
  await page.getByTestId('member-promote').click();
  await expect(member(page, 'Jun')).toHaveAttribute('data-role', 'admin');
  await member(page, 'Jun').getByTestId('member-menu').click();
  await page.getByTestId('member-demote').click();
  await expect(member(page, 'Jun')).toHaveAttribute('data-role', 'member');

  await member(page, 'Jun').getByTestId('member-menu').click();
  await page.getByTestId('member-remove').click();
  await expect(member(page, 'Jun')).toHaveAttribute('data-state', 'leaving');
  await page.getByTestId('toast-undo').click();
  await expect(member(page, 'Jun')).toHaveAttribute('data-state', 'member');
  await member(page, 'Jun').getByTestId('member-menu').click();
  await page.getByTestId('member-remove').click();
  await expect(member(page, 'Jun')).toHaveCount(0, { timeout: 10_000 });
});

test('a thousand members are drawn in part, found by name and reached by the keyboard', async ({ page }) => {
  await open(page, 'crowd', '#/chats/{crowd}/info');
  await expect(page.getByText('1000 members').first()).toBeVisible();
  expect(await page.getByTestId('member').count()).toBeLessThan(60);
  await page.getByTestId('member-menu').first().focus();
  await page.keyboard.press('End');
  await expect(page.getByTestId('members').locator('[aria-posinset="1000"]')).toBeInViewport();
  await expect(page.getByTestId('members').locator('[aria-posinset="1000"] button')).toBeFocused();
  await page.keyboard.press('Home');
  await expect(page.getByTestId('members').locator('[aria-posinset="1"] button')).toBeFocused();
  await page.getByTestId('member-search').fill('ada jensen 490');
  await expect(page.getByTestId('member')).toHaveCount(1);
  await page.getByTestId('member-search').fill('nobody at all');
  await expect(page.getByText('No member has that name.')).toBeVisible();
});

test('leaving can be undone, and afterwards nothing can be written', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await page.getByTestId('leave-group').click();
  await expect(page.getByTestId('left-note')).toBeVisible();
  await page.getByTestId('toast-undo').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();
  await page.getByTestId('leave-group').click();
  await page.reload();
  await expect(page.getByTestId('left-note')).toBeVisible();
  await expect(page.getByTestId('composer-input')).toHaveCount(0);
});

test('the last admin appoints another before leaving', async ({ page }) => {
  await open(page, 'crowd', '#/chats/{band}/info');
  await page.getByTestId('leave-group').click();
  await expect(page.getByTestId('appoint-and-leave')).toBeDisabled();
  await page.getByTestId('group-member').filter({ hasText: 'Tomás' }).click();
  await page.getByTestId('appoint-and-leave').click();
  await expect(member(page, 'Tomás')).toHaveAttribute('data-role', 'admin');
  await expect(page.getByTestId('left-note')).toBeVisible();
});

test('somebody who is no admin is offered nothing that only admins may do', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  const { group } = await deed(page, 'told');
  await deed(page, 'change', { conversation: group, my_role: 'member' });
  await expect(page.getByTestId('add-members-open')).toHaveCount(0);
  for (const mark of ['group-rename', 'group-picture', 'group-invite-open', 'join-requests-open']) {
    await expect(page.getByTestId(mark), mark).toHaveCount(0);
  }
  await member(page, 'Jun').getByTestId('member-menu').click();
  await expect(page.getByTestId('member-message')).toBeVisible();
  await expect(page.getByTestId('member-remove')).toHaveCount(0);
});

test('an invite link is made and withdrawn, and who came by it is let in or not', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}/info');
  await page.getByTestId('group-invite-open').click();
  await page.getByTestId('invite-make').click();
  await expect(page.getByTestId('invite-link')).toContainText('/group/');
  await expect(page.getByTestId('invite-link-qr')).toBeVisible();
  await page.getByTestId('invite-withdraw').click();
  await expect(page.getByTestId('invite-link')).toHaveCount(0);
  await page.keyboard.press('Escape');

  await page.getByTestId('join-requests-open').click();
  await page.getByTestId('join-request').filter({ hasText: 'Vera' }).getByTestId('join-request-accept').click();
  await expect(page.getByTestId('join-request')).toHaveCount(1);
  await page.getByTestId('join-request-decline').click();
  await expect(page.getByText('Nobody is waiting.')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(member(page, 'Vera')).toHaveAttribute('data-state', 'adding');
  await expect(page.getByTestId('join-requests-open')).toHaveCount(0);
});

test('a group is asked for by its link, and a wrong link is refused in words', async ({ page }) => {
  await open(page, 'busy');
  await page.getByTestId('new-group-open').click();
  await page.getByTestId('join-group-open').click();
  await page.getByTestId('group-link-input').fill('aside://contact/bob');
  await page.getByTestId('join-group-button').click();
  await expect(page.getByRole('alert')).toContainText('not a link to a group');
  await page.getByTestId('group-link-input').fill('aside://home.example.org/group/ines#abc');
  await page.getByTestId('join-group-button').click();
  await expect(page.getByTestId('pending-note')).toContainText('asked to join');
  await expect(page.getByTestId('composer-input')).toHaveCount(0);
});

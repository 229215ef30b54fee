// What the screens do, against the imagined world under the client's own policy.
import { deed, expect, open, test } from './fixture';

test('the invite is checked, a taken name is refused in words, and joining opens the chats', async ({ page }) => {
  await open(page, 'first-run');
  await page.getByTestId('invite-input').fill('aside://join/home.example.org#4fT9');
  await page.getByTestId('name-input').fill('taken');
  await page.getByTestId('join-button').click();
  await expect(page.getByRole('alert')).toContainText('already has that name');
  await page.getByTestId('name-input').fill('mira');
  await page.getByTestId('join-button').click();
  await expect(page.getByText('No chats yet')).toBeVisible();
});

test('an invite that the page was opened with is filled in', async ({ page }) => {
  await open(page, 'first-run', `#/join?invite=${encodeURIComponent('aside://join/home.example.org#4fT9')}`);
  await expect(page.getByTestId('invite-input')).toHaveValue('aside://join/home.example.org#4fT9');
  await expect(page.getByTestId('name-input')).toBeVisible();
});

test('a sent message stands at once, once, and moves from queued to delivered', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await page.getByTestId('composer-input').fill('A message of mine');
  await page.keyboard.press('Enter');
  const sent = page.getByTestId('message').filter({ hasText: 'A message of mine' });
  await expect(sent).toHaveAttribute('data-delivery', 'delivered');
  await expect(sent).toHaveCount(1);
  await expect(sent).toBeInViewport();
  await expect(page.getByTestId('composer-input')).toHaveValue('');
});

test('the bubble stands within 50 ms of the key', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('message').last()).toBeVisible();
  const times: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    await page.getByTestId('composer-input').fill(`quick ${i}`);
    times.push(
      await page.evaluate(async (wanted) => {
        const input = document.querySelector('[data-testid=composer-input]');
        const started = performance.now();
        input?.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
        while (![...document.querySelectorAll('article')].some((row) => row.textContent?.includes(wanted))) {
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        return performance.now() - started;
      }, `quick ${i}`),
    );
  }
  // The middle one: a busy machine may hold up any single one.
  expect(times.sort((a, b) => a - b)[2]).toBeLessThan(50);
});

test('shift and enter break the line; the composer grows to eight lines and no further', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  const input = page.getByTestId('composer-input');
  await input.fill('one');
  await input.press('Shift+Enter');
  await expect(input).toHaveValue('one\n');
  await input.fill(Array.from({ length: 30 }, (_, i) => `line ${i}`).join('\n'));
  expect((await input.boundingBox())?.height).toBeLessThanOrEqual(8 * 22 + 20);
});

test('arriving messages are shown, announced and counted', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('message').first()).toBeVisible();
  const { anna, group } = await deed(page, 'connect', { status: 'connected' });
  await deed(page, 'arrive', { conversation: anna, text: 'Here I am' });
  await expect(page.getByTestId('message').filter({ hasText: 'Here I am' })).toBeInViewport();
  await expect(page.getByTestId('announcer')).toContainText('Anna Bergström: Here I am');
  await deed(page, 'arrive', { conversation: group, text: 'Elsewhere' });
  await expect(page.locator(`[data-conversation-id="${group}"]`).getByTestId('unread-count')).toHaveText('6');
  await expect(page).toHaveTitle(/^\(\d+\) Aside$/);
});

test('while reading further up, nothing moves when messages arrive, and the way down counts them', async ({ page }) => {
  await open(page, 'huge', '#/chats/{huge}');
  const { huge } = await deed(page, 'connect', { status: 'connected' });
  const timeline = page.getByTestId('timeline');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
  await timeline.hover();
  await page.mouse.wheel(0, -1500);
  await page.waitForTimeout(400);
  const mark = page.getByTestId('message').filter({ hasText: /99[0-9]{3}\./ }).nth(3);
  const id = await mark.getAttribute('data-message-id');
  const before = await page.locator(`[data-message-id="${id}"]`).boundingBox();
  await deed(page, 'arrive', { conversation: huge, text: 'Newest of all' });
  await expect(page.getByTestId('jump-to-latest')).toContainText('1 new message');
  const after = await page.locator(`[data-message-id="${id}"]`).boundingBox();
  expect(Math.abs((after?.y ?? 0) - (before?.y ?? 999))).toBeLessThan(1);
  await page.getByTestId('jump-to-latest').click();
  await expect(page.getByTestId('message').filter({ hasText: 'Newest of all' })).toBeInViewport();
});

test('a hundred thousand messages scroll to the very first with few rows in the page', async ({ page }) => {
  test.setTimeout(240_000);
  await open(page, 'huge', '#/chats/{huge}');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
  const timeline = page.getByTestId('timeline');
  await timeline.focus();
  const longest = await timeline.evaluate(async (element) => {
    let slowest = 0;
    for (let i = 0; i < 5_000; i += 1) {
      if (document.querySelector('[data-message-id="h1"]')) break;
      element.scrollTop = 0;
      const started = performance.now();
      await new Promise((resolve) => requestAnimationFrame(resolve));
      slowest = Math.max(slowest, performance.now() - started);
    }
    return slowest;
  });
  await expect(page.locator('[data-message-id="h1"]')).toBeVisible();
  expect(await page.getByTestId('message').count()).toBeLessThan(120);
  // A frame with a page of 200 laid out over 100,000 known rows.
  expect(longest).toBeLessThan(500);
  await page.keyboard.press('End');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
});

test('a reply to something far back leads there at once, reading goes on from there, and the way down leads back', async ({ page }) => {
  await open(page, 'huge', '#/chats/{huge}');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
  const { huge } = await deed(page, 'connect', { status: 'connected' });
  const reply_to = { id: 'h500', sender: { address: 'archive@home.example.org', display_name: 'The long archive', is_self: false }, text: '500.' };
  await deed(page, 'arrive', { conversation: huge, text: 'Do you remember this?', fields: { reply_to } });
  let asked = 0;
  page.on('request', (request) => (asked += Number(request.url().includes('/messages?'))));
  const answer = page.getByTestId('message').filter({ hasText: 'Do you remember this?' });
  await answer.getByRole('button', { name: /Reply to/ }).click();
  await expect(page.locator('[data-message-id=h500]')).toBeInViewport();
  expect(asked).toBeLessThan(4);
  await deed(page, 'arrive', { conversation: huge, text: 'And this?' });
  await page.getByTestId('timeline').hover();
  for (let i = 0; i < 30; i += 1) await page.mouse.wheel(0, 800);
  await expect(page.getByTestId('message').filter({ hasText: /\b[6-9][0-9]{2}\. / }).first()).toBeVisible();
  await expect(page.getByTestId('message').filter({ hasText: 'And this?' })).toHaveCount(0);
  await page.getByTestId('jump-to-latest').click();
  await expect(page.getByTestId('message').filter({ hasText: 'And this?' })).toBeInViewport();
  await expect(page.getByTestId('message').filter({ hasText: 'Do you remember this?' })).toBeVisible();
  await page.getByTestId('composer-input').fill('I do');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('message').filter({ hasText: 'I do' }).last()).toBeInViewport();
});

test('older pages load above without moving what is read', async ({ page }) => {
  await open(page, 'huge', '#/chats/{huge}');
  await expect(page.getByTestId('message').last()).toContainText('100000.');
  const jump = await page.getByTestId('timeline').evaluate(async (element) => {
    element.scrollTop = 900;
    element.dispatchEvent(new Event('scroll'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const middle = element.getBoundingClientRect().top + element.clientHeight / 2;
    const seen = [...element.querySelectorAll('article')].find((row) => row.getBoundingClientRect().bottom > middle);
    const id = seen?.getAttribute('data-message-id') ?? '';
    const at = seen?.getBoundingClientRect().top ?? 0;
    let worst = 0;
    for (let i = 0; i < 40; i += 1) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      const now = element.querySelector(`[data-message-id="${id}"]`)?.getBoundingClientRect().top ?? NaN;
      worst = Math.max(worst, Math.abs(now - at));
    }
    return worst;
  });
  expect(jump).toBeLessThan(1);
});

test('the unread line stands before the first unread message, and reading clears the count', async ({ page }) => {
  await open(page, 'busy', '#/chats/{group}');
  const { group } = await deed(page, 'connect', { status: 'connected' });
  await expect(page.getByTestId('unread-line')).toBeInViewport();
  await expect(page.locator(`[data-conversation-id="${group}"]`).getByTestId('unread-count')).toHaveCount(0);
});

test('a message is edited from the empty composer with the up key', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('message').last()).toBeVisible();
  const input = page.getByTestId('composer-input');
  await input.press('ArrowUp');
  await expect(input).toHaveValue('Now we have three');
  await input.fill('Now we have four');
  await input.press('Enter');
  await expect(page.getByTestId('message').last()).toContainText('Now we have four');
  await expect(page.getByTestId('message').last()).toContainText('edited');
  await expect(input).toHaveValue('');
});

test('deleting can be undone, and otherwise happens', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  const message = page.getByTestId('message').filter({ hasText: 'He said yes' });
  await message.press('Enter');
  await page.getByTestId('menu-delete').click();
  await expect(message).toHaveCount(0);
  await page.getByTestId('toast-undo').click();
  await expect(message).toHaveCount(1);
  await message.press('Enter');
  const deleted = page.waitForRequest((request) => request.method() === 'DELETE', { timeout: 8_000 });
  await page.getByTestId('menu-delete').click();
  await deleted;
});

test('reactions are set and taken back', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  const message = page.getByTestId('message').filter({ hasText: 'Obviously.' });
  await message.press('e');
  await page.getByTestId('quick-reaction').nth(1).click();
  await expect(message.getByTestId('reaction')).toContainText('❤️');
  await message.getByTestId('reaction').click();
  await expect(message.getByTestId('reaction')).toHaveCount(0);
});

test('the whole picker opens from the quick row, and the pointer moves from one menu to another', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  const first = page.getByTestId('message').filter({ hasText: 'Obviously.' });
  const second = page.getByTestId('message').filter({ hasText: 'He said yes' });
  await first.click({ button: 'right' });
  await expect(page.getByTestId('menu-reply')).toBeVisible();
  await expect(page.getByTestId('menu-edit')).toHaveCount(0);
  await second.click({ button: 'right' });
  await expect(page.getByTestId('menu-edit')).toBeVisible();
  await page.waitForTimeout(200);
  await expect(page.getByTestId('menu-edit')).toBeVisible();
  await page.getByTestId('more-reactions').click();
  await expect(page.getByTestId('emoji-picker')).toBeVisible();
  await page.keyboard.type('fox');
  await page.keyboard.press('Enter');
  await expect(second.getByTestId('reaction')).toContainText('🦊');
});

test('the emoji button opens and closes its picker', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await page.getByTestId('emoji-button').click();
  await expect(page.getByTestId('emoji-picker')).toBeVisible();
  await page.getByTestId('emoji-button').click();
  await expect(page.getByTestId('emoji-picker')).toHaveCount(0);
  await page.getByTestId('emoji-button').click();
  await page.getByLabel('grin smile').click();
  await expect(page.getByTestId('composer-input')).toHaveValue('😀');
});

test('a failed message says why and is tried again', async ({ page }) => {
  await open(page, 'busy');
  await page.getByTestId('chat-row').filter({ hasText: 'Not sent' }).click();
  await expect(page.getByText('did not take the message')).toBeVisible();
  await page.getByTestId('retry-button').click();
  await expect(page.getByTestId('message').last()).toHaveAttribute('data-delivery', 'sent');
});

test('drafts are kept, shown in the list and found again', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await page.getByTestId('composer-input').fill('half a thought');
  await page.getByTestId('chat-row').filter({ hasText: 'Allotment' }).click();
  await expect(page.getByTestId('chat-row').filter({ hasText: 'half a thought' })).toContainText('Draft:');
  await page.reload();
  await page.getByTestId('chat-row').filter({ hasText: 'half a thought' }).click();
  await expect(page.getByTestId('composer-input')).toHaveValue('half a thought');
});

test('when the client goes away the content stays, and everything comes back by itself', async ({ page }) => {
  await open(page, 'busy', '#/chats/{anna}');
  await expect(page.getByTestId('message').last()).toBeVisible();
  const { anna } = await deed(page, 'down', { down: true });
  await expect(page.getByTestId('connection-status')).toHaveAttribute('data-status', 'unreachable');
  await expect(page.getByText('Aside is not running. Trying again')).toBeVisible();
  await expect(page.getByTestId('message').last()).toBeVisible();
  await page.getByTestId('composer-input').fill('kept');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('composer-input')).toHaveValue('kept');
  await deed(page, 'arrive', { conversation: anna, text: 'Said meanwhile' });
  await deed(page, 'down', { down: false });
  await expect(page.getByTestId('connection-status')).toHaveAttribute('data-status', 'connected', { timeout: 15_000 });
  await expect(page.getByTestId('message').filter({ hasText: 'Said meanwhile' })).toBeVisible();
});

test('losing the server is said with its advice', async ({ page }) => {
  await open(page, 'busy');
  await expect(page.getByTestId('chat-row').first()).toBeVisible();
  await deed(page, 'connect', { status: 'offline', advice: 'Check the cable.' });
  await expect(page.getByTestId('connection-status')).toHaveText('Check the cable.');
  await deed(page, 'connect', { status: 'connected' });
  await expect(page.getByTestId('connection-status')).toHaveAttribute('data-status', 'connected');
});

test('a contact is added by link, and a wrong link is refused in words', async ({ page }) => {
  await open(page, 'empty');
  await page.getByTestId('add-contact-open').click();
  await expect(page.getByTestId('my-link')).toContainText('aside://contact/');
  await expect(page.getByTestId('my-link-qr')).toBeVisible();
  await page.getByTestId('contact-link-input').fill('https://example.org/what');
  await page.getByTestId('add-contact-button').click();
  await expect(page.getByRole('alert')).toContainText('not a contact link');
  await page.getByTestId('contact-link-input').fill('aside://contact/bob@home.example.org#x');
  await page.getByTestId('add-contact-button').click();
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('bob@home.example.org');
  await expect(page.getByTestId('pending-note')).toBeVisible();
});

test('a group is made from contacts', async ({ page }) => {
  await open(page, 'busy');
  await page.getByTestId('new-group-open').click();
  await page.getByTestId('group-title-input').fill('Weekend hike');
  await expect(page.getByTestId('group-create-button')).toBeDisabled();
  await page.getByTestId('group-member').first().click();
  await page.getByTestId('group-create-button').click();
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('2 members');
});

test('a request is accepted, and only then can be answered', async ({ page }) => {
  await open(page, 'busy');
  await expect(page.getByTestId('chat-row').filter({ hasText: 'Sam Okafor' })).toHaveCount(0);
  await page.getByTestId('requests-open').click();
  await page.getByTestId('chat-row').filter({ hasText: 'Sam Okafor' }).click();
  await expect(page.getByTestId('request-note')).toBeVisible();
  await expect(page.getByTestId('composer-input')).toHaveCount(0);
  await page.getByTestId('accept-request').click();
  await expect(page.getByTestId('composer-input')).toBeVisible();
  await expect(page.getByTestId('requests-open')).toHaveCount(0);
  await expect(page.getByTestId('chat-row').filter({ hasText: 'Sam Okafor' })).toBeVisible();
});

test('the safety number is shown and marked as compared', async ({ page }) => {
  await open(page, 'busy', '#/people/tomas@home.example.org');
  await page.getByTestId('safety-open').click();
  await expect(page.getByTestId('safety-number').locator('li')).toHaveCount(12);
  await page.getByTestId('verify-button').click();
  await expect(page.getByText('You have verified Tomás Herrera.')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('contact-card')).toContainText('Verified');
});

test('the switcher finds a chat by the keyboard alone', async ({ page }) => {
  await open(page, 'busy');
  await expect(page.getByTestId('chat-row').first()).toBeVisible();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('tomas');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('conversation-subtitle')).toHaveText('tomas@home.example.org');
  await page.keyboard.press('Alt+ArrowUp');
  await expect(page.getByTestId('conversation-subtitle')).not.toHaveText('tomas@home.example.org');
});

test('the theme is chosen in the settings and stays', async ({ page }) => {
  await open(page, 'busy', '#/settings');
  await page.getByTestId('theme-select-dark').click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
});

test('quitting says how to start again', async ({ page }) => {
  await open(page, 'busy', '#/settings');
  await page.getByTestId('quit').click();
  await expect(page.getByTestId('stopped')).toBeVisible();
  await expect(page.getByText('aside app')).toBeVisible();
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });

  test('back leads from the conversation to the list, and a dialog closes by it', async ({ page }) => {
    await open(page, 'busy');
    await page.getByTestId('chat-row').first().tap();
    await expect(page.getByTestId('composer-input')).toBeVisible();
    await page.goBack();
    await expect(page.getByTestId('chat-row').first()).toBeVisible();
    await page.getByTestId('add-contact-open').tap();
    await expect(page.getByTestId('contact-link-input')).toBeVisible();
    await page.goBack();
    await expect(page.getByTestId('contact-link-input')).toHaveCount(0);
    await page.getByTestId('chat-row').first().tap();
    await page.getByTestId('back').tap();
    await expect(page.getByTestId('chat-row').first()).toBeVisible();
  });

  test('nothing is wider than the screen, and what is touched is large enough', async ({ page }) => {
    const places = [
      ...['', '#/chats/{anna}', '#/people', '#/settings', '#/chats?open=add-contact', '#/chats?list=requests', '#/chats/{request}'],
      ...['#/chats/{group}/info', '#/chats/{group}/info?open=join-requests', '#/chats/{group}?open=report', '#/settings/devices'],
      ...['#/settings/recovery', '#/people/tomas@home.example.org', '#/people?open=links', '#/settings/devices?open=revoke-device&about=d2'],
    ];
    for (const at of places) {
      await open(page, 'busy', at);
      await page.waitForTimeout(200);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      expect(wide, at).toBe(false);
      const small = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('button.icon, button.button, nav a, [data-testid=chat-row], [data-testid=send-button]')]
          .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 44)
          .map((element) => element.outerHTML.slice(0, 120)),
      );
      expect(small, at).toEqual([]);
    }
  });
});

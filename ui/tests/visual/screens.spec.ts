// A picture of every screen in its states, compared with the committed one.
import type { Page } from '@playwright/test';
import { expect, NOW, open, test } from './fixture';

interface Screen {
  name: string;
  world: string;
  at?: string;
  act?: (page: Page) => Promise<void>;
}

const row = (text: string) => (page: Page) => page.getByTestId('chat-row').filter({ hasText: text }).click();

const screens: Screen[] = [
  { name: 'first-run', world: 'first-run' },
  {
    name: 'first-run-name',
    world: 'first-run',
    act: async (page) => {
      await page.getByTestId('invite-input').fill('aside://join/home.example.org#4fT9');
      await page.getByTestId('name-input').fill('mira');
    },
  },
  {
    name: 'first-run-bad-invite',
    world: 'first-run',
    act: async (page) => {
      await page.getByTestId('invite-input').fill('hello');
      await expect(page.getByRole('alert')).toBeVisible();
    },
  },
  { name: 'signed-out', world: 'signed-out' },
  { name: 'empty', world: 'empty' },
  { name: 'chats', world: 'busy' },
  { name: 'conversation', world: 'busy', at: '#/chats/{anna}' },
  { name: 'group', world: 'busy', at: '#/chats/{group}' },
  { name: 'details', world: 'busy', at: '#/chats/{anna}/info' },
  { name: 'group-details', world: 'busy', at: '#/chats/{group}/info' },
  { name: 'request', world: 'busy', act: row('Sam Okafor') },
  { name: 'paused', world: 'busy', act: row('Priya Raman') },
  { name: 'pending', world: 'busy', act: row('Léa Fontaine') },
  { name: 'failed', world: 'busy', act: row('Not sent') },
  { name: 'right-to-left', world: 'busy', act: row('عمر') },
  { name: 'long-names', world: 'busy', act: row('Hubert') },
  {
    name: 'reply',
    world: 'busy',
    at: '#/chats/{anna}',
    act: async (page) => {
      await page.getByTestId('message').filter({ hasText: 'What time do you want' }).press('r');
      await page.getByTestId('composer-input').fill('Seven.\nOr half past.');
    },
  },
  {
    name: 'message-menu',
    world: 'busy',
    at: '#/chats/{anna}',
    act: async (page) => {
      await page.getByTestId('message').filter({ hasText: 'He said yes' }).press('Enter');
      await expect(page.getByRole('menu')).toBeVisible();
    },
  },
  { name: 'emoji', world: 'busy', at: '#/chats/{anna}', act: (page) => page.getByTestId('emoji-button').click() },
  { name: 'add-contact', world: 'busy', at: '#/chats?open=add-contact' },
  {
    name: 'new-group',
    world: 'busy',
    at: '#/chats?open=new-group',
    act: async (page) => {
      await page.getByTestId('group-title-input').fill('Weekend hike');
      await page.getByTestId('group-member').nth(1).click();
      await page.getByTestId('group-member').nth(3).click();
      await page.mouse.move(0, 0);
    },
  },
  { name: 'safety-number', world: 'busy', at: '#/chats/{anna}?open=safety' },
  { name: 'switcher', world: 'busy', at: '#/chats/{anna}?open=switcher' },
  { name: 'shortcuts', world: 'busy', at: '#/chats/{anna}?open=shortcuts' },
  { name: 'people', world: 'busy', at: '#/people' },
  { name: 'contact', world: 'busy', at: '#/people/anna@home.example.org' },
  { name: 'contact-failed', world: 'busy', at: '#/people/noor@elsewhere.example.net' },
  { name: 'settings', world: 'busy', at: '#/settings' },
  { name: 'offline', world: 'offline', at: '#/chats/{anna}' },
  { name: 'unreadable', world: 'failing' },
];

const sizes = [
  { size: 'desktop', viewport: { width: 1280, height: 800 }, isMobile: false, hasTouch: false },
  { size: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
] as const;

for (const { size, ...context } of sizes) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test.describe(`${size} ${colorScheme}`, () => {
      test.use({ ...context, colorScheme });
      for (const screen of screens) {
        test(`${screen.name} looks as it should`, async ({ page }) => {
          await page.clock.setFixedTime(NOW);
          await open(page, screen.world, screen.at);
          await page.waitForLoadState('networkidle').catch(() => undefined);
          await page.evaluate(() => document.fonts.ready);
          await screen.act?.(page);
          await expect(page).toHaveScreenshot(`${size}-${colorScheme}/${screen.name}.png`);
        });
      }
    });
  }
}

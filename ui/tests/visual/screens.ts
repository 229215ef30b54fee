// Every screen in its states, and how to get there.
import type { Page } from '@playwright/test';
import { NEWER_KEYS, NO_BACKUP, WORDS } from '../../dev/recovery.mjs';
import { deed, expect, NOW } from './fixture';

export interface Screen {
  name: string;
  world: string;
  at?: string;
  act?: (page: Page) => Promise<void>;
}

const row = (text: string) => (page: Page) => page.getByTestId('chat-row').filter({ hasText: text }).click();

/** A picture to choose: a slope of colours, drawn by the page itself. */
export async function drawnPicture(page: Page, width: number, height: number): Promise<Buffer> {
  const url = await page.evaluate(
    ([w, h]) => {
      const canvas = document.createElement('canvas');
      canvas.width = w;
      canvas.height = h;
      const context = canvas.getContext('2d');
      for (let x = 0; context && x < w; x += 4) {
        context.fillStyle = `hsl(${(x / w) * 300} 60% 60%)`;
        context.fillRect(x, 0, 4, h);
        context.fillStyle = 'rgb(255 255 255 / 0.35)';
        context.fillRect(x, (h * x) / w, 4, 8);
      }
      return canvas.toDataURL('image/png');
    },
    [width, height] as const,
  );
  return Buffer.from(url.split(',')[1] ?? '', 'base64');
}

async function givePicture(page: Page): Promise<void> {
  const buffer = await drawnPicture(page, 640, 400);
  await page.getByTestId('group-picture-file').setInputFiles({ name: 'garden.png', mimeType: 'image/png', buffer });
  await expect(page.getByTestId('crop-view')).toBeVisible();
}

async function findsBackup(page: Page): Promise<void> {
  await page.getByTestId('restore-address').fill('mira@home.example.org');
  await page.getByLabel('Word 1', { exact: true }).fill(WORDS.join(' '));
  await page.getByTestId('restore-button').click();
  await expect(page.getByTestId('restore-found')).toBeVisible();
}

export const screens: Screen[] = [
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
  { name: 'requests', world: 'busy', at: '#/chats?list=requests' },
  { name: 'request', world: 'busy', at: '#/chats/{request}?list=requests' },
  { name: 'block-request', world: 'busy', at: '#/chats/{request}?list=requests&open=block-request' },
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
  { name: 'settings-unprepared', world: 'unprepared', at: '#/settings' },
  { name: 'devices', world: 'busy', at: '#/settings/devices' },
  { name: 'devices-failed', world: 'failing', at: '#/settings/devices' },
  {
    name: 'device-rename',
    world: 'busy',
    at: '#/settings/devices',
    act: (page) => page.getByTestId('device-rename').nth(1).click(),
  },
  {
    name: 'device-revoke',
    world: 'busy',
    at: '#/settings/devices',
    act: (page) => page.getByTestId('device-revoke').first().click(),
  },
  {
    name: 'device-link',
    world: 'busy',
    at: '#/settings/devices?open=link-device',
    act: (page) => expect(page.getByTestId('device-link-qr')).toBeVisible(),
  },
  {
    name: 'device-request',
    world: 'busy',
    at: '#/settings/devices?open=link-device',
    act: async (page) => {
      await deed(page, 'knock', { name: 'Travel laptop', code: '482913' });
      await expect(page.getByTestId('device-request')).toBeVisible();
    },
  },
  {
    name: 'device-banner',
    world: 'busy',
    at: '#/chats/{anna}',
    act: async (page) => {
      await expect(page.getByTestId('message').last()).toBeVisible();
      await deed(page, 'knock', { name: 'Travel laptop', code: '482913' });
      await expect(page.getByTestId('device-banner')).toBeVisible();
    },
  },
  { name: 'first-run-device', world: 'first-run', at: '#/chats?begin=device' },
  {
    name: 'linking-code',
    world: 'first-run',
    act: async (page) => {
      await expect(page.getByTestId('invite-input')).toBeVisible();
      await deed(page, 'linking', { linking: { state: 'waiting', code: '482913' } });
      await expect(page.getByTestId('device-code')).toBeVisible();
    },
  },
  {
    name: 'linking-failed',
    world: 'first-run',
    act: async (page) => {
      await expect(page.getByTestId('invite-input')).toBeVisible();
      await deed(page, 'linking', { linking: { state: 'failed', words: 'The link is older than ten minutes. Make a new one on your other device.' } });
      await expect(page.getByRole('alert')).toBeVisible();
    },
  },
  {
    name: 'restore',
    world: 'first-run',
    at: '#/chats?begin=restore',
    act: async (page) => {
      await page.getByTestId('restore-address').fill('mira@home.example.org');
      await page.getByLabel('Word 1', { exact: true }).fill('art ab');
      await page.getByLabel('Word 4', { exact: true }).fill('nonsens');
      await page.getByLabel('Word 5', { exact: true }).pressSequentially('ga');
    },
  },
  { name: 'restore-found', world: 'first-run', at: '#/chats?begin=restore', act: findsBackup },
  {
    name: 'restore-found-older',
    world: 'first-run',
    at: '#/chats?begin=restore',
    act: async (page) => {
      await deed(page, 'backup', { at: NOW - 400 * 24 * 60 * 60 * 1000, words: NEWER_KEYS });
      await findsBackup(page);
    },
  },
  {
    name: 'restore-found-none',
    world: 'first-run',
    at: '#/chats?begin=restore',
    act: async (page) => {
      await deed(page, 'backup', { at: null, messages: 0, contacts: 0, words: NO_BACKUP });
      await findsBackup(page);
    },
  },
  {
    name: 'restored',
    world: 'first-run',
    at: '#/chats?begin=restore',
    act: async (page) => {
      await findsBackup(page);
      await page.getByTestId('restore-use').click();
      await expect(page.getByTestId('restored')).toBeVisible();
    },
  },
  { name: 'recovery', world: 'busy', at: '#/settings/recovery' },
  { name: 'recovery-unprepared', world: 'unprepared', at: '#/settings/recovery' },
  {
    name: 'recovery-broken',
    world: 'busy',
    at: '#/settings/recovery',
    act: async (page) => {
      const words = 'The newest backup on the server is damaged. Back up now; if this stays, ask whoever runs the server.';
      await expect(page.getByTestId('backup-test')).toBeVisible();
      await deed(page, 'recovery', { recovery: { backup: { at: 1_795_000_000_000, ok: false, words } } });
      await expect(page.getByRole('alert')).toBeVisible();
    },
  },
  { name: 'phrase-ready', world: 'unprepared', at: '#/settings/recovery?open=phrase' },
  {
    name: 'phrase-shown',
    world: 'unprepared',
    at: '#/settings/recovery?open=phrase',
    act: (page) => page.getByTestId('phrase-show').click(),
  },
  { name: 'links', world: 'busy', at: '#/people?open=links', act: (page) => page.getByTestId('link-make').click() },
  { name: 'nickname', world: 'busy', at: '#/people/tomas@home.example.org?open=nickname' },
  { name: 'blocked', world: 'trouble', at: '#/people/spam@home.example.org' },
  { name: 'key-changed-contact', world: 'trouble', at: '#/people/nils@home.example.org' },
  { name: 'key-changed', world: 'trouble', act: row('Nils Aaberg') },
  { name: 'healing', world: 'trouble', act: row('Rosa Marchetti') },
  { name: 'blocked-chat', world: 'trouble', act: row('Lucky Winner') },
  { name: 'fork', world: 'trouble', act: row('Choir') },
  {
    name: 'evidence',
    world: 'trouble',
    act: async (page) => {
      await row('Choir')(page);
      await page.getByTestId('notice-evidence').click();
      await expect(page.getByTestId('evidence-piece')).toBeVisible();
    },
  },
  {
    name: 'settings-healing',
    world: 'trouble',
    at: '#/settings',
    act: (page) => page.getByTestId('healing-row').first().scrollIntoViewIfNeeded(),
  },
  {
    name: 'device-removed',
    world: 'busy',
    at: '#/chats/{anna}',
    act: async (page) => {
      await expect(page.getByTestId('message').last()).toBeVisible();
      await deed(page, 'outcast');
      await expect(page.getByTestId('device-removed-note')).toBeVisible();
    },
  },
  { name: 'removed', world: 'trouble', act: row('Night shift') },
  { name: 'lost', world: 'trouble', act: row('Old club') },
  { name: 'left', world: 'trouble', act: row('Book club') },
  { name: 'asked-to-join', world: 'trouble', act: row('Neighbours') },
  { name: 'crowd', world: 'crowd', at: '#/chats/{crowd}/info' },
  { name: 'member-states', world: 'crowd', at: '#/chats/{band}/info' },
  {
    name: 'member-menu',
    world: 'busy',
    at: '#/chats/{group}/info',
    act: (page) => page.getByTestId('member-menu').nth(2).click(),
  },
  { name: 'add-members', world: 'busy', at: '#/chats/{group}/info?open=add-members' },
  { name: 'appoint-admin', world: 'crowd', at: '#/chats/{band}/info?open=appoint-admin' },
  {
    name: 'group-invite',
    world: 'busy',
    at: '#/chats/{group}/info?open=group-invite',
    act: (page) => page.getByTestId('invite-make').click(),
  },
  { name: 'join-requests', world: 'busy', at: '#/chats/{group}/info?open=join-requests' },
  { name: 'join-group', world: 'busy', at: '#/chats?open=join-group' },
  { name: 'group-picture', world: 'busy', at: '#/chats/{group}/info', act: givePicture },
  {
    name: 'group-with-picture',
    world: 'busy',
    at: '#/chats/{group}/info',
    act: async (page) => {
      await givePicture(page);
      await page.getByTestId('crop-use').click();
      await expect(page.getByTestId('crop-view')).toHaveCount(0);
      await page.waitForLoadState('networkidle');
      await page.mouse.move(0, 0);
    },
  },
  {
    name: 'scan',
    world: 'busy',
    at: '#/chats?open=add-contact',
    act: async (page) => {
      await page.getByTestId('scan-open').click();
      await expect(page.getByTestId('scanner')).toHaveAttribute('data-camera', 'none');
      await page.getByTestId('scanner').scrollIntoViewIfNeeded();
    },
  },
  {
    name: 'report',
    world: 'busy',
    at: '#/chats/{group}?open=report',
    act: async (page) => {
      await page.getByTestId('report-message').last().click();
      await page.getByTestId('report-note').fill('Not funny any more.');
    },
  },
  { name: 'offline', world: 'offline', at: '#/chats/{anna}' },
  { name: 'unreadable', world: 'failing' },
];


// One person on three devices, talking with somebody on another server.
import { links, revokes, settingsPage, chats, asksToBeLinked, writesWordsDown } from './deeds';
import { expect, test, type Person } from './fixture';

test.describe.configure({ timeout: 300_000 });

/** How long a conversation may take to have a device added, or removed, by way of its log. */
const SOON = { timeout: 60_000 };

const event = (person: Person, text: string | RegExp) => person.page.getByTestId('event').filter({ hasText: text });

test('a second device is approved on the first, and has the history, the settings, what was read and what was written', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, bob] = await world.pair({}, there);
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.writes('This is before there was a phone');
  await bob.writes('And this is an answer');
  await expect(alice.message('And this is an answer')).toBeVisible();
  await alice.leaves();
  await bob.writes('This one is not read yet');
  await expect(alice.unread('bob')).toHaveText('1');
  await alice.page.getByTestId('section-settings').click();
  await alice.page.getByTestId('theme-select-dark').click();

  const phone = alice.device('alice-phone');
  await links(alice, phone, 'Phone');
  await expect(phone.row('bob')).toBeVisible(SOON);
  await expect(phone.unread('bob')).toHaveText('1', SOON);
  await phone.page.getByTestId('section-settings').click();
  await expect(phone.page.getByTestId('theme-select')).toHaveAttribute('data-value', 'dark', SOON);
  await chats(phone);
  await phone.opens('bob');
  await expect(phone.page.getByTestId('message')).toHaveCount(3, SOON);
  expect(await phone.texts()).toEqual(['This is before there was a phone', 'And this is an answer', 'This one is not read yet']);
  await expect(phone.message('This is before')).toHaveAttribute('data-own', 'true');

  // Read on one device is read on the other; written on one is one's own on the other.
  await chats(alice);
  await expect(alice.unread('bob')).toHaveCount(0, SOON);
  await phone.writes('Written on the phone');
  await expect(bob.message('Written on the phone')).toBeVisible(SOON);
  await alice.opens('bob');
  await expect(alice.message('Written on the phone')).toHaveAttribute('data-own', 'true', SOON);
  await alice.writes('Written on the computer');
  await expect(phone.message('Written on the computer')).toHaveAttribute('data-own', 'true', SOON);
  await expect(phone.message('Written on the computer')).toHaveAttribute('data-delivery', /sent|delivered|read/, SOON);
  await bob.writes('I hear you on both');
  for (const device of [alice, phone]) await expect(device.message('I hear you on both')).toBeVisible(SOON);
  await expect(event(bob, 'alice uses another device now')).toBeVisible(SOON);
  await expect(bob.page.getByTestId('notice-key_changed')).toHaveCount(0);

  // A setting that is changed later, too.
  await phone.page.getByTestId('section-settings').click();
  await phone.page.getByTestId('theme-select-light').click();
  await alice.page.getByTestId('section-settings').click();
  await expect(alice.page.getByTestId('theme-select')).toHaveAttribute('data-value', 'light', SOON);
});

test('a third device is named and removed: it can read nothing later, and others see a quiet note', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, bob] = await world.pair({}, there);
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.writes('Hello from the first');
  await expect(bob.message('Hello from the first')).toBeVisible();
  const [phone, tablet] = [alice.device('alice-phone'), alice.device('alice-tablet')];
  await links(alice, phone, 'Phone');
  // The third is linked from the second.
  await links(phone, tablet, 'Tablet', 'none');
  await expect(tablet.row('bob')).toBeVisible(SOON);
  await expect(tablet.page.getByTestId('chat-row')).toHaveCount(1);
  await bob.writes('Everybody should get this');
  for (const device of [alice, phone, tablet]) {
    await chats(device);
    await device.opens('bob');
    await expect(device.message('Everybody should get this')).toBeVisible(SOON);
  }
  await expect(tablet.message('Hello from the first')).toHaveCount(0);
  await expect(event(tablet, 'bob uses another device now')).toHaveCount(0);

  await settingsPage(alice, 'devices');
  const row = alice.page.getByTestId('device-row').filter({ hasText: 'Tablet' });
  await row.getByTestId('device-rename').click();
  await alice.page.getByTestId('name-dialog-input').fill('Old tablet');
  await alice.page.getByTestId('name-dialog-save').click();
  await settingsPage(phone, 'devices');
  await expect(phone.page.getByTestId('device-row').filter({ hasText: 'Old tablet' })).toBeVisible(SOON);

  await revokes(alice, 'Old tablet');
  await expect(event(bob, "alice's devices changed")).toBeVisible(SOON);
  await expect(bob.page.getByTestId('composer-input')).toBeVisible();
  await bob.writes('The tablet must not get this');
  await chats(phone);
  await phone.opens('bob');
  await expect(phone.message('The tablet must not get this')).toBeVisible(SOON);
  await phone.writes('Nor this');
  await expect(bob.message('Nor this')).toBeVisible(SOON);
  await settingsPage(phone, 'devices');
  await expect(phone.page.getByTestId('device-row').filter({ hasText: 'Old tablet' })).toContainText('Removed on', SOON);

  // It says so, keeps what it had, and gets nothing more, not even when it is started again.
  await expect(tablet.page.getByTestId('device-removed')).toBeVisible(SOON);
  await tablet.quits();
  await tablet.start();
  await tablet.open();
  await expect(tablet.row('bob')).toContainText('Everybody should get this');
  await tablet.row('bob').click();
  await expect(tablet.page.getByTestId('device-removed-note')).toBeVisible();
  await expect(tablet.message('Everybody should get this')).toBeVisible();
  await expect(tablet.page.getByTestId('device-removed')).toBeVisible();
  await expect(tablet.page.getByText(/must not get this|Nor this/)).toHaveCount(0);
});

test('a device that was declined gets nothing, and says so', async ({ world }) => {
  const [alice] = await world.pair();
  const stranger = alice.device('alice-stranger');
  await asksToBeLinked(alice, stranger, 'Somebody else');
  await alice.page.getByTestId('device-decline').click();
  await expect(stranger.page.getByTestId('linking')).toHaveAttribute('data-state', 'failed', SOON);
  await expect(stranger.page.getByRole('alert')).toContainText('declined');
  await settingsPage(alice, 'devices');
  await expect(alice.page.getByTestId('device-row')).toHaveCount(1);
});

test('where a device is removed without the words, others send nothing until they have looked', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, bob] = await world.pair({}, there);
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.writes('Before anything changed');
  await expect(bob.message('Before anything changed')).toBeVisible();
  const phone = alice.device('alice-phone');
  await links(alice, phone, 'Phone');
  await expect(phone.row('bob')).toBeVisible(SOON);
  await writesWordsDown(alice);
  await revokes(alice, 'Phone');

  const notice = bob.page.getByTestId('notice-key_changed');
  await expect(notice).toBeVisible(SOON);
  await expect(notice).toContainText('without alice');
  await expect(bob.page.getByTestId('composer-input')).toHaveCount(0);
  await expect(bob.row('alice')).toContainText('needs your attention');
  await bob.page.getByTestId('notice-compare').click();
  await expect(bob.page.getByTestId('safety-number').locator('li')).toHaveCount(12);
  await bob.page.getByTestId('verify-button').click();
  await bob.page.keyboard.press('Escape');
  const look = bob.page.getByTestId('notice-accept_keys');
  if (await look.isVisible()) await look.click();
  await expect(notice).toHaveCount(0);
  await bob.writes('I have looked');
  await chats(alice);
  await alice.opens('bob');
  await expect(alice.message('I have looked')).toBeVisible(SOON);
});

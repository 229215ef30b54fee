// The main states with the real client, at both sizes and in both colours. The pictures are for people to look at
// (test-results/pictures); what a program can see is checked: nothing is wider than the window.
import { expect, test, type Person } from './fixture';

const LOOKS = [
  { name: 'desktop-light', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { name: 'desktop-dark', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  { name: 'phone-light', colorScheme: 'light', viewport: { width: 390, height: 844 } },
  { name: 'phone-dark', colorScheme: 'dark', viewport: { width: 390, height: 844 } },
] as const;

async function picture(person: Person, state: string): Promise<void> {
  const { page } = person;
  await page.evaluate(() => document.fonts.ready);
  for (const { name, colorScheme, viewport } of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize(viewport);
    await expect
      .poll(() => page.evaluate(() => document.documentElement.scrollWidth), { message: `${state}, ${name}: its width` })
      .toBeLessThanOrEqual(viewport.width);
    await page.screenshot({ path: `test-results/pictures/${state}-${name}.png`, animations: 'disabled' });
  }
  await page.setViewportSize(LOOKS[0].viewport);
}

test('joining, from the invite to the first empty list', async ({ world }) => {
  const alice = world.person('alice');
  const invite = await world.invite();
  await world.person('zoe').aside('join', await world.invite(), '--name', 'zoe');
  await alice.start();
  const page = await alice.open();
  await expect(page.getByTestId('invite-input')).toBeVisible();
  await picture(alice, 'first-run');
  await page.getByTestId('invite-input').fill(invite.slice(0, -5));
  await expect(page.getByRole('alert')).toBeVisible();
  await picture(alice, 'bad-invite');
  await page.getByTestId('invite-input').fill(invite);
  await page.getByTestId('name-input').fill('zoe');
  await page.getByTestId('join-button').click();
  await expect(page.getByRole('alert')).toContainText('taken');
  await picture(alice, 'name-taken');
  await world.stopServer();
  await page.getByTestId('name-input').fill('alice');
  await page.getByTestId('join-button').click();
  await expect(page.getByTestId('join-trouble')).toContainText('no Aside server runs there');
  await picture(alice, 'join-server-down');
  await world.startServer();
  await expect(page.getByText('No chats yet')).toBeVisible();
  await picture(alice, 'empty');
  await page.getByTestId('add-contact-open').first().click();
  await expect(page.getByTestId('my-link-qr')).toBeVisible();
  await picture(alice, 'add-contact');
});

test('a conversation, a group, what is beside them, and what goes wrong', async ({ world }) => {
  const [alice, bob] = await world.pair();
  const carol = await world.member('carol');
  await carol.adds(alice);
  await bob.aside('send', alice.address, 'Good morning! Are you coming on Saturday? We meet at the station at nine.');
  await bob.aside('send', alice.address, 'Bring a map: https://example.org/maps/hike?day=saturday');
  await alice.opens('bob');
  await alice.writes('Yes, with pleasure.');
  await alice.writes('Is it all right if Carol joins us? She knows the way, and she has a dog that needs a long walk.');
  await bob.aside('send', alice.address, '👍');
  await bob.opens('alice');
  await bob.message('Yes, with pleasure.').press('r');
  await bob.writes('The more the merrier');
  await alice.message('The more the merrier').press('e');
  await alice.page.getByTestId('quick-reaction').nth(1).click();
  await bob.page.getByTestId('composer-input').pressSequentially('And');
  await expect(alice.page.getByTestId('conversation-subtitle')).toContainText('writing');
  await picture(alice, 'conversation');
  await bob.page.getByTestId('composer-input').fill('');

  await alice.page.getByTestId('details-open').click();
  await expect(alice.page.getByTestId('safety-open')).toBeVisible();
  await picture(alice, 'details');
  await alice.page.getByTestId('safety-open').click();
  await expect(alice.page.getByTestId('safety-number').locator('li')).toHaveCount(12);
  await picture(alice, 'safety-number');
  await alice.page.keyboard.press('Escape');

  await alice.page.getByTestId('new-group-open').click();
  await alice.page.getByTestId('group-title-input').fill('Weekend hike');
  await alice.page.getByTestId('group-member').first().click();
  await alice.page.getByTestId('group-member').last().click();
  await picture(alice, 'new-group');
  await alice.page.getByTestId('group-create-button').click();
  await expect(alice.page.getByTestId('conversation-subtitle')).toHaveText('3 members');
  await alice.writes('Here we can plan together.');
  await expect(bob.row('Weekend hike')).toBeVisible();
  await bob.opens('Weekend hike');
  await bob.writes('I bring the map.');
  await expect.poll(() => carol.aside('chats'), { timeout: 30_000 }).toContain('Weekend hike');
  await carol.aside('send', 'Weekend hike', 'And I bring the tea.');
  await carol.aside('send', alice.address, 'Thank you for asking me!');
  await expect(alice.message('And I bring the tea.')).toBeVisible();
  await expect(alice.unread('carol')).toHaveText('1');
  await picture(alice, 'group');
  await alice.leaves();
  await picture(alice, 'chats');
  await alice.page.getByTestId('section-people').click();
  await picture(alice, 'people');
  await alice.page.getByTestId('section-settings').click();
  await picture(alice, 'settings');

  await alice.page.getByTestId('section-chats').click();
  await world.stopServer();
  await alice.expectConnection('offline');
  await alice.opens('bob');
  await alice.writes('Are you there?');
  await alice.expectDelivery('Are you there?', 'queued');
  await picture(alice, 'offline');
  await alice.isKilled();
  await alice.expectConnection('unreachable');
  await expect(alice.page.getByRole('button', { name: 'Try now' })).toBeVisible();
  await picture(alice, 'unreachable');
});

// A group with members of two servers that never speak to each other, with one of them down for a while.
import { foundsGroup } from './deeds';
import { expect, test, type Person } from './fixture';

test.describe.configure({ timeout: 300_000 });

const SOON = { timeout: 60_000 };

async function expectSame(people: Person[], texts: string[]): Promise<void> {
  for (const person of people) await expect.poll(() => person.texts(), SOON).toEqual(texts);
}

test('people of two servers have a group, and it goes on while either server is down', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, bob] = await world.pair({}, there);
  const carol = await world.member('carol', there);
  await carol.adds(alice);
  await carol.start();
  await carol.open();
  await expect(alice.row('carol')).toBeVisible(SOON);

  await foundsGroup(alice, 'Choir', [bob, carol]);
  await alice.writes('From one server');
  const everybody = [alice, bob, carol];
  for (const person of [bob, carol]) {
    await expect(person.row('Choir')).toBeVisible(SOON);
    await person.opens('Choir');
  }
  await expectSame(everybody, ['From one server']);
  await bob.writes('From the other');
  await expectSame(everybody, ['From one server', 'From the other']);
  await alice.page.getByTestId('details-open').click();
  await expect(alice.page.locator(`[data-testid=member][data-address="${carol.address}"]`)).toHaveAttribute('data-state', 'member', SOON);

  // The members' own server is down: the group lives on Alice's.
  await there.stop();
  await bob.expectConnection('offline');
  await expect(bob.page.getByTestId('connection-status')).toContainText(there.address);
  await alice.writes('Do you still hear me?');
  await bob.writes('We do');
  await expectSame(everybody, ['From one server', 'From the other', 'Do you still hear me?', 'We do']);
  await there.start();
  for (const person of [bob, carol]) await person.expectConnection('connected');

  // The group's server is down: what is written waits.
  await world.stopServer();
  await carol.expectConnection('offline');
  await carol.writes('This has to wait');
  await carol.expectDelivery('This has to wait', 'queued');
  await world.startServer();
  await expectSame(everybody, ['From one server', 'From the other', 'Do you still hear me?', 'We do', 'This has to wait']);

  // Somebody is removed, whose server is not the group's.
  const row = alice.page.locator(`[data-testid=member][data-address="${carol.address}"]`);
  await row.getByTestId('member-menu').click();
  await alice.page.getByTestId('member-remove').click();
  await expect(row).toHaveCount(0, SOON);
  await expect(carol.page.getByTestId('notice-removed')).toBeVisible(SOON);
  await alice.writes('Only the two of us');
  await expect(bob.message('Only the two of us')).toBeVisible(SOON);
  await expect(carol.message('Only the two of us')).toHaveCount(0);
});

test('somebody on another server joins a group by its link', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, bob] = await world.pair();
  await foundsGroup(alice, 'Neighbours', [bob]);
  await alice.writes('Who lives next door?');
  await alice.page.getByTestId('details-open').click();
  await alice.page.getByTestId('group-invite-open').click();
  await alice.page.getByTestId('invite-make').click();
  const link = (await alice.page.getByTestId('invite-link').textContent()) ?? '';
  await alice.page.keyboard.press('Escape');

  const dora = await world.member('dora', there);
  await dora.start();
  const page = await dora.open();
  await page.getByTestId('new-group-open').click();
  await page.getByTestId('join-group-open').click();
  await page.getByTestId('group-link-input').fill(link);
  await page.getByTestId('join-group-button').click();
  await expect(page.getByTestId('pending-note')).toContainText('asked to join');
  await alice.page.getByTestId('join-requests-open').click(SOON);
  await alice.page.getByTestId('join-request').filter({ hasText: 'dora' }).getByTestId('join-request-accept').click();
  await alice.page.keyboard.press('Escape');
  await dora.row('Neighbours').click(SOON);
  await dora.writes('I do');
  await expect(alice.message('I do')).toBeVisible(SOON);
});

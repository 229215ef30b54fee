// Strangers ask to talk: one is accepted, one is blocked and reported, and the administrator acts.
import { chats } from './deeds';
import { expect, test, type Person } from './fixture';

test.describe.configure({ timeout: 300_000 });

const SOON = { timeout: 60_000 };

interface Report {
  id: string;
  from: string;
  about: string;
  messages: { sender: string; text: string }[];
}

async function opensRequest(person: Person, title: string): Promise<void> {
  await chats(person);
  await expect(person.page.getByTestId('requests-open')).toBeVisible(SOON);
  await person.page.getByTestId('requests-open').click();
  await person.row(title).click();
}

/** Looks somebody up by their name on one's own server, and writes. */
async function writesByName(person: Person, name: string, text: string): Promise<void> {
  await chats(person);
  await person.page.getByTestId('add-contact-open').first().click();
  await person.page.getByTestId('contact-link-input').fill(name);
  await person.page.getByTestId('add-contact-button').click();
  await expect(person.page.getByTestId('composer-input')).toBeVisible();
  await person.writes(text);
  await person.expectDelivery(text, 'sent');
}

test('somebody on another server who is no contact any more asks; until they are accepted they learn nothing', async ({ world }) => {
  const there = await world.server('elsewhere');
  const [alice, sam] = await world.pair({}, there);
  await alice.page.getByTestId('section-people').click();
  await alice.page.locator(`[data-testid=contact-row][data-address="${sam.address}"]`).click();
  await alice.page.getByTestId('remove-contact').click();
  await expect(alice.page.getByTestId('toast-undo')).toHaveCount(0, { timeout: 15_000 });
  await sam.opens('alice');
  await sam.writes('We met at the market');
  await opensRequest(alice, sam.name);
  await expect(alice.page.getByTestId('request-note')).toContainText(`${sam.name} wants to talk to you`);
  await expect(alice.page.getByTestId('composer-input')).toHaveCount(0);
  await expect(alice.message('We met at the market')).toBeVisible();
  // Longer than receipts take.
  await alice.page.waitForTimeout(3_000);
  await sam.expectDelivery('We met at the market', 'sent');

  await alice.page.getByTestId('accept-request').click();
  await alice.writes('At the cheese stand, yes');
  await expect(sam.message('At the cheese stand, yes')).toBeVisible(SOON);
  await sam.expectDelivery('We met at the market', 'read');
  await expect(alice.page.getByTestId('requests-open')).toHaveCount(0);
});

test('a stranger is declined, asks again, and is blocked and reported; the administrator lists it and suspends the account', async ({ world }) => {
  const [alice, mallory] = [await world.member('alice'), await world.member('mallory')];
  for (const person of [alice, mallory]) {
    await person.start();
    await person.open();
  }
  await writesByName(mallory, 'alice', 'You have won a prize');
  await opensRequest(alice, 'mallory');
  await alice.page.getByTestId('block-request').click();
  await alice.page.getByTestId('block-report').click();
  await alice.page.getByTestId('block-confirm').click();
  await expect(alice.page.getByTestId('requests-open')).toHaveCount(0);

  const listed = async () => world.home.admin<{ id: string; from: string; about: string }[]>(['reports', 'list']);
  await expect.poll(listed, { timeout: 60_000 }).toEqual([expect.objectContaining({ from: 'alice', about: mallory.address })]);
  const [report] = await listed();
  const shown = await world.home.admin<Report>(['reports', 'show'], report?.id ?? '');
  expect(shown).toMatchObject({ from: 'alice', about: mallory.address, messages: [] });
  await alice.page.getByTestId('section-people').click();
  await expect(alice.page.locator(`[data-testid=contact-row][data-address="${mallory.address}"]`)).toBeVisible();
  await mallory.writes('Are you there?');
  await expect(mallory.message('Are you there?')).toBeVisible();

  await world.home.admin(['suspend'], 'mallory');
  expect(await world.home.admin<{ name: string; standing: string }[]>(['list'])).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'mallory', standing: 'suspended' }),
      expect.objectContaining({ name: 'alice', standing: 'good' }),
    ]),
  );
  await expect(mallory.page.getByTestId('connection-status')).toContainText('suspended', SOON);
  await chats(alice);
  await expect(alice.page.getByTestId('requests-open')).toHaveCount(0);
  await expect(alice.page.getByTestId('chat-row')).toHaveCount(0);
  await world.home.admin(['reports', 'close'], report?.id ?? '');
  expect(await listed()).toEqual([]);
});

test('chosen messages of a group are reported with a note, and no others', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  await bob.opens('alice');
  await bob.writes('Good morning');
  await bob.writes('Something that nobody should say');
  await alice.writes('Please stop');
  await alice.page.getByTestId('details-open').click();
  await alice.page.getByTestId('report-open').click();
  await alice.page.getByTestId('report-message').filter({ hasText: 'nobody should say' }).click();
  await alice.page.getByTestId('report-note').fill('It goes on like this.');
  await alice.page.getByTestId('report-send').click();
  const listed = async () => world.home.admin<{ id: string }[]>(['reports', 'list']);
  await expect.poll(async () => (await listed()).length, { timeout: 60_000 }).toBe(1);
  const shown = await world.home.admin<Report>(['reports', 'show'], (await listed())[0]?.id ?? '');
  expect(shown).toMatchObject({ from: 'alice', about: bob.address, note: 'It goes on like this.' });
  expect(shown.messages.map(({ sender, text }) => [sender, text])).toEqual([[bob.address, 'Something that nobody should say']]);
});

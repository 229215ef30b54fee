// Servers stop, clients are quit or killed, people are away; nothing is lost, doubled or out of order.
import { expect, test, type Person } from './fixture';

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `Message ${from + index}`);

/** Tall enough to draw every message of these tests at once. */
const TALL = { width: 1280, height: 2_400 };

async function expectTexts(person: Person, texts: string[]): Promise<void> {
  await person.page.setViewportSize(TALL);
  await expect.poll(() => person.texts()).toEqual(texts);
}

async function expectDraft(person: Person, text: string): Promise<void> {
  await expect(person.page.getByTestId('composer-input')).toHaveValue(text);
}

/** Types, and waits until the client has the draft. */
async function drafts(person: Person, text: string): Promise<void> {
  const saved = person.page.waitForResponse((response) => response.url().endsWith('/draft') && response.ok());
  await person.page.getByTestId('composer-input').fill(text);
  await saved;
}

test('while the server is stopped messages wait and say so; then they go by themselves, in order', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.writes('Before');
  await alice.expectDelivery('Before', 'read');

  await world.stopServer();
  for (const person of [alice, bob]) {
    await person.expectConnection('offline');
    await expect(person.page.getByTestId('connection-status')).toContainText(
      `${world.address} is reached, but no Aside server runs there`,
    );
  }
  const texts = numbered(1, 5);
  for (const text of texts) await alice.writes(text);
  for (const text of texts) await alice.expectDelivery(text, 'queued');
  await bob.writes('Bob was not idle');
  await bob.expectDelivery('Bob was not idle', 'queued');

  await world.startServer();
  for (const text of texts) await alice.expectDelivery(text, 'read');
  await bob.expectDelivery('Bob was not idle', 'read');
  for (const person of [alice, bob]) await person.expectConnection('connected');
  const seen = await bob.texts();
  expect(seen.filter((text) => text.startsWith('Message'))).toEqual(texts);
  expect(seen).toHaveLength(texts.length + 2);
  await expect.poll(() => alice.texts()).toEqual(seen);
});

test('a server that was killed keeps what it acknowledged', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await bob.closePage();
  await bob.quits();
  await alice.opens('bob');
  for (const text of numbered(1, 5)) await alice.writes(text);
  await alice.expectDelivery('Message 5', 'sent');
  await world.killServer();
  await world.startServer();
  await bob.start();
  await bob.open();
  await bob.opens('alice');
  await expectTexts(bob, numbered(1, 5));
  await alice.expectDelivery('Message 5', 'read');
});

test('after Quit on the page, the client starts again with its history and its draft', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  for (const text of numbered(1, 3)) await alice.writes(text);
  await bob.opens('alice');
  await bob.writes('Message 4');
  await expect(alice.message('Message 4')).toBeVisible();
  await drafts(alice, 'Not finished yet');

  await alice.page.getByTestId('section-settings').click();
  await alice.page.getByTestId('quit').click();
  await expect(alice.page.getByTestId('stopped')).toBeVisible();
  expect(await alice.ended()).toEqual({ code: 0, signal: null });
  await alice.start();
  await alice.page.getByRole('button', { name: 'I have started it' }).click();
  await alice.page.getByTestId('section-chats').click();
  await expect(alice.row('bob')).toContainText('Draft: Not finished yet');
  await alice.opens('bob');
  expect(await alice.texts()).toEqual(numbered(1, 4));
  await expectDraft(alice, 'Not finished yet');
});

for (const [how, stop] of [
  ['quit from the command line', (person: Person) => person.quits()],
  ['killed', (person: Person) => person.isKilled()],
] as const) {
  test(`both clients are ${how}: the tabs left open get back by themselves, and nothing is missing`, async ({ world }) => {
    const people = await world.pair();
    const [alice, bob] = people;
    await alice.opens('bob');
    await bob.opens('alice');
    for (const text of numbered(1, 3)) await alice.writes(text);
    await alice.expectDelivery('Message 3', 'read');
    await drafts(alice, 'Half a thought of Alice');
    await drafts(bob, 'Half a thought of Bob');

    for (const person of people) {
      await stop(person);
      await person.expectConnection('unreachable');
      await expect(person.page.getByTestId('connection-status')).toContainText('Aside is not running');
    }
    const origins = people.map((person) => person.origin);
    for (const person of people) await person.start();
    expect(people.map((person) => person.origin)).toEqual(origins);
    for (const person of people) await person.expectConnection('connected');
    await expectDraft(alice, 'Half a thought of Alice');
    await expectDraft(bob, 'Half a thought of Bob');

    await alice.writes('Message 4');
    await expect(bob.message('Message 4')).toBeVisible();
    await bob.writes('Message 5');
    await expect(alice.message('Message 5')).toBeVisible();
    for (const person of people) expect(await person.texts()).toEqual(numbered(1, 5));

    // The drafts are in the profile, not only on the page.
    await drafts(alice, 'Half a thought of Alice');
    await stop(alice);
    await alice.start();
    await alice.open();
    await alice.opens('bob');
    await expectDraft(alice, 'Half a thought of Alice');
  });
}

test('what is written to somebody who is away waits for them, all of it and in order', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await bob.quits();
  await alice.opens('bob');
  for (const text of numbered(1, 15)) await alice.aside('send', bob.address, text);
  for (const text of numbered(16, 30)) await alice.writes(text);
  await alice.expectDelivery('Message 30', 'sent');

  await bob.start();
  await expect(bob.unread('alice')).toHaveText('30');
  await bob.opens('alice');
  await expect(bob.page.getByTestId('unread-line')).toBeInViewport();
  await expectTexts(bob, numbered(1, 30));
  await alice.expectDelivery('Message 30', 'read');
  await expectTexts(alice, numbered(1, 30));

  const heard = (await bob.aside('listen', '--json', '--no-follow')).split('\n');
  expect(heard.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(numbered(1, 30));
});

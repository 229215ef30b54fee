// From nothing to two people who can write to each other, all of it on the screen.
import { expect, test, type Person } from './fixture';

/** Opens the client of somebody without an account, and fills the invite in. */
async function pastes(person: Person, invite: string): Promise<void> {
  await person.start();
  await person.open();
  await person.page.getByTestId('invite-input').fill(invite);
}

async function joins(person: Person, name: string): Promise<void> {
  await person.page.getByTestId('name-input').fill(name);
  await person.page.getByTestId('join-button').click();
}

test('two people join by invite, add each other by contact link, and see their conversation', async ({ world }) => {
  const [alice, bob] = [world.person('alice'), world.person('bob')];
  for (const person of [alice, bob]) {
    await pastes(person, await world.invite());
    await expect(person.page.getByTestId('invite-server')).toContainText(world.address);
    await joins(person, person.name);
    await expect(person.page.getByText('No chats yet')).toBeVisible();
    await person.expectConnection('connected');
  }

  await alice.page.getByTestId('add-contact-open').first().click();
  const link = alice.page.getByTestId('my-link');
  await expect(link).toContainText(`aside://${world.address}/contact/alice#`);
  await expect(alice.page.getByTestId('my-link-qr')).toBeVisible();
  await expect
    .poll(() => alice.page.getByTestId('my-link-qr').evaluate((image: HTMLImageElement) => image.naturalWidth))
    .toBeGreaterThan(0);
  const given = (await link.textContent()) ?? '';

  await bob.page.getByTestId('add-contact-open').first().click();
  await bob.page.getByTestId('contact-link-input').fill(given);
  await bob.page.getByTestId('add-contact-button').click();
  await expect(bob.page.getByTestId('composer-input')).toBeVisible();
  await expect(bob.row('alice')).toBeVisible();
  // Alice gave the link herself, so Bob is no stranger who has to be accepted.
  await expect(alice.row('bob')).toBeVisible();
  await alice.page.keyboard.press('Escape');
  await alice.opens('bob');

  await bob.page.getByTestId('section-people').click();
  await expect(bob.page.getByTestId('contact-row')).toHaveAttribute('data-address', alice.address);
});

test('one browser has the windows of two people open', async ({ world }) => {
  const [alice, bob] = [await world.member('alice'), await world.member('bob')];
  const context = await world.context();
  for (const person of [alice, bob]) {
    await person.start();
    const page = await context.newPage();
    await page.goto(person.link);
    await page.getByTestId('section-settings').click();
    await expect(page.getByTestId('own-address')).toHaveText(person.address);
  }
  const [first] = context.pages();
  await first?.reload();
  await expect(first?.getByTestId('own-address') ?? first!.locator('body')).toHaveText(alice.address);
});

test('an invite that is none is refused in words, and the right one then works', async ({ world }) => {
  const alice = world.person('alice');
  await pastes(alice, 'https://example.org/join');
  await expect(alice.page.getByRole('alert')).toContainText('not a whole Aside link');
  const invite = await world.invite();
  await alice.page.getByTestId('invite-input').fill(invite.slice(0, -5));
  await expect(alice.page.getByRole('alert')).toContainText('copy all of it, to the last letter');
  await expect(alice.page.getByTestId('join-button')).toBeDisabled();
  await alice.page.getByTestId('invite-input').fill(`  ${invite}\n`);
  await joins(alice, 'alice');
  await expect(alice.page.getByText('No chats yet')).toBeVisible();
});

test('a contact link in the place of an invite is named as what it is', async ({ world }) => {
  const bob = await world.member('bob');
  const alice = world.person('alice');
  await pastes(alice, await bob.aside('contacts', 'link'));
  await expect(alice.page.getByRole('alert')).toContainText('a link to a person; here an invite to a server is needed');
});

test('a used invite and a taken name are refused in words', async ({ world }) => {
  const used = await world.invite();
  await world.person('alice').aside('join', used, '--name', 'alice');
  const bob = world.person('bob');
  await pastes(bob, used);
  await joins(bob, 'bob');
  await expect(bob.page.getByRole('alert')).toContainText('used up');
  await bob.page.getByTestId('invite-input').fill(await world.invite());
  await joins(bob, 'alice');
  await expect(bob.page.getByRole('alert')).toContainText('name is taken');
  await joins(bob, 'Not A Name');
  await expect(bob.page.getByRole('alert')).toContainText(/letters/i);
  await joins(bob, 'bob');
  await expect(bob.page.getByText('No chats yet')).toBeVisible();
});

test("one's own contact link, and one that is none, are refused in words", async ({ world }) => {
  const alice = await world.member('alice');
  await alice.start();
  await alice.open();
  await alice.page.getByTestId('add-contact-open').first().click();
  await alice.page.getByTestId('contact-link-input').fill((await alice.page.getByTestId('my-link').textContent()) ?? '');
  await alice.page.getByTestId('add-contact-button').click();
  await expect(alice.page.getByRole('alert')).toContainText('your own link');
  await alice.page.getByTestId('contact-link-input').fill(await world.invite());
  await alice.page.getByTestId('add-contact-button').click();
  await expect(alice.page.getByRole('alert')).toContainText(/invite/i);
});

test('a server that is down while somebody joins is named, and the join ends well when it is back', async ({ world }) => {
  const invite = await world.invite();
  await world.stopServer();
  const alice = world.person('alice');
  await pastes(alice, invite);
  await joins(alice, 'alice');
  await expect(alice.page.getByTestId('join-trouble')).toContainText('no Aside server runs there');
  await world.startServer();
  await expect(alice.page.getByText('No chats yet')).toBeVisible();
});

// Who is in a group: changed on one screen, seen on the others.
import { drawnPicture } from '../visual/screens';
import { foundsGroup } from './deeds';
import { expect, test, type Person, type World } from './fixture';

/** Alice's group with Bob and Carol; Alice and Bob have their pages open on it, Alice with its details. */
async function choir(world: World): Promise<[Person, Person, Person]> {
  const [alice, bob] = await world.pair();
  const carol = await world.member('carol');
  await carol.adds(alice);
  await expect(alice.row('carol')).toBeVisible();
  await foundsGroup(alice, 'Choir', [bob, carol]);
  await alice.writes('Welcome');
  await bob.opens('Choir');
  await expect(bob.message('Welcome')).toBeVisible();
  await alice.page.getByTestId('details-open').click();
  return [alice, bob, carol];
}

const member = (person: Person, other: Person) =>
  person.page.locator(`[data-testid=member][data-address="${other.address}"]`);

test('a name and a picture are seen by everybody; an admin is made, a member removed, and somebody leaves', async ({ world }) => {
  const [alice, bob, carol] = await choir(world);
  await alice.page.getByTestId('group-rename').click();
  await alice.page.getByTestId('name-dialog-input').fill('Madrigals');
  await alice.page.getByTestId('name-dialog-save').click();
  await expect(bob.row('Madrigals')).toBeVisible();

  const buffer = await drawnPicture(alice.page, 900, 600);
  await alice.page.getByTestId('group-picture-file').setInputFiles({ name: 'choir.png', mimeType: 'image/png', buffer });
  await alice.page.getByTestId('crop-use').click();
  const picture = bob.row('Madrigals').locator('img');
  await expect(picture).toBeVisible();
  await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);

  await member(alice, carol).getByTestId('member-menu').click();
  await alice.page.getByTestId('member-remove').click();
  await expect(member(alice, carol)).toHaveCount(0, { timeout: 40_000 });
  await bob.page.getByTestId('details-open').click();
  await expect(member(bob, carol)).toHaveCount(0);
  await expect(bob.page.getByTestId('group-rename')).toHaveCount(0);

  // Alice is the only admin: she has to appoint Bob before she can leave.
  await alice.page.getByTestId('leave-group').click();
  await alice.page.getByTestId('group-member').click();
  await alice.page.getByTestId('appoint-and-leave').click();
  await expect(alice.page.getByTestId('left-note')).toBeVisible();
  await expect(bob.page.getByTestId('group-rename')).toBeVisible({ timeout: 40_000 });
  await expect(member(bob, alice)).toHaveCount(0, { timeout: 40_000 });
});

test('somebody asks to join by the link, and an admin lets them in', async ({ world }) => {
  const [alice] = await choir(world);
  await alice.page.getByTestId('group-invite-open').click();
  await alice.page.getByTestId('invite-make').click();
  await expect(alice.page.getByTestId('invite-link')).toContainText('/group/');
  const link = (await alice.page.getByTestId('invite-link').textContent()) ?? '';
  await alice.page.keyboard.press('Escape');

  const dora = await world.member('dora');
  await dora.start();
  const page = await dora.open();
  await page.getByTestId('new-group-open').click();
  await page.getByTestId('join-group-open').click();
  await page.getByTestId('group-link-input').fill(link);
  await page.getByTestId('join-group-button').click();
  await expect(page.getByTestId('pending-note')).toContainText('asked to join');
  await expect(page.getByTestId('composer-input')).toHaveCount(0);

  await alice.page.getByTestId('join-requests-open').click();
  await alice.page.getByTestId('join-request').filter({ hasText: 'dora' }).getByTestId('join-request-accept').click();
  await alice.page.keyboard.press('Escape');
  await expect(dora.row('Choir')).toBeVisible({ timeout: 40_000 });
  await dora.row('Choir').click();
  await dora.writes('Thank you for letting me in');
  await expect(alice.message('Thank you for letting me in')).toBeVisible();
});

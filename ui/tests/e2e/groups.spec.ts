// Three people: two on the screen, one on the command line.
import { foundsGroup } from './deeds';
import { expect, test } from './fixture';

test('a group of three is founded on the screen, and everybody reads everybody', async ({ world }) => {
  const [alice, bob] = await world.pair();
  const carol = await world.member('carol');
  await carol.adds(alice);
  await expect(alice.row('carol')).toBeVisible();

  await foundsGroup(alice, 'Weekend hike', [bob, carol]);
  await expect(alice.page.getByTestId('conversation-subtitle')).toHaveText('3 members');
  await alice.writes('Who brings the map?');

  await expect(bob.row('Weekend hike')).toContainText('Who brings the map?');
  await bob.opens('Weekend hike');
  await expect(bob.message('Who brings the map?')).toContainText('alice');
  await bob.writes('I do');
  await expect(alice.message('I do')).toContainText('bob');

  // Bob and Carol have never exchanged links.
  await expect
    .poll(() => carol.aside('chats'), { message: 'Carol is in the group', timeout: 30_000 })
    .toContain('Weekend hike');
  await carol.aside('send', 'Weekend hike', 'And I bring the tea');
  for (const person of [alice, bob]) {
    await expect(person.message('And I bring the tea')).toContainText('carol');
    expect(await person.texts()).toEqual(['Who brings the map?', 'I do', 'And I bring the tea']);
  }
  const heard = (await carol.aside('listen', '--json', '--no-follow'))
    .split('\n')
    .map((line) => JSON.parse(line) as { conversation: string; sender: string; text: string });
  expect(heard.filter((line) => line.conversation === 'Weekend hike').map(({ sender, text }) => [sender, text])).toEqual([
    [alice.address, 'Who brings the map?'],
    [bob.address, 'I do'],
  ]);

  await alice.page.getByTestId('details-open').click();
  for (const person of [alice, bob, carol]) {
    await expect(alice.page.getByTestId('details')).toContainText(person.address);
  }
});

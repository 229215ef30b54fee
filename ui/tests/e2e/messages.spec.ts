// Writing and reading, both ways, with what each side sees of the other.
import { expect, test } from './fixture';

test('messages go both ways at once, with unread counts and the title that says so', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  for (const text of ['One', 'Two', 'Three']) await alice.writes(text);
  await expect(bob.unread('alice')).toHaveText('3');
  await expect(bob.row('alice')).toContainText('Three');
  await expect(bob.page).toHaveTitle('(3) Aside');

  await bob.opens('alice');
  await expect(bob.page.getByTestId('unread-line')).toBeInViewport();
  await expect(bob.unread('alice')).toHaveCount(0);
  await expect(bob.page).toHaveTitle('Aside');
  expect(await bob.texts()).toEqual(['One', 'Two', 'Three']);

  await bob.writes('Four');
  await expect(alice.message('Four')).toBeInViewport();
  await expect(alice.message('Four')).toHaveAttribute('data-own', 'false');
  await alice.writes('Five <b>&amp;</b> 🙂 שלום');
  await expect(bob.message('Five <b>&amp;</b> 🙂 שלום')).toBeInViewport();
  expect(await alice.texts()).toEqual(await bob.texts());
});

test('delivery is drawn from queued over sent and delivered to read', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await bob.closePage();
  await bob.quits();
  await world.stopServer();
  await alice.opens('bob');
  await alice.writes('Step by step');
  await alice.expectDelivery('Step by step', 'queued');
  await world.startServer();
  await alice.expectDelivery('Step by step', 'sent');
  await bob.start();
  await alice.expectDelivery('Step by step', 'delivered');
  await bob.open();
  await bob.opens('alice');
  await alice.expectDelivery('Step by step', 'read');
});

test('without read receipts, delivered is all that the other side learns', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await bob.page.getByTestId('section-settings').click();
  await bob.page.getByTestId('read-receipts').click();
  await bob.page.getByTestId('section-chats').click();
  await bob.opens('alice');
  await alice.opens('bob');
  await alice.writes('Did you see this?');
  await expect(bob.message('Did you see this?')).toBeInViewport();
  await alice.expectDelivery('Did you see this?', 'delivered');
  // An answer proves that everything before it has crossed; still nothing says "read".
  await bob.writes('Yes');
  await expect(alice.message('Yes')).toBeVisible();
  await alice.expectDelivery('Did you see this?', 'delivered');
});

test('writing is shown to the other side, and the mark goes with the message', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  await alice.page.getByTestId('composer-input').pressSequentially('On my way');
  await expect(bob.row('alice')).toContainText('alice is writing…');
  await bob.opens('alice');
  await alice.page.keyboard.press('Enter');
  await expect(bob.message('On my way')).toBeVisible();
  await expect(bob.page.getByTestId('conversation-subtitle')).toHaveText(alice.address);
});

test('the mark of somebody who stops writing fades by itself', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.page.getByTestId('composer-input').pressSequentially('Well…');
  await expect(bob.page.getByTestId('conversation-subtitle')).toHaveText('alice is writing…');
  await alice.page.getByTestId('composer-input').fill('');
  await expect(bob.page.getByTestId('conversation-subtitle')).toHaveText(alice.address, { timeout: 10_000 });
});

test('replies, edits, reactions and deletions reach the other side', async ({ world }) => {
  const [alice, bob] = await world.pair();
  await alice.opens('bob');
  await bob.opens('alice');
  await alice.writes('Shall we meet on Friday?');

  await bob.message('Shall we meet on Friday?').press('r');
  await expect(bob.page.getByTestId('composer-context')).toContainText('Replying to alice');
  await bob.writes('Friday is good');
  const reply = alice.message('Friday is good');
  await expect(reply.getByRole('button', { name: 'Reply to alice' })).toContainText('Shall we meet on Friday?');

  await bob.page.getByTestId('composer-input').press('ArrowUp');
  await bob.page.getByTestId('composer-input').fill('Saturday is better');
  await bob.page.keyboard.press('Enter');
  await expect(alice.message('Saturday is better')).toContainText('edited');
  await expect(alice.message('Friday is good')).toHaveCount(0);

  await alice.message('Saturday is better').press('e');
  await alice.page.getByTestId('quick-reaction').nth(1).click();
  const reaction = bob.message('Saturday is better').getByTestId('reaction');
  await expect(reaction).toContainText('❤️');
  await reaction.click();
  await expect(alice.message('Saturday is better').getByTestId('reaction')).toContainText('2');
  await alice.message('Saturday is better').getByTestId('reaction').click();
  await bob.message('Saturday is better').getByTestId('reaction').click();
  await expect(alice.message('Saturday is better').getByTestId('reaction')).toHaveCount(0);

  const question = alice.page.locator('[data-own=true]').filter({ hasText: 'Shall we meet' });
  await question.press('Enter');
  await alice.page.getByTestId('menu-delete').click();
  await expect(alice.page.getByTestId('toast-undo')).toBeVisible();
  await expect(bob.message('Message deleted')).toHaveAttribute('data-own', 'false');
  await expect(alice.message('You deleted this message')).toBeVisible();
  // Nor do the words live on in what answered them, once that is read again.
  for (const person of [alice, bob]) {
    await person.page.reload();
    await expect(person.message('Saturday is better')).toContainText('Message deleted');
    await expect(person.page.getByText('Shall we meet')).toHaveCount(0);
  }

  await bob.message('Saturday is better').press('Enter');
  await bob.page.getByTestId('menu-delete').click();
  await expect(alice.row('bob')).toContainText('Message deleted');
});

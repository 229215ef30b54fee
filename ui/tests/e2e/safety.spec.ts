// Safety numbers, and settings that stay.
import { expect, test, type Person } from './fixture';

async function safetyNumber(person: Person, other: string): Promise<string[]> {
  await person.opens(other);
  await person.page.getByTestId('details-open').click();
  await person.page.getByTestId('safety-open').click();
  const groups = person.page.getByTestId('safety-number').locator('li');
  await expect(groups).toHaveCount(12);
  return groups.allTextContents();
}

test('both sides see the same safety number and its code, and what was compared is remembered', async ({ world }) => {
  const [alice, bob] = await world.pair();
  const seen = await safetyNumber(alice, 'bob');
  expect(seen.every((group) => /^[0-9]{5}$/.test(group))).toBe(true);
  expect(await safetyNumber(bob, 'alice')).toEqual(seen);
  expect((await bob.aside('safety', alice.address)).replace(/[^0-9]/g, '')).toBe(seen.join(''));
  const code = alice.page.getByTestId('safety-qr');
  await expect(code).toBeVisible();
  await expect.poll(() => code.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);

  await alice.page.getByTestId('verify-button').click();
  await expect(alice.page.getByRole('dialog')).toContainText('You have verified bob.');
  await alice.page.reload();
  await expect(alice.page.getByTestId('unverify-button')).toBeVisible();
  await alice.page.keyboard.press('Escape');
  await expect(alice.page.getByTestId('safety-open')).toContainText('Verified');
  await expect(bob.page.getByTestId('verify-button')).toBeVisible();
});

test('settings stay over a restart', async ({ world }) => {
  const alice = await world.member('alice');
  await alice.start();
  await alice.open({ colorScheme: 'light' });
  await alice.page.getByTestId('section-settings').click();
  const ground = () => alice.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await alice.page.getByTestId('theme-select-dark').click();
  await expect.poll(ground).not.toBe(light);
  await alice.page.getByTestId('typing-indicators').click();
  const dark = await ground();

  await alice.quits();
  await alice.start();
  await alice.open();
  await alice.page.getByTestId('section-settings').click();
  await expect(alice.page.getByTestId('theme-select')).toHaveAttribute('data-value', 'dark');
  await expect.poll(ground).toBe(dark);
  await expect(alice.page.getByTestId('typing-indicators')).not.toBeChecked();
});

// The example bot, as its first lines say to start it.
import { resolve } from 'node:path';
import { expect, test } from './fixture';

const BOT = resolve(import.meta.dirname, '../../../examples/echo-bot/bot.mjs');

test('the example bot answers, and goes on when its client was started again', async ({ world }) => {
  const alice = await world.member('alice');
  const helper = await world.member('helper');
  await alice.adds(helper);
  await helper.start();
  await alice.start();
  const bot = world.run('the bot', process.execPath, [BOT, 'helper'], { ASIDE_HOME: `${world.folder}/profiles` });
  await bot.prints(/^listening for helper$/m);

  const answers = async () => (await alice.aside('listen', '--no-follow')).split('\n').filter((line) => line !== '');
  await alice.aside('send', 'helper', '/echo is anybody there?');
  await alice.aside('send', 'helper', 'this is no command');
  await expect.poll(answers, { timeout: 20_000 }).toEqual([expect.stringContaining('is anybody there?')]);

  await helper.quits();
  await helper.start();
  await alice.aside('send', 'helper', '/help');
  await expect.poll(answers, { timeout: 20_000 }).toEqual([expect.stringContaining('I know /help')]);
});

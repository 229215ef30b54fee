#!/usr/bin/env node
// A bot in one file: it answers what people write to its profile. It speaks to a running client (`aside app --no-browser`)
// over the loopback API (docs/loopback-api/), and needs Node 20 and nothing else.
//
//   aside --profile helper app --no-browser &
//   node examples/echo-bot/bot.mjs helper
//
// A message counts as dealt with only after its answer is on the server's disk. A bot that is killed in between answers
// that message again: give answers that bear it.
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

const RETRY_MS = 1_000;
const profile = process.argv[2] ?? 'default';

/** What to answer; undefined for nothing. */
function answer({ text, sender }) {
  const [command, ...words] = text.trim().split(/\s+/);
  switch (command) {
    case '/help':
      return 'I know /help, /time and /echo WORDS.';
    case '/time':
      return new Date().toISOString();
    case '/echo':
      return words.join(' ') || `Echo what, ${sender.split('@')[0]}?`;
    default:
      return undefined;
  }
}

/** Where the profile's client listens, and the secret that lets us call it; both change when it is started again. */
async function findClient() {
  const { ASIDE_HOME, XDG_DATA_HOME } = process.env;
  const home = ASIDE_HOME || join(XDG_DATA_HOME || join(homedir(), '.local/share'), 'aside');
  const { port, secret } = JSON.parse(await readFile(join(home, profile, 'runtime.json'), 'utf8'));
  return async (path, method = 'GET', body = undefined) => {
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
    const response = await fetch(`http://127.0.0.1:${port}/api${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
}

/** The lines of an answer that does not end. */
async function* lines(response) {
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop();
    yield* parts.filter((line) => line !== '');
  }
}

async function serve() {
  const call = await findClient();
  console.log(`listening for ${profile}`);
  for await (const line of lines(await call('/listen?follow=true&mark=caller'))) {
    const heard = JSON.parse(line);
    const conversation = `/conversations/${heard.conversation_id}`;
    const text = answer(heard);
    if (text !== undefined) await call(`${conversation}/messages?wait=sent`, 'POST', { text });
    await call(`${conversation}/listened`, 'POST', { through: heard.position });
  }
}

for (;;) {
  try {
    await serve();
  } catch (error) {
    console.error(`${error.message}; trying again`);
  }
  await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
}

// Every website that a person opens can send requests to 127.0.0.1. None gets anything from the client.
import { createServer, type Server } from 'node:http';
import { expect, test } from './fixture';

/** A website on another port: for cookies it is the same site, so only the client's own guards hold it off. */
async function otherSite(): Promise<{ origin: string; server: Server }> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>Another site</title><p>Hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return { origin: `http://127.0.0.1:${address.port}`, server };
}

test('a page of another origin can neither read nor change anything, though the person is signed in', async ({ world }) => {
  const alice = await world.member('alice');
  await alice.start();
  await alice.open();
  await expect(alice.page.getByText('No chats yet')).toBeVisible();
  const { origin, server } = await otherSite();
  const page = await alice.page.context().newPage();
  const answered: string[] = [];
  page.on('response', (response) => {
    if (response.url().startsWith(alice.origin)) answered.push(`${response.status()} ${new URL(response.url()).pathname}`);
  });
  try {
    await page.goto(origin);
    const outcomes = await page.evaluate(async (client) => {
      const attempt = async (path: string, init: RequestInit) => {
        try {
          const response = await fetch(`${client}${path}`, { credentials: 'include', ...init });
          return `${response.type} ${response.status} ${(await response.text()).length}`;
        } catch (error) {
          return error instanceof TypeError ? 'nothing' : String(error);
        }
      };
      const json = { 'content-type': 'application/json' };
      const stream = await new Promise((resolve) => {
        const source = new EventSource(`${client}/api/events`, { withCredentials: true });
        source.onopen = () => resolve('opened');
        source.onerror = () => resolve('nothing');
      });
      const script = await new Promise((resolve) => {
        const element = document.createElement('script');
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('nothing');
        element.src = `${client}/api/state`;
        document.head.append(element);
      });
      return {
        read: await attempt('/api/state', {}),
        readWithoutCors: await attempt('/api/state', { mode: 'no-cors' }),
        post: await attempt('/api/quit', { method: 'POST' }),
        postWithoutCors: await attempt('/api/quit', { method: 'POST', mode: 'no-cors' }),
        change: await attempt('/api/settings', { method: 'PUT', headers: json, body: '{"theme":"dark"}' }),
        stream,
        script,
      };
    }, alice.origin);
    expect(outcomes).toEqual({
      read: 'nothing',
      readWithoutCors: 'nothing',
      post: 'nothing',
      postWithoutCors: 'nothing',
      change: 'nothing',
      stream: 'nothing',
      script: 'nothing',
    });

    // A form can post without asking anybody, and it moves the whole window.
    await page.evaluate((client) => {
      const form = document.createElement('form');
      form.method = 'post';
      form.action = `${client}/api/quit`;
      document.body.append(form);
      form.submit();
    }, alice.origin);
    await expect.poll(() => answered).toContain('403 /api/quit');

    await page.goto(origin);
    await page.evaluate((client) => {
      const frame = document.createElement('iframe');
      frame.src = `${client}/`;
      document.body.append(frame);
      return new Promise((resolve) => (frame.onload = resolve));
    }, alice.origin);
    expect(world.complaints.splice(0)).toEqual([expect.stringContaining("frame-ancestors 'none'")]);
  } finally {
    server.close();
  }

  expect(alice.isRunning).toBe(true);
  await alice.page.reload();
  await expect(alice.page.getByText('No chats yet')).toBeVisible();
  await alice.page.getByTestId('section-settings').click();
  await expect(alice.page.getByTestId('theme-select')).toHaveAttribute('data-value', 'system');
});

test('without the session the page says how to open it, and the API gives nothing', async ({ world }) => {
  const alice = await world.member('alice');
  await alice.start();
  const context = await world.context();
  const page = await context.newPage();
  await page.goto(`${alice.origin}/`);
  await expect(page.getByTestId('signed-out')).toBeVisible();
  const statuses = await page.evaluate(async () => {
    const calls = [
      ['GET', '/api/state'],
      ['GET', '/api/conversations'],
      ['GET', '/api/events'],
      ['POST', '/api/quit'],
      ['POST', '/api/contacts/link'],
      ['GET', '/api/nothing'],
    ] as const;
    return Promise.all(calls.map(async ([method, path]) => (await fetch(path, { method })).status));
  });
  expect(statuses).toEqual([401, 401, 401, 401, 401, 401]);
  await page.goto(`${alice.origin}/open?secret=${'0'.repeat(64)}`);
  await expect(page.locator('body')).toContainText('open the one that `aside app` prints now');
  expect(await context.cookies()).toEqual([]);
  expect(alice.isRunning).toBe(true);

  // A name that somebody pointed at this machine is not the client's own.
  const port = new URL(alice.origin).port;
  await page.goto(`http://localhost:${port}/`);
  await expect(page.locator('body')).toContainText('reached as 127.0.0.1 only');
});

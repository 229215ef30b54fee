// Development only, never shipped: the loopback API in memory, and ui/dist under the client's policy.
//
//   node dev/fixture-server.mjs            http://127.0.0.1:5174/fixture/busy
//
// /fixture/NAME makes a fresh world, remembers it in a cookie and opens the page. Names: busy, empty,
// unprepared, trouble, crowd, first-run, signed-out, failing, offline, huge; /fixture/NAME?at=HASH opens it at a route.
// POST /fixture-do/DEED changes the world that the cookie names: see deeds below.
// FIXTURE_NOW (unix ms) and FIXTURE_PORT fix the time and the port.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answer } from './routes.mjs';
import { World } from './world.mjs';

const PORT = Number(process.env.FIXTURE_PORT ?? 5174);
const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};
const worlds = new Map();
const WORLDS_MAX = 200;

function worldOf(request) {
  const id = /(?:^|;\s*)world=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1];
  return worlds.get(id);
}

async function bodyOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

function sendJson(response, status, body) {
  if (Buffer.isBuffer(body?.bytes)) {
    response.writeHead(status, { 'content-type': body.type, 'cache-control': 'no-store' });
    return response.end(body.bytes);
  }
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

function openWorld(url, response) {
  const id = randomUUID();
  const world = new World(Number(process.env.FIXTURE_NOW ?? Date.now()), url.pathname.split('/')[2] ?? 'busy');
  worlds.set(id, world);
  if (worlds.size > WORLDS_MAX) worlds.delete(worlds.keys().next().value);
  const at = (url.searchParams.get('at') ?? '').replace(/\{(\w+)\}/g, (_, name) => world[name] ?? '');
  response.writeHead(302, { 'set-cookie': `world=${id}; Path=/; SameSite=Strict; HttpOnly`, location: `/${at}` });
  response.end();
}

function streamEvents(world, request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': open\n\n');
  const listener = (type, data) => {
    if (type === 'close') response.destroy();
    else response.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  world.listeners.add(listener);
  request.on('close', () => world.listeners.delete(listener));
}

const personOf = ({ address, display_name, is_self }) => ({ address, display_name, is_self });

const deeds = {
  /** {conversation, text, sender?, fields?}: somebody writes. */
  arrive(world, { conversation: id, text, sender, fields }) {
    const conversation = world.conversations.get(id);
    const from = conversation.members.find((one) => (sender ? one.address === sender : !one.is_self));
    const person = personOf(from);
    const message = world.put(conversation, person, text, Date.now(), fields);
    conversation.unread_count += 1;
    world.emit('message', message);
    world.emit('conversation', conversation);
    return { id: message.id };
  },
  /** {conversation}: the other side is writing. */
  type(world, { conversation: id }) {
    const person = personOf(world.conversations.get(id).members.find((one) => !one.is_self));
    world.emit('typing', { conversation_id: id, person, until: Date.now() + 10_000 });
  },
  /** {conversation, ...changes}: a conversation is otherwise than it was. */
  change(world, { conversation: id, ...changes }) {
    world.emit('conversation', Object.assign(world.conversations.get(id), changes));
  },
  /** {name, code}: a new device has used the link. */
  knock(world, { name, code }) {
    world.deviceRequests = [...world.deviceRequests, { id: `r${world.nextId++}`, name, code, at: world.now }];
    world.emit('device_request', {});
  },
  /** {linking, joined?}: this new device gets on. */
  linking(world, { linking, joined }) {
    world.linking = linking;
    world.joined ||= joined === true;
    world.emit('state', world.state());
  },
  /** Another device removes this one. */
  outcast(world) {
    world.devices = world.devices.map((one) => (one.is_this ? { ...one, revoked_at: world.now } : one));
    world.emit('state', world.state());
  },
  /** {recovery}: the state of words and backups. */
  recovery(world, { recovery }) {
    world.recovery = { ...world.recovery, ...recovery };
    world.emit('state', world.state());
  },
  /** Any of {at, messages, contacts, words}: what the backup is that a restore finds. */
  backup(world, backup) {
    world.backup = backup;
  },
  /** What was told: for tests to look at. */
  told(world) {
    return { reports: world.reports, history: world.history, restored: world.restored, links: world.links.length };
  },
  /** {down}: the client stops answering, or answers again. */
  down(world, { down }) {
    world.down = down;
    if (down) world.emit('close');
  },
  /** {status, advice?}: the server can be reached, or not. */
  connect(world, { status, advice }) {
    world.connections = [{ ...world.connections[0], status, since: world.now, ...(advice ? { advice } : {}) }];
    world.emit('state', world.state());
  },
};

async function serveFile(url, response) {
  const path = normalize(url.pathname === '/' ? '/index.html' : decodeURIComponent(url.pathname));
  try {
    const bytes = await readFile(join(DIST, path));
    response.writeHead(200, {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'content-security-policy': POLICY,
      'x-content-type-options': 'nosniff',
    });
    response.end(bytes);
  } catch {
    response.writeHead(404).end('not here');
  }
}

/** The conversations that tests ask for by name. */
const idsOf = ({ anna, group, huge, request, keys, fork, left, crowd, band }) => ({ anna, group, huge, request, keys, fork, left, crowd, band });

const server = createServer(async (request, response) => {
  const url = new URL(request.url, `http://127.0.0.1:${PORT}`);
  if (url.pathname.startsWith('/fixture/')) return openWorld(url, response);
  const world = worldOf(request);
  if (url.pathname.startsWith('/fixture-do/') && world) {
    const done = deeds[url.pathname.split('/')[2]](world, await bodyOf(request));
    return sendJson(response, 200, { ...done, ...idsOf(world) });
  }
  if (!url.pathname.startsWith('/api/')) return serveFile(url, response);
  if (world?.down) return request.socket.destroy();
  if (!world?.signedIn) {
    return sendJson(response, 401, { error: { code: 'not_signed_in', message: 'Open this page with aside app.' } });
  }
  if (url.pathname === '/api/events') return streamEvents(world, request, response);
  const path = url.pathname.slice('/api/'.length).split('/').map(decodeURIComponent);
  const [status, body] = answer(world, request.method, path, url.searchParams, await bodyOf(request));
  return sendJson(response, status, body);
});

server.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}/fixture/busy`));

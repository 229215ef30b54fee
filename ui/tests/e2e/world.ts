// A real server, real clients and a real browser, in a folder of their own.
import { expect, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from '@playwright/test';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Background, freePort, type Ended } from './processes';

const BUILT = resolve(process.env['CARGO_TARGET_DIR'] ?? resolve(import.meta.dirname, '../../../target'), 'debug');
const CLIENT = program('ASIDE_BIN', 'aside');
const SERVER = program('ASIDE_SERVER_BIN', 'aside-server');

function program(variable: string, name: string): string {
  const path = process.env[variable] ?? join(BUILT, name);
  if (existsSync(path)) return path;
  throw new Error(`${path} is not there: build it with \`cargo build -p aside-cli -p aside-server\`, or set ${variable}`);
}

/** A server of a world, with its administrator's commands. */
export class Server {
  #process: Background | undefined;

  private constructor(
    private readonly world: World,
    private readonly data: string,
    readonly address: string,
  ) {}

  /** Makes a server and runs it. */
  static async make(world: World, name: string): Promise<Server> {
    const server = new Server(world, join(world.folder, name), `127.0.0.1:${await freePort()}`);
    await world.output('aside-server init', SERVER, ['init', server.data, '--address', server.address]);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const server = this.world.run(`the server ${this.address}`, SERVER, ['run', this.data]);
    this.#process = server;
    await expect
      .poll(async () => !server.isRunning || (await isWell(this.address)), { message: 'the server is well' })
      .toBe(true);
    if (!server.isRunning) throw new Error(server.lastWords());
  }

  /** Stops the server in order: SIGTERM, and it ends well. */
  async stop(): Promise<void> {
    expect(await this.#process?.end('SIGTERM')).toEqual({ code: 0, signal: null });
  }

  async kill(): Promise<Ended | undefined> {
    return this.#process?.end('SIGKILL');
  }

  async invite(): Promise<string> {
    return this.world.output('aside-server invite', SERVER, ['invite', this.data]);
  }

  /** `aside-server admin COMMAND… --json`: what its administrator is told. The directory stands behind the command's words. */
  async admin<T>(command: string[], ...more: string[]): Promise<T> {
    const said = await this.world.output('aside-server admin', SERVER, ['admin', ...command, this.data, ...more, '--json']);
    return JSON.parse(said) as T;
  }
}

export class World {
  readonly #processes: Background[] = [];
  readonly #contexts: BrowserContext[] = [];
  /** What pages complained of: errors, and whatever the strict policy refused. */
  readonly complaints: string[] = [];
  #home: Server | undefined;

  private constructor(
    readonly folder: string,
    private readonly browser: Browser,
  ) {}

  /** Makes a world with one server. */
  static async make(browser: Browser): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), 'aside-e2e-')), browser);
    try {
      world.#home = await world.server('server');
    } catch (error) {
      await world.end();
      throw error;
    }
    return world;
  }

  /** A further server, which never speaks to the first. */
  server(name: string): Promise<Server> {
    return Server.make(this, name);
  }

  get home(): Server {
    if (!this.#home) throw new Error('the world has no server');
    return this.#home;
  }

  get address(): string {
    return this.home.address;
  }

  startServer(): Promise<void> {
    return this.home.start();
  }

  stopServer(): Promise<void> {
    return this.home.stop();
  }

  killServer(): Promise<Ended | undefined> {
    return this.home.kill();
  }

  invite(): Promise<string> {
    return this.home.invite();
  }

  /** Somebody with a profile of their own, and no account yet. */
  person(name: string, server = this.home): Person {
    return new Person(name, name, server, this);
  }

  /** Somebody who has joined from the command line. */
  async member(name: string, server = this.home): Promise<Person> {
    const person = this.person(name, server);
    await person.aside('join', await server.invite(), '--name', name);
    return person;
  }

  /** Two people who are contacts, with their pages open on the list of chats. */
  async pair(options: BrowserContextOptions = {}, server = this.home): Promise<[Person, Person]> {
    const alice = await this.member('alice');
    const bob = await this.member('bob', server);
    await bob.adds(alice);
    for (const person of [alice, bob]) {
      await person.start();
      await person.open(options);
    }
    await alice.row('bob').waitFor();
    return [alice, bob];
  }

  async context(options: BrowserContextOptions = {}): Promise<BrowserContext> {
    const context = await this.browser.newContext(options);
    this.#contexts.push(context);
    context.on('weberror', (error) => this.complaints.push(String(error.error())));
    context.on('console', (message) => {
      if (/Content Security Policy|Refused to/i.test(message.text())) this.complaints.push(message.text());
    });
    return context;
  }

  run(name: string, program: string, args: string[], env: NodeJS.ProcessEnv = {}): Background {
    const process = new Background(name, program, args, env);
    this.#processes.push(process);
    return process;
  }

  client(name: string, args: string[]): Background {
    return this.run(`${name}: aside ${args[0]}`, CLIENT, ['--profile', name, ...args], {
      ASIDE_HOME: join(this.folder, 'profiles'),
      ASIDE_PASSPHRASE: 'nothing here is worth a secret',
      ASIDE_LOG: 'info',
    });
  }

  /** Runs a command to its end; what it printed, without the last line's break. */
  async output(name: string, program: string, args: string[]): Promise<string> {
    return this.outputOf(this.run(name, program, args));
  }

  async outputOf(process: Background): Promise<string> {
    const { code } = await process.ended;
    if (code !== 0) throw new Error(`exit status ${code}\n${process.lastWords()}`);
    return process.stdout.replace(/\n$/, '');
  }

  lastWords(): string {
    return this.#processes.map((process) => process.lastWords()).join('\n');
  }

  /** Ends everything, whatever state it is in. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#contexts.map((context) => context.close()));
    await Promise.all(
      this.#processes.map((process) => {
        process.signal('SIGKILL');
        return process.ended;
      }),
    );
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** One person on one device: a profile, a client that may run, and a page that may be open. */
export class Person {
  #app: Background | undefined;
  #page: Page | undefined;
  /** What `aside app` printed. */
  link = '';

  constructor(
    readonly name: string,
    private readonly profile: string,
    readonly server: Server,
    readonly world: World,
  ) {}

  /** The same person with another device, which nothing is on yet. */
  device(profile: string): Person {
    return new Person(this.name, profile, this.server, this.world);
  }

  get address(): string {
    return `${this.name}@${this.server.address}`;
  }

  get page(): Page {
    if (!this.#page) throw new Error(`${this.name} has no page open`);
    return this.#page;
  }

  /** The address of the client's page, without the secret. */
  get origin(): string {
    return new URL(this.link).origin;
  }

  /** Runs a command of the command line, and gives what it prints. */
  async aside(...args: string[]): Promise<string> {
    return this.world.outputOf(this.world.client(this.profile, args));
  }

  /** By contact link, from the command line; returns when both can write. */
  async adds(other: Person): Promise<void> {
    await this.aside('contacts', 'add', await other.aside('contacts', 'link'));
  }

  /** Starts the client that stays. */
  async start(): Promise<void> {
    this.#app = this.world.client(this.profile, ['app', '--no-browser']);
    this.link = (await this.#app.prints(/^http:\/\/\S+$/m)).trim();
  }

  /** `aside quit`; the page stays open. */
  async quits(): Promise<void> {
    await this.aside('quit');
    expect(await this.#app?.ended).toEqual({ code: 0, signal: null });
  }

  /** The client has ended by itself. */
  async ended(): Promise<Ended | undefined> {
    return this.#app?.ended;
  }

  /** The client is gone from one moment to the next; the page stays open. */
  async isKilled(): Promise<void> {
    await this.#app?.end('SIGKILL');
  }

  get isRunning(): boolean {
    return this.#app?.isRunning ?? false;
  }

  async open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = this.#page?.context() ?? (await this.world.context(options));
    this.#page ??= await context.newPage();
    await this.#page.goto(this.link);
    return this.#page;
  }

  async closePage(): Promise<void> {
    await this.#page?.close();
    await this.#page?.context().close();
    this.#page = undefined;
  }

  // What a person sees and does. Everything is found the way that docs of the UI name it.

  row(title: string) {
    return this.page.getByTestId('chat-row').filter({ hasText: title });
  }

  async opens(title: string): Promise<void> {
    await this.row(title).click();
    await expect(this.page.getByTestId('composer-input')).toBeVisible();
  }

  /** Leaves the conversation: nothing is open, so nothing counts as read. */
  async leaves(): Promise<void> {
    await this.page.evaluate(() => (location.hash = '#/chats'));
    await expect(this.page.getByTestId('composer-input')).toHaveCount(0);
  }

  async writes(text: string): Promise<void> {
    await this.page.getByTestId('composer-input').fill(text);
    await this.page.keyboard.press('Enter');
    await expect(this.message(text)).toHaveCount(1);
  }

  message(text: string | RegExp) {
    return this.page.getByTestId('message').filter({ hasText: text });
  }

  unread(title: string) {
    return this.row(title).getByTestId('unread-count');
  }

  /** The state of the connection as the page says it. */
  async expectConnection(status: 'connected' | 'connecting' | 'offline' | 'unreachable' | RegExp): Promise<void> {
    await expect(this.page.getByTestId('connection-status')).toHaveAttribute('data-status', status);
  }

  /** The delivery of an own message: the mark that is drawn, and what it is called. */
  async expectDelivery(text: string, state: keyof typeof DELIVERY): Promise<void> {
    await expect(this.message(text)).toHaveAttribute('data-delivery', state);
    await expect(this.message(text).getByRole('img', { name: DELIVERY[state], exact: true })).toBeVisible();
  }

  /** The texts of the messages that are drawn, from top to bottom. */
  async texts(): Promise<string[]> {
    return this.page.getByTestId('message').locator('.text').allTextContents();
  }
}

const DELIVERY = {
  queued: 'Waiting to be sent',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
} as const;

/** Whether the server says that it is well. Its certificate is its own, which only its links vouch for. */
function isWell(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(`https://${address}/healthz`, { rejectUnauthorized: false, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on('error', () => resolve(false));
  });
}

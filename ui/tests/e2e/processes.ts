// Processes with their last words kept, and nothing left running.
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';

const LINES_SHOWN = 40;
/** For a process to print a line, or to end when it was asked to. */
const PATIENCE_MS = 30_000;

const running = new Set<ChildProcess>();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process of a test. What it prints is kept. */
export class Background {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  #child: ChildProcess;
  #hasEnded = false;
  #watchers = new Set<() => void>();

  constructor(
    readonly name: string,
    program: string,
    args: string[],
    env: NodeJS.ProcessEnv = {},
  ) {
    this.#child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    this.#keep(this.#child.stdout, 'stdout');
    this.#keep(this.#child.stderr, 'stderr');
    this.ended = new Promise((resolve) => {
      const end = (ended: Ended) => {
        running.delete(this.#child);
        this.#hasEnded = true;
        resolve(ended);
        this.#watchers.forEach((watcher) => watcher());
      };
      this.#child.on('error', (error) => {
        this.stderr += `${error}\n`;
        end({ code: null, signal: null });
      });
      // Unlike 'exit', this comes after the last line was read.
      this.#child.on('close', (code, signal) => end({ code, signal }));
    });
  }

  get isRunning(): boolean {
    return !this.#hasEnded;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#hasEnded) this.#child.kill(signal);
  }

  /** Asks it to end, and waits until it has. */
  async end(signal: NodeJS.Signals): Promise<Ended> {
    this.signal(signal);
    return within(this.ended, `${this.name} to end after ${signal}`, this);
  }

  /** Waits for something in its standard output. */
  async prints(pattern: RegExp): Promise<string> {
    const found = new Promise<string>((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.stdout);
        if (match) resolve(match[0]);
        else if (this.#hasEnded) reject(new Error(`${this.name} ended too early\n${this.lastWords()}`));
      };
      this.#watchers.add(look);
      look();
    });
    return within(found, `${this.name} to print ${pattern}`, this);
  }

  lastWords(): string {
    const said = [...this.stdout.trim().split('\n'), ...this.stderr.trim().split('\n')].filter((line) => line !== '');
    return [`--- ${this.name}${this.#hasEnded ? ' (ended)' : ''}`, ...said.slice(-LINES_SHOWN)].join('\n');
  }

  #keep(stream: NodeJS.ReadableStream | null, name: 'stdout' | 'stderr'): void {
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      this[name] += chunk;
      this.#watchers.forEach((watcher) => watcher());
    });
  }
}

async function within<T>(promise: Promise<T>, what: string, about: Background): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}\n${about.lastWords()}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A port of 127.0.0.1 that nobody uses. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

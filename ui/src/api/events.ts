// The event stream. It says when it is open and when it is gone; whoever shows something
// fetches it again after every opening, because nothing is replayed.
import type { ServerEvent } from './types';
import { api, Refused } from './client';

export const RETRY_MS_MIN = 400;
export const RETRY_MS_MAX = 8_000;

/** Grows by doubling, with up to a quarter of jitter so that several tabs don't knock together. */
export function retryDelayMs(attempt: number, random: number): number {
  const base = Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(attempt, 10));
  return Math.round(base * (1 + random * 0.25));
}

export interface StreamListener {
  opened(): void;
  lost(): void;
  event(event: ServerEvent): void;
}

const EVENT_TYPES: ServerEvent['type'][] = [
  'state',
  'conversation',
  'conversation_removed',
  'message',
  'contact',
  'device',
  'device_request',
  'typing',
];

export class EventStream {
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #stopped = false;

  constructor(private readonly listener: StreamListener) {}

  start(): void {
    this.#stopped = false;
    this.#open();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  /** Try at once: the person came back to the page or pressed the button. */
  hurry(): void {
    if (this.#stopped || this.#source?.readyState === EventSource.OPEN) return;
    clearTimeout(this.#timer);
    void this.#probe();
  }

  /** What the stream promised could not be fetched: the client is going away after all. */
  fail(): void {
    if (this.#stopped) return;
    this.#source?.close();
    this.#source = null;
    this.listener.lost();
    this.#retryLater();
  }

  #open(): void {
    this.#source?.close();
    const source = new EventSource('/api/events');
    this.#source = source;
    source.onopen = () => {
      this.#attempt = 0;
      this.listener.opened();
    };
    source.onerror = () => {
      if (this.#source === source) this.fail();
    };
    for (const type of EVENT_TYPES) {
      source.addEventListener(type, (raw: MessageEvent<string>) => {
        this.listener.event({ type, data: JSON.parse(raw.data) } as ServerEvent);
      });
    }
  }

  #retryLater(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#probe(), retryDelayMs(this.#attempt++, Math.random()));
  }

  /** EventSource hides why it failed, so ask for the state first: a refusal there ends the session. */
  async #probe(): Promise<void> {
    try {
      await api.state();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return this.stop();
      return this.#retryLater();
    }
    if (!this.#stopped) this.#open();
  }
}

// Joins the event stream to the stores: every event is an upsert, every reconnection a refetch.
import { onSignedOut, Refused, Unreachable } from '../api/client';
import { EventStream } from '../api/events';
import type { Message, ServerEvent } from '../api/types';
import { announceArrival } from './announce.svelte';
import { conversations } from './conversations.svelte';
import { devices } from './devices.svelte';
import { notifyArrival } from './notify';
import { people } from './people.svelte';
import { router } from './route.svelte';
import { session } from './session.svelte';
import { timelines } from './timeline.svelte';
import { toasts } from './toasts.svelte';
import { typing } from './typing.svelte';

class Live {
  #stream = new EventStream({
    opened: () => void this.refetchAll(),
    lost: () => {
      if (session.phase === 'ready' || session.phase === 'starting') session.reachable = false;
    },
    event: (event) => this.apply(event),
  });
  #joined = false;

  start(): void {
    onSignedOut(() => {
      this.#stream.stop();
      if (session.phase !== 'stopped') session.phase = 'signed_out';
    });
    addEventListener('online', () => this.#stream.hurry());
    addEventListener('focus', () => this.#stream.hurry());
    addEventListener('pagehide', () => toasts.commitAll());
    void this.#firstState();
  }

  stop(): void {
    this.#stream.stop();
    session.phase = 'stopped';
  }

  /** Knock again now rather than when the backoff is over. */
  hurry(): void {
    this.#stream.hurry();
  }

  async refetchAll(): Promise<void> {
    try {
      await session.refetch();
      if (!session.state?.account) return;
      this.#joined = true;
      await Promise.all([
        conversations.refetch(),
        people.refetch(),
        devices.refetchRequests(),
        timelines.refreshAll(this.#shown()),
      ]);
    } catch (error) {
      if (error instanceof Unreachable) this.#stream.fail();
      else if (!(error instanceof Refused)) throw error;
    }
  }

  apply(event: ServerEvent): void {
    switch (event.type) {
      case 'state':
        session.adopt(event.data);
        if (event.data.account && !this.#joined) void this.refetchAll();
        return;
      case 'conversation':
        return conversations.upsert(event.data);
      case 'conversation_removed':
        timelines.forget(event.data.id);
        return conversations.remove(event.data.id);
      case 'message':
        return this.#message(event.data);
      case 'contact':
        return people.upsert(event.data);
      case 'device':
        return devices.adopt(event.data);
      case 'device_request':
        void devices.refetchRequests().catch(() => undefined);
        return;
      case 'typing':
        return typing.mark(event.data.conversation_id, event.data.person, event.data.until);
    }
  }

  #message(message: Message): void {
    const arrived = !message.sender.is_self && message.kind === 'text' && !message.edited && !message.deleted;
    const isNew = arrived && this.#seen.note(message.id);
    timelines.upsert(message);
    typing.clear(message.conversation_id, message.sender);
    if (!isNew || message.from_blocked || Date.now() - message.sent_at > RECENT_MS) return;
    announceArrival(message, this.#shown() === message.conversation_id);
    notifyArrival(message);
  }

  #seen = new SeenIds();

  #shown(): string | undefined {
    return router.current.section === 'chats' ? router.current.id : undefined;
  }

  async #firstState(): Promise<void> {
    try {
      await session.refetch();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return;
      session.reachable = false;
    }
    this.#stream.start();
  }
}

/** A message that changes (a reaction, a receipt) comes again; it is announced only once. */
const SEEN_IDS_MAX = 2_000;
const RECENT_MS = 24 * 60 * 60 * 1000;

class SeenIds {
  #ids = new Set<string>();

  /** True the first time. */
  note(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > SEEN_IDS_MAX) {
      const [oldest] = this.#ids;
      if (oldest !== undefined) this.#ids.delete(oldest);
    }
    return true;
  }
}

export const live = new Live();

// The messages of one conversation: a window that ends with the newest and grows backwards. After a jump far back it
// ends earlier, and grows both ways.
import { api, Refused } from '../api/client';
import type { Message } from '../api/types';
import { Freshness } from './freshness';
import type { LoadPhase } from './conversations.svelte';

export const PAGE_FIRST = 60;
export const PAGE_MAX = 200;
/** After a reconnection at most this many pages are read to close the gap; a wider one is cut. */
export const GAP_PAGES_MAX = 10;
const KEPT_TIMELINES_MAX = 6;

/** Where the reader is: at the end, or at a row that stays put while others change. */
export type Anchor = { at: 'end' } | { at: 'row'; id: string; offset: number };

export class Timeline {
  /** Ascending by position. Changed in place: read `version` to follow it. */
  readonly messages: Message[] = [];
  version = $state(0);
  phase = $state<LoadPhase>('loading');
  hasMore = $state(true);
  /** There are later messages than the window's. */
  hasNewer = $state(false);
  loadingOlder = $state(false);
  olderFailed = $state(false);
  /** The first message that was unread when the conversation was opened. */
  unreadFrom = $state<string | null>(null);
  anchor: Anchor = { at: 'end' };

  #positions = new Map<string, number>();
  #hidden = new Set<string>();
  #freshness = new Freshness();
  #older: Promise<void> | undefined;
  #newer: Promise<void> | undefined;
  /** What arrives while the way back to the newest is read. */
  #late: Message[] | undefined;

  constructor(readonly conversation: string) {}

  get(id: string): Message | undefined {
    const index = this.indexOf(id);
    return index < 0 ? undefined : this.messages[index];
  }

  indexOf(id: string): number {
    const position = this.#positions.get(id);
    if (position === undefined) return -1;
    for (let i = this.#firstAtOrAfter(position); i < this.messages.length; i += 1) {
      const message = this.messages[i];
      if (!message || message.position !== position) return -1;
      if (message.id === id) return i;
    }
    return -1;
  }

  async loadNewest(unread: number): Promise<void> {
    try {
      const limit = Math.min(PAGE_MAX, PAGE_FIRST + unread);
      const started = this.#freshness.begin();
      const page = await api.messages(this.conversation, { limit });
      if (this.hasNewer) this.#empty();
      this.#merge(page.messages, started);
      this.hasMore = page.has_more;
      this.hasNewer = false;
      this.phase = 'ready';
    } catch (error) {
      if (this.phase === 'loading') this.phase = 'failed';
      throw error;
    }
  }

  /** One page at a time; who asks meanwhile waits for the same one. */
  loadOlder(): Promise<void> {
    const oldest = this.messages[0];
    if (!oldest || !this.hasMore) return Promise.resolve();
    this.#older ??= this.#readOlder(oldest.position);
    return this.#older;
  }

  /** The same in the other direction, after a jump far back. */
  loadNewer(): Promise<void> {
    const newest = this.messages.at(-1);
    if (!newest || !this.hasNewer) return Promise.resolve();
    this.#newer ??= this.#readNewer(newest.position);
    return this.#newer;
  }

  async #readNewer(after: number): Promise<void> {
    try {
      const started = this.#freshness.begin();
      const page = await api.messages(this.conversation, { after, limit: PAGE_MAX });
      // The window may have moved meanwhile.
      if (this.messages.at(-1)?.position !== after) return;
      this.#merge(page.messages, started);
      this.hasNewer = page.has_newer;
    } finally {
      this.#newer = undefined;
    }
  }

  /** Moves the window to a message that lies far back. False: it is not in this conversation any more. */
  async loadAround(id: string): Promise<boolean> {
    const started = this.#freshness.begin();
    try {
      const page = await api.messages(this.conversation, { around: id, limit: PAGE_MAX });
      const reaches = (page.messages.at(-1)?.position ?? 0) >= (this.messages[0]?.position ?? Infinity);
      if (!reaches) {
        this.#empty();
        this.hasNewer = page.has_newer;
      }
      this.#merge(page.messages, started);
      this.hasMore = page.has_more;
      return this.indexOf(id) >= 0;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return false;
      throw error;
    }
  }

  /** The way back from there. */
  async toNewest(): Promise<void> {
    if (!this.hasNewer) return;
    this.#late ??= [];
    try {
      await this.loadNewest(0);
      this.#late.forEach((message) => this.upsert(message));
    } finally {
      this.#late = undefined;
    }
  }

  #empty(): void {
    this.messages.splice(0, this.messages.length);
    this.#positions.clear();
  }

  async #readOlder(before: number): Promise<void> {
    this.loadingOlder = true;
    try {
      const started = this.#freshness.begin();
      const page = await api.messages(this.conversation, { before, limit: PAGE_MAX });
      this.#merge(page.messages, started);
      this.hasMore = page.has_more && page.messages.length > 0;
      this.olderFailed = false;
    } catch {
      this.olderFailed = true;
    } finally {
      // At once, not a turn later: what has arrived may ask for the next page.
      this.#older = undefined;
      this.loadingOlder = false;
    }
  }

  /** After a reconnection: closes the gap at the end, then renews what was on the screen. */
  async refresh(): Promise<void> {
    const newestBefore = this.messages.at(-1)?.position;
    // Nobody has opened it yet: whoever does reads it.
    if (this.phase === 'loading') return;
    if (newestBefore === undefined) return this.loadNewest(0);
    if (this.hasNewer) return this.#renewAnchored();
    let before: number | undefined;
    for (let page = 0; page < GAP_PAGES_MAX; page += 1) {
      const started = this.#freshness.begin();
      const limit = page === 0 ? PAGE_FIRST : PAGE_MAX;
      const answer = await api.messages(this.conversation, before === undefined ? { limit } : { before, limit });
      this.#merge(answer.messages, started);
      const reached = answer.messages[0]?.position;
      if (reached === undefined || reached <= newestBefore || !answer.has_more) return this.#renewAnchored();
      before = reached;
    }
    // Too wide a gap to fill: what lies before it is read again when the person scrolls there.
    this.#cutBefore(before ?? 0);
  }

  /** What a call answers, unless an event came meanwhile: that one is newer than the answer. */
  async take(call: Promise<Message>): Promise<void> {
    const started = this.#freshness.begin();
    const message = await call;
    if (!this.#freshness.touchedSince(message.id, started)) this.upsert(message);
  }

  /** Deleted on the screen, while undo is open. */
  hide(id: string): void {
    this.#hidden.add(id);
    this.#change(id, { deleted: true });
  }

  unhide(id: string): void {
    if (this.#hidden.delete(id)) this.#change(id, { deleted: false });
  }

  /** The client has deleted it; the event that says so may come later. */
  confirmHidden(id: string): void {
    this.#hidden.delete(id);
  }

  upsert(message: Message): void {
    const known = this.#positions.has(message.id);
    const oldest = this.messages[0]?.position;
    if (!known && this.hasMore && oldest !== undefined && message.position < oldest) return;
    if (!known && this.hasNewer) return void this.#late?.push(message);
    this.#freshness.touch(message.id);
    this.#put(this.#asShown(message));
    this.version += 1;
  }

  #asShown(message: Message): Message {
    return this.#hidden.has(message.id) ? { ...message, deleted: true } : message;
  }

  #change(id: string, changes: Partial<Message>): void {
    const current = this.get(id);
    if (current) this.upsert({ ...current, ...changes });
  }

  async #renewAnchored(): Promise<void> {
    if (this.anchor.at !== 'row') return;
    const index = this.indexOf(this.anchor.id);
    const last = this.messages[Math.min(index + PAGE_MAX / 2, this.messages.length - 1)];
    if (index < 0 || !last) return;
    const started = this.#freshness.begin();
    const page = await api.messages(this.conversation, { before: last.position + 1, limit: PAGE_MAX });
    this.#merge(page.messages, started);
  }

  #merge(fetched: Message[], started: number): void {
    const moved: Message[] = [];
    for (const message of fetched.map((message) => this.#asShown(message))) {
      if (this.#freshness.touchedSince(message.id, started)) continue;
      if (!this.#replaceInPlace(message)) moved.push(message);
    }
    for (const message of moved) this.#positions.set(message.id, message.position);
    moved.sort((a, b) => a.position - b.position);
    if ((moved.at(-1)?.position ?? 0) < (this.messages[0]?.position ?? 0)) {
      this.messages.unshift(...moved);
    } else if (moved.length > 0) {
      this.messages.push(...moved);
      this.messages.sort((a, b) => a.position - b.position);
    }
    this.version += 1;
  }

  #put(message: Message): void {
    if (this.#replaceInPlace(message)) return;
    this.#positions.set(message.id, message.position);
    this.messages.splice(this.#firstAtOrAfter(message.position + 1), 0, message);
  }

  /** False when the message has yet to be given its place; an older place is then empty. */
  #replaceInPlace(message: Message): boolean {
    const index = this.indexOf(message.id);
    if (index < 0) return false;
    if (this.messages[index]?.position === message.position) {
      this.messages[index] = message;
      return true;
    }
    this.messages.splice(index, 1);
    return false;
  }

  #cutBefore(position: number): void {
    const kept = this.messages.filter((message) => message.position >= position);
    this.messages.splice(0, this.messages.length, ...kept);
    this.#positions = new Map(kept.map((message) => [message.id, message.position]));
    this.hasMore = true;
    this.version += 1;
  }

  #firstAtOrAfter(position: number): number {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.messages[middle]?.position ?? Infinity) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The conversations looked at lately, so that going back to one is instant. */
class Timelines {
  #kept = new Map<string, Timeline>();

  open(conversation: string): Timeline {
    const kept = this.#kept.get(conversation) ?? new Timeline(conversation);
    this.#kept.delete(conversation);
    this.#kept.set(conversation, kept);
    for (const id of [...this.#kept.keys()].slice(0, -KEPT_TIMELINES_MAX)) this.#kept.delete(id);
    return kept;
  }

  upsert(message: Message): void {
    this.#kept.get(message.conversation_id)?.upsert(message);
  }

  forget(conversation: string): void {
    this.#kept.delete(conversation);
  }

  async refreshAll(current: string | undefined): Promise<void> {
    for (const id of [...this.#kept.keys()]) if (id !== current) this.#kept.delete(id);
    if (current !== undefined) await this.#kept.get(current)?.refresh();
  }
}

export const timelines = new Timelines();

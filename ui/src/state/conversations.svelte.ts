// The list of conversations: fetched whole, then kept by events.
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { api } from '../api/client';
import type { Conversation } from '../api/types';
import { Freshness } from './freshness';

export type LoadPhase = 'loading' | 'ready' | 'failed';

class Conversations {
  phase = $state<LoadPhase>('loading');
  #byId = new SvelteMap<string, Conversation>();
  /** Deleted on the screen, with undo still open. */
  #hidden = new SvelteSet<string>();
  /** Changed on the screen, with undo still open. */
  #pretended = new SvelteMap<string, Partial<Conversation>>();
  #freshness = new Freshness();

  /** All of them, the newest first. */
  list = $derived(
    [...this.#byId.values()]
      .filter((conversation) => !this.#hidden.has(conversation.id))
      .map((conversation) => this.#asShown(conversation))
      .sort((a, b) => b.updated_at - a.updated_at),
  );
  /** Strangers who want to talk. */
  requests = $derived(this.list.filter((conversation) => conversation.state === 'request'));
  chats = $derived(this.list.filter((conversation) => conversation.state !== 'request'));
  unreadTotal = $derived(this.chats.reduce((sum, conversation) => sum + conversation.unread_count, 0));

  find(id: string | undefined): Conversation | undefined {
    const conversation = id === undefined || this.#hidden.has(id) ? undefined : this.#byId.get(id);
    return conversation && this.#asShown(conversation);
  }

  #asShown(conversation: Conversation): Conversation {
    const pretended = this.#pretended.get(conversation.id);
    return pretended ? { ...conversation, ...pretended } : conversation;
  }

  async refetch(): Promise<void> {
    const started = this.#freshness.begin();
    let fetched: Conversation[];
    try {
      fetched = await api.conversations();
    } catch (error) {
      if (this.phase === 'loading') this.phase = 'failed';
      throw error;
    }
    const kept = new Set(fetched.map((conversation) => conversation.id));
    for (const id of [...this.#byId.keys()]) {
      if (!kept.has(id) && !this.#freshness.touchedSince(id, started)) this.#byId.delete(id);
    }
    for (const conversation of fetched) {
      if (!this.#freshness.touchedSince(conversation.id, started)) {
        this.#byId.set(conversation.id, conversation);
      }
    }
    this.phase = 'ready';
  }

  /** What a call answers, unless an event came meanwhile: that one is newer than the answer. */
  async take(call: Promise<Conversation>): Promise<Conversation> {
    const started = this.#freshness.begin();
    const conversation = await call;
    if (!this.#freshness.touchedSince(conversation.id, started)) this.upsert(conversation);
    return conversation;
  }

  upsert(conversation: Conversation): void {
    this.#freshness.touch(conversation.id);
    this.#byId.set(conversation.id, conversation);
  }

  remove(id: string): void {
    this.#freshness.touch(id);
    this.#byId.delete(id);
    this.#hidden.delete(id);
  }

  hide(id: string): void {
    this.#hidden.add(id);
  }

  unhide(id: string): void {
    this.#hidden.delete(id);
  }

  pretend(id: string, changes: Partial<Conversation>): void {
    this.#pretended.set(id, changes);
  }

  unpretend(id: string): void {
    this.#pretended.delete(id);
  }

  /** What the person sees at once, before the client has answered. */
  change(id: string, changes: Partial<Conversation>): void {
    const current = this.#byId.get(id);
    if (current) this.#byId.set(id, { ...current, ...changes });
  }
}

export const conversations = new Conversations();

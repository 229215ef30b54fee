// Contacts, and the link by which others become one.
import { SvelteMap } from 'svelte/reactivity';
import { api } from '../api/client';
import type { Contact, ContactLink } from '../api/types';
import type { LoadPhase } from './conversations.svelte';
import { Freshness } from './freshness';

const LINK_SPARE_MS = 60 * 60 * 1000;

class People {
  phase = $state<LoadPhase>('loading');
  #byAddress = new SvelteMap<string, Contact>();
  #freshness = new Freshness();
  #link: ContactLink | null = null;

  list = $derived(
    [...this.#byAddress.values()].sort((a, b) => a.display_name.localeCompare(b.display_name)),
  );

  find(address: string | undefined): Contact | undefined {
    return address === undefined ? undefined : this.#byAddress.get(address);
  }

  async refetch(): Promise<void> {
    const started = this.#freshness.begin();
    let fetched: Contact[];
    try {
      fetched = await api.contacts();
    } catch (error) {
      if (this.phase === 'loading') this.phase = 'failed';
      throw error;
    }
    const kept = new Set(fetched.map((contact) => contact.address));
    for (const address of [...this.#byAddress.keys()]) {
      if (!kept.has(address) && !this.#freshness.touchedSince(address, started)) {
        this.#byAddress.delete(address);
      }
    }
    for (const contact of fetched) {
      if (!this.#freshness.touchedSince(contact.address, started)) {
        this.#byAddress.set(contact.address, contact);
      }
    }
    this.phase = 'ready';
  }

  upsert(contact: Contact): void {
    this.#freshness.touch(contact.address);
    this.#byAddress.set(contact.address, contact);
  }

  async add(link: string): Promise<Contact> {
    // An event that came meanwhile is newer than the answer.
    const started = this.#freshness.begin();
    const contact = await api.addContact(link);
    if (!this.#freshness.touchedSince(contact.address, started)) this.upsert(contact);
    return contact;
  }

  /** Each link can be used a few times and expires; one is kept for as long as it is good. */
  async ownLink(): Promise<ContactLink> {
    if (!this.#link || this.#link.expires_at < Date.now() + LINK_SPARE_MS) {
      this.#link = await api.makeLink();
    }
    return this.#link;
  }

  async replaceOwnLink(): Promise<ContactLink> {
    this.#link = null;
    return this.ownLink();
  }
}

export const people = new People();

// Contacts, and the link by which others become one.
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { api, type Whom } from '../api/client';
import type { Contact, ContactLink } from '../api/types';
import type { LoadPhase } from './conversations.svelte';
import { Freshness } from './freshness';

const LINK_SPARE_MS = 60 * 60 * 1000;

class People {
  phase = $state<LoadPhase>('loading');
  #byAddress = new SvelteMap<string, Contact>();
  /** Removed on the screen, with undo still open. */
  #hidden = new SvelteSet<string>();
  #freshness = new Freshness();
  #link: ContactLink | null = null;

  list = $derived(
    [...this.#byAddress.values()]
      .filter((contact) => !this.#hidden.has(contact.address))
      .sort((a, b) => a.display_name.localeCompare(b.display_name)),
  );
  /** Who can be asked into a group. */
  reachable = $derived(this.list.filter((contact) => contact.state === 'active' && !contact.blocked));

  find(address: string | undefined): Contact | undefined {
    return address === undefined || this.#hidden.has(address) ? undefined : this.#byAddress.get(address);
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

  async add(who: Whom): Promise<Contact> {
    const contact = await this.#take(api.addContact(who));
    if (!contact) throw new Error('a contact was added and is not there');
    return contact;
  }

  async change(address: string, changes: { display_name?: string; blocked?: boolean }): Promise<void> {
    await this.#take(api.changeContact(address, changes));
  }

  hide(address: string): void {
    this.#hidden.add(address);
  }

  unhide(address: string): void {
    this.#hidden.delete(address);
  }

  remove(address: string): void {
    this.#freshness.touch(address);
    this.#byAddress.delete(address);
    this.#hidden.delete(address);
  }

  /** What a call answers, unless an event came meanwhile: that one is newer than the answer. */
  async #take(call: Promise<Contact | null>): Promise<Contact | null> {
    const started = this.#freshness.begin();
    const contact = await call;
    if (contact && !this.#freshness.touchedSince(contact.address, started)) this.upsert(contact);
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
    this.#link = await api.makeLink(true);
    return this.#link;
  }

  /** It was withdrawn: the next one that is asked for is another. */
  forgetLink(id: string): void {
    if (this.#link?.id === id) this.#link = null;
  }
}

export const people = new People();

// Who is writing, until when. Marks fade by themselves: nobody says that they have stopped.
import { SvelteMap } from 'svelte/reactivity';
import type { Person } from '../api/types';

class Typing {
  #byConversation = new SvelteMap<string, Person[]>();
  #timers = new Map<string, ReturnType<typeof setTimeout>>();

  in(conversation: string): Person[] {
    return this.#byConversation.get(conversation) ?? [];
  }

  mark(conversation: string, person: Person, until: number): void {
    const key = `${conversation} ${person.address}`;
    clearTimeout(this.#timers.get(key));
    const others = this.in(conversation).filter((one) => one.address !== person.address);
    this.#byConversation.set(conversation, [...others, person]);
    const lasts = Math.min(Math.max(0, until - Date.now()), 15_000);
    this.#timers.set(key, setTimeout(() => this.clear(conversation, person), lasts));
  }

  clear(conversation: string, person: Person): void {
    const left = this.in(conversation).filter((one) => one.address !== person.address);
    this.#byConversation.set(conversation, left);
  }
}

export const typing = new Typing();

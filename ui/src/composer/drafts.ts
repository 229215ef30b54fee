// What was typed and not sent, kept by the local client a moment after the last key.
import { api } from '../api/client';
import { conversations } from '../state/conversations.svelte';

export const SAVES_AFTER_MS = 500;

export class DraftKeeper {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unsaved: string | undefined;

  constructor(private readonly conversation: string) {}

  changed(text: string): void {
    this.#unsaved = text;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), SAVES_AFTER_MS);
  }

  /** Forgets what was waiting: the text has been sent. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#unsaved = '';
    this.flush();
  }

  flush(last = false): void {
    clearTimeout(this.#timer);
    if (this.#unsaved === undefined) return;
    const text = this.#unsaved;
    this.#unsaved = undefined;
    const before = conversations.find(this.conversation)?.draft ?? '';
    if (text === before) return;
    conversations.change(this.conversation, { draft: text });
    // Unreachable: the text is still in the composer and is saved with the next key.
    api.saveDraft(this.conversation, text, last).catch(() => {
      conversations.change(this.conversation, { draft: before });
      this.#unsaved ??= text;
    });
  }
}

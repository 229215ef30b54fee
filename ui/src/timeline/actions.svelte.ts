// What can be done to a message. One object a conversation; rows, menus and composer share it.
import { api } from '../api/client';
import type { Message } from '../api/types';
import { copyText } from '../controls/copy';
import type { Place } from '../controls/place';
import { complain } from '../state/complain';
import type { Timeline } from '../state/timeline.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

export interface Opened {
  message: Message;
  at: Place;
}

export type ComposerMode = { kind: 'write' } | { kind: 'reply'; to: Message } | { kind: 'edit'; message: Message };

export class MessageActions {
  menu = $state.raw<Opened | null>(null);
  /** The quick row of reactions, or with `all` the whole picker. */
  picker = $state.raw<(Opened & { all: boolean }) | null>(null);
  mode = $state.raw<ComposerMode>({ kind: 'write' });
  /** Set by the list: scrolls to a message and marks it for a moment. */
  goTo: (id: string) => void = () => undefined;
  /** Set by the composer. */
  focusComposer: () => void = () => undefined;

  constructor(private readonly timeline: Timeline) {}

  openMenu(message: Message, at: Place): void {
    if (message.deleted) return;
    this.picker = null;
    this.menu = { message, at };
  }

  openReactions(message: Message, at: Place, all = false): void {
    if (message.deleted) return;
    this.menu = null;
    this.picker = { message, at, all };
  }

  /** A layer may hear late that it was closed; by then another may be open. */
  closeMenu(opened: Opened): void {
    if (this.menu === opened) this.menu = null;
  }

  closePicker(opened: Opened): void {
    if (this.picker === opened) this.picker = null;
  }

  reply(message: Message): void {
    if (!message.deleted) this.mode = { kind: 'reply', to: message };
  }

  edit(message: Message): void {
    this.mode = { kind: 'edit', message };
  }

  /** From the empty composer: the own message that was written last. */
  editLast(): void {
    const last = this.timeline.messages.findLast(
      (message) => message.sender.is_self && message.kind === 'text' && !message.deleted,
    );
    if (last) this.edit(last);
  }

  async copy(message: Message): Promise<void> {
    await copyText(message.text);
  }

  async react(message: Message, emoji: string, present: boolean): Promise<void> {
    try {
      await this.timeline.take(api.react(message.conversation_id, message.id, emoji, present));
    } catch (error) {
      complain(error);
    }
  }

  async retry(message: Message): Promise<void> {
    try {
      await this.timeline.take(api.retry(message.conversation_id, message.id));
    } catch (error) {
      complain(error);
    }
  }

  /** Gone from the screen at once; gone for everyone when undo is over. */
  delete(message: Message): void {
    const { conversation_id: conversation, id } = message;
    this.timeline.hide(id);
    toasts.undoable(words.message.wasDeleted, () => this.timeline.unhide(id), (last) => void this.#deleteForAll(conversation, id, last));
  }

  async #deleteForAll(conversation: string, id: string, last: boolean): Promise<void> {
    try {
      await api.deleteMessage(conversation, id, last);
      this.timeline.confirmHidden(id);
    } catch (error) {
      this.timeline.unhide(id);
      complain(error);
    }
  }
}

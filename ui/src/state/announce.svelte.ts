// Words for screen readers: one live region for the whole page, fed from here.
import type { Message } from '../api/types';
import { words } from '../words';
import { conversations } from './conversations.svelte';

class Announcer {
  text = $state('');

  say(text: string): void {
    // The same words twice are only read twice when the text differs.
    this.text = this.text === text ? `${text}\u00a0` : text;
  }
}

export const announcer = new Announcer();

export function announceArrival(message: Message, shown: boolean): void {
  const title = conversations.find(message.conversation_id)?.title ?? message.sender.display_name;
  announcer.say(
    shown
      ? words.announce.message(message.sender.display_name, message.text)
      : words.announce.elsewhere(message.sender.display_name, title),
  );
}

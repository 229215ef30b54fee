// System notifications: only when the page cannot be seen and the person has asked for them.
import type { Message } from '../api/types';
import { conversations } from './conversations.svelte';
import { router } from './route.svelte';
import { session } from './session.svelte';

const BODY_CHARACTERS_MAX = 160;

export function notifyArrival(message: Message): void {
  if (!session.settings.notifications || !document.hidden) return;
  if (!('Notification' in globalThis) || Notification.permission !== 'granted') return;
  const conversation = conversations.find(message.conversation_id);
  const inGroup = conversation?.kind === 'group';
  const notification = new Notification(conversation?.title ?? message.sender.display_name, {
    body: `${inGroup ? `${message.sender.display_name}: ` : ''}${message.text}`.slice(0, BODY_CHARACTERS_MAX),
    tag: message.conversation_id,
    icon: './icon.svg',
  });
  notification.onclick = () => {
    window.focus();
    router.go({ section: 'chats', id: message.conversation_id });
    notification.close();
  };
}

export type Permission = 'granted' | 'denied' | 'unavailable';

/** Asked from the settings only, never at start. */
export async function askForNotifications(): Promise<Permission> {
  if (!('Notification' in globalThis)) return 'unavailable';
  const answer = await Notification.requestPermission();
  return answer === 'granted' ? 'granted' : 'denied';
}

import { api } from '../api/client';
import type { Conversation } from '../api/types';
import { complain } from '../state/complain';
import { conversations } from '../state/conversations.svelte';
import { router } from '../state/route.svelte';
import { timelines } from '../state/timeline.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

/** Gone from the screen at once; really gone when undo is over. */
export function deleteConversation({ id, title }: Conversation): void {
  conversations.hide(id);
  if (router.current.id === id) router.replace({ section: 'chats' });
  const restore = () => conversations.unhide(id);
  toasts.undoable(words.conversation.deleted(title), restore, (last) => {
    api
      .deleteConversation(id, last)
      .then(() => {
        conversations.remove(id);
        timelines.forget(id);
      })
      .catch((error: unknown) => {
        restore();
        complain(error);
      });
  });
}

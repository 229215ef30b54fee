import { api } from '../api/client';
import type { Conversation } from '../api/types';
import { complain } from '../state/complain';
import { conversations } from '../state/conversations.svelte';
import { router } from '../state/route.svelte';
import { timelines } from '../state/timeline.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

/** Gone from the screen at once; really declined when undo is over. */
export function declineRequest({ id, title }: Conversation, how: { block: boolean; report: boolean }): void {
  conversations.hide(id);
  if (router.current.id === id) {
    router.replace(conversations.requests.length > 0 ? { section: 'chats', list: 'requests' } : { section: 'chats' });
  }
  const restore = () => conversations.unhide(id);
  toasts.undoable(how.block ? words.block.done(title) : words.requests.deleted(title), restore, (last) => {
    api
      .declineRequest(id, how, last)
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

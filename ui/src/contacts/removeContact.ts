import type { Contact } from '../api/types';
import { api } from '../api/client';
import { complain } from '../state/complain';
import { people } from '../state/people.svelte';
import { router } from '../state/route.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

/** Gone from the screen at once; really gone when undo is over. */
export function removeContact({ address, display_name }: Contact): void {
  people.hide(address);
  if (router.current.id === address) router.replace({ section: 'people' });
  const restore = () => people.unhide(address);
  toasts.undoable(words.people.removed(display_name), restore, (last) => {
    api
      .removeContact(address, last)
      .then(() => people.remove(address))
      .catch((error: unknown) => {
        restore();
        complain(error);
      });
  });
}

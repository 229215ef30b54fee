// Blocking somebody, with the way back at hand.
import { complain } from '../state/complain';
import { people } from '../state/people.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

/** Done at once; undo unblocks. */
export async function block(address: string, name: string): Promise<void> {
  try {
    await people.change(address, { blocked: true });
    toasts.undoable(words.block.done(name), () => void unblock(address), () => undefined);
  } catch (error) {
    complain(error);
  }
}

export async function unblock(address: string): Promise<void> {
  try {
    await people.change(address, { blocked: false });
  } catch (error) {
    complain(error);
  }
}

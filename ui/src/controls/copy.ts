import { words } from '../words';
import { toasts } from '../state/toasts.svelte';

export async function copyText(text: string, said = words.action.copied): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toasts.say(said);
  } catch {
    toasts.problem(words.problem.copy);
  }
}

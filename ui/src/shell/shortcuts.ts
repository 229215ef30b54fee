// Keys that work everywhere. Keys of a place (composer, message) live with that place.
import { conversations } from '../state/conversations.svelte';
import { openDialog, router } from '../state/route.svelte';

type Run = () => void;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}

/** What a key press stands for, or nothing. */
export function shortcutFor(event: KeyboardEvent): Run | undefined {
  if (document.querySelector('dialog[open]')) return undefined;
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey && !event.shiftKey) {
    if (event.key === 'k') return () => openDialog('switcher');
    if (event.key === '/') return () => openDialog('shortcuts');
    if (event.key === ',') return () => router.go({ section: 'settings' });
  }
  if (event.altKey && !command) {
    if (event.key === 'ArrowDown') return () => step(1);
    if (event.key === 'ArrowUp') return () => step(-1);
  }
  if (event.key === '?' && !isTyping(event.target)) return () => openDialog('shortcuts');
  return undefined;
}

function step(by: 1 | -1): void {
  const all = conversations.list;
  const at = all.findIndex((conversation) => conversation.id === router.current.id);
  const next = all[at < 0 ? 0 : (at + by + all.length) % all.length];
  if (next) router.go({ section: 'chats', id: next.id });
}

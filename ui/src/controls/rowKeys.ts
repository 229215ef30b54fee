/** Up and down in a list of links: the neighbour's link takes the focus. */
export function rowKeys(event: KeyboardEvent): void {
  const step = { ArrowDown: 'nextElementSibling', ArrowUp: 'previousElementSibling' }[event.key] as
    | 'nextElementSibling'
    | 'previousElementSibling'
    | undefined;
  const item = step && (document.activeElement?.closest('li')?.[step] as HTMLElement | null | undefined);
  const link = item?.querySelector('a');
  if (!link) return;
  event.preventDefault();
  link.focus();
}

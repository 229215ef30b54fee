// One field takes a link or a name: this tells them apart.

/** A name on one's own server, or a link; what is neither is taken for a link, which is refused in words. */
export function whoIsMeant(typed: string, ownServer: string): { link: string } | { name: string } {
  const text = typed.trim();
  const at = text.lastIndexOf('@');
  const name = at > 0 && text.slice(at + 1) === ownServer ? text.slice(0, at) : text.replace(/^@/, '');
  return /^[^\s/:#?@]{1,64}$/u.test(name) ? { name } : { link: text };
}

// Routes as text: #/chats/ID/info?open=add-contact

export type Section = 'chats' | 'people' | 'settings';
export type DialogName = 'add-contact' | 'new-group' | 'safety' | 'switcher' | 'shortcuts';

export interface Route {
  section: Section;
  /** A conversation's id in chats, an address in people. */
  id?: string;
  panel?: 'info';
  dialog?: DialogName;
  /** An invite that the page was opened with. */
  invite?: string;
}

const sections: readonly string[] = ['chats', 'people', 'settings'];
const dialogs: readonly string[] = ['add-contact', 'new-group', 'safety', 'switcher', 'shortcuts'];

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [section = '', id, panel] = path.split('/').map(decodeSafely);
  const params = new URLSearchParams(query);
  const route: Route = { section: sections.includes(section) ? (section as Section) : 'chats' };
  if (id) route.id = id;
  if (panel === 'info') route.panel = 'info';
  const dialog = params.get('open');
  if (dialog && dialogs.includes(dialog)) route.dialog = dialog as DialogName;
  const invite = params.get('invite');
  if (invite) route.invite = invite;
  return route;
}

export function routeHash(route: Route): string {
  const path = [route.section, route.id, route.id && route.panel]
    .filter((part): part is string => Boolean(part))
    .map(encodeURIComponent)
    .join('/');
  return `#/${path}${route.dialog ? `?open=${route.dialog}` : ''}`;
}

function decodeSafely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

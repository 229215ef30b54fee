// Routes as text: #/chats/ID/info?open=add-contact

export type Section = 'chats' | 'people' | 'settings';

const dialogs = [
  'add-contact',
  'add-members',
  'appoint-admin',
  'block-request',
  'edit-title',
  'evidence',
  'group-invite',
  'join-group',
  'join-requests',
  'link-device',
  'links',
  'new-group',
  'nickname',
  'phrase',
  'rename-device',
  'report',
  'restored',
  'revoke-device',
  'safety',
  'shortcuts',
  'switcher',
] as const;
export type DialogName = (typeof dialogs)[number];

/** Other ways to begin than an invite. */
const beginnings = ['device', 'restore'] as const;
export type Beginning = (typeof beginnings)[number];

export interface Route {
  section: Section;
  /** A conversation's id in chats, an address in people, a page in settings. */
  id?: string;
  panel?: 'info';
  /** Instead of the chats, the strangers who want to talk. */
  list?: 'requests';
  dialog?: DialogName;
  /** What the dialog is about, where that is not what is shown: a device, a message. */
  about?: string;
  /** Before there is an account. */
  begin?: Beginning;
  /** An invite that the page was opened with. */
  invite?: string;
}

const sections: readonly string[] = ['chats', 'people', 'settings'];

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [section = '', id, panel] = path.split('/').map(decodeSafely);
  const params = new URLSearchParams(query);
  const route: Route = { section: sections.includes(section) ? (section as Section) : 'chats' };
  if (id) route.id = id;
  if (panel === 'info') route.panel = 'info';
  if (params.get('list') === 'requests') route.list = 'requests';
  const dialog = dialogs.find((name) => name === params.get('open'));
  if (dialog) route.dialog = dialog;
  const about = params.get('about');
  if (about) route.about = about;
  const begin = beginnings.find((name) => name === params.get('begin'));
  if (begin) route.begin = begin;
  const invite = params.get('invite');
  if (invite) route.invite = invite;
  return route;
}

export function routeHash(route: Route): string {
  const path = [route.section, route.id, route.id && route.panel]
    .filter((part): part is string => Boolean(part))
    .map(encodeURIComponent)
    .join('/');
  const query = new URLSearchParams();
  if (route.list) query.set('list', route.list);
  if (route.dialog) query.set('open', route.dialog);
  if (route.dialog && route.about) query.set('about', route.about);
  if (route.begin) query.set('begin', route.begin);
  return `#/${path}${query.size > 0 ? `?${query}` : ''}`;
}

function decodeSafely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}

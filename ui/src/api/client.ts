// Typed calls to the local client. Everything that leaves the page goes through request().
import type {
  ApiError,
  BackupMade,
  Contact,
  ContactLink,
  Conversation,
  Device,
  DeviceLink,
  DeviceRequest,
  Evidence,
  FoundBackup,
  GroupInvite,
  HistoryLength,
  InviteInfo,
  JoinRequest,
  Message,
  MessagePage,
  NoticeAction,
  Role,
  SafetyNumber,
  Settings,
  State,
} from './types';

/** The client answered and refused; `message` is a sentence for the person. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'Refused';
  }
}

/** Nobody answered: the client is not running, or is starting. */
export class Unreachable extends Error {
  constructor() {
    super('unreachable');
    this.name = 'Unreachable';
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

const reactsToSignedOut = new Set<() => void>();

export function onSignedOut(listener: () => void): void {
  reactsToSignedOut.add(listener);
}

async function request<T>(method: Method, path: string, body?: unknown, last = false): Promise<T> {
  const response = await answered(method, path, body, last);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

async function answered(method: Method, path: string, body: unknown, last: boolean): Promise<Response> {
  const init: RequestInit = { method, credentials: 'same-origin', keepalive: last };
  if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  let response: Response;
  try {
    response = await fetch(`/api${path}`, init);
  } catch {
    throw new Unreachable();
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<Refused> {
  let code = 'unexpected_answer';
  let message = '';
  try {
    const parsed = (await response.json()) as ApiError;
    code = parsed.error.code;
    message = parsed.error.message;
  } catch {
    // A body that is not ours: the status alone has to do.
  }
  if (response.status === 401) reactsToSignedOut.forEach((listener) => listener());
  return new Refused(response.status, code, message);
}

const conversationPath = (id: string) => `/conversations/${encodeURIComponent(id)}`;
const groupPath = (id: string, part: string) => `${conversationPath(id)}/${part}`;
const memberPath = (id: string, address: string) => groupPath(id, `members/${encodeURIComponent(address)}`);
const contactPath = (address: string) => `/contacts/${encodeURIComponent(address)}`;
const messagePath = (conversation: string, message: string) =>
  `${conversationPath(conversation)}/messages/${encodeURIComponent(message)}`;

/** Whom to add. Other keys than the known ones are only taken when the person has said so. */
export type Whom = { link: string; accept_other_keys?: true } | { name: string };

/** The newest messages, those before or after a position, or those around a message. */
export type PageRequest = { limit: number } & ({ before?: number } | { after: number } | { around: string });

export const api = {
  state: () => request<State>('GET', '/state'),
  inspectInvite: (invite: string) => request<InviteInfo>('POST', '/invites/inspect', { invite }),
  join: (invite: string, name: string) => request<State>('POST', '/join', { invite, name }),

  conversations: () => request<Conversation[]>('GET', '/conversations'),
  conversation: (id: string) => request<Conversation>('GET', conversationPath(id)),
  deleteConversation: (id: string, last = false) =>
    request<void>('DELETE', conversationPath(id), undefined, last),
  acceptRequest: (id: string) => request<Conversation>('POST', `${conversationPath(id)}/accept`),
  messages: (id: string, page: PageRequest) => {
    const query = new URLSearchParams(Object.entries(page).map(([name, value]) => [name, String(value)]));
    return request<MessagePage>('GET', `${conversationPath(id)}/messages?${query}`);
  },
  send: (id: string, text: string, replyTo?: string) =>
    request<Message>('POST', `${conversationPath(id)}/messages`, {
      text,
      ...(replyTo === undefined ? {} : { reply_to: replyTo }),
    }),
  editMessage: (conversation: string, message: string, text: string) =>
    request<Message>('PUT', messagePath(conversation, message), { text }),
  deleteMessage: (conversation: string, message: string, last = false) =>
    request<void>('DELETE', messagePath(conversation, message), undefined, last),
  react: (conversation: string, message: string, emoji: string, present: boolean) =>
    request<Message>('POST', `${messagePath(conversation, message)}/reactions`, { emoji, present }),
  retry: (conversation: string, message: string) =>
    request<Message>('POST', `${messagePath(conversation, message)}/retry`),
  markRead: (id: string, through: number) =>
    request<void>('POST', `${conversationPath(id)}/read`, { through }),
  saveDraft: (id: string, text: string, last = false) =>
    request<void>('PUT', `${conversationPath(id)}/draft`, { text }, last),
  typing: (id: string) => request<void>('POST', `${conversationPath(id)}/typing`),
  safety: (id: string) => request<SafetyNumber>('GET', `${conversationPath(id)}/safety`),
  setVerified: (id: string, verified: boolean) =>
    request<SafetyNumber>('PUT', `${conversationPath(id)}/safety`, { verified }),

  matchesSafety: (id: string, code: string) =>
    request<SafetyNumber & { matches: boolean }>('POST', `${conversationPath(id)}/safety/scan`, { code }),
  declineRequest: (id: string, how: { block: boolean; report: boolean }, last = false) =>
    request<void>('POST', `${conversationPath(id)}/decline`, how, last),
  answerNotice: (id: string, action: NoticeAction, last = false) =>
    request<Conversation>('POST', `${conversationPath(id)}/notice`, { action }, last),
  evidence: (id: string) => request<Evidence[]>('GET', `${conversationPath(id)}/evidence`),
  report: (conversation: string, messages: string[], note: string) =>
    request<void>('POST', '/reports', { conversation, messages, note }),

  createGroup: (title: string, members: string[]) =>
    request<Conversation>('POST', '/groups', { title, members }),
  joinGroup: (link: string) => request<Conversation>('POST', '/groups/join', { link }),
  setGroupTitle: (id: string, title: string) => request<Conversation>('PUT', groupPath(id, 'group'), { title }),
  setGroupPicture: (id: string, picture: { image: string; media_type: string } | null) =>
    request<Conversation>('PUT', groupPath(id, 'picture'), picture ?? { image: null }),
  addMembers: (id: string, members: string[]) => request<Conversation>('POST', groupPath(id, 'members'), { members }),
  removeMember: (id: string, address: string, last = false) =>
    request<Conversation>('DELETE', memberPath(id, address), undefined, last),
  setRole: (id: string, address: string, role: Role) => request<Conversation>('PUT', memberPath(id, address), { role }),
  leaveGroup: (id: string, last = false) => request<void>('POST', groupPath(id, 'leave'), undefined, last),
  invite: (id: string) => request<GroupInvite | null>('GET', groupPath(id, 'invite')),
  makeInvite: (id: string) => request<GroupInvite>('POST', groupPath(id, 'invite')),
  withdrawInvite: (id: string) => request<void>('DELETE', groupPath(id, 'invite')),
  joinRequests: (id: string) => request<JoinRequest[]>('GET', groupPath(id, 'join-requests')),
  answerJoinRequest: (id: string, address: string, accept: boolean) =>
    request<Conversation>('POST', groupPath(id, `join-requests/${encodeURIComponent(address)}`), { accept }),

  contacts: () => request<Contact[]>('GET', '/contacts'),
  addContact: (who: Whom) => request<Contact>('POST', '/contacts', who),
  /** Null where they are no contact. */
  changeContact: (address: string, changes: { display_name?: string; blocked?: boolean }) =>
    request<Contact | null>('PUT', contactPath(address), changes),
  removeContact: (address: string, last = false) => request<void>('DELETE', contactPath(address), undefined, last),
  links: () => request<ContactLink[]>('GET', '/contacts/links'),
  makeLink: (fresh = false) => request<ContactLink>('POST', '/contacts/link', { fresh }),
  withdrawLink: (id: string) => request<void>('DELETE', `/contacts/links/${encodeURIComponent(id)}`),

  devices: () => request<Device[]>('GET', '/devices'),
  renameDevice: (id: string, name: string) => request<Device>('PUT', `/devices/${encodeURIComponent(id)}`, { name }),
  revokeDevice: (id: string, phrase?: string) =>
    request<Device[]>('DELETE', `/devices/${encodeURIComponent(id)}`, phrase === undefined ? {} : { phrase }),
  makeDeviceLink: () => request<DeviceLink>('POST', '/devices/link'),
  deviceRequests: () => request<DeviceRequest[]>('GET', '/devices/requests'),
  answerDeviceRequest: (id: string, accept: boolean, history: HistoryLength) =>
    request<void>('POST', `/devices/requests/${encodeURIComponent(id)}`, { accept, history }),
  acceptDeviceLink: (link: string, name: string) => request<State>('POST', '/devices/accept', { link, name }),

  phrase: () => request<{ words: string[] }>('GET', '/recovery/phrase'),
  confirmPhrase: (words: string[]) => request<State>('POST', '/recovery/confirm', { words }),
  lookForBackup: (from: { address?: string; server_link?: string; phrase: string; file?: string }) =>
    request<FoundBackup>('POST', '/recovery/look', from),
  useBackup: (keepDevices: boolean) => request<State>('POST', '/recovery/use', { keep_devices: keepDevices }),
  forgetBackup: () => request<void>('DELETE', '/recovery/restore'),
  backUp: () => request<BackupMade>('POST', '/backups'),
  backupFile: async () => (await answered('GET', '/backups/file', undefined, false)).blob(),

  saveSettings: (changes: Partial<Settings>) => request<Settings>('PUT', '/settings', changes),
  quit: () => request<void>('POST', '/quit'),
};

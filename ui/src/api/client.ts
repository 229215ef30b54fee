// Typed calls to the local client. Everything that leaves the page goes through request().
import type {
  ApiError,
  Contact,
  ContactLink,
  Conversation,
  InviteInfo,
  Message,
  MessagePage,
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
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
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
const messagePath = (conversation: string, message: string) =>
  `${conversationPath(conversation)}/messages/${encodeURIComponent(message)}`;

export interface PageRequest {
  before?: number;
  limit: number;
}

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
    const query = new URLSearchParams({ limit: String(page.limit) });
    if (page.before !== undefined) query.set('before', String(page.before));
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

  createGroup: (title: string, members: string[]) =>
    request<Conversation>('POST', '/groups', { title, members }),
  contacts: () => request<Contact[]>('GET', '/contacts'),
  addContact: (link: string) => request<Contact>('POST', '/contacts', { link }),
  makeLink: () => request<ContactLink>('POST', '/contacts/link'),
  saveSettings: (changes: Partial<Settings>) => request<Settings>('PUT', '/settings', changes),
  quit: () => request<void>('POST', '/quit'),
};

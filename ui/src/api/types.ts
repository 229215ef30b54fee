// The loopback API's shapes, as docs/loopback-api/README.md describes them.
// Times are unix milliseconds; addresses are name@host[:port].

export type ConnectionStatus = 'connected' | 'connecting' | 'offline';

export interface ServerConnection {
  server: string;
  status: ConnectionStatus;
  /** When this status began. */
  since: number;
  /** What a person can do about it, in words; absent while all is well. */
  advice?: string;
}

export interface Account {
  address: string;
  name: string;
  server: string;
}

export interface Settings {
  theme: 'system' | 'light' | 'dark';
  read_receipts: boolean;
  typing_indicators: boolean;
  notifications: boolean;
}

export interface State {
  version: string;
  profile: string;
  /** null until the person has joined a server. */
  account: Account | null;
  connections: ServerConnection[];
  settings: Settings;
  unread_total: number;
}

export interface Person {
  address: string;
  display_name: string;
  is_self: boolean;
}

export interface Member extends Person {
  role: 'admin' | 'member';
}

export type ConversationState =
  | 'active'
  /** Being set up: the other side's keys are not here yet; what is written is queued. */
  | 'pending'
  /** Somebody unknown wants to talk: accept or delete. */
  | 'request'
  /** Stopped for a security reason; paused_reason says it in words. */
  | 'paused';

export type DeliveryState = 'queued' | 'sent' | 'delivered' | 'read' | 'failed';

export interface MessagePreview {
  sender: Person;
  text: string;
  sent_at: number;
  /** Own messages only. */
  delivery?: DeliveryState;
}

export interface Conversation {
  id: string;
  kind: 'direct' | 'group';
  title: string;
  /** The other person's address; direct conversations only. */
  peer?: string;
  members: Member[];
  last_message: MessagePreview | null;
  /** Time of the last message, or of the conversation's making. */
  updated_at: number;
  unread_count: number;
  draft: string;
  state: ConversationState;
  paused_reason?: string;
}

export interface ReplyReference {
  id: string;
  sender: Person;
  text: string;
}

export interface Reaction {
  emoji: string;
  count: number;
  own: boolean;
}

export interface Message {
  id: string;
  conversation_id: string;
  sender: Person;
  /** 'event' rows are notes such as "Alice made the group"; text holds the words. */
  kind: 'text' | 'event';
  text: string;
  sent_at: number;
  /** Sort ascending by this; it can change once, when a queued message gets its place. */
  position: number;
  /** Own messages only. */
  delivery?: DeliveryState;
  /** With delivery 'failed': what went wrong and what to do. */
  failure?: string;
  edited: boolean;
  deleted: boolean;
  reply_to?: ReplyReference;
  reactions: Reaction[];
}

export interface MessagePage {
  /** Ascending by position. */
  messages: Message[];
  has_more: boolean;
}

export interface Contact {
  address: string;
  display_name: string;
  conversation_id: string;
  state: 'adding' | 'active' | 'failed';
  failure?: string;
  verified: boolean;
}

export interface ContactLink {
  link: string;
  /** A complete <svg> element, black on white with its quiet zone. */
  qr_svg: string;
  expires_at: number;
}

export interface SafetyNumber {
  /** Twelve groups of five digits. */
  digits: string[];
  qr_svg: string;
  verified: boolean;
}

export interface InviteInfo {
  server: string;
}

export interface ApiError {
  error: {
    /** Stable, snake_case. */
    code: string;
    /** A sentence for a person: what was wrong and what to do. */
    message: string;
  };
}

export type ServerEvent =
  | { type: 'state'; data: State }
  | { type: 'conversation'; data: Conversation }
  | { type: 'conversation_removed'; data: { id: string } }
  | { type: 'message'; data: Message }
  | { type: 'contact'; data: Contact }
  | { type: 'typing'; data: { conversation_id: string; person: Person; until: number } };

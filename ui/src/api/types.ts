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
  /** Whether others on one's own server can ask by name. */
  findable: boolean;
}

/** A new device on its way into an account. */
export interface Linking {
  state: 'asking' | 'waiting' | 'receiving' | 'failed';
  /** To compare with the other device's. */
  code?: string;
  /** What went wrong, and what to do. */
  words?: string;
}

/** A chat with which something is wrong, and what is being done about it. */
export interface Healing {
  conversation_id: string;
  title: string;
  since: number;
  /** How often help was asked for. */
  requests: number;
  notice: Notice;
}

/** A place in a chat's log, with the head of the chain there. */
export interface SeenPosition {
  seq: number;
  head: string;
}

/** What showed that a chat was tampered with. All bytes are hexadecimal. */
export interface Evidence {
  at: number;
  channel: string;
  what: string;
  epoch?: number;
  /** The log as this device sees it, and as it was told. */
  ours?: SeenPosition;
  theirs?: SeenPosition;
  authenticators?: [string, string];
  /** Who told it; absent: the server itself. */
  told_by?: string;
  /** Whom it proves to have done it; absent: nobody can be blamed. */
  culprit?: string;
  /** The culprit's signed statement. */
  statement?: string;
}

export interface BackupState {
  /** When the newest automatic backup was made. */
  at: number | null;
  /** Whether the last trial showed that it can be restored; null before the first. */
  ok: boolean | null;
  words?: string;
}

/** What a restore brought back. */
export interface Restored {
  at: number;
  /** When the backup was made that was used; null: there was none. */
  backup_at: number | null;
  words: string;
}

/** A backup that was opened, before it is used. */
export interface FoundBackup {
  at: number | null;
  messages: number;
  contacts: number;
  words?: string;
}

export interface State {
  version: string;
  profile: string;
  /** null until the person has joined a server. */
  account: Account | null;
  connections: ServerConnection[];
  settings: Settings;
  unread_total: number;
  requests_total: number;
  /** Chats with which something is wrong. */
  healing: Healing[];
  linking?: Linking;
  recovery: { confirmed: boolean; backup: BackupState; restored?: Restored };
  /** This one; absent before there is an account. */
  device?: Device;
  limits: { group_members: number };
}

export interface Device {
  id: string;
  name: string;
  is_this: boolean;
  added_at: number;
  revoked_at?: number;
}

export interface DeviceLink {
  link: string;
  /** A complete <svg> element. */
  qr: string;
  expires_at: number;
}

/** A device that has used a link, and waits to be let in. */
export interface DeviceRequest {
  id: string;
  name: string;
  code: string;
  at: number;
}

/** How much of the past a new device is given. */
export type HistoryLength = 'all' | 'month' | 'none';

export interface Person {
  address: string;
  display_name: string;
  is_self: boolean;
}

export type Role = 'admin' | 'member';

export interface Member extends Person {
  role: Role;
  verified: boolean;
  /** On the way in or out until the group's next change is done. */
  state: 'member' | 'adding' | 'leaving';
  devices: number;
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

export type NoticeAction = 'accept_keys' | 'compare' | 'continue' | 'leave';

/** Something that a person should know or decide about a conversation. */
export interface Notice {
  kind: 'key_changed' | 'fork' | 'healing' | 'removed' | 'lost';
  text: string;
  actions: NoticeAction[];
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
  /** Groups: what I may do. */
  my_role?: Role;
  /** Where the group's picture is; the path changes with the picture. */
  picture?: string;
  blocked?: boolean;
  /** Groups: I am no longer in it. */
  left?: boolean;
  /** Groups: people who came by the link and wait for an admin. */
  join_requests?: number;
  notice?: Notice;
}

export interface GroupInvite {
  link: string;
  qr: string;
  expires_at: number;
  uses: number;
}

export interface JoinRequest {
  address: string;
  display_name: string;
  at: number;
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
  /** Groups: from somebody whom I have blocked; shown only when asked for. */
  from_blocked?: boolean;
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
  /** Whether there are earlier ones, and later ones. */
  has_more: boolean;
  has_newer: boolean;
}

export interface Contact {
  address: string;
  display_name: string;
  /** Absent where somebody is blocked and no contact. */
  conversation_id?: string;
  state: 'adding' | 'active' | 'failed';
  failure?: string;
  verified: boolean;
  blocked: boolean;
  /** A notice about their keys waits in a conversation. */
  key_changed: boolean;
  /** Where only their server vouches for their keys: what that means and what to do. */
  unvouched?: string;
}

export interface ContactLink {
  id: string;
  link: string;
  /** A complete <svg> element, black on white with its quiet zone. */
  qr_svg: string;
  expires_at: number;
  /** How many people have used it. */
  used: number;
}

export interface SafetyNumber {
  /** Twelve groups of five digits. */
  digits: string[];
  /** What the code to scan holds. */
  code: string;
  qr_svg: string;
  verified: boolean;
  /** Only as the answer to a scan. */
  matches?: boolean;
}

export interface BackupMade {
  at: number;
  bytes: number;
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
  | { type: 'device'; data: Device[] }
  | { type: 'device_request'; data: DeviceRequest[] }
  | { type: 'typing'; data: { conversation_id: string; person: Person; until: number } };

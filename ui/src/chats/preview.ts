// The one line under a name. What the person must act on outranks a draft, a draft outranks news.
import type { Conversation, DeliveryState, MessagePreview, Notice } from '../api/types';
import { words } from '../words';

export interface Preview {
  tone: 'plain' | 'draft' | 'problem' | 'notice' | 'muted';
  /** Stands before the text in its own weight: "Draft:", "You:", a sender. */
  lead: string;
  text: string;
  delivery?: DeliveryState;
}

/** Healing goes on by itself; everything else that is noticed waits for the person. */
export function stopsWriting(notice: Notice | undefined): boolean {
  return notice !== undefined && notice.kind !== 'healing';
}

/** On a device that was removed every chat has ended: there the last words say more than that. */
export function previewOf(conversation: Conversation, open: boolean, ended = false): Preview {
  const last = conversation.last_message;
  if (!ended || !last) return previewOfLive(conversation, open);
  return plain(conversation, last);
}

function previewOfLive(conversation: Conversation, open: boolean): Preview {
  const last = conversation.last_message;
  if (conversation.notice?.kind === 'removed') return { tone: 'muted', lead: '', text: words.chats.removed };
  if (conversation.left) return { tone: 'muted', lead: '', text: words.chats.left };
  if (conversation.blocked) return { tone: 'muted', lead: '', text: words.chats.blocked };
  if (conversation.state === 'paused' || stopsWriting(conversation.notice)) {
    return { tone: 'problem', lead: '', text: words.chats.paused };
  }
  if (last?.delivery === 'failed') return { tone: 'problem', lead: words.chats.notSent, text: last.text };
  if (conversation.draft.trim() && !open) {
    return { tone: 'draft', lead: words.chats.draft, text: conversation.draft };
  }
  if (conversation.state === 'request') return { tone: 'notice', lead: '', text: words.chats.wantsToTalk };
  if (!last) {
    const waiting = conversation.kind === 'group' ? words.chats.pendingGroup : words.chats.pending;
    const text = conversation.state === 'pending' ? waiting : words.chats.noMessages;
    return { tone: 'muted', lead: '', text };
  }
  return plain(conversation, last);
}

function plain(conversation: Conversation, last: MessagePreview): Preview {
  // Only a message that was deleted has no words.
  if (!last.text) return { tone: 'muted', lead: '', text: words.timeline.deleted };
  const preview: Preview = { tone: 'plain', lead: '', text: last.text };
  if (last.delivery) preview.delivery = last.delivery;
  if (conversation.kind === 'group') {
    preview.lead = last.sender.is_self ? words.chats.you : `${last.sender.display_name}:`;
  }
  return preview;
}

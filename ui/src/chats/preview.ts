// The one line under a name. What the person must act on outranks a draft, a draft outranks news.
import type { Conversation, DeliveryState } from '../api/types';
import { words } from '../words';

export interface Preview {
  tone: 'plain' | 'draft' | 'problem' | 'notice' | 'muted';
  /** Stands before the text in its own weight: "Draft:", "You:", a sender. */
  lead: string;
  text: string;
  delivery?: DeliveryState;
}

export function previewOf(conversation: Conversation, open: boolean): Preview {
  const last = conversation.last_message;
  if (conversation.state === 'paused') return { tone: 'problem', lead: '', text: words.chats.paused };
  if (last?.delivery === 'failed') return { tone: 'problem', lead: words.chats.notSent, text: last.text };
  if (conversation.draft.trim() && !open) {
    return { tone: 'draft', lead: words.chats.draft, text: conversation.draft };
  }
  if (conversation.state === 'request') return { tone: 'notice', lead: '', text: words.chats.wantsToTalk };
  if (!last) {
    const text = conversation.state === 'pending' ? words.chats.pending : words.chats.noMessages;
    return { tone: 'muted', lead: '', text };
  }
  // Only a message that was deleted has no words.
  if (!last.text) return { tone: 'muted', lead: '', text: words.timeline.deleted };
  const preview: Preview = { tone: 'plain', lead: '', text: last.text };
  if (last.delivery) preview.delivery = last.delivery;
  if (conversation.kind === 'group') {
    preview.lead = last.sender.is_self ? words.chats.you : `${last.sender.display_name}:`;
  }
  return preview;
}

import { describe, expect, it } from 'vitest';
import type { Conversation } from '../api/types';
import { anna, me } from '../timeline/sample';
import { words } from '../words';
import { previewOf } from './preview';

const base: Conversation = {
  id: 'c1',
  kind: 'direct',
  title: 'Anna',
  members: [],
  last_message: { sender: anna, text: 'Hello', sent_at: 1 },
  updated_at: 1,
  unread_count: 0,
  draft: '',
  state: 'active',
};
const failed = { sender: me, text: 'Lost', sent_at: 1, delivery: 'failed' as const };

describe('previewOf', () => {
  it('puts danger before failure before drafts before news', () => {
    const everything: Conversation = { ...base, draft: 'half', last_message: failed };
    expect(previewOf({ ...everything, state: 'paused' }, false).text).toBe(words.chats.paused);
    expect(previewOf(everything, false).lead).toBe(words.chats.notSent);
    expect(previewOf({ ...base, draft: 'half' }, false)).toMatchObject({ tone: 'draft', text: 'half' });
    expect(previewOf(base, false)).toMatchObject({ tone: 'plain', text: 'Hello' });
  });

  it('says what has become of a conversation before what was said in it', () => {
    const notice = (kind: 'healing' | 'fork' | 'removed') => ({ kind, text: '', actions: [] });
    expect(previewOf({ ...base, left: true }, false).text).toBe(words.chats.left);
    expect(previewOf({ ...base, left: true, notice: notice('removed') }, false).text).toBe(words.chats.removed);
    expect(previewOf({ ...base, blocked: true }, false).text).toBe(words.chats.blocked);
    expect(previewOf({ ...base, notice: notice('fork') }, false)).toMatchObject({ tone: 'problem', text: words.chats.paused });
    expect(previewOf({ ...base, notice: notice('healing') }, false).text).toBe('Hello');
    expect(previewOf({ ...base, kind: 'group', state: 'pending', last_message: null }, false).text).toBe(words.chats.pendingGroup);
  });

  it('shows no draft for the conversation that is open', () => {
    expect(previewOf({ ...base, draft: 'half' }, true).tone).toBe('plain');
  });

  it('says of a deleted message that it was deleted', () => {
    const deleted = { sender: anna, text: '', sent_at: 1 };
    expect(previewOf({ ...base, last_message: deleted }, false)).toMatchObject({ tone: 'muted', text: words.timeline.deleted });
  });

  it('names the writer in groups only', () => {
    expect(previewOf({ ...base, kind: 'group' }, false).lead).toBe('Anna:');
    expect(previewOf(base, false).lead).toBe('');
  });
});

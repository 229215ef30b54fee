// Messages for tests.
import type { Message, Person } from '../api/types';

export const me: Person = { address: 'mira@x', display_name: 'Mira', is_self: true };
export const anna: Person = { address: 'anna@x', display_name: 'Anna', is_self: false };

export function sample(position: number, fields: Partial<Message> = {}): Message {
  return {
    id: `m${position}`,
    conversation_id: 'c1',
    sender: anna,
    kind: 'text',
    text: `message ${position}`,
    sent_at: Date.UTC(2026, 10, 20, 12) + position * 1_000,
    position,
    edited: false,
    deleted: false,
    reactions: [],
    ...fields,
  };
}

import { expect, it, vi } from 'vitest';
import type { Conversation, Member } from '../api/types';

vi.mock('../state/conversations.svelte', () => ({ conversations: {} }));
vi.mock('../state/toasts.svelte', () => ({ toasts: {} }));
const { inOrder, isLastAdmin, isOutside } = await import('./membership');

const member = (name: string, fields: Partial<Member> = {}): Member => ({
  address: `${name}@x`,
  display_name: name,
  is_self: false,
  role: 'member',
  verified: false,
  state: 'member',
  devices: 1,
  ...fields,
});
const group = (members: Member[], my_role: 'admin' | 'member' = 'admin') => ({ members, my_role }) as Conversation;
const me = member('mira', { is_self: true, role: 'admin' });

it('knows when nobody else could look after the group', () => {
  expect(isLastAdmin(group([me, member('anna')]))).toBe(true);
  expect(isLastAdmin(group([me, member('anna', { role: 'admin' })]))).toBe(false);
  expect(isLastAdmin(group([me, member('anna', { role: 'admin', state: 'leaving' }), member('jun')]))).toBe(true);
  expect(isLastAdmin(group([me]))).toBe(false);
  expect(isLastAdmin(group([{ ...me, role: 'member' }, member('anna')], 'member'))).toBe(false);
});

it('tells a group that I have asked to join from one that I am making', () => {
  const pending = (members: Member[], fields: Partial<Conversation> = {}) =>
    ({ kind: 'group', state: 'pending', members, ...fields }) as Conversation;
  expect(isOutside(pending([]))).toBe(true);
  expect(isOutside(pending([member('mira', { is_self: true })]))).toBe(true);
  expect(isOutside(pending([me]))).toBe(false);
  expect(isOutside(pending([], { my_role: 'member' }))).toBe(false);
  expect(isOutside(pending([], { state: 'active' }))).toBe(false);
});

it('lists me first, then the admins, then everybody by name', () => {
  const members = [member('zoe'), member('anna'), member('bo', { role: 'admin' }), me];
  expect(inOrder(members).map(({ display_name }) => display_name)).toEqual(['mira', 'bo', 'anna', 'zoe']);
});

// Changes to who is in a group. What can be taken back is done on the screen first, for real when undo is over.
import { api } from '../api/client';
import type { Conversation, Member, Role } from '../api/types';
import { complain } from '../state/complain';
import { conversations } from '../state/conversations.svelte';
import { toasts } from '../state/toasts.svelte';
import { words } from '../words';

/** True when nobody else could look after the group once I am gone. */
export function isLastAdmin(conversation: Conversation): boolean {
  const others = conversation.members.filter((member) => !member.is_self && member.state !== 'leaving');
  return conversation.my_role === 'admin' && others.length > 0 && others.every((member) => member.role !== 'admin');
}

/** I have asked to join, and nobody has let me in yet. */
export function isOutside(conversation: Conversation): boolean {
  const inside = conversation.my_role !== undefined || conversation.members.some((member) => member.is_self && member.role === 'admin');
  return conversation.kind === 'group' && conversation.state === 'pending' && !inside;
}

/** Me first, then admins, then everybody by name. */
export function inOrder(members: readonly Member[]): Member[] {
  const rank = (member: Member) => (member.is_self ? 0 : member.role === 'admin' ? 1 : 2);
  return [...members].sort((a, b) => rank(a) - rank(b) || a.display_name.localeCompare(b.display_name));
}

export function removeMember(conversation: Conversation, member: Member): void {
  const members = conversation.members.map((one): Member =>
    one.address === member.address ? { ...one, state: 'leaving' } : one,
  );
  const restore = () => conversations.unpretend(conversation.id);
  conversations.pretend(conversation.id, { members });
  toasts.undoable(words.members.removed(member.display_name), restore, (last) => {
    conversations
      .take(api.removeMember(conversation.id, member.address, last))
      .catch(complain)
      .finally(restore);
  });
}

/** Where nothing can be said to the others any more, leaving is a matter of this person alone. */
export function leaveGroup(conversation: Conversation, how: (id: string, last: boolean) => Promise<unknown> = api.leaveGroup): void {
  const restore = () => conversations.unpretend(conversation.id);
  conversations.pretend(conversation.id, { left: true });
  toasts.undoable(words.members.youLeft(conversation.title), restore, (last) => {
    how(conversation.id, last)
      .then(() => conversations.change(conversation.id, { left: true }))
      .catch(complain)
      .finally(restore);
  });
}

export async function setRole(conversation: Conversation, member: Member, role: Role): Promise<void> {
  try {
    await conversations.take(api.setRole(conversation.id, member.address, role));
  } catch (error) {
    complain(error);
  }
}

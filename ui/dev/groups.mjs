// Development only: what is done to a group.
import { missing, problem } from './answers.mjs';
import { qrSvg } from './qr.mjs';
import { DAY } from './world.mjs';

const ADDED_AFTER_MS = 700;

function renewed(world, conversation) {
  world.emit('conversation', conversation);
  return [200, { ...conversation }];
}

function note(world, conversation, text) {
  world.emit('message', world.put(conversation, world.self, text, Date.now(), { kind: 'event', delivery: undefined }));
}

function addMembers(world, conversation, addresses) {
  for (const address of addresses) {
    const person = { address, display_name: world.contacts.get(address)?.display_name ?? address.split('@')[0], is_self: false };
    conversation.members = [...conversation.members, world.member(person, 'member', 'adding')];
  }
  setTimeout(() => {
    conversation.members = conversation.members.map((member) => (addresses.includes(member.address) ? { ...member, state: 'member' } : member));
    world.emit('conversation', conversation);
  }, ADDED_AFTER_MS);
  note(world, conversation, `You added ${addresses.map((address) => world.contacts.get(address)?.display_name ?? address).join(' and ')}`);
  return renewed(world, conversation);
}

function aboutMember(world, conversation, method, address, body) {
  const member = conversation.members.find((one) => one.address === address);
  if (!member) return missing;
  if (method === 'PUT') {
    conversation.members = conversation.members.map((one) => (one === member ? { ...one, role: body.role } : one));
    if (member.is_self) conversation.my_role = body.role;
  } else {
    conversation.members = conversation.members.filter((one) => one !== member);
    note(world, conversation, `You removed ${member.display_name}`);
  }
  return renewed(world, conversation);
}

function setPicture(world, conversation, method, { image, media_type }) {
  if (method === 'GET') return [200, world.pictures.get(conversation.id)];
  if (image) {
    world.pictures.set(conversation.id, { bytes: Buffer.from(image, 'base64'), type: media_type });
    conversation.picture = `/conversations/${conversation.id}/picture?v=${world.nextId++}`;
  } else delete conversation.picture;
  return renewed(world, conversation);
}

function invite(world, conversation, method) {
  if (method === 'DELETE') world.invites.delete(conversation.id);
  if (method === 'DELETE') return [204];
  if (method === 'POST') {
    const link = `aside://home.example.org/group/mira#${'h7Gd2kQx9vTn4bYw6mRz1pLs8cJfTa3E'}`;
    world.invites.set(conversation.id, { link, qr: qrSvg(link), expires_at: world.now + 7 * DAY, uses: 0 });
  }
  return [200, world.invites.get(conversation.id) ?? null];
}

function answerRequest(world, conversation, address, { accept }) {
  const waiting = world.joinRequests.get(conversation.id) ?? [];
  const request = waiting.find((one) => one.address === address);
  if (!request) return missing;
  world.joinRequests.set(conversation.id, waiting.filter((one) => one !== request));
  conversation.join_requests -= 1;
  if (accept) {
    const person = { address, display_name: request.display_name, is_self: false };
    conversation.members = [...conversation.members, world.member(person, 'member', 'adding')];
  }
  return renewed(world, conversation);
}

export function aboutGroup(world, conversation, method, [verb, who], body) {
  if (verb === 'group') {
    conversation.title = body.title;
    return renewed(world, conversation);
  }
  if (verb === 'picture') return setPicture(world, conversation, method, body);
  if (verb === 'members' && who) return aboutMember(world, conversation, method, who, body);
  if (verb === 'members') return addMembers(world, conversation, body.members);
  if (verb === 'invite') return invite(world, conversation, method);
  if (verb === 'join-requests' && who) return answerRequest(world, conversation, who, body);
  if (verb === 'join-requests') return [200, world.joinRequests.get(conversation.id) ?? []];
  if (verb === 'leave') {
    conversation.left = true;
    world.emit('conversation', conversation);
    return [204];
  }
  return missing;
}

export function createGroup(world, { title, members }) {
  const conversation = world.conversation({
    kind: 'group',
    title,
    my_role: 'admin',
    updated_at: Date.now(),
    members: [
      world.member(world.self, 'admin'),
      ...members.map((address) => world.member({ address, display_name: world.contacts.get(address).display_name, is_self: false })),
    ],
  });
  world.put(conversation, world.self, 'You made the group', Date.now(), { kind: 'event', delivery: undefined });
  return renewed(world, conversation);
}

export function joinGroup(world, { link }) {
  if (!/^aside:\/\/[^/]+\/group\//.test(link)) return problem(400, 'bad_link', 'This is not a link to a group.');
  return renewed(world, world.conversation({ kind: 'group', title: 'Neighbours', state: 'pending', members: [world.member(world.self)], updated_at: Date.now() }));
}

// Development only: contacts, the links by which others become one, and strangers.
import { missing, problem } from './answers.mjs';
import { qrSvg } from './qr.mjs';
import { DAY } from './world.mjs';

function added(world, person) {
  const conversation = world.direct(person, { state: 'pending', updated_at: Date.now() });
  const contact = Object.assign(world.contacts.get(person.address), { state: 'adding' });
  world.emit('conversation', conversation);
  world.emit('contact', contact);
  return [200, contact];
}

function addContact(world, { link, name, accept_other_keys }) {
  if (name === 'nobody') return problem(404, 'not_found', 'Nobody on home.example.org is called nobody, or they do not want to be found by name.');
  if (name) return added(world, world.person(name));
  if (/otherkeys/.test(link) && !accept_other_keys) return problem(409, 'other_keys', 'This link shows other keys for otherkeys than those that you know.');
  const called = /^aside:\/\/contact\/([a-z]+)/.exec(link)?.[1];
  if (!called) return problem(400, 'bad_link', 'This is not a contact link. It begins with aside://contact/.');
  return added(world, world.person(called));
}

function makeLink(world, { fresh }) {
  const [newest] = world.links;
  if (newest && !fresh) return [200, newest];
  const secrets = ['Zk3tq8vXn1y5bWm2RdG7hLpS9cJfTa4EoUuKiQwVxYz', 'Qm8rVb2nXw6yTc4kLz1sHd7gJf3pAe9uEiOoKtRvWxY'];
  const link = `aside://contact/mira@home.example.org#${secrets[world.links.length % secrets.length]}`;
  const made = { id: `l${world.nextId++}`, link, qr_svg: qrSvg(link), expires_at: world.now + 14 * DAY, used: 0 };
  world.links.unshift(made);
  return [200, made];
}

function changeContact(world, contact, changes) {
  Object.assign(contact, changes);
  world.emit('contact', contact);
  const conversation = world.conversations.get(contact.conversation_id);
  if (conversation?.peer === contact.address) {
    if (changes.display_name) conversation.title = changes.display_name;
    if (changes.blocked !== undefined) conversation.blocked = changes.blocked;
    world.emit('conversation', conversation);
  }
  return [200, contact];
}

export function aboutContacts(world, method, [first, second], body) {
  if (!first) return method === 'POST' ? addContact(world, body) : [200, [...world.contacts.values()]];
  if (first === 'link') return makeLink(world, body);
  if (first === 'links' && method === 'DELETE') {
    world.links = world.links.filter((link) => link.id !== second);
    return [204];
  }
  if (first === 'links') return [200, world.links];
  const contact = world.contacts.get(first);
  if (!contact) return missing;
  if (method === 'PUT') return changeContact(world, contact, body);
  world.contacts.delete(first);
  return [204];
}

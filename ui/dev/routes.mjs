// Development only: the loopback API's calls over a World. Each returns [status, body].
import { missing, problem } from './answers.mjs';
import { aboutContacts } from './contacts.mjs';
import { aboutDevices } from './devices.mjs';
import { aboutGroup, createGroup, joinGroup } from './groups.mjs';
import { aboutBackups, aboutRecovery } from './recovery.mjs';
import { qrSvg } from './qr.mjs';

const SENT_AFTER_MS = 350;
const DELIVERED_AFTER_MS = 900;

function changed(world, conversation, message) {
  world.preview(conversation);
  world.emit('message', message);
  world.emit('conversation', conversation);
  return [200, message];
}

function send(world, conversation, body) {
  const quoted = world.messages.get(conversation.id).find((message) => message.id === body.reply_to);
  const message = world.put(conversation, world.self, body.text, Date.now(), {
    delivery: 'queued',
    ...(quoted ? { reply_to: { id: quoted.id, sender: quoted.sender, text: quoted.text } } : {}),
  });
  conversation.draft = '';
  changed(world, conversation, message);
  const sent = { ...message };
  if (conversation.state === 'active' && world.connections[0].status === 'connected') {
    const step = (delivery) => {
      message.delivery = delivery;
      changed(world, conversation, message);
    };
    setTimeout(step, SENT_AFTER_MS, 'sent');
    if (conversation.kind === 'direct') setTimeout(step, DELIVERED_AFTER_MS, 'delivered');
  }
  return [200, sent];
}

function page(world, conversation, query) {
  const list = world.messages.get(conversation.id);
  const limit = Math.min(200, Math.max(1, Number(query.get('limit') ?? 50)));
  const slice = (start, end) => [200, { messages: list.slice(start, end), has_more: start > 0, has_newer: end < list.length }];
  if (query.has('around')) {
    const middle = list.findIndex((message) => message.id === query.get('around'));
    return middle < 0 ? missing : slice(Math.max(0, middle - limit / 2), Math.min(list.length, middle + limit / 2));
  }
  if (query.has('after')) {
    const start = list.findLastIndex((message) => message.position <= Number(query.get('after'))) + 1;
    return slice(start, Math.min(list.length, start + limit));
  }
  const before = query.has('before') ? Number(query.get('before')) : Infinity;
  let end = list.length;
  if (before !== Infinity) {
    end = list.findIndex((message) => message.position >= before);
    if (end < 0) end = list.length;
  }
  return slice(Math.max(0, end - limit), end);
}

function react(world, conversation, message, { emoji, present }) {
  const known = message.reactions.find((reaction) => reaction.emoji === emoji);
  if (present && !known) message.reactions.push({ emoji, count: 1, own: true });
  else if (known && known.own !== present) {
    known.own = present;
    known.count += present ? 1 : -1;
    message.reactions = message.reactions.filter((reaction) => reaction.count > 0);
  }
  return changed(world, conversation, message);
}

function aboutMessage(world, conversation, message, method, verb, body) {
  if (method === 'PUT' && !verb) {
    Object.assign(message, { text: body.text, edited: true });
    return changed(world, conversation, message);
  }
  if (method === 'DELETE' && !verb) {
    Object.assign(message, { text: '', deleted: true, reactions: [] });
    changed(world, conversation, message);
    return [204];
  }
  if (verb === 'reactions') return react(world, conversation, message, body);
  if (verb === 'retry') {
    message.delivery = 'queued';
    delete message.failure;
    setTimeout(() => {
      message.delivery = 'sent';
      changed(world, conversation, message);
    }, SENT_AFTER_MS);
    return changed(world, conversation, { ...message });
  }
  return missing;
}

function safety(world, conversation) {
  const digits = [...Array(12).keys()].map((index) => String((index * 48611 + 10273) % 100_000).padStart(5, '0'));
  return { digits, qr_svg: qrSvg(`aside-safety:${digits.join('')}`), verified: world.verified.has(conversation.peer) };
}

function setVerified(world, conversation, verified) {
  if (verified) world.verified.add(conversation.peer);
  else world.verified.delete(conversation.peer);
  const contact = world.contacts.get(conversation.peer);
  if (contact) world.emit('contact', Object.assign(contact, { verified }));
}

function aboutSafety(world, conversation, method, scan, body) {
  if (scan) {
    const { digits } = safety(world, conversation);
    const matches = body.code === `aside-safety:${digits.join('')}`;
    if (matches) setVerified(world, conversation, true);
    return [200, { ...safety(world, conversation), matches }];
  }
  if (method === 'PUT') setVerified(world, conversation, body.verified);
  return [200, safety(world, conversation)];
}

function answerNotice(world, conversation, action) {
  delete conversation.notice;
  conversation.state = 'active';
  if (action === 'leave') conversation.left = true;
  const contact = world.contacts.get(conversation.peer);
  if (contact) world.emit('contact', Object.assign(contact, { key_changed: false, verified: false }));
  world.emit('conversation', conversation);
  return [200, conversation];
}

function decline(world, id, body) {
  if (body.report) world.reports.push({ conversation: id, messages: world.messages.get(id).map((one) => one.id), note: '' });
  world.conversations.delete(id);
  world.emit('conversation_removed', { id });
  return [204];
}

function aboutConversation(world, method, [id, verb, messageId, messageVerb], query, body) {
  const conversation = world.conversations.get(id);
  if (!conversation) return missing;
  const renewed = () => {
    world.emit('conversation', conversation);
    return [204];
  };
  if (!verb && method === 'GET') return [200, conversation];
  if (!verb && method === 'DELETE') {
    world.conversations.delete(id);
    world.emit('conversation_removed', { id });
    return [204];
  }
  if (verb === 'messages' && messageId) {
    const message = world.messages.get(id).find((one) => one.id === messageId);
    return message ? aboutMessage(world, conversation, message, method, messageVerb, body) : missing;
  }
  if (verb === 'messages') return method === 'GET' ? page(world, conversation, query) : send(world, conversation, body);
  if (verb === 'accept') {
    conversation.state = 'active';
    renewed();
    return [200, conversation];
  }
  if (verb === 'read') {
    conversation.unread_count = 0;
    return renewed();
  }
  if (verb === 'draft') {
    conversation.draft = body.text;
    return renewed();
  }
  if (verb === 'typing') return [204];
  if (verb === 'safety') return aboutSafety(world, conversation, method, messageId === 'scan', body);
  if (verb === 'decline') return decline(world, id, body);
  if (verb === 'evidence') return [200, world.evidence.get(id) ?? []];
  if (verb === 'notice') return answerNotice(world, conversation, body.action);
  return aboutGroup(world, conversation, method, [verb, messageId], body);
}

function join(world, { name }) {
  if (name === 'taken') return problem(409, 'name_taken', 'Somebody on this server already has that name. Choose another.');
  world.joined = true;
  world.self = { ...world.self, display_name: name, address: `${name}@home.example.org` };
  world.emit('state', world.state());
  return [200, world.state()];
}

export function answer(world, method, path, query, body) {
  const [first, ...rest] = path;
  if (world.failing && ['conversations', 'contacts', 'devices', 'recovery'].includes(first)) {
    return problem(500, 'storage', 'The message store could not be read. Start Aside again.');
  }
  if (first === 'state') return [200, world.state()];
  if (first === 'invites') {
    return /^aside:\/\/join\//.test(body.invite)
      ? [200, { server: 'home.example.org' }]
      : problem(400, 'bad_invite', 'This is not an invite. An invite begins with aside://join/.');
  }
  if (first === 'join') return join(world, body);
  if (first === 'conversations' && rest.length > 0) return aboutConversation(world, method, rest, query, body);
  if (first === 'conversations') return [200, [...world.conversations.values()]];
  if (first === 'groups') return rest[0] === 'join' ? joinGroup(world, body) : createGroup(world, body);
  if (first === 'contacts') return aboutContacts(world, method, rest, body);
  if (first === 'devices') return aboutDevices(world, method, rest, body);
  if (first === 'recovery') return aboutRecovery(world, method, rest, body);
  if (first === 'backups') return aboutBackups(world, method, rest);
  if (first === 'reports') {
    world.reports.push(body);
    return [204];
  }
  if (first === 'settings') {
    Object.assign(world.settings, body);
    world.emit('state', world.state());
    return [200, world.settings];
  }
  if (first === 'quit') return [204];
  return missing;
}

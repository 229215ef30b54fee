// Development only: an imagined person's conversations, in memory.

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const HOST = 'home.example.org';

export class World {
  constructor(now, scenario) {
    this.now = now;
    this.scenario = scenario;
    this.signedIn = scenario !== 'signed-out';
    this.down = false;
    this.failing = scenario === 'failing';
    this.listeners = new Set();
    this.conversations = new Map();
    this.messages = new Map();
    this.contacts = new Map();
    this.verified = new Set();
    this.nextId = 1;
    this.self = { address: `mira@${HOST}`, display_name: 'Mira Lindqvist', is_self: true };
    this.settings = { theme: 'system', read_receipts: true, typing_indicators: true, notifications: false, findable: true };
    this.connections = [{ server: HOST, status: 'connected', since: now - 3 * HOUR }];
    this.joined = scenario !== 'first-run';
    this.devices = [
      { id: 'd1', name: 'Desk computer', is_this: true, added_at: now - 200 * DAY },
      { id: 'd2', name: 'Kitchen laptop', is_this: false, added_at: now - 31 * DAY },
      { id: 'd3', name: 'Old phone with the broken corner', is_this: false, added_at: now - 190 * DAY, revoked_at: now - 12 * DAY },
    ];
    this.deviceRequests = [];
    this.evidence = new Map();
    this.recovery = { confirmed: true, backup: { at: now - 7 * HOUR, ok: true } };
    this.linking = undefined;
    this.links = [];
    this.invites = new Map();
    this.joinRequests = new Map();
    this.pictures = new Map();
    this.reports = [];
    if (scenario === 'unprepared') {
      this.recovery = { confirmed: false, backup: { at: null, ok: null } };
      this.devices = this.devices.slice(0, 1);
    }
    if (['busy', 'failing', 'huge', 'offline', 'unprepared', 'trouble', 'crowd'].includes(scenario)) fill(this);
    if (scenario === 'trouble') troubles(this);
    if (scenario === 'crowd') crowd(this);
    if (scenario === 'offline') {
      this.connections = [
        { server: HOST, status: 'offline', since: now - 12 * MINUTE, advice: `${HOST} does not answer. Messages wait here and go out by themselves.` },
      ];
    }
  }

  person(name, display = name[0].toUpperCase() + name.slice(1)) {
    return { address: name.includes('@') ? name : `${name}@${HOST}`, display_name: display, is_self: false };
  }

  state() {
    return {
      version: '0.1.0',
      profile: 'default',
      account: this.joined ? { address: this.self.address, name: this.self.display_name, server: HOST } : null,
      connections: this.joined ? this.connections : [],
      settings: this.settings,
      unread_total: [...this.conversations.values()].reduce((sum, one) => sum + one.unread_count, 0),
      requests_total: [...this.conversations.values()].filter((one) => one.state === 'request').length,
      ...(this.linking ? { linking: this.linking } : {}),
      recovery: this.recovery,
      healing: [...this.conversations.values()]
        .filter((one) => ['fork', 'healing', 'lost'].includes(one.notice?.kind))
        .map((one) => ({ conversation_id: one.id, title: one.title, since: this.now - 20 * MINUTE, requests: one.notice.kind === 'healing' ? 2 : 0, notice: one.notice })),
      ...(this.joined ? { device: this.devices.find((one) => one.is_this) } : {}),
      limits: { group_members: 1000 },
    };
  }

  member(person, role = 'member', state = 'member') {
    return { ...person, role, state, verified: this.verified.has(person.address), devices: 1 };
  }

  conversation(fields) {
    const conversation = {
      id: `c${this.nextId++}`,
      kind: 'direct',
      members: [this.member(this.self, 'admin')],
      last_message: null,
      updated_at: this.now,
      unread_count: 0,
      draft: '',
      state: 'active',
      ...fields,
    };
    this.conversations.set(conversation.id, conversation);
    this.messages.set(conversation.id, []);
    return conversation;
  }

  direct(person, fields = {}) {
    const conversation = this.conversation({
      title: person.display_name,
      peer: person.address,
      members: [this.member(this.self, 'admin'), this.member(person, 'admin')],
      ...fields,
    });
    if (conversation.state !== 'request') {
      this.contact(person, conversation);
    }
    return conversation;
  }

  contact(person, conversation, fields = {}) {
    const contact = {
      address: person.address,
      display_name: person.display_name,
      conversation_id: conversation.id,
      state: 'active',
      verified: this.verified.has(person.address),
      blocked: false,
      key_changed: false,
      ...fields,
    };
    this.contacts.set(person.address, contact);
    return contact;
  }

  /** Puts a message at the end and renews the conversation's preview. */
  put(conversation, sender, text, sent_at, fields = {}) {
    const list = this.messages.get(conversation.id);
    const message = {
      id: `m${this.nextId++}`,
      conversation_id: conversation.id,
      sender,
      kind: 'text',
      text,
      sent_at,
      position: (list.at(-1)?.position ?? 0) + 1,
      edited: false,
      deleted: false,
      reactions: [],
      ...(sender.is_self ? { delivery: 'read' } : {}),
      ...fields,
    };
    list.push(message);
    if (message.kind === 'text') this.preview(conversation);
    return message;
  }

  preview(conversation) {
    const last = this.messages.get(conversation.id).findLast((message) => message.kind === 'text');
    if (!last) return;
    conversation.last_message = {
      sender: last.sender,
      text: last.deleted ? 'Message deleted' : last.from_blocked ? 'A message from somebody you blocked' : last.text,
      sent_at: last.sent_at,
      ...(last.delivery ? { delivery: last.delivery } : {}),
    };
    conversation.updated_at = last.sent_at;
  }

  emit(type, data) {
    for (const listener of this.listeners) listener(type, data);
  }
}

function fill(world) {
  const { now, self } = world;
  const anna = world.person('anna', 'Anna Bergström');
  const tomas = world.person('tomas', 'Tomás Herrera');
  const yael = world.person('yael', 'יעל כהן');
  const omar = world.person('omar', 'عمر الخطيب');
  const priya = world.person('priya', 'Priya Raman');
  const long = world.person(
    'wolfeschlegelsteinhausenbergerdorff@messages.a-rather-long-server-name.example.net:8443',
    'Hubert Blaine Wolfeschlegelsteinhausenbergerdorff Senior',
  );
  const jun = world.person('jun', 'Jun');
  const stranger = world.person('sam@elsewhere.example.net', 'Sam Okafor');
  const lea = world.person('lea', 'Léa Fontaine');
  world.verified.add(anna.address).add(priya.address);

  annaTalk(world, anna);
  groupTalk(world, anna, tomas, priya, jun);

  const request = world.direct(stranger, { state: 'request' });
  request.unread_count = 1;
  world.request = request.id;
  world.put(request, stranger, 'Hi Mira, we met at the allotment open day. You wanted the number of the compost people?', now - 47 * MINUTE);

  const withTomas = world.direct(tomas, { draft: 'I looked at the boiler again and' });
  world.put(withTomas, self, 'Did the plumber come?', now - 5 * HOUR);
  world.put(withTomas, tomas, 'He did. He wants to see it running first.', now - 5 * HOUR + 2 * MINUTE);

  const withOmar = world.direct(omar, { unread_count: 1 });
  world.put(withOmar, self, 'Did you get home all right?', now - 7 * HOUR);
  world.put(withOmar, omar, 'وصلت البيت الحمد لله، شكرًا على السهرة الجميلة. نلتقي الأسبوع القادم إن شاء الله؟', now - 6 * HOUR - 20 * MINUTE);

  const withYael = world.direct(yael);
  world.put(withYael, yael, 'אני מגיעה בסביבות שמונה, להביא משהו?', now - DAY - 2 * HOUR);
  world.put(withYael, self, 'רק את עצמך 🙂', now - DAY - 2 * HOUR + 3 * MINUTE);
  world.put(withYael, yael, 'Perfect. And bring the blue folder, https://docs.example.org/folder/blue?page=2 has the list.', now - DAY - HOUR);

  const failed = world.direct(jun);
  world.put(failed, jun, 'Can you send me the address?', now - DAY - 5 * HOUR);
  world.put(failed, self, 'Harbour Street 12, second floor', now - DAY - 4 * HOUR, {
    delivery: 'failed',
    failure: 'Jun’s server did not take the message for three days.',
  });

  const paused = world.direct(priya, {
    state: 'paused',
    paused_reason: 'Priya’s keys have changed in a way that she has not confirmed. Nothing is sent until you have compared the safety number with her.',
  });
  world.put(paused, self, 'See you on Thursday then', now - 2 * DAY);
  world.put(paused, priya, 'Thursday it is 👋', now - 2 * DAY + 4 * MINUTE);

  const pending = world.direct(lea, { state: 'pending' });
  world.put(pending, self, 'Hello Léa, this is Mira', now - 3 * DAY, { delivery: 'queued' });

  const withLong = world.direct(long);
  world.put(withLong, long, 'A short note from somebody with a very long name and a word thatiswrittenwithoutanyspacesatallsothatithastobreaksomewhereinthemiddleofthebubble.', now - 5 * DAY);

  if (world.scenario === 'huge') hugeTalk(world);
  world.contact(world.person('noor@elsewhere.example.net', 'Noor'), pending, {
    state: 'failed',
    failure: 'This link has been used up. Ask Noor for a new one.',
  });
  world.contacts.get(lea.address).state = 'adding';
  fillQuiet(world);
}

/** Enough quiet rows that the list scrolls. */
function fillQuiet(world) {
  const names = ['Ines', 'Karl', 'Bo', 'Freya', 'Matti', 'Oksana'];
  names.forEach((name, index) => {
    const person = world.person(name.toLowerCase(), name);
    const conversation = world.direct(person);
    const at = world.now - (8 + index * 9) * DAY;
    world.put(conversation, person, 'Thanks!', at);
    world.put(conversation, world.self, 'Any time.', at + MINUTE, { delivery: 'delivered' });
  });
}

function annaTalk(world, anna) {
  const { now, self } = world;
  const talk = world.direct(anna);
  const base = now - DAY - 6 * HOUR;
  world.put(talk, anna, 'Are we still on for the hut this weekend?', base);
  world.put(talk, self, 'Yes! I have the key.', base + 2 * MINUTE);
  world.put(talk, self, 'The forecast says sun on Saturday and a bit of rain on Sunday, so I would walk the long way up on the first day and take the forest path back.', base + 3 * MINUTE);
  world.put(talk, anna, 'The long way it is', base + 9 * MINUTE, { reactions: [{ emoji: '👍', count: 1, own: true }] });
  const morning = now - 2 * HOUR;
  const question = world.put(talk, anna, 'Packing list so far:\n– stove and gas\n– two ropes\n– the good coffee\n– cards', morning);
  world.put(talk, self, 'The good coffee is the most important item on any list.', morning + 90_000, {
    reply_to: { id: question.id, sender: anna, text: 'Packing list so far: – stove and gas – two ropes' },
    reactions: [{ emoji: '😂', count: 1, own: false }, { emoji: '☕', count: 1, own: true }],
  });
  world.put(talk, anna, 'Obviously.', morning + 2 * MINUTE);
  world.put(talk, anna, 'Here is the map of the upper part: https://maps.example.org/hut/upper-path?z=14', morning + 3 * MINUTE, { edited: true });
  world.put(talk, anna, '', morning + 4 * MINUTE, { deleted: true });
  world.put(talk, self, '🏕️', morning + 12 * MINUTE, { delivery: 'read' });
  world.put(talk, anna, 'What time do you want to leave? I could be at yours at seven, or we meet at the station if that is easier for you.', now - 19 * MINUTE);
  world.put(talk, self, 'Seven at mine. I make breakfast.', now - 17 * MINUTE, { delivery: 'read' });
  world.put(talk, self, 'And I ask Tomás for his rope.', now - 16 * MINUTE, { delivery: 'delivered' });
  world.put(talk, self, 'He said yes', now - 4 * MINUTE, { delivery: 'sent' });
  world.put(talk, self, 'Now we have three', now - 3 * MINUTE, { delivery: 'queued' });
  world.anna = talk.id;
}

function groupTalk(world, anna, tomas, priya, jun) {
  const { now, self } = world;
  const group = world.conversation({
    kind: 'group',
    title: 'Allotment garden',
    members: [world.member(self, 'admin'), world.member(anna, 'admin'), ...[tomas, priya, jun].map((one) => world.member(one))],
    my_role: 'admin',
    join_requests: 2,
    unread_count: 5,
  });
  world.joinRequests.set(group.id, [
    { address: `vera@${HOST}`, display_name: 'Vera Novák', at: now - 25 * MINUTE },
    { address: 'ole@elsewhere.example.net', display_name: 'Ole Brandt', at: now - DAY - 2 * HOUR },
  ]);
  const at = now - DAY - 3 * HOUR;
  world.put(group, self, 'You made the group', at, { kind: 'event', delivery: undefined });
  world.put(group, self, 'You added Anna, Tomás, Priya and Jun', at + 1000, { kind: 'event', delivery: undefined });
  world.put(group, self, 'Water is back on. Please close the tap by the shed properly, it drips.', at + 5 * MINUTE, { delivery: 'sent' });
  world.put(group, tomas, 'Good. The tomatoes were about to write letters.', at + 20 * MINUTE, { reactions: [{ emoji: '😂', count: 3, own: true }, { emoji: '🍅', count: 2, own: false }] });
  world.put(group, priya, 'Who has the key to the shed?', now - 3 * HOUR);
  world.put(group, self, 'It hangs at my door, take it any time.', now - 3 * HOUR + 4 * MINUTE, { delivery: 'sent' });
  world.put(group, anna, 'I took it this morning', now - 40 * MINUTE);
  world.put(group, anna, 'and put it back', now - 39 * MINUTE);
  world.put(group, jun, 'Somebody planted courgettes again.', now - 14 * MINUTE);
  world.put(group, jun, 'Eleven of them.', now - 13 * MINUTE, { reactions: [{ emoji: '😮', count: 2, own: false }] });
  world.put(group, tomas, 'That was the committee.', now - 9 * MINUTE);
  world.group = group.id;
}

function hugeTalk(world) {
  const person = world.person('archive', 'The long archive');
  const talk = world.direct(person);
  const list = world.messages.get(talk.id);
  const phrases = ['Yes.', 'I think so too.', 'Let us look at it tomorrow when the light is better and everybody has had some sleep.', 'Ha!', 'Two\nlines'];
  for (let i = 1; i <= 100_000; i += 1) {
    const own = i % 7 < 3;
    list.push({
      id: `h${i}`,
      conversation_id: talk.id,
      sender: own ? world.self : person,
      kind: 'text',
      text: `${i}. ${phrases[i % phrases.length]}`,
      sent_at: world.now - DAY - (100_000 - i) * 7 * MINUTE,
      position: i,
      edited: false,
      deleted: false,
      reactions: [],
      ...(own ? { delivery: 'read' } : {}),
    });
  }
  world.preview(talk);
  world.huge = talk.id;
}

/** Everything that can go wrong with a conversation, one of each. */
function troubles(world) {
  const { now, self } = world;
  const say = (name, display, fields, text = 'See you on Thursday then') => {
    const person = world.person(name, display);
    const talk = world.direct(person, fields);
    world.put(talk, person, text, now - MINUTE);
    world.put(talk, self, 'Thursday it is', now - 30_000, { delivery: 'read' });
    return talk;
  };
  world.keys = say('nils', 'Nils Aaberg', {
    state: 'paused',
    notice: {
      kind: 'key_changed',
      text: 'Nils has a new key. That happens when somebody begins again on a new device without their recovery words. It could also be somebody else who pretends to be Nils. Compare the safety number with Nils before you go on.',
      actions: ['compare', 'accept_keys'],
    },
  }).id;
  Object.assign(world.contacts.get(`nils@${HOST}`), { key_changed: true });
  world.healing = say('rosa', 'Rosa Marchetti', {
    notice: { kind: 'healing', text: 'Something was missing here. Aside is mending this chat; your messages go out as soon as it is done.', actions: [] },
  }).id;
  world.blocked = say('spam', 'Lucky Winner', { blocked: true }, 'You have won').id;
  Object.assign(world.contacts.get(`spam@${HOST}`), { blocked: true });
  const club = (title, fields) => {
    const group = world.conversation({
      kind: 'group',
      title,
      my_role: 'member',
      members: [world.member(self), world.member(world.person('ines', 'Ines'), 'admin'), world.member(world.person('bo', 'Bo'))],
      ...fields,
    });
    world.put(group, world.person('ines', 'Ines'), 'The hall is free from seven.', now - 2 * MINUTE);
    return group.id;
  };
  world.fork = club('Choir', {
    state: 'paused',
    notice: {
      kind: 'fork',
      text: 'The server showed this conversation differently to different people. Nothing more is sent or shown here until you decide. You can go on in a new place with the same people; what was seen is kept as evidence.',
      actions: ['continue', 'leave'],
    },
  });
  world.evidence.set(world.fork, [
    {
      at: now - 21 * MINUTE,
      channel: '5c1f'.repeat(16),
      what: 'the server showed this conversation differently to different people',
      epoch: 14,
      ours: { seq: 231, head: '7d90a3c1'.repeat(8) },
      theirs: { seq: 231, head: '1be4f862'.repeat(8) },
      told_by: `ines@${HOST}`,
    },
  ]);
  world.removed = club('Night shift', { left: true, notice: { kind: 'removed', text: 'Ines removed you from this group. What was written before stays here for you to read.', actions: [] } });
  world.lost = club('Old club', { state: 'paused', notice: { kind: 'lost', text: 'This group can no longer be opened on this device, and nobody who could add you again has been seen for 30 days. Ask an admin to invite you.', actions: [] } });
  world.left = club('Book club', { left: true });
  world.asked = world.conversation({ kind: 'group', title: 'Neighbours', state: 'pending', members: [world.member(self)] }).id;
}

/** A group of a thousand, and one whose only admin is me, with members on their way in and out. */
function crowd(world) {
  const { now, self } = world;
  const given = ['Ada', 'Björn', 'Chiara', 'Dmitri', 'Esi', 'Farah', 'Goran', 'Hana', 'Ivo', 'Jana'];
  const families = ['Adler', 'Bakker', 'Costa', 'Dahl', 'Eriksen', 'Fischer', 'Garcia', 'Haddad', 'Ivanov', 'Jensen'];
  const members = Array.from({ length: 999 }, (_, i) =>
    world.member(world.person(`m${i}`, `${given[i % 10]} ${families[Math.floor(i / 10) % 10]} ${i}`), i % 97 === 5 ? 'admin' : 'member'),
  );
  const festival = world.conversation({ kind: 'group', title: 'Summer festival', my_role: 'admin', members: [world.member(self, 'admin'), ...members] });
  world.put(festival, members[7], 'Who has the key to the stage?', now - MINUTE);
  world.crowd = festival.id;
  const band = world.conversation({
    kind: 'group',
    title: 'The band',
    my_role: 'admin',
    members: [
      world.member(self, 'admin'),
      world.member(world.person('anna', 'Anna Bergström')),
      world.member(world.person('tomas', 'Tomás Herrera')),
      world.member(world.person('karl', 'Karl'), 'member', 'adding'),
      world.member(world.person('freya', 'Freya'), 'member', 'leaving'),
    ],
  });
  world.put(band, world.person('anna', 'Anna Bergström'), 'Rehearsal at eight', now - 2 * MINUTE);
  world.band = band.id;
}

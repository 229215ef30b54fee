// Development only: the words and the backups. The words are nobody's: they stand in every description of their scheme.
import { problem } from './answers.mjs';

export const WORDS = [...Array(23).fill('abandon'), 'art'];

export const NO_BACKUP =
  'There is no backup: the account comes back with its address and its keys, but without contacts, conversations and what was said. If one of your devices still works, link this one there instead; a backup file brings back what it holds.';
export const NEWER_KEYS =
  'The account’s keys were changed after this backup was made, and its devices made a newer one then, if they had the time: the server may have lost it, or hide it. Look whether a backup file or another device of yours has more.';

export function aboutRecovery(world, method, [what], body) {
  if (what === 'phrase') {
    return world.recovery.confirmed
      ? problem(409, 'already_confirmed', 'Your words were confirmed and are no longer on this device.')
      : [200, { words: WORDS }];
  }
  if (what === 'confirm') {
    if (body.words.join(' ') !== WORDS.join(' ')) return problem(400, 'wrong_words', 'At least one of these words is not the one that was shown. Look at your paper again.');
    world.recovery = { ...world.recovery, confirmed: true };
    world.emit('state', world.state());
    return [200, world.state()];
  }
  if (method === 'DELETE') return [204];
  if (what === 'look' && body.phrase !== WORDS.join(' ')) return problem(403, 'refused', 'These words do not open that account. Look at the address and at the words again.');
  if (what === 'look') {
    world.restored = body;
    world.found = { at: world.now - 17 * 60 * 60 * 1000, messages: 12_043, contacts: 37, ...world.backup };
    return [200, world.found];
  }
  world.joined = true;
  world.restored = { ...world.restored, ...body };
  const brought = 'What was said after the backup was made comes back from other people’s devices, as far as they still have it.';
  const nothing = 'There was no backup: contacts, conversations and what was said are gone from here. Add people again by their links, or give them yours; they see the same account as before. Ask a member of each group to add you again.';
  world.recovery = { ...world.recovery, confirmed: true, restored: { at: world.now, backup_at: world.found.at, words: world.found.at === null ? nothing : brought } };
  world.emit('state', world.state());
  return [200, world.state()];
}

export function aboutBackups(world, method, [what]) {
  if (what === 'file') return [200, { bytes: Buffer.from('age-encryption.org/v1\n'), type: 'application/octet-stream' }];
  world.recovery = { ...world.recovery, backup: { ...world.recovery.backup, at: world.now } };
  world.emit('state', world.state());
  return [200, { at: world.now, bytes: 48_213 }];
}

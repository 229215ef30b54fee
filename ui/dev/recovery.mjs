// Development only: the words and the backups. The words are nobody's: they stand in every description of their scheme.
import { problem } from './answers.mjs';

export const WORDS = [...Array(23).fill('abandon'), 'art'];

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
  if (body.phrase !== WORDS.join(' ')) return problem(403, 'refused', 'These words do not open that account. Look at the address and at the words again.');
  world.joined = true;
  world.restored = body;
  world.emit('state', world.state());
  return [200, world.state()];
}

export function aboutBackups(world, method, [what]) {
  if (what === 'file') return [200, { bytes: Buffer.from('age-encryption.org/v1\n'), type: 'application/octet-stream' }];
  world.recovery = { ...world.recovery, backup: { ...world.recovery.backup, at: world.now } };
  world.emit('state', world.state());
  return [200, { at: world.now, bytes: 48_213 }];
}

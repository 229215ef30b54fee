// How a message stands among its neighbours: what is drawn over it and how its corners join.
import type { Message } from '../api/types';
import { startOfDay } from '../words/dates';

export const GROUP_WITHIN_MS = 5 * 60 * 1000;

export interface Shape {
  /** A new day begins here. */
  day: boolean;
  first: boolean;
  last: boolean;
}

export function shapeOf(previous: Message | undefined, message: Message, next: Message | undefined): Shape {
  return {
    day: !previous || startOfDay(previous.sent_at) !== startOfDay(message.sent_at),
    first: !belongTogether(previous, message),
    last: !belongTogether(message, next),
  };
}

function belongTogether(earlier: Message | undefined, later: Message | undefined): boolean {
  return (
    earlier !== undefined &&
    later !== undefined &&
    earlier.kind === 'text' &&
    later.kind === 'text' &&
    earlier.sender.address === later.sender.address &&
    Math.abs(later.sent_at - earlier.sent_at) < GROUP_WITHIN_MS &&
    startOfDay(earlier.sent_at) === startOfDay(later.sent_at)
  );
}

const CHARACTERS_PER_LINE = 58;

/** A guess for rows that have not been drawn yet; close enough that the scroll bar stays calm. */
export function guessedHeight(message: Message): number {
  if (message.kind === 'event') return 40;
  const breaks = message.text.split('\n');
  const lines = breaks.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / CHARACTERS_PER_LINE)), 0);
  return 22 * lines + 20 + (message.reactions.length > 0 ? 28 : 0) + (message.reply_to ? 48 : 0);
}

/** The first of the `count` newest messages from others, or null when it lies further back. */
export function firstUnread(messages: readonly Message[], count: number): string | null {
  let left = count;
  for (let i = messages.length - 1; i >= 0 && left > 0; i -= 1) {
    const message = messages[i];
    if (!message || message.sender.is_self || message.kind === 'event') continue;
    left -= 1;
    if (left === 0) return message.id;
  }
  return null;
}

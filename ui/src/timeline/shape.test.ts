import { describe, expect, it } from 'vitest';
import { anna, me, sample } from './sample';
import { firstUnread, GROUP_WITHIN_MS, shapeOf } from './shape';

describe('shapeOf', () => {
  it('joins what one person writes within five minutes', () => {
    const [a, b, c] = [sample(1), sample(2), sample(3)];
    expect(shapeOf(a, b, c)).toEqual({ day: false, first: false, last: false });
  });

  it('parts at five minutes', () => {
    const a = sample(1);
    const b = sample(2, { sent_at: a.sent_at + GROUP_WITHIN_MS });
    expect(shapeOf(a, b, undefined)).toEqual({ day: false, first: true, last: true });
  });

  it('parts when somebody else writes or a note stands between', () => {
    expect(shapeOf(sample(1, { sender: me }), sample(2), undefined).first).toBe(true);
    expect(shapeOf(sample(1, { kind: 'event' }), sample(2), undefined).first).toBe(true);
  });

  it('begins a day where the calendar does', () => {
    const late = sample(1, { sent_at: new Date(2026, 10, 20, 23, 59).getTime() });
    const early = sample(2, { sent_at: new Date(2026, 10, 21, 0, 1).getTime() });
    expect(shapeOf(late, early, undefined)).toEqual({ day: true, first: true, last: true });
    expect(shapeOf(undefined, late, undefined).day).toBe(true);
  });
});

describe('firstUnread', () => {
  const messages = [sample(1), sample(2, { sender: me }), sample(3), sample(4, { kind: 'event' }), sample(5, { sender: anna })];

  it('counts only what others wrote', () => {
    expect(firstUnread(messages, 1)).toBe('m5');
    expect(firstUnread(messages, 2)).toBe('m3');
    expect(firstUnread(messages, 3)).toBe('m1');
  });

  it('does not guess when it lies further back', () => {
    expect(firstUnread(messages, 4)).toBeNull();
    expect(firstUnread(messages, 0)).toBeNull();
  });
});

import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Message } from '../api/types';
import { sample } from '../timeline/sample';
import { Timeline } from './timeline.svelte';

const server = vi.hoisted(() => ({ messages: [] as Message[], asked: 0, hold: Promise.resolve() }));
const Refused = vi.hoisted(
  () =>
    class extends Error {
      constructor(readonly status: number) {
        super();
      }
    },
);

vi.mock('../api/client', () => ({
  Refused,
  api: {
    messages: async (_id: string, { before, after, around, limit }: { before?: number; after?: number; around?: string; limit: number }) => {
      server.asked += 1;
      const all = server.messages;
      let [start, end] = [Math.max(0, all.length - limit), all.length];
      if (before !== undefined) {
        end = all.filter((message) => message.position < before).length;
        start = Math.max(0, end - limit);
      } else if (after !== undefined) {
        start = all.filter((message) => message.position <= after).length;
        end = Math.min(all.length, start + limit);
      } else if (around !== undefined) {
        const middle = all.findIndex((message) => message.id === around);
        if (middle < 0) throw new Refused(404);
        [start, end] = [Math.max(0, middle - limit / 2), Math.min(all.length, middle + limit / 2)];
      }
      const messages = all.slice(start, end).map((message) => ({ ...message }));
      await server.hold;
      return { messages, has_more: start > 0, has_newer: end < all.length };
    },
  },
}));

const positions = (timeline: Timeline) => timeline.messages.map((message) => message.position);
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => sample(from + i));

beforeEach(() => {
  server.messages = range(1, 500);
  server.asked = 0;
  server.hold = Promise.resolve();
});

describe('Timeline', () => {
  it('goes to a message far back in one call, on from there both ways, and back to the newest', async () => {
    server.messages = range(1, 5_000);
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    server.asked = 0;
    expect(await timeline.loadAround('m1000')).toBe(true);
    expect(server.asked).toBe(1);
    expect([positions(timeline)[0], positions(timeline).at(-1)]).toEqual([900, 1_099]);
    expect([timeline.hasMore, timeline.hasNewer]).toEqual([true, true]);
    timeline.upsert(sample(5_001));
    expect(timeline.get('m5001')).toBeUndefined();
    await timeline.loadNewer();
    await timeline.loadOlder();
    expect(positions(timeline)).toEqual(range(700, 1_299).map((message) => message.position));
    server.messages = range(1, 5_001);
    const back = timeline.toNewest();
    timeline.upsert(sample(5_002));
    await back;
    expect(timeline.hasNewer).toBe(false);
    expect(positions(timeline)).toEqual(range(4_942, 5_002).map((message) => message.position));
  });

  it('joins the pages where the one asked for reaches what is known, and says what is not there', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    expect(await timeline.loadAround('m400')).toBe(true);
    expect(positions(timeline)).toEqual(range(300, 500).map((message) => message.position));
    expect(timeline.hasNewer).toBe(false);
    expect(await timeline.loadAround('nowhere')).toBe(false);
    expect(positions(timeline)).toHaveLength(201);
  });

  it('reads the newest page and then backwards to the beginning', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    expect(positions(timeline).at(-1)).toBe(500);
    while (timeline.hasMore) await timeline.loadOlder();
    expect(positions(timeline)).toEqual(range(1, 500).map((message) => message.position));
  });

  it('puts a message that arrives twice in its place once', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    timeline.upsert(sample(501));
    timeline.upsert(sample(501, { text: 'again' }));
    expect(positions(timeline).filter((position) => position === 501)).toHaveLength(1);
    expect(timeline.get('m501')?.text).toBe('again');
  });

  it('moves a queued message to the place that it is given', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    timeline.upsert(sample(900, { id: 'own' }));
    timeline.upsert(sample(501));
    timeline.upsert(sample(502, { id: 'own' }));
    expect(positions(timeline).slice(-3)).toEqual([500, 501, 502]);
    expect(timeline.indexOf('own')).toBe(timeline.messages.length - 1);
  });

  it('keeps messages apart that share a position', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    timeline.upsert(sample(501, { id: 'a' }));
    timeline.upsert(sample(501, { id: 'b' }));
    timeline.upsert(sample(501, { id: 'a', text: 'changed' }));
    expect(timeline.get('a')?.text).toBe('changed');
    expect(timeline.get('b')).toBeDefined();
  });

  it('leaves a change to a message further back to the page that holds it', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    const before = timeline.messages.length;
    timeline.upsert(sample(3, { text: 'edited long ago' }));
    expect(timeline.messages).toHaveLength(before);
  });

  it('does not let a slow answer overwrite a newer event', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    let release = () => {};
    server.hold = new Promise((resolve) => (release = resolve));
    const loading = timeline.loadNewest(0);
    timeline.upsert(sample(500, { text: 'edited meanwhile', edited: true }));
    release();
    await loading;
    expect(timeline.get('m500')?.text).toBe('edited meanwhile');
  });

  it('does not let the answer to a call overwrite an event that was faster', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    let answer: (message: Message) => void = () => {};
    const taken = timeline.take(new Promise((resolve) => (answer = resolve)));
    timeline.upsert(sample(501, { id: 'own', delivery: 'sent' }));
    timeline.upsert(sample(502));
    answer(sample(900, { id: 'own', delivery: 'queued' }));
    await taken;
    expect(timeline.get('own')?.delivery).toBe('sent');
    expect(positions(timeline).slice(-2)).toEqual([501, 502]);
  });

  it('keeps a message hidden while undo is open, whatever happens to it meanwhile', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    timeline.hide('m500');
    timeline.upsert(sample(500, { delivery: 'read' }));
    await timeline.refresh();
    expect(timeline.get('m500')?.deleted).toBe(true);
    timeline.unhide('m500');
    expect(timeline.get('m500')?.deleted).toBe(false);
  });

  it('closes the gap after an absence', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    server.messages = range(1, 1_200);
    await timeline.refresh();
    const seen = positions(timeline);
    expect(seen.at(-1)).toBe(1_200);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBe(seen.length);
    expect((seen.at(-1) ?? 0) - (seen[0] ?? 0) + 1).toBe(seen.length);
  });

  it('cuts what a very long absence has parted rather than show a hole', async () => {
    const timeline = new Timeline('c1');
    await timeline.loadNewest(0);
    server.messages = range(1, 20_000);
    await timeline.refresh();
    const seen = positions(timeline);
    expect((seen.at(-1) ?? 0) - (seen[0] ?? 0) + 1).toBe(seen.length);
    expect(seen.at(-1)).toBe(20_000);
    expect(timeline.hasMore).toBe(true);
  });
});

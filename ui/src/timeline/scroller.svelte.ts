// The mathematics of the list on the screen: which rows to draw, and what stays still when rows
// above change. It owns the scroll position; the component owns the DOM.
import type { Message } from '../api/types';
import type { Anchor, Timeline } from '../state/timeline.svelte';
import { RowHeights } from './heights';
import { guessedHeight } from './shape';

const OVERSCAN_PX = 600;
const AT_END_PX = 32;

export class Scroller {
  readonly heights = new RowHeights();
  scrollTop = $state(0);
  viewHeight = $state(0);
  /** Grows when a measured height differs from the known one. */
  measured = $state(0);
  atEnd = $state(true);

  #known = new Map<string, number>();
  #laidOut = -1;
  #first: string | undefined;
  #last: string | undefined;

  constructor(private readonly timeline: Timeline) {}

  /** Rows to draw, as a half-open range. */
  range = $derived.by(() => {
    void this.timeline.version;
    void this.measured;
    this.layOut();
    const count = this.heights.count;
    if (count === 0) return { start: 0, end: 0, top: 0 };
    const start = this.heights.indexAt(this.scrollTop - OVERSCAN_PX);
    const end = this.heights.indexAt(this.scrollTop + this.viewHeight + OVERSCAN_PX) + 1;
    return { start, end, top: this.heights.offsetOf(start) };
  });

  /** Brings the heights in line with the messages; a no-op when nothing has changed. */
  layOut(): void {
    if (this.#laidOut === this.timeline.version) return;
    this.#laidOut = this.timeline.version;
    const { messages } = this.timeline;
    const sameRows =
      messages.length === this.heights.count &&
      messages[0]?.id === this.#first &&
      messages.at(-1)?.id === this.#last;
    if (sameRows && messages.length > 2_000) return;
    this.#first = messages[0]?.id;
    this.#last = messages.at(-1)?.id;
    this.heights.reset(messages.map((message) => this.#knownOrGuessed(message)));
  }

  #knownOrGuessed(message: Message): number {
    let height = this.#known.get(message.id);
    if (height === undefined) {
      height = guessedHeight(message);
      this.#known.set(message.id, height);
    }
    return height;
  }

  /** Notes what a row measures; true when that changes anything. */
  measure(index: number, id: string, height: number): boolean {
    if (height === 0 || Math.abs(this.heights.heightOf(index) - height) < 0.5) {
      this.#known.set(id, height || this.heights.heightOf(index));
      return false;
    }
    this.#known.set(id, height);
    this.heights.set(index, height);
    return true;
  }

  /** Where the view must stand so that what the person reads stays where it is. */
  wantedTop(): number {
    const end = Math.max(0, this.heights.total - this.viewHeight);
    const { anchor } = this.timeline;
    if (anchor.at === 'end') return end;
    const index = this.timeline.indexOf(anchor.id);
    return index < 0 ? Math.min(this.scrollTop, end) : Math.max(0, this.heights.offsetOf(index) - anchor.offset);
  }

  /** The person has scrolled: what they look at now is what stays still. */
  scrolled(top: number): void {
    this.scrollTop = top;
    this.timeline.anchor = this.#anchorAt(top);
    this.atEnd = this.timeline.anchor.at === 'end';
  }

  anchorTo(anchor: Anchor): void {
    this.timeline.anchor = anchor;
    this.atEnd = anchor.at === 'end';
    this.measured += 1;
  }

  #anchorAt(top: number): Anchor {
    const last = this.heights.total - this.viewHeight - top <= AT_END_PX;
    if (last && !this.timeline.hasNewer) return { at: 'end' };
    const index = this.heights.indexAt(top + 1);
    const message = this.timeline.messages[index];
    return message ? { at: 'row', id: message.id, offset: this.heights.offsetOf(index) - top } : { at: 'end' };
  }
}

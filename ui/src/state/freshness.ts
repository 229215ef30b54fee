/**
 * Keeps a slow answer from overwriting a newer event: a fetch notes when it began, and skips
 * what an event has touched since.
 */
export class Freshness {
  #clock = 0;
  #touched = new Map<string, number>();

  begin(): number {
    return this.#clock;
  }

  touch(id: string): void {
    this.#touched.set(id, ++this.#clock);
  }

  touchedSince(id: string, started: number): boolean {
    return (this.#touched.get(id) ?? 0) > started;
  }
}

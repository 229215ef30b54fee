// Row heights of a long list: known ones measured, the others guessed. Sums and look-ups take
// logarithmic time (a Fenwick tree), so that 100,000 rows scroll like a hundred.

export class RowHeights {
  #heights = new Float64Array(64);
  #tree = new Float64Array(65);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get total(): number {
    return this.offsetOf(this.#count);
  }

  reset(heights: ArrayLike<number>): void {
    this.#count = heights.length;
    this.#grow(this.#count);
    this.#heights.set(heights);
    this.#tree.fill(0);
    for (let i = 0; i < this.#count; i += 1) {
      const node = i + 1;
      this.#tree[node] = (this.#tree[node] ?? 0) + (heights[i] ?? 0);
      const parent = node + (node & -node);
      if (parent <= this.#count) this.#tree[parent] = (this.#tree[parent] ?? 0) + (this.#tree[node] ?? 0);
    }
  }

  heightOf(index: number): number {
    return this.#heights[index] ?? 0;
  }

  set(index: number, height: number): void {
    const change = height - this.heightOf(index);
    if (change === 0) return;
    this.#heights[index] = height;
    for (let node = index + 1; node <= this.#count; node += node & -node) {
      this.#tree[node] = (this.#tree[node] ?? 0) + change;
    }
  }

  /** Where the row begins. */
  offsetOf(index: number): number {
    let sum = 0;
    for (let node = Math.min(index, this.#count); node > 0; node -= node & -node) sum += this.#tree[node] ?? 0;
    return sum;
  }

  /** The row at this height, held inside the list. */
  indexAt(offset: number): number {
    let node = 0;
    let left = Math.max(0, offset);
    let step = 1;
    while (step * 2 <= this.#count) step *= 2;
    for (; step > 0; step >>= 1) {
      const next = node + step;
      const sum = this.#tree[next] ?? Infinity;
      if (next <= this.#count && sum <= left) {
        node = next;
        left -= sum;
      }
    }
    return Math.max(0, Math.min(node, this.#count - 1));
  }

  #grow(count: number): void {
    if (this.#heights.length >= count && this.#tree.length > count) return;
    const room = 2 ** Math.ceil(Math.log2(count + 1));
    this.#heights = new Float64Array(room);
    this.#tree = new Float64Array(room + 1);
  }
}

import { describe, expect, it } from 'vitest';
import { RowHeights } from './heights';

function filled(heights: number[]): RowHeights {
  const rows = new RowHeights();
  rows.reset(heights);
  return rows;
}

describe('RowHeights', () => {
  it('adds up what lies before a row', () => {
    const rows = filled([10, 20, 30]);
    expect([0, 1, 2, 3].map((i) => rows.offsetOf(i))).toEqual([0, 10, 30, 60]);
    expect(rows.total).toBe(60);
  });

  it('finds the row at a height and stays inside the list', () => {
    const rows = filled([10, 20, 30]);
    expect([-5, 0, 9, 10, 29, 30, 59, 60, 999].map((y) => rows.indexAt(y))).toEqual([0, 0, 0, 1, 1, 2, 2, 2, 2]);
  });

  it('moves everything below a row whose height changes', () => {
    const rows = filled([10, 20, 30]);
    rows.set(1, 50);
    expect(rows.offsetOf(2)).toBe(60);
    expect(rows.indexAt(59)).toBe(1);
  });

  it('agrees with plain addition on many random rows', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    const heights = Array.from({ length: 1_000 }, () => 1 + Math.floor(random() * 90));
    const rows = filled(heights);
    for (let change = 0; change < 300; change += 1) {
      const at = Math.floor(random() * heights.length);
      heights[at] = 1 + Math.floor(random() * 90);
      rows.set(at, heights[at] ?? 0);
    }
    let sum = 0;
    heights.forEach((height, index) => {
      expect(rows.offsetOf(index)).toBe(sum);
      expect(rows.indexAt(sum)).toBe(index);
      sum += height;
    });
  });

  it('is empty without complaint', () => {
    const rows = filled([]);
    expect(rows.total).toBe(0);
    expect(rows.indexAt(5)).toBe(0);
  });

  it('shrinks and grows', () => {
    const rows = filled(Array.from({ length: 500 }, () => 2));
    rows.reset([5]);
    expect(rows.total).toBe(5);
    rows.reset(Array.from({ length: 2_000 }, () => 1));
    expect(rows.total).toBe(2_000);
  });
});

import { expect, it } from 'vitest';
import { RETRY_MS_MAX, RETRY_MS_MIN, retryDelayMs } from './events';

it('knocks ever more slowly, never faster than the least and never slower than the most', () => {
  const delays = Array.from({ length: 40 }, (_, attempt) => retryDelayMs(attempt, 0));
  expect(delays[0]).toBe(RETRY_MS_MIN);
  expect(delays).toEqual([...delays].sort((a, b) => a - b));
  expect(Math.max(...delays)).toBe(RETRY_MS_MAX);
  expect(retryDelayMs(40, 1)).toBeLessThanOrEqual(RETRY_MS_MAX * 1.25);
});

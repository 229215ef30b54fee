import { expect, it } from 'vitest';
import { matchScore } from './match';

it('finds names whatever their accents, the beginning first', () => {
  expect(matchScore('tomas', 'Tomás Herrera')).toBe(3);
  expect(matchScore('herr', 'Tomás Herrera')).toBe(2);
  expect(matchScore('rera', 'Tomás Herrera')).toBe(1);
  expect(matchScore('x', 'Tomás Herrera')).toBe(-1);
  expect(matchScore('', 'anything')).toBe(0);
  expect(matchScore('יע', 'יעל כהן')).toBe(3);
});

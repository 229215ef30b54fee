import { expect, it } from 'vitest';
import { hueOf, initials } from './initials';

it('takes the first letters of the first and the last word', () => {
  expect(['Anna Bergström', 'jun', 'עמית לוי כהן', '  ', '🦊', 'van_der-Berg', 'élan'].map(initials)).toEqual([
    'AB',
    'J',
    'עכ',
    '?',
    '🦊',
    'VB',
    'É',
  ]);
});

it('gives every address one of eight hues, always the same', () => {
  const hues = Array.from({ length: 400 }, (_, i) => hueOf(`person${i}@home.example.org`));
  expect(new Set(hues)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6, 7]));
  expect(hueOf('anna@home.example.org')).toBe(hueOf('anna@home.example.org'));
});

import { expect, it } from 'vitest';
import { words } from '../words';
import { momentTime } from '../words/dates';
import { whatWasFound } from './found';

const now = new Date(2026, 10, 20, 14, 32).getTime();
const at = new Date(2026, 10, 19, 21, 40).getTime();

it('says when the backup was made and what it holds', () => {
  const rows = whatWasFound({ at, messages: 12_043, contacts: 1 }, 'mira@home.example.org', now);
  expect(rows.map(({ label }) => label)).toEqual([
    words.restore.account,
    words.restore.made,
    words.restore.messages,
    words.restore.contacts,
  ]);
  expect(rows.map(({ value }) => value.replace(/\D+/g, ''))[2]).toBe('12043');
  expect(rows[1]?.value).toBe(momentTime(at, now).replace('yesterday', 'Yesterday'));
  expect(rows[3]?.value).toBe('1');
});

it('names the year of a backup of another year', () => {
  const old = new Date(2024, 10, 19, 21, 40).getTime();
  expect(whatWasFound({ at: old, messages: 0, contacts: 0 }, '', now)[0]?.value).toContain('2024');
});

it('shows nothing of a backup that is not there, and no account that only the file knows', () => {
  expect(whatWasFound({ at: null, messages: 0, contacts: 0 }, '', now)).toEqual([]);
  const rows = whatWasFound({ at: null, messages: 0, contacts: 0 }, 'mira@home.example.org', now);
  expect(rows).toEqual([{ label: words.restore.account, value: 'mira@home.example.org' }]);
});

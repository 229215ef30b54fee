import { expect, it } from 'vitest';
import { words } from '.';
import { clockTime, dayLabel, daysBetween, listTime, momentTime } from './dates';

const now = new Date(2026, 10, 20, 14, 32).getTime();
const ago = (days: number) => new Date(2026, 10, 20 - days, 23, 50).getTime();

it('counts days by the calendar', () => {
  expect(daysBetween(ago(1), now)).toBe(1);
  expect(daysBetween(new Date(2026, 9, 24, 12).getTime(), new Date(2026, 9, 26, 12).getTime())).toBe(2);
});

it('says a time, yesterday, a day, a date', () => {
  const morning = new Date(2026, 10, 20, 8, 5).getTime();
  expect(listTime(morning, now)).toBe(clockTime(morning));
  expect(listTime(ago(1), now)).toBe(words.chats.yesterday);
  expect(listTime(ago(300), now)).toMatch(/2026|Jan/);
  expect(dayLabel(morning, now)).toBe(words.timeline.today);
  expect(dayLabel(ago(1), now)).toBe(words.timeline.yesterday);
  expect(momentTime(morning, now)).toBe(words.moment.today(clockTime(morning)));
  expect(momentTime(ago(1), now)).toBe(words.moment.yesterday(clockTime(ago(1))));
  expect(momentTime(ago(9), now)).toContain(clockTime(ago(9)));
});

// Times as a person says them. The formatters are made once; making them is slow.
import { locale, words } from '.';

const clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit' });
const weekday = new Intl.DateTimeFormat(locale, { weekday: 'short' });
const dayMonth = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
const full = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric' });
const longDay = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
const longYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'short' });

const DAY_MS = 24 * 60 * 60 * 1000;

export function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Whole days between two moments by the calendar, so that a change of the clocks does not matter. */
export function daysBetween(earlier: number, later: number): number {
  return Math.round((startOfDay(later) - startOfDay(earlier)) / DAY_MS);
}

export const clockTime = (at: number) => clock.format(at);
export const exactTime = (at: number) => exact.format(at);
export const longDate = (at: number) => longYear.format(at);

/** For the list: a time today, then a day, then a date. */
export function listTime(at: number, now: number): string {
  const days = daysBetween(at, now);
  if (days <= 0) return clock.format(at);
  if (days === 1) return words.chats.yesterday;
  if (days < 7) return weekday.format(at);
  return (new Date(at).getFullYear() === new Date(now).getFullYear() ? dayMonth : full).format(at);
}

/** For the line between two days. */
export function dayLabel(at: number, now: number): string {
  const days = daysBetween(at, now);
  if (days === 0) return words.timeline.today;
  if (days === 1) return words.timeline.yesterday;
  return (new Date(at).getFullYear() === new Date(now).getFullYear() ? longDay : longYear).format(at);
}

/** A moment in the middle of a sentence: the day in words where there are words for it, the year where it is another. */
export function momentTime(at: number, now: number): string {
  const days = daysBetween(at, now);
  if (days === 0) return words.moment.today(clock.format(at));
  if (days === 1) return words.moment.yesterday(clock.format(at));
  const day = new Date(at).getFullYear() === new Date(now).getFullYear() ? dayMonth : full;
  return `${day.format(at)}, ${clock.format(at)}`;
}

export function sinceTime(at: number, now: number): string {
  return daysBetween(at, now) === 0 ? clock.format(at) : `${dayMonth.format(at)}, ${clock.format(at)}`;
}

// What is shown of a backup before it is used.
import type { FoundBackup } from '../api/types';
import { locale, words } from '../words';
import { momentTime } from '../words/dates';

const counted = new Intl.NumberFormat(locale);

export interface FoundRow {
  label: string;
  value: string;
}

const capitalised = (text: string) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);

/** The account, as far as it was said, and what the backup holds; nothing of a backup that is not there. */
export function whatWasFound(found: FoundBackup, address: string, now: number): FoundRow[] {
  const account = address ? [{ label: words.restore.account, value: address }] : [];
  if (found.at === null) return account;
  return [
    ...account,
    { label: words.restore.made, value: capitalised(momentTime(found.at, now)) },
    { label: words.restore.messages, value: counted.format(found.messages) },
    { label: words.restore.contacts, value: counted.format(found.contacts) },
  ];
}

// The twenty-four words: which words there are, and whether those that were typed belong together.
import { validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { words } from '../words';

export const PHRASE_WORDS = 24;
const SUGGESTED_MAX = 5;
/** No two words of the list begin with the same four letters. */
const TELLING_LETTERS = 4;
const known = new Set(wordlist);

export const emptyPhrase = (): string[] => Array<string>(PHRASE_WORDS).fill('');

export const isWord = (text: string): boolean => known.has(text);

export function suggestionsFor(typed: string): string[] {
  const start = plain(typed);
  if (start === '' || known.has(start)) return [];
  return wordlist.filter((word) => word.startsWith(start)).slice(0, SUGGESTED_MAX);
}

/** The word that is meant, once enough letters are there; otherwise what was typed. */
export function completed(typed: string): string {
  const start = plain(typed);
  if (known.has(start) || start.length < TELLING_LETTERS) return start;
  return wordlist.find((word) => word.startsWith(start.slice(0, TELLING_LETTERS)) && word.startsWith(start)) ?? start;
}

/** A whole phrase that was pasted, with or without numbers, as words. */
export function splitPhrase(text: string): string[] {
  return text.split(/[\s,.;:0-9)(]+/u).map(plain).filter(Boolean).slice(0, PHRASE_WORDS);
}

function plain(text: string): string {
  return text.normalize('NFKD').trim().toLowerCase();
}

export function isComplete(phrase: readonly string[]): boolean {
  return phrase.length === PHRASE_WORDS && phrase.every(isWord);
}

/** What is wrong with a phrase that is typed to the end, in words; nothing while it is being typed. */
export function phraseProblem(phrase: readonly string[]): string {
  if (phrase.some((word) => word === '')) return '';
  const unknown = phrase.findIndex((word) => !isWord(word));
  if (unknown >= 0) return words.recovery.unknownWord(unknown + 1);
  return validateMnemonic(phrase.join(' '), wordlist) ? '' : words.recovery.wrongTogether;
}

/** Which words are asked for again, to see that they were written down: one from each part, in order. */
export function askedFor(count: number, random: () => number): number[] {
  const part = PHRASE_WORDS / count;
  return Array.from({ length: count }, (_, index) => Math.floor(index * part + random() * part));
}

import { generateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { expect, it } from 'vitest';
import { words } from '../words';
import { askedFor, completed, emptyPhrase, isComplete, phraseProblem, splitPhrase, suggestionsFor } from './phrase';

const phrase = generateMnemonic(wordlist, 256).split(' ');

it('suggests words by their beginning, and none for a word that is whole', () => {
  expect(suggestionsFor('aban')).toEqual(['abandon']);
  expect(suggestionsFor('ZO')).toEqual(['zone', 'zoo']);
  expect(suggestionsFor('zoo')).toEqual([]);
  expect(suggestionsFor('')).toEqual([]);
  expect(suggestionsFor('a').length).toBeLessThanOrEqual(5);
});

it('completes a word once four letters tell it, and leaves a wrong one as it is', () => {
  expect(completed(' Aban ')).toBe('abandon');
  expect(completed('act')).toBe('act');
  expect(completed('zo')).toBe('zo');
  expect(completed('abanx')).toBe('abanx');
});

it('takes a pasted phrase apart, with numbers or without', () => {
  expect(splitPhrase(phrase.join(' '))).toEqual(phrase);
  expect(splitPhrase(phrase.map((word, index) => `${index + 1}. ${word}`).join('\n'))).toEqual(phrase);
  expect(splitPhrase([...phrase, 'more'].join(' '))).toHaveLength(24);
});

it('says which word is unknown, and when the words do not belong together', () => {
  expect(phraseProblem(phrase)).toBe('');
  expect(isComplete(phrase)).toBe(true);
  expect(phraseProblem(emptyPhrase())).toBe('');
  expect(isComplete(emptyPhrase())).toBe(false);
  expect(phraseProblem(phrase.with(6, 'nonsense'))).toBe(words.recovery.unknownWord(7));
  const other = wordlist.find((word) => phraseProblem(phrase.with(0, word)) !== '');
  expect(phraseProblem(phrase.with(0, other ?? ''))).toBe(words.recovery.wrongTogether);
});

it('asks for words from all over the phrase, each once', () => {
  for (const random of [() => 0, () => 0.5, () => 0.999]) {
    const asked = askedFor(4, random);
    expect(new Set(asked).size).toBe(4);
    expect(asked).toEqual([...asked].sort((a, b) => a - b));
    expect(asked.every((index) => index >= 0 && index < 24)).toBe(true);
  }
});

// Turns a failed call into a sentence.
import { Refused, Unreachable } from '../api/client';
import { words } from '../words';
import { toasts } from './toasts.svelte';

export function sentenceFor(error: unknown): string {
  if (error instanceof Unreachable) return words.problem.notRunning;
  if (error instanceof Refused && error.message) return error.message;
  return words.problem.unexpected;
}

export function complain(error: unknown): void {
  if (error instanceof Refused && error.status === 401) return;
  toasts.problem(sentenceFor(error));
}

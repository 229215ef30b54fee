import type { Person } from '../api/types';
import { words } from '../words';

export function typingText(people: Person[]): string {
  const [first, second] = people;
  if (!first) return '';
  if (!second) return words.timeline.typingOne(first.display_name);
  if (people.length === 2) return words.timeline.typingTwo(first.display_name, second.display_name);
  return words.timeline.typingMany;
}

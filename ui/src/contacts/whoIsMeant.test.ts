import { expect, it } from 'vitest';
import { whoIsMeant } from './whoIsMeant';

it('takes a bare name, with or without its own server, for a name', () => {
  for (const typed of ['bob', ' bob ', '@bob', 'bob@home.example.org']) {
    expect(whoIsMeant(typed, 'home.example.org'), typed).toEqual({ name: 'bob' });
  }
});

it('takes everything else for a link', () => {
  for (const typed of ['aside://home.example.org/contact/bob#x', 'bob@elsewhere.example', 'two words', 'https://example.org', '#x']) {
    expect(whoIsMeant(typed, 'home.example.org'), typed).toEqual({ link: typed });
  }
});

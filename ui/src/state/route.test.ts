import { describe, expect, it } from 'vitest';
import { parseRoute, routeHash, type Route } from './route';

describe('routes', () => {
  it('survive the address bar', () => {
    const routes: Route[] = [
      { section: 'chats' },
      { section: 'chats', id: 'c/1 ü?' },
      { section: 'chats', id: 'c1', panel: 'info', dialog: 'safety' },
      { section: 'people', id: 'anna@home.example.org:8443' },
      { section: 'settings', dialog: 'shortcuts' },
      { section: 'settings', id: 'devices', dialog: 'revoke-device', about: 'd/2' },
      { section: 'chats', id: 'c1', list: 'requests' },
      { section: 'chats', begin: 'restore' },
    ];
    for (const route of routes) expect(parseRoute(routeHash(route))).toEqual(route);
  });

  it('fall back to the chats on anything strange', () => {
    for (const hash of ['', '#', '#/nowhere', '#/%E0%A4%A', '#//']) expect(parseRoute(hash).section).toBe('chats');
    expect(parseRoute('#/chats?open=anything').dialog).toBeUndefined();
    expect(parseRoute('#/chats?begin=anything').begin).toBeUndefined();
  });

  it('carry an invite', () => {
    expect(parseRoute(`#/join?invite=${encodeURIComponent('aside://join/x#y=z')}`).invite).toBe('aside://join/x#y=z');
  });
});

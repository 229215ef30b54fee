// A world a test: made before it, cleared away after it, and heard when it fails.
import { test as base, expect } from '@playwright/test';
import { World } from './world';

export const test = base.extend<{ world: World }>({
  world: async ({ browser }, use, info) => {
    const world = await World.make(browser);
    try {
      await use(world);
      if (info.status === info.expectedStatus) expect(world.complaints, 'what the pages complained of').toEqual([]);
    } finally {
      if (info.status !== info.expectedStatus) console.log(world.lastWords());
      await world.end();
    }
  },
});

export { expect };
export type { Person, Server, World } from './world';

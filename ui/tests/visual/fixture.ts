import { test as base, expect, type Page } from '@playwright/test';

/** Friday 20 November 2026, 14:32 UTC: what FIXTURE_NOW in the configuration says. */
export const NOW = 1_795_185_120_000;

/** Pages whose console must stay clean: a refused inline style or script shows up there. */
export const test = base.extend<{ clean: void }>({
  clean: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
      });
      await use();
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Opens a fresh world at a route; {anna}, {group} and {huge} stand for conversations. */
export async function open(page: Page, world: string, at = ''): Promise<void> {
  await page.goto(`/fixture/${world}${at ? `?at=${encodeURIComponent(at)}` : ''}`);
}

export interface Talks {
  anna: string;
  group: string;
  huge: string;
  request: string;
  keys: string;
  fork: string;
  left: string;
  crowd: string;
  band: string;
}

/** What a deed answers beside the names. */
interface Told {
  id: string;
  reports: { conversation: string; messages: string[]; note: string }[];
  history: string;
  restored: Record<string, string>;
  links: number;
}

export async function deed(page: Page, name: string, body: object = {}): Promise<Talks & Told> {
  const response = await page.request.post(`/fixture-do/${name}`, { data: body });
  return (await response.json()) as Talks & Told;
}

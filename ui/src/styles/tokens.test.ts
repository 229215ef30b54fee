import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = join(__dirname, '..');
const css = readFileSync(join(__dirname, 'tokens.css'), 'utf8');

function theme(selector: string): Map<string, string> {
  const block = css.slice(css.indexOf(selector)).split('}')[0] ?? '';
  return new Map([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, colour]) => [name ?? '', colour ?? '']));
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const channel = parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const surfaces = ['surface-0', 'surface-1', 'surface-2', 'surface-float'];
const pairs: [string, string, number][] = [
  ...surfaces.flatMap((surface): [string, string, number][] => [
    ['text-1', surface, 7],
    ['text-2', surface, 4.5],
    ['text-3', surface, 4.5],
    ['accent', surface, 4.5],
    ['danger', surface, 4.5],
    ['success', surface, 4.5],
    ['control-line', surface, 3],
    ['focus', surface, 3],
  ]),
  ['text-1', 'surface-3', 7],
  ['text-2', 'surface-3', 4.5],
  ['text-1', 'button', 4.5],
  ['text-1', 'button-hover', 4.5],
  ['text-1', 'bubble-other', 7],
  ['text-3', 'bubble-other', 4.5],
  ['accent', 'bubble-other', 4.5],
  ['on-accent', 'accent', 4.5],
  ['on-accent', 'accent-strong', 4.5],
  ['on-accent-quiet', 'bubble-own', 4.5],
  ['text-1', 'accent-soft', 4.5],
  ['accent', 'accent-soft', 4.5],
  ['danger', 'danger-soft', 4.5],
  ['text-1', 'danger-soft', 4.5],
  ['warning', 'warning-soft', 4.5],
  ['success', 'success-soft', 4.5],
  ...Array.from({ length: 8 }, (_, i): [string, string, number] => [`avatar-ink-${i}`, `avatar-${i}`, 4.5]),
  ...Array.from({ length: 8 }, (_, i): [string, string, number] => [`avatar-ink-${i}`, 'surface-0', 4.5]),
];

describe.each([
  ['light', ':root {'],
  ['dark', ":root[data-theme='dark']"],
])('%s', (_name, selector) => {
  const colours = theme(selector);
  it.each(pairs)('%s can be read on %s', (ink, ground, least) => {
    expect(contrast(colours.get(ink) ?? '', colours.get(ground) ?? '')).toBeGreaterThanOrEqual(least);
  });
  it('has the own bubble dark enough for white', () => {
    expect(1.05 / (luminance(colours.get('bubble-own') ?? '') + 0.05)).toBeGreaterThanOrEqual(4.5);
  });
});

it('keeps raw colours in tokens.css', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (file) => /\.(svelte|css|ts)$/.test(file) && !file.endsWith('tokens.css') && !file.endsWith('.test.ts'),
  );
  const raw = files.filter((file) => /#[0-9a-f]{3,8}\b(?!\/)|\b(rgb|hsl|oklch)a?\(/i.test(readFileSync(join(source, file), 'utf8').replace(/href="#\/|['"`]#\/?[^'"`]*['"`]/g, '')));
  expect(raw).toEqual([]);
});

// Puts the chosen theme on the document; "system" follows the computer while the page is open.
import type { Settings } from '../api/types';

export function followTheme(theme: Settings['theme']): (() => void) | undefined {
  if (theme !== 'system') return apply(theme);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const follow = () => void apply(dark.matches ? 'dark' : 'light');
  follow();
  dark.addEventListener('change', follow);
  return () => dark.removeEventListener('change', follow);
}

function apply(theme: 'light' | 'dark'): undefined {
  document.documentElement.dataset['theme'] = theme;
}

export function isDark(): boolean {
  return document.documentElement.dataset['theme'] === 'dark';
}

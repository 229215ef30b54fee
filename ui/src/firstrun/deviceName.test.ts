import { expect, it } from 'vitest';
import { guessDeviceName } from './deviceName';

it('guesses a name that a person would give', () => {
  expect(guessDeviceName('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36')).toBe('Linux computer');
  expect(guessDeviceName('Mozilla/5.0 (Linux; Android 14; Pixel 8)')).toBe('Android phone');
  expect(guessDeviceName('Mozilla/5.0 (Windows NT 10.0; Win64; x64)')).toBe('Windows computer');
  expect(guessDeviceName('Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0)')).toBe('Mac');
  expect(guessDeviceName('')).toBe('Computer');
});

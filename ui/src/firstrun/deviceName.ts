// What this device could be called, from what the browser says about it.

const SYSTEMS: [RegExp, string][] = [
  [/android/i, 'Android phone'],
  [/iphone|ipad/i, 'iPhone'],
  [/windows/i, 'Windows computer'],
  [/mac/i, 'Mac'],
  [/cros/i, 'Chromebook'],
  [/linux|x11/i, 'Linux computer'],
];

export function guessDeviceName(userAgent: string): string {
  return SYSTEMS.find(([pattern]) => pattern.test(userAgent))?.[1] ?? 'Computer';
}

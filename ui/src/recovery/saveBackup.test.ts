import { expect, it } from 'vitest';
import { backupFileName } from './saveBackup';

it('names a backup after its owner and day, with nothing that a file system minds', () => {
  const at = new Date(Date.UTC(2026, 10, 20));
  expect(backupFileName('Mira Lindqvist', at)).toBe('aside-Mira-Lindqvist-2026-11-20.age');
  expect(backupFileName('../../etc', at)).toBe('aside-etc-2026-11-20.age');
  expect(backupFileName('יעל', at)).toBe('aside-יעל-2026-11-20.age');
  expect(backupFileName('//', at)).toBe('aside-aside-2026-11-20.age');
});

import { api } from '../api/client';
import { saveFile } from '../controls/saveFile';

export function backupFileName(name: string, at: Date): string {
  const safe = name.replace(/[^\p{L}\p{N}_-]+/gu, '-').replace(/^-+|-+$/g, '') || 'aside';
  return `aside-${safe}-${at.toISOString().slice(0, 10)}.age`;
}

/** Gives the backup to the browser to save; it is encrypted before it gets here. */
export async function saveBackup(name: string, at: Date): Promise<void> {
  saveFile(await api.backupFile(), backupFileName(name, at));
}

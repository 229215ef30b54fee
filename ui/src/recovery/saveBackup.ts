import { api } from '../api/client';

const KEPT_MS = 60_000;

export function backupFileName(name: string, at: Date): string {
  const safe = name.replace(/[^\p{L}\p{N}_-]+/gu, '-').replace(/^-+|-+$/g, '') || 'aside';
  return `aside-${safe}-${at.toISOString().slice(0, 10)}.age`;
}

/** Gives the backup to the browser to save; it is encrypted before it gets here. */
export async function saveBackup(name: string, at: Date): Promise<void> {
  const url = URL.createObjectURL(await api.backupFile());
  const link = document.createElement('a');
  link.href = url;
  link.download = backupFileName(name, at);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

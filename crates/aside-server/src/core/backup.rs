//! Backups: one whole one for each account, and the next one on its way (P-8.6, P-8.7).

use super::append::{check_size, malformed};
use super::{Batch, Core, Fault};
use crate::store::{Store, StoredBackup};
use aside_protocol::address::AccountName;
use aside_protocol::frame::account::{Answer, BackupPart};
use aside_protocol::limit::{BACKUP_PART_BYTES_MAX, BACKUP_PARTS_MAX};
use aside_protocol::refusal::Refusal;

/// Generations are stored as 63-bit numbers.
const GENERATION_MAX: u64 = i64::MAX as u64;

impl<S: Store> Core<S> {
    /// Stores a part; with the last one the backup takes the place of the one before. A repeat succeeds again.
    pub(super) fn put_backup(
        &mut self,
        batch: &Batch<'_>,
        name: &AccountName,
        part: &BackupPart,
    ) -> Result<Answer, Fault> {
        check_size(part.bytes.len(), BACKUP_PART_BYTES_MAX)?;
        if part.parts > BACKUP_PARTS_MAX {
            return Err(Refusal::TooMany { max: BACKUP_PARTS_MAX.into() }.into());
        }
        if part.part >= part.parts || part.bytes.is_empty() || part.generation > GENERATION_MAX {
            return Err(malformed("a part of a backup that is empty, or beyond its end"));
        }
        let state = self.store.backup_state(name)?;
        let newest = [state.unfinished, state.whole].into_iter().flatten().max_by_key(|backup| backup.generation);
        let begun = match newest {
            Some(newest) if newest.generation > part.generation => {
                return Err(Refusal::StaleBackup { generation: newest.generation }.into());
            }
            Some(same) if same.generation == part.generation => same,
            _ => StoredBackup { generation: part.generation, parts: part.parts, stored: 0, bytes: 0 },
        };
        if begun.parts != part.parts {
            return Err(Refusal::StaleBackup { generation: begun.generation }.into());
        }
        if part.part < begun.stored {
            let stored = self.store.find_backup_part(name, part.generation, part.part)?;
            let is_repeat = stored.is_some_and(|bytes| bytes == part.bytes);
            let stale = Refusal::StaleBackup { generation: begun.generation };
            return if is_repeat { Ok(Answer::Done) } else { Err(stale.into()) };
        }
        if part.part > begun.stored {
            return Err(Refusal::BackupPartMissing { next: begun.stored }.into());
        }
        let account = self.store.find_account(name)?.ok_or(Refusal::NotSignedIn)?;
        let bytes_max = account.quota.backup_bytes.unwrap_or(self.config.backup_bytes_max);
        if begun.bytes.saturating_add(part.bytes.len() as u64) > bytes_max {
            return Err(Refusal::BackupFull { bytes_max }.into());
        }
        self.store.put_backup_part(name, begun, &part.bytes, batch.now.day())?;
        // What it took the place of is deleted without waiting for tomorrow.
        self.sweep.look_at_backups();
        Ok(Answer::Done)
    }

    /// A part of the newest whole backup.
    pub(super) fn get_backup(&mut self, name: &AccountName, part: u32) -> Result<Answer, Fault> {
        let whole = self.store.backup_state(name)?.whole.ok_or(Refusal::NoBackup)?;
        let bytes = self.store.find_backup_part(name, whole.generation, part)?.ok_or(Refusal::NoBackup)?;
        Ok(Answer::Backup { generation: whole.generation, parts: whole.parts, bytes })
    }
}

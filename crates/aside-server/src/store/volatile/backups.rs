//! Backups in memory.

use super::VolatileStore;
use crate::store::{BACKUP_PARTS_A_SWEEP_MAX, BackupState, BackupStore, StoreError, StoredBackup};
use aside_protocol::address::AccountName;
use aside_protocol::limit::BACKUP_UNFINISHED_DAYS;

/// Where a backup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It waits for its last parts, since this day.
    Unfinished {
        day: u32,
    },
    Whole,
    /// Another one took its place, or it waited too long.
    GivenUp,
}

impl VolatileStore {
    fn backups_of(&self, name: &AccountName) -> Vec<(StoredBackup, Standing)> {
        self.backups.range((name.clone(), 0)..=(name.clone(), u64::MAX)).map(|(_, row)| *row).collect()
    }
}

impl BackupStore for VolatileStore {
    fn backup_state(&mut self, name: &AccountName) -> Result<BackupState, StoreError> {
        self.in_transaction()?;
        let mut state = BackupState::default();
        for (backup, standing) in self.backups_of(name) {
            match standing {
                Standing::Whole => state.whole = Some(backup),
                Standing::Unfinished { .. } => state.unfinished = Some(backup),
                Standing::GivenUp => {}
            }
        }
        Ok(state)
    }

    fn find_backup_part(
        &mut self,
        name: &AccountName,
        generation: u64,
        part: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.in_transaction()?;
        Ok(self.backup_parts.get(&(name.clone(), generation, part)).cloned())
    }

    fn put_backup_part(
        &mut self,
        name: &AccountName,
        after: StoredBackup,
        bytes: &[u8],
        day: u32,
    ) -> Result<(), StoreError> {
        self.in_transaction()?;
        let StoredBackup { generation, parts, stored, .. } = after;
        if stored == 0 {
            self.backup_parts.remove_where(usize::MAX, |(of, number, _), _| of == name && *number == generation);
        }
        let backup = StoredBackup {
            stored: stored.saturating_add(1),
            bytes: after.bytes.saturating_add(bytes.len() as u64),
            ..after
        };
        let is_whole = backup.stored >= parts;
        for (other, standing) in self.backups_of(name) {
            let gives_way = is_whole || matches!(standing, Standing::Unfinished { .. });
            if other.generation != generation && gives_way {
                self.backups.insert((name.clone(), other.generation), (other, Standing::GivenUp));
            }
        }
        let standing = if is_whole { Standing::Whole } else { Standing::Unfinished { day } };
        self.backups.insert((name.clone(), generation), (backup, standing));
        self.backup_parts.insert((name.clone(), generation, stored), bytes.to_vec());
        Ok(())
    }

    fn sweep_backups(&mut self, today: u32) -> Result<usize, StoreError> {
        self.in_transaction()?;
        let is_old = |standing: &Standing| matches!(standing, Standing::Unfinished { day } if day.saturating_add(BACKUP_UNFINISHED_DAYS) <= today);
        let old = self.backups.range(..).filter(|(_, (_, standing))| is_old(standing));
        let old: Vec<_> = old.map(|(key, (backup, _))| (key.clone(), *backup)).collect();
        for (key, backup) in &old {
            self.backups.insert(key.clone(), (*backup, Standing::GivenUp));
        }
        let given_up = self.backups.range(..).find(|(_, (_, standing))| *standing == Standing::GivenUp);
        let Some((key, _)) = given_up.map(|(key, row)| (key.clone(), *row)) else { return Ok(0) };
        let of_it = |(of, generation, _): &(AccountName, u64, u32), _: &Vec<u8>| *of == key.0 && *generation == key.1;
        let count = self.backup_parts.remove_where(BACKUP_PARTS_A_SWEEP_MAX, of_it);
        if count < BACKUP_PARTS_A_SWEEP_MAX {
            self.backups.remove(&key);
        }
        Ok(count.max(1))
    }
}

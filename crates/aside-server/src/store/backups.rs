//! Backups: apart from the rest of the account side, because they are large.

use super::StoreError;
use aside_protocol::address::AccountName;

/// Parts of replaced backups that one sweep deletes at most: each is up to a mebibyte that is overwritten.
pub const BACKUP_PARTS_A_SWEEP_MAX: usize = 8;

/// A backup, or the beginning of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBackup {
    /// Its generation.
    pub generation: u64,
    /// Parts that it has when it is whole.
    pub parts: u32,
    /// Parts that are there: the first ones.
    pub stored: u32,
    /// Bytes of those.
    pub bytes: u64,
}

/// What there is of one account's backups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackupState {
    /// The newest whole one.
    pub whole: Option<StoredBackup>,
    /// A newer one that waits for its last parts.
    pub unfinished: Option<StoredBackup>,
}

/// What [`super::Store`] keeps of backups.
pub trait BackupStore {
    /// What there is of an account's backups.
    ///
    /// # Errors
    /// [`StoreError`].
    fn backup_state(&mut self, name: &AccountName) -> Result<BackupState, StoreError>;
    /// A part of a backup.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_backup_part(
        &mut self,
        name: &AccountName,
        generation: u64,
        part: u32,
    ) -> Result<Option<Vec<u8>>, StoreError>;
    /// Stores the next part of the unfinished backup that is `after` it; `after.stored` is 0 where it begins, and an older
    /// unfinished one is given up. With the last part the backup is whole, and the one before is given up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_backup_part(
        &mut self,
        name: &AccountName,
        after: StoredBackup,
        bytes: &[u8],
        day: u32,
    ) -> Result<(), StoreError>;
    /// Gives up what waited too long for its last parts, and deletes at most [`BACKUP_PARTS_A_SWEEP_MAX`] parts of what
    /// was given up. Returns how many things it did; 0: nothing is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sweep_backups(&mut self, today: u32) -> Result<usize, StoreError>;
}

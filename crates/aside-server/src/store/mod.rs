//! What the server remembers, behind one trait. A message passes here between the core's decision and its
//! acknowledgement.
//!
//! Two sides share a transaction and nothing else: the *account side* (names, devices, KeyPackages, inboxes, tokens of
//! contacts, reports, and beside it in a place of their own the backups) and the *channel side* (channels, their logs and
//! keys, blobs, tokens that pay for channels and blobs). No row of one may name a row of the other, and no row of either
//! may hold a time finer than a day or reveal the order in which rows came.

mod accounts;
mod backups;
mod channels;
#[cfg(test)]
mod conformance;
pub mod sqlite;
pub mod volatile;

pub use accounts::{
    AccountStore, AccountSummary, Admission, Deposit, DeviceKey, Quota, SPENT_KEY_PACKAGE_DAYS, Standing,
    StoredAccount, StoredReport, Tally,
};
pub use backups::{BACKUP_PARTS_A_SWEEP_MAX, BackupState, BackupStore, StoredBackup};
pub use channels::{
    CHANNEL_UNUSED_DAYS, CHANNEL_USE_NOTED_DAYS, ChannelNumber, ChannelState, ChannelStore, ChannelTotals, Creation,
    Due, KnownAppend, StoredEpoch,
};

use crate::core::Now;

/// The store failed. The transaction is void, and nothing of it may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room is left on the disk.
    #[error("the disk is full")]
    DiskFull,
    /// Another process holds the database for longer than the store waits.
    #[error("another process keeps the database locked")]
    Locked,
    /// The disk or the operating system failed.
    #[error("reading or writing the database failed")]
    Io,
    /// A stored value is not what was stored.
    #[error("the database holds something that the server did not write")]
    Corrupt,
    /// The database is of another version of this program.
    #[error("the database was made by another version of aside-server: use that one, or a newer one")]
    OtherVersion,
    /// A transaction was asked for out of turn. A fault of the caller.
    #[error("a store operation outside a transaction")]
    OutOfTurn,
}

/// How much one page may hold. The first item is in the page whatever its size.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Items.
    pub items_max: usize,
    /// Bytes of bodies, after which the page ends.
    pub bytes_max: usize,
}

/// Durable memory in transactions. One caller at a time; every operation but [`Store::maintain`] stands between
/// [`Store::begin`] and [`Store::commit`].
///
/// An operation that fails voids the transaction: the caller rolls back and answers nothing as done.
pub trait Store: ChannelStore + AccountStore + BackupStore {
    /// Begins a transaction.
    ///
    /// # Errors
    /// [`StoreError`]; there is no transaction then.
    fn begin(&mut self) -> Result<(), StoreError>;
    /// Ends the transaction; when this returns `Ok`, everything in it survives a crash of the machine.
    ///
    /// # Errors
    /// [`StoreError`]; nothing in it may be taken as stored then.
    fn commit(&mut self) -> Result<(), StoreError>;
    /// Undoes everything since [`Store::begin`].
    fn rollback(&mut self);
    /// Work that no request waits for: folding the write-ahead logs back, hiding the order of insertion. Between
    /// transactions, about once a second.
    ///
    /// # Errors
    /// [`StoreError`]; it is tried again with the next call.
    fn maintain(&mut self, now: Now) -> Result<(), StoreError>;
    /// How many rows were changed so far in the open transaction: what failed without moving it has changed nothing.
    fn changes(&self) -> u64;
    /// Whether another process (the administrator's commands) wrote to the account side since the last call.
    ///
    /// # Errors
    /// [`StoreError`].
    fn changed_elsewhere(&mut self) -> Result<bool, StoreError>;
}

//! SQLite: three databases in one directory, `accounts.db`, `backups.db` and `channels.db`, in WAL mode with full sync.
//!
//! A transaction is begun on a side when the side is first touched, so that messages never wait for the account side.
//! Where two were touched (drawing channel tokens, and nothing else) the channel side is committed first: after a crash
//! between the two there are tokens that nobody was given, which is harmless.

mod accounts;
mod admin;
mod backups;
mod channels;
mod schema;
mod sides;
mod statement;

pub use admin::{AdminFiles, Pick};

use super::{ChannelTotals, Store, StoreError};
use crate::core::Now;
use channels::AppendKey;
use rusqlite::{Connection, ErrorCode};
use schema::Sharing;
use std::path::{Path, PathBuf};

/// The account side's file name.
pub const ACCOUNTS_FILE: &str = "accounts.db";
/// The file of backups, which belong to accounts.
pub const BACKUPS_FILE: &str = "backups.db";
/// The channel side's file name.
pub const CHANNELS_FILE: &str = "channels.db";

/// A KeyPackage fits into a quarter of such a page, so that the account side needs no overflow pages, whose numbers would
/// tell in what order accounts came.
const ACCOUNTS_PAGE_BYTES: u32 = 16_384;
const BACKUPS_PAGE_BYTES: u32 = 16_384;
const CHANNELS_PAGE_BYTES: u32 = 8_192;
/// How long the channel side's write-ahead log keeps the order of what was written.
const CHANNELS_FOLD_MS: u64 = 30_000;
/// The shortest time between two rewritings of the account side.
const REWRITE_MS_MIN: u64 = 5_000;
/// Up to this size a file of the account side is rewritten while the server runs; larger accounts once a day and at the
/// end, larger backups not at all: there, places tell in which order backups came.
const REWRITE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// One database and its transaction.
struct Side {
    path: PathBuf,
    connection: Connection,
    in_transaction: bool,
    /// Rows changed, as of the last rewriting.
    rewritten: Option<u64>,
    rewritten_at_ms: u64,
}

impl Side {
    fn open(path: PathBuf, tables: &str, sharing: Sharing, page_bytes: u32) -> Result<Self, StoreError> {
        let connection = schema::open(&path, tables, sharing, page_bytes)?;
        Ok(Self { path, connection, in_transaction: false, rewritten: None, rewritten_at_ms: 0 })
    }

    fn enter(&mut self) -> Result<&Connection, StoreError> {
        if !self.in_transaction {
            self.connection.prepare_cached("BEGIN IMMEDIATE").and_then(|mut s| s.execute([])).map_err(failure)?;
            self.in_transaction = true;
        }
        Ok(&self.connection)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.in_transaction) {
            let done = self.connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([]));
            if let Err(error) = done {
                self.undo();
                return Err(failure(error));
            }
        }
        Ok(())
    }

    fn rollback(&mut self) {
        if std::mem::take(&mut self.in_transaction) {
            self.undo();
        }
    }

    /// SQLite may have rolled back by itself; then there is nothing to undo.
    fn undo(&mut self) {
        if !self.connection.is_autocommit() {
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Lays every table out anew, in the order of its keys. Within a page SQLite keeps rows in the order in which they
    /// came; whoever knew the order of registrations and the order of channels could pair them.
    fn rewrite(&mut self) -> Result<(), StoreError> {
        let changes = self.connection.total_changes();
        if self.rewritten != Some(changes) {
            self.connection.execute_batch("VACUUM").map_err(failure)?;
            self.rewritten = Some(self.connection.total_changes());
        }
        Ok(())
    }

    /// Rewrites when it is time, where a larger file than [`REWRITE_BYTES_MAX`] waits for `large_ms`.
    fn rewrite_if_due(&mut self, now: Now, large_ms: u64) -> Result<(), StoreError> {
        let bytes = self.bytes();
        let pause_ms = match bytes > REWRITE_BYTES_MAX {
            true => large_ms,
            // At about 50 MB/s this is a hundredth of the time.
            false => REWRITE_MS_MIN.max(bytes / 500),
        };
        if now.unix_ms >= self.rewritten_at_ms.saturating_add(pause_ms) {
            self.rewritten_at_ms = now.unix_ms;
            self.rewrite()?;
        }
        Ok(())
    }

    /// Folds the write-ahead log back and truncates it: it is in order of time, and holds what was deleted since.
    fn fold(&self) -> Result<(), StoreError> {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        if std::fs::metadata(wal).is_ok_and(|file| file.len() > 0) {
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
                .map_err(failure)?;
        }
        Ok(())
    }
}

/// See the module.
pub struct SqliteStore {
    accounts: Side,
    backups: Side,
    channels: Side,
    append_key: AppendKey,
    open: bool,
    /// What the open transaction adds to the channel side's totals.
    more: ChannelTotals,
    /// `data_version` of the account side: it moves when another process writes.
    accounts_version: i64,
    folded_at_ms: u64,
}

impl SqliteStore {
    /// Opens the databases in `dir`, and makes them if they are not there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another server runs on the directory; others as they say.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let channels = Side::open(dir.join(CHANNELS_FILE), schema::CHANNELS, Sharing::Alone, CHANNELS_PAGE_BYTES)?;
        let append_key = AppendKey::load(&channels.connection)?;
        let accounts = open_accounts(dir)?;
        let backups = open_backups(dir)?;
        let accounts_version = data_version(&accounts.connection)?;
        let more = ChannelTotals::default();
        Ok(Self { accounts, backups, channels, append_key, open: false, more, accounts_version, folded_at_ms: 0 })
    }

    /// Closes the databases: what was written last is hidden among the rest, and the write-ahead logs are gone.
    ///
    /// # Errors
    /// [`StoreError`]; everything that was committed is safe all the same.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.rollback();
        self.accounts.rewrite()?;
        if self.backups.bytes() <= REWRITE_BYTES_MAX {
            self.backups.rewrite()?;
        }
        self.accounts.fold()?;
        self.backups.fold()?;
        self.channels.fold()
    }

    fn accounts(&mut self) -> Result<&Connection, StoreError> {
        if self.open { self.accounts.enter() } else { Err(StoreError::OutOfTurn) }
    }

    fn backups(&mut self) -> Result<&Connection, StoreError> {
        if self.open { self.backups.enter() } else { Err(StoreError::OutOfTurn) }
    }

    fn channels(&mut self) -> Result<&Connection, StoreError> {
        if self.open { self.channels.enter() } else { Err(StoreError::OutOfTurn) }
    }

    /// Writes the totals, if they changed.
    fn add_up(&mut self) -> Result<(), StoreError> {
        let more = std::mem::take(&mut self.more);
        if more == ChannelTotals::default() {
            return Ok(());
        }
        channels::add_totals(self.channels.enter()?, more)
    }
}

fn open_accounts(dir: &Path) -> Result<Side, StoreError> {
    Side::open(dir.join(ACCOUNTS_FILE), schema::ACCOUNTS, Sharing::Shared, ACCOUNTS_PAGE_BYTES)
}

fn open_backups(dir: &Path) -> Result<Side, StoreError> {
    Side::open(dir.join(BACKUPS_FILE), schema::BACKUPS, Sharing::Shared, BACKUPS_PAGE_BYTES)
}

fn data_version(connection: &Connection) -> Result<i64, StoreError> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(failure)
}

/// What SQLite's error means for the caller.
fn failure(error: rusqlite::Error) -> StoreError {
    match &error {
        rusqlite::Error::SqliteFailure(code, _) => match code.code {
            ErrorCode::DiskFull => StoreError::DiskFull,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Locked,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => {
                StoreError::Corrupt
            }
            _ => StoreError::Io,
        },
        _ => StoreError::Corrupt,
    }
}

/// A number as SQLite holds it. Numbers above 2^63 do not occur: the core refuses such epochs.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<(), StoreError> {
        if self.open {
            return Err(StoreError::OutOfTurn);
        }
        self.open = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.open) {
            return Err(StoreError::OutOfTurn);
        }
        let channels = self.add_up().and_then(|()| self.channels.commit());
        let done = channels.and_then(|()| self.accounts.commit()).and_then(|()| self.backups.commit());
        if done.is_err() {
            self.rollback();
        }
        done
    }

    fn rollback(&mut self) {
        self.open = false;
        self.more = ChannelTotals::default();
        self.channels.rollback();
        self.backups.rollback();
        self.accounts.rollback();
    }

    fn maintain(&mut self, now: Now) -> Result<(), StoreError> {
        if self.open {
            return Err(StoreError::OutOfTurn);
        }
        self.accounts.rewrite_if_due(now, DAY_MS)?;
        self.backups.rewrite_if_due(now, u64::MAX)?;
        self.accounts.fold()?;
        self.backups.fold()?;
        if now.unix_ms >= self.folded_at_ms.saturating_add(CHANNELS_FOLD_MS) {
            self.folded_at_ms = now.unix_ms;
            self.channels.fold()?;
        }
        Ok(())
    }

    fn changes(&self) -> u64 {
        let sides = [&self.accounts, &self.backups, &self.channels];
        sides.iter().map(|side| side.connection.total_changes()).sum()
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        let version = data_version(&self.accounts.connection)?;
        let changed = std::mem::replace(&mut self.accounts_version, version) != version;
        if changed {
            self.accounts.rewritten = None;
        }
        Ok(changed)
    }
}

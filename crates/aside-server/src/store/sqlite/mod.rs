//! SQLite: two databases in one directory, `accounts.db` and `channels.db`, in WAL mode with full sync.
//!
//! A transaction is begun on a side when the side is first touched, so that messages never wait for the account side.
//! Where both were touched (drawing channel tokens, and nothing else) the channel side is committed first: after a crash
//! between the two there are tokens that nobody was given, which is harmless.

mod accounts;
mod channels;
mod schema;

use super::{
    AccountSummary, ChannelNumber, ChannelState, Creation, Deposit, DeviceKey, Due, KnownAppend, Page, Standing, Store,
    StoreError, StoredAccount, StoredEpoch,
};
use crate::core::Now;
use aside_protocol::address::AccountName;
use aside_protocol::channel::{Entry, EpochKeys, Position};
use aside_protocol::id::{AppendId, ChannelId, DeliveryId, Hash};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::key::PublicKey;
use rusqlite::{Connection, ErrorCode};
use schema::Sharing;
use std::path::{Path, PathBuf};

/// The account side's file name.
pub const ACCOUNTS_FILE: &str = "accounts.db";
/// The channel side's file name.
pub const CHANNELS_FILE: &str = "channels.db";

/// A KeyPackage fits into a quarter of such a page, so that the account side needs no overflow pages, whose numbers would
/// tell in what order accounts came.
const ACCOUNTS_PAGE_BYTES: u32 = 16_384;
const CHANNELS_PAGE_BYTES: u32 = 8_192;
/// How long the channel side's write-ahead log keeps the order of what was written.
const CHANNELS_FOLD_MS: u64 = 30_000;
/// The shortest time between two rewritings of the account side.
const REWRITE_MS_MIN: u64 = 5_000;
/// Up to this size the account side is rewritten while the server runs; a larger one once a day and at the end.
const REWRITE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const DAY_MS: u64 = 86_400_000;

/// One database and its transaction.
struct Side {
    path: PathBuf,
    connection: Connection,
    in_transaction: bool,
}

impl Side {
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
    channels: Side,
    open: bool,
    /// `data_version` of the account side: it moves when another process writes.
    accounts_version: i64,
    /// Rows changed on the account side, as of the last rewriting.
    rewritten: Option<u64>,
    rewritten_at_ms: u64,
    folded_at_ms: u64,
}

impl SqliteStore {
    /// Opens both databases in `dir`, and makes them if they are not there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another server runs on the directory; others as they say.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let side = |file, tables, sharing, page_bytes| -> Result<Side, StoreError> {
            let path = dir.join(file);
            let connection = schema::open(&path, tables, sharing, page_bytes)?;
            Ok(Side { path, connection, in_transaction: false })
        };
        let channels = side(CHANNELS_FILE, schema::CHANNELS, Sharing::Alone, CHANNELS_PAGE_BYTES)?;
        let accounts = side(ACCOUNTS_FILE, schema::ACCOUNTS, Sharing::Shared, ACCOUNTS_PAGE_BYTES)?;
        let accounts_version = data_version(&accounts.connection)?;
        let (rewritten, rewritten_at_ms, folded_at_ms) = (None, 0, 0);
        Ok(Self { accounts, channels, open: false, accounts_version, rewritten, rewritten_at_ms, folded_at_ms })
    }

    /// Closes the databases: what was written last is hidden among the rest, and the write-ahead logs are gone.
    ///
    /// # Errors
    /// [`StoreError`]; everything that was committed is safe all the same.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.rollback();
        self.rewrite_accounts()?;
        self.accounts.fold()?;
        self.channels.fold()
    }

    fn accounts(&mut self) -> Result<&Connection, StoreError> {
        if self.open { self.accounts.enter() } else { Err(StoreError::OutOfTurn) }
    }

    fn channels(&mut self) -> Result<&Connection, StoreError> {
        if self.open { self.channels.enter() } else { Err(StoreError::OutOfTurn) }
    }

    /// Lays every table of the account side out anew, in the order of its keys. Within a page SQLite keeps rows in the
    /// order in which they came; whoever knew the order of registrations and the order of channels could pair them.
    fn rewrite_accounts(&mut self) -> Result<(), StoreError> {
        let changes = self.accounts.connection.total_changes();
        if self.rewritten != Some(changes) {
            self.accounts.connection.execute_batch("VACUUM").map_err(failure)?;
            self.rewritten = Some(self.accounts.connection.total_changes());
        }
        Ok(())
    }

    fn rewrite_is_due(&self, now: Now) -> bool {
        let bytes = std::fs::metadata(&self.accounts.path).map_or(0, |file| file.len());
        let pause_ms = match bytes > REWRITE_BYTES_MAX {
            true => DAY_MS,
            // At about 50 MB/s this is a hundredth of the time.
            false => REWRITE_MS_MIN.max(bytes / 500),
        };
        now.unix_ms >= self.rewritten_at_ms.saturating_add(pause_ms)
    }
}

/// The account side alone, for the administrator's commands beside a running server.
pub struct AccountsFile(Side);

impl AccountsFile {
    /// Opens the account side in `dir`, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(ACCOUNTS_FILE);
        let connection = schema::open(&path, schema::ACCOUNTS, Sharing::Shared, ACCOUNTS_PAGE_BYTES)?;
        Ok(Self(Side { path, connection, in_transaction: false }))
    }

    /// Remembers an invite until `expires_day`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        accounts::put_invite(self.0.enter()?, token, expires_day)?;
        self.0.commit()
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError> {
        accounts::list(&self.0.connection)
    }

    /// Changes whether an account may be used. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        let found = accounts::set_standing(self.0.enter()?, name, standing)?;
        self.0.commit()?;
        Ok(found)
    }
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
        let channels = self.channels.commit();
        if channels.is_err() {
            self.accounts.rollback();
            return channels;
        }
        self.accounts.commit()
    }

    fn rollback(&mut self) {
        self.open = false;
        self.channels.rollback();
        self.accounts.rollback();
    }

    fn maintain(&mut self, now: Now) -> Result<(), StoreError> {
        if self.open {
            return Err(StoreError::OutOfTurn);
        }
        if self.rewrite_is_due(now) {
            self.rewritten_at_ms = now.unix_ms;
            self.rewrite_accounts()?;
        }
        self.accounts.fold()?;
        if now.unix_ms >= self.folded_at_ms.saturating_add(CHANNELS_FOLD_MS) {
            self.folded_at_ms = now.unix_ms;
            self.channels.fold()?;
        }
        Ok(())
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        let version = data_version(&self.accounts.connection)?;
        let changed = std::mem::replace(&mut self.accounts_version, version) != version;
        if changed {
            self.rewritten = None;
        }
        Ok(changed)
    }

    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError> {
        channels::find(self.channels()?, channel)
    }

    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        epoch: u64,
        keys: &EpochKeys,
    ) -> Result<Creation, StoreError> {
        channels::create(self.channels()?, channel, number, start, (epoch, keys))
    }

    fn find_epoch(&mut self, number: ChannelNumber, epoch: u64) -> Result<Option<StoredEpoch>, StoreError> {
        channels::find_epoch(self.channels()?, number, epoch)
    }

    fn find_append(&mut self, number: ChannelNumber, id: &AppendId) -> Result<Option<KnownAppend>, StoreError> {
        channels::find_append(self.channels()?, number, id)
    }

    fn append(&mut self, number: ChannelNumber, entry: &Entry, end: Position, day: u32) -> Result<(), StoreError> {
        channels::append(self.channels()?, number, entry, end, day)
    }

    fn end_epoch(
        &mut self,
        number: ChannelNumber,
        epoch: u64,
        commit: Position,
        next: u64,
        next_keys: &EpochKeys,
    ) -> Result<(), StoreError> {
        channels::end_epoch(self.channels()?, number, epoch, commit, (next, next_keys))
    }

    fn read_entries(
        &mut self,
        number: ChannelNumber,
        after: u64,
        through: u64,
        page: Page,
    ) -> Result<Vec<Entry>, StoreError> {
        channels::read(self.channels()?, number, after, through, page)
    }

    fn note_due(&mut self, number: ChannelNumber, day: u32, due: Due) -> Result<(), StoreError> {
        channels::note_due(self.channels()?, number, day, due)
    }

    fn sweep_channels(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        channels::sweep(self.channels()?, today, rows_max)
    }

    fn put_channel_token(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        channels::put_token(self.channels()?, token, expires_day)
    }

    fn take_channel_token(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        channels::take_token(self.channels()?, token, today)
    }

    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
        accounts::find(self.accounts()?, name)
    }

    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError> {
        accounts::create(self.accounts()?, name, (root_key, key_sets), device, day)
    }

    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        accounts::set_standing(self.accounts()?, name, standing)
    }

    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError> {
        accounts::list(self.accounts()?)
    }

    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError> {
        accounts::list_devices(self.accounts()?, name)
    }

    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError> {
        accounts::find_device(self.accounts()?, device)
    }

    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        accounts::put_invite(self.accounts()?, token, expires_day)
    }

    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        accounts::has_invite(self.accounts()?, token, today)
    }

    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError> {
        accounts::remove_invite(self.accounts()?, token)
    }

    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError> {
        accounts::put_delivery_token(self.accounts()?, name, token, expires_day, tokens_max)
    }

    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
        accounts::remove_delivery_token(self.accounts()?, name, token)
    }

    fn has_delivery_token(&mut self, name: &AccountName, token: &Hash, today: u32) -> Result<bool, StoreError> {
        accounts::has_delivery_token(self.accounts()?, name, token, today)
    }

    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError> {
        accounts::add_key_packages(self.accounts()?, device, packages, packages_max)
    }

    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
        accounts::put_last_resort(self.accounts()?, device, package)
    }

    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError> {
        accounts::count_key_packages(self.accounts()?, device)
    }

    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        accounts::take_key_package(self.accounts()?, device, today)
    }

    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError> {
        accounts::deposit(self.accounts()?, device, id, (envelope, day), envelopes_max)
    }

    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError> {
        accounts::read_inbox(self.accounts()?, device, after, page)
    }

    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError> {
        accounts::acknowledge_inbox(self.accounts()?, device, through)
    }

    fn channel_tokens_drawn(&mut self, name: &AccountName, today: u32) -> Result<u32, StoreError> {
        accounts::channel_tokens_drawn(self.accounts()?, name, today)
    }

    fn set_channel_tokens_drawn(&mut self, name: &AccountName, today: u32, drawn: u32) -> Result<(), StoreError> {
        accounts::set_channel_tokens_drawn(self.accounts()?, name, today, drawn)
    }

    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        accounts::sweep(self.accounts()?, today, rows_max)
    }
}

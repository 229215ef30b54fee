//! What the server remembers, behind one trait. A message passes here between the core's decision and its
//! acknowledgement.
//!
//! Two sides share a transaction and nothing else: the *account side* (names, devices, KeyPackages, inboxes, tokens of
//! contacts) and the *channel side* (channels, their logs and keys, tokens that pay for channels). No row of one may name
//! a row of the other, and no row of either may hold a time finer than a day or reveal the order in which rows came.

#[cfg(test)]
mod conformance;
pub mod sqlite;
pub mod volatile;

use crate::core::Now;
use aside_protocol::address::AccountName;
use aside_protocol::channel::{Entry, EpochKeys, Position};
use aside_protocol::id::{AppendId, ChannelId, DeliveryId, DeviceId, Hash};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::key::PublicKey;

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

/// The store's own short name for a channel: 31 random bits, so that neither it nor the rows that it orders tell when
/// the channel was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelNumber(u32);

impl ChannelNumber {
    /// Takes 31 bits of `random`.
    pub fn from_random(random: u32) -> Self {
        Self(random >> 1)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelState {
    /// The store's name for it.
    pub number: ChannelNumber,
    /// The current epoch.
    pub epoch: u64,
    /// The log's end.
    pub end: Position,
}

/// What the store keeps of one epoch, as long as the commit that ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredEpoch {
    /// The epoch's keys.
    pub keys: EpochKeys,
    /// The last entry before the epoch: the commit that began it, or 0.
    pub begins_after: u64,
    /// The commit that ended it; absent in the current epoch.
    pub ended: Option<Position>,
}

/// Whether a channel was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was.
    Created,
    /// Another channel has this number: draw again.
    NumberTaken,
}

/// An entry that the log holds already, found by its append id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownAppend {
    /// Its place, and the head after it.
    pub position: Position,
    /// Of the body that came first.
    pub body_hash: Hash,
}

/// What falls due in a channel on a certain day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// Bodies expire.
    Bodies,
    /// Headers of entries are forgotten, and with commits the keys of the epochs that they ended.
    Headers,
}

/// How much one page may hold. The first item is in the page whatever its size.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Items.
    pub items_max: usize,
    /// Bytes of bodies, after which the page ends.
    pub bytes_max: usize,
}

/// A device, by account and id: ids alone are chosen by clients and could be copied from another account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The account.
    pub name: AccountName,
    /// The device.
    pub device: DeviceId,
}

/// An account, without its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// The root key.
    pub root_key: PublicKey,
    /// The chain, oldest first.
    pub key_sets: Vec<KeySet>,
    /// Whether the administrator shut it out.
    pub standing: Standing,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Good,
    /// The administrator suspended it.
    Suspended,
}

/// An account as the administrator sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The name.
    pub name: AccountName,
    /// How many devices it has.
    pub devices: u32,
    /// The day (since 1970-01-01, UTC) on which it was made.
    pub created_day: u32,
    /// Whether it may be used.
    pub standing: Standing,
}

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposit {
    /// It waits under this number.
    Stored(u64),
    /// It came before; nothing was done.
    Repeated,
    /// The inbox is full.
    Full,
}

/// Durable memory in transactions. One caller at a time; every operation but [`Store::maintain`] stands between
/// [`Store::begin`] and [`Store::commit`].
///
/// An operation that fails voids the transaction: the caller rolls back and answers nothing as done.
pub trait Store {
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
    /// Whether another process (the administrator's commands) wrote to the account side since the last call.
    ///
    /// # Errors
    /// [`StoreError`].
    fn changed_elsewhere(&mut self) -> Result<bool, StoreError>;

    /// Looks a channel up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError>;
    /// Makes a channel whose log is empty, with `start` (seq 0) as its end. The channel must not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        epoch: u64,
        keys: &EpochKeys,
    ) -> Result<Creation, StoreError>;
    /// An epoch of a channel, unless it is forgotten or never was.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_epoch(&mut self, number: ChannelNumber, epoch: u64) -> Result<Option<StoredEpoch>, StoreError>;
    /// Finds an entry by its append id, however old, as long as its header is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_append(&mut self, number: ChannelNumber, id: &AppendId) -> Result<Option<KnownAppend>, StoreError>;
    /// Puts an entry at the log's end. `end` is the place that it takes; `day` is today.
    ///
    /// # Errors
    /// [`StoreError`].
    fn append(&mut self, number: ChannelNumber, entry: &Entry, end: Position, day: u32) -> Result<(), StoreError>;
    /// Ends an epoch with the commit at `commit`, and begins the one after it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn end_epoch(
        &mut self,
        number: ChannelNumber,
        epoch: u64,
        commit: Position,
        next: u64,
        next_keys: &EpochKeys,
    ) -> Result<(), StoreError>;
    /// Entries behind `after`, up to and including `through`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read_entries(
        &mut self,
        number: ChannelNumber,
        after: u64,
        through: u64,
        page: Page,
    ) -> Result<Vec<Entry>, StoreError>;
    /// Remembers that something in a channel falls due on a day. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn note_due(&mut self, number: ChannelNumber, day: u32, due: Due) -> Result<(), StoreError>;
    /// Expires and forgets what is due, at most `rows_max` entries. Returns how many things it did; 0: nothing is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sweep_channels(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError>;
    /// Remembers a channel token until `expires_day`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_channel_token(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError>;
    /// Spends a channel token. `false`: unknown, spent or expired.
    ///
    /// # Errors
    /// [`StoreError`].
    fn take_channel_token(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError>;

    /// Looks an account up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError>;
    /// Makes an account with its first device. It must not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError>;
    /// Changes whether an account may be used. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError>;
    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError>;
    /// An account's devices, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError>;
    /// One device.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError>;
    /// Remembers an invite until `expires_day`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError>;
    /// Whether an invite is good.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError>;
    /// Deletes an invite. Whom it admitted is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError>;
    /// Registers a delivery token, or replaces its expiry. `false`: the account has `tokens_max` others already.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError>;
    /// Withdraws a delivery token.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError>;
    /// Whether a delivery token is good for an account. There is no difference between its not being there and the
    /// account's not being there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has_delivery_token(&mut self, name: &AccountName, token: &Hash, today: u32) -> Result<bool, StoreError>;
    /// Adds KeyPackages. One that was handed out a short while ago is not added again. `false`: there would be more than
    /// `packages_max`, and none was added.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError>;
    /// Replaces the KeyPackage of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError>;
    /// KeyPackages left, without the one of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError>;
    /// Hands out a KeyPackage, for good; the one of last resort when no other is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError>;
    /// Puts an envelope into an inbox, once for each delivery id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError>;
    /// Envelopes behind `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError>;
    /// Deletes envelopes up to and including `through`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError>;
    /// Channel tokens that an account drew today.
    ///
    /// # Errors
    /// [`StoreError`].
    fn channel_tokens_drawn(&mut self, name: &AccountName, today: u32) -> Result<u32, StoreError>;
    /// Records how many channel tokens an account drew today. Which ones is not recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_channel_tokens_drawn(&mut self, name: &AccountName, today: u32, drawn: u32) -> Result<(), StoreError>;
    /// Deletes expired tokens, invites and envelopes, at most `rows_max`. Returns how many; 0: nothing is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError>;
}

/// Days for which a handed-out KeyPackage's hash is remembered, so that a repeated publication does not revive it.
pub const SPENT_KEY_PACKAGE_DAYS: u32 = 2;

//! The channel side of the store: channels, their logs and keys, blobs, and the tokens that pay for them.

use super::{Page, StoreError};
use aside_protocol::blob::BlobId;
use aside_protocol::channel::{Entry, EpochKeys, Position};
use aside_protocol::id::{AppendId, ChannelId, Hash};

/// Days after which an empty channel that nobody uses is forgotten (P-4.17). Uses are noted about once a month, so that it
/// may take up to [`CHANNEL_USE_NOTED_DAYS`] fewer since the last one.
pub const CHANNEL_UNUSED_DAYS: u32 = 210;
/// How old the note of a channel's last use may become before a use renews it.
pub const CHANNEL_USE_NOTED_DAYS: u32 = 30;

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
    /// The day of its last use, as last noted.
    pub used_day: u32,
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
    /// The channel itself is forgotten, if it is empty and was not used meanwhile.
    Channel,
}

/// How much there is on the channel side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelTotals {
    /// Channels.
    pub channels: i64,
    /// Entries whose headers are kept.
    pub entries: i64,
    /// Bytes of their bodies.
    pub entry_bytes: i64,
    /// Blobs.
    pub blobs: i64,
    /// Bytes of blobs.
    pub blob_bytes: i64,
}

/// What [`super::Store`] keeps of channels.
pub trait ChannelStore {
    /// Looks a channel up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError>;
    /// Makes a channel whose log is empty, with `start` (seq 0) as its end; `day` is today. The channel
    /// must not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        epoch: (u64, &EpochKeys),
        day: u32,
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
    /// Expires and forgets what is due, at most `rows_max` entries; where nothing is, blobs and tokens. Returns how many things it did; 0: nothing is left.
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
    /// Notes that a channel is used today.
    ///
    /// # Errors
    /// [`StoreError`].
    fn touch_channel(&mut self, number: ChannelNumber, day: u32) -> Result<(), StoreError>;
    /// Keeps a blob until `expires_day`. None of that name may be there, apart from an expired one.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_blob(&mut self, blob: &BlobId, bytes: &[u8], expires_day: u32) -> Result<(), StoreError>;
    /// A blob's bytes, unless it expired.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_blob(&mut self, blob: &BlobId, today: u32) -> Result<Option<Vec<u8>>, StoreError>;
    /// How much there is.
    ///
    /// # Errors
    /// [`StoreError`].
    fn channel_totals(&mut self) -> Result<ChannelTotals, StoreError>;
}

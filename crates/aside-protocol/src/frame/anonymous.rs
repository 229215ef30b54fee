//! The anonymous connection: channels, and other people's inboxes. It never names the account that speaks.

use super::{ClientFrame, ServerFrame};
use crate::address::AccountName;
use crate::blob::{BlobCapability, BlobId};
use crate::channel::{Entry, EntryHeader, EpochKeys, Position, Proof};
use crate::id::{ChannelId, DeliveryId, DeviceId};
use crate::identity::DirectoryAccount;
use crate::inbox::{ChannelToken, DeliveryToken};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Path of the WebSocket.
pub const PATH: &str = "/v1/anonymous";
/// A client's frame on this connection.
pub type FromClient = ClientFrame<Request>;
/// A server's frame on this connection.
pub type FromServer = ServerFrame<Answer, Push>;

/// What a member, or somebody with a delivery token, asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// The account's chain and devices, with one KeyPackage a device.
    #[n(0)]
    FetchKeyPackages {
        /// Whose.
        #[n(0)]
        account: AccountName,
        /// Authorises it.
        #[n(1)]
        token: DeliveryToken,
    },
    /// Puts an envelope into a device's inbox. A repeat of the delivery id is done once.
    #[n(1)]
    Deliver(#[n(0)] Delivery),
    /// Makes a channel. A repeat with the same keys succeeds again.
    #[n(2)]
    CreateChannel {
        /// Chosen by the founder, random.
        #[n(0)]
        channel: ChannelId,
        /// Pays for it.
        #[n(1)]
        token: ChannelToken,
        /// The epoch that the group is in.
        #[n(2)]
        epoch: u64,
        /// Its keys.
        #[n(3)]
        keys: EpochKeys,
    },
    /// Proves a channel key on this connection.
    #[n(3)]
    Prove(#[n(0)] Proof),
    /// The log from an entry on, as far as the proved epoch goes (its last entry is the commit that ends it), in pages.
    /// The last page makes the subscription live: pushes follow, until the epoch ends. Needs the epoch's read proof.
    #[n(4)]
    Subscribe {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
        /// Whose read key was proved.
        #[n(1)]
        epoch: u64,
        /// The last entry that the client has.
        #[n(2)]
        after: u64,
    },
    /// Ends a subscription.
    #[n(5)]
    Unsubscribe {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
    },
    /// Appends messages, all or none, in this order. Needs the epoch's append proof.
    #[n(6)]
    Append {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
        /// 1 to [`crate::limit::APPEND_ENTRIES_MAX`], all of one epoch, none a commit.
        #[n(1)]
        entries: Vec<NewEntry>,
    },
    /// Appends the commit that ends the epoch: a compare-and-swap. Needs the epoch's commit proof.
    #[n(7)]
    Commit {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
        /// With the next epoch's keys in its header.
        #[n(1)]
        entry: NewEntry,
    },
    /// Hands bytes to everybody who is subscribed, and stores nothing. Needs the epoch's append proof.
    #[n(8)]
    Ephemeral {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
        /// The epoch.
        #[n(1)]
        epoch: u64,
        /// At most [`crate::limit::EPHEMERAL_BYTES_MAX`].
        #[cbor(n(2), with = "minicbor::bytes")]
        body: Vec<u8>,
    },
    /// The account's chain and devices. Uses no KeyPackage up.
    #[n(9)]
    FetchAccount {
        /// Whose.
        #[n(0)]
        account: AccountName,
        /// Authorises it.
        #[n(1)]
        token: DeliveryToken,
    },
    /// Stores a blob. A repeat with the same bytes succeeds again, without another token.
    #[n(10)]
    PutBlob(#[n(0)] NewBlob),
    /// A blob's bytes.
    #[n(11)]
    GetBlob {
        /// Names it and authorises it.
        #[n(0)]
        capability: BlobCapability,
    },
    /// An account that can be found by its name.
    #[n(12)]
    FindByName {
        /// Whose.
        #[n(0)]
        account: AccountName,
    },
}

/// A blob on its way to its server.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NewBlob {
    /// Pays for it.
    #[n(0)]
    pub token: ChannelToken,
    /// From its capability.
    #[n(1)]
    pub blob: BlobId,
    /// The first day on which it is gone, at most [`crate::limit::BLOB_DAYS_MAX`] days from now.
    #[n(2)]
    pub expires_day: u32,
    /// Ciphertext, 1 to [`crate::limit::BLOB_BYTES_MAX`] bytes.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// An envelope on its way to an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delivery {
    /// The sender's name for it.
    #[n(0)]
    pub id: DeliveryId,
    /// Whose inbox.
    #[n(1)]
    pub account: AccountName,
    /// Which device's.
    #[n(2)]
    pub device: DeviceId,
    /// Authorises it.
    #[n(3)]
    pub token: DeliveryToken,
    /// Sealed.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
}

/// An entry that has no place yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NewEntry {
    /// Header, as it will stand in the chain.
    #[n(0)]
    pub header: EntryHeader,
    /// Ciphertext, at most [`crate::limit::ENTRY_BODY_BYTES_MAX`].
    #[cbor(n(1), with = "minicbor::bytes")]
    pub body: Vec<u8>,
}

/// A device with the KeyPackage that was handed out for it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceKeyPackage {
    /// The device.
    #[n(0)]
    pub device: DeviceId,
    /// An MLSMessage; absent when the device published none at all.
    #[n(1)]
    pub key_package: Option<ByteVec>,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Done.
    #[n(0)]
    Done,
    /// To `FetchKeyPackages`.
    #[n(1)]
    KeyPackages {
        /// The account.
        #[n(0)]
        account: DirectoryAccount,
        /// One for each device.
        #[n(1)]
        key_packages: Vec<DeviceKeyPackage>,
    },
    /// To `Subscribe`.
    #[n(2)]
    Entries {
        /// In order.
        #[n(0)]
        entries: Vec<Entry>,
        /// The log's end when the page was made.
        #[n(1)]
        end: Position,
        /// Whether this was the last page, so that pushes follow. Never where the page ends in a commit.
        #[n(2)]
        live: bool,
    },
    /// To `Append` and `Commit`: each entry is on disk, with its place and the head after it, in the request's order.
    #[n(3)]
    Appended(#[n(0)] Vec<Position>),
    /// To `FetchAccount`.
    #[n(4)]
    Account(#[n(0)] DirectoryAccount),
    /// To `GetBlob`.
    #[n(5)]
    Blob(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// To `FindByName`.
    #[n(6)]
    Found {
        /// The account.
        #[n(0)]
        account: DirectoryAccount,
        /// Writes to it, within the day's limits.
        #[n(1)]
        token: DeliveryToken,
        /// One for each device: always the one of last resort.
        #[n(2)]
        key_packages: Vec<DeviceKeyPackage>,
    },
}

/// What the server pushes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Push {
    /// A new entry of a subscribed channel. Where it is a commit, the subscription ends with it.
    #[n(0)]
    Entry(#[n(0)] ChannelId, #[n(1)] Entry),
    /// An ephemeral one.
    #[n(1)]
    Ephemeral {
        /// The channel.
        #[n(0)]
        channel: ChannelId,
        /// The epoch.
        #[n(1)]
        epoch: u64,
        /// Ciphertext.
        #[cbor(n(2), with = "minicbor::bytes")]
        body: Vec<u8>,
    },
}

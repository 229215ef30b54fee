//! Letters between devices that heal something (P-9.1): they go through inboxes, past the channel that is broken.

use crate::content::MessageId;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::{ChainHead, ChannelId};
use aside_protocol::identity::{DeviceRecord, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// A letter that heals.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum HealLetter {
    /// Give this device a fresh leaf.
    #[n(0)]
    ReAdd(#[n(0)] Box<ReAdd>),
    /// What was said there, that this device could not get?
    #[n(1)]
    Ask(#[n(0)] Box<Ask>),
    /// This was said there.
    #[n(2)]
    Give(#[n(0)] Box<Give>),
    /// No fresh leaf: your account is not in the group any more.
    #[n(3)]
    NotIn(#[n(0)] NotIn),
    /// No fresh leaf: whoever was asked has left that channel themselves. Whom they last knew there may give one.
    #[n(4)]
    HasLeft(#[n(0)] ChannelId, #[n(1)] Vec<AccountAddress>),
    /// What somebody else asks, who cannot reach whom they ask.
    #[n(5)]
    PassedOn(#[n(0)] Box<PassedOn>),
}

/// A request for what was said that a member passes on (P-9.6).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct PassedOn {
    #[n(0)]
    pub asker: MemberCredential,
    #[n(1)]
    pub ask: Ask,
}

/// The answer to somebody who asks for a leaf after they were removed (P-9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct NotIn {
    #[n(0)]
    pub channel: ChannelId,
    /// In which whoever answers is.
    #[n(1)]
    pub epoch: u64,
}

/// How to reach the inbox of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Reach {
    #[n(0)]
    pub server: ServerPin,
    #[n(1)]
    pub token: DeliveryToken,
    #[n(2)]
    pub record: DeviceRecord,
}

/// Where somebody cannot go on: before this entry, with the head of the chain after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct StuckAt {
    #[n(0)]
    pub epoch: u64,
    #[n(1)]
    pub entry: Position,
}

/// Why a fresh leaf is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Why {
    /// The group state is gone.
    #[n(0)]
    Lost,
    /// There is a commit that this device cannot process.
    #[n(1)]
    Stuck(#[n(0)] StuckAt),
    /// The log was forked, and the person wants to go on.
    #[n(2)]
    Forked,
    /// The server does not have the channel any more.
    #[n(3)]
    Gone,
}

/// A request for a fresh leaf (P-9.2).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ReAdd {
    #[n(0)]
    pub channel: ChannelId,
    /// Taken once.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// An MLSMessage, made for this request.
    #[n(2)]
    pub key_package: ByteVec,
    #[n(3)]
    pub why: Why,
    #[n(4)]
    pub reach: Reach,
    /// The last epoch of whoever asks, if whoever is asked was an admin there: they may not know it.
    #[n(5)]
    pub admin_in: Option<u64>,
}

/// A request for what was said (P-9.6).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Ask {
    #[n(0)]
    pub channel: ChannelId,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// First and last entry of each span.
    #[n(2)]
    pub spans: Vec<(u64, u64)>,
    #[n(3)]
    pub reach: Reach,
    /// Members whose words are known to be missing and whom the asker cannot reach: it is passed on to them.
    #[n(4)]
    pub unreached: Vec<AccountAddress>,
}

/// One content of the log, named.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Named {
    #[n(0)]
    pub seq: u64,
    #[n(1)]
    pub id: MessageId,
    #[n(2)]
    pub author: AccountAddress,
    #[n(3)]
    pub sent_ms: i64,
    /// Whether it is something that a person reads.
    #[n(4)]
    pub is_words: bool,
    /// Only to be given by its author's devices, or back to its author.
    #[n(5)]
    pub content: Option<ByteVec>,
    /// Its author took it back: nothing but its place is left.
    #[n(6)]
    pub is_deleted: bool,
}

/// What one member knows of one span (P-9.7).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Give {
    #[n(0)]
    pub channel: ChannelId,
    /// As asked, as far as this letter goes.
    #[n(1)]
    pub span: (u64, u64),
    /// In the order of the log.
    #[n(2)]
    pub named: Vec<Named>,
    /// Heads of the chain that the giver computed, to be compared.
    #[n(3)]
    pub heads: Vec<(u64, ChainHead)>,
    /// Whether nothing will be added to the channel any more.
    #[n(4)]
    pub is_ended: bool,
    /// Whether there is more of the span than went into this letter.
    #[n(5)]
    pub has_more: bool,
    /// How those are reached whose words are named and not given.
    #[n(6)]
    pub ways: Vec<(AccountAddress, Reach)>,
    /// Whether there may have been more, which the giver could not get either.
    #[n(7)]
    pub is_partial: bool,
}

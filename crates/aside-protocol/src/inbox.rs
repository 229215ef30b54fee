//! Inboxes: sealed envelopes for one device, from a sender whom the server is not told.
//! Rules P-5.1 to P-5.6 in `docs/protocol/5-inboxes.md`.

use crate::codec::labelled_hash;
use crate::id::{Hash, byte_id};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

byte_id!(
    /// What lets its holder fetch an account's KeyPackages and write to its inboxes. The server keeps its hash only.
    DeliveryToken, 32
);
byte_id!(
    /// Pays for one channel. Drawn on the account connection, spent on the anonymous one; the server records no drawer.
    ChannelToken, 32
);
byte_id!(
    /// Admits one new account.
    InviteToken, 16
);

impl DeliveryToken {
    /// What the server stores.
    pub fn hash(&self) -> Hash {
        Hash(labelled_hash("aside delivery token v1", &[&self.0]))
    }
}

impl ChannelToken {
    /// What the server stores.
    pub fn hash(&self) -> Hash {
        Hash(labelled_hash("aside channel token v1", &[&self.0]))
    }
}

impl InviteToken {
    /// What the server stores.
    pub fn hash(&self) -> Hash {
        Hash(labelled_hash("aside invite token v1", &[&self.0]))
    }
}

/// An envelope in an inbox. Envelopes of one inbox count from 1, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct InboxEntry {
    /// Its place.
    #[n(0)]
    pub seq: u64,
    /// HPKE (RFC 9180) base mode with X-Wing to the device's inbox key: encapsulated key, then ciphertext.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub envelope: Vec<u8>,
}

//! Channels: an ordered log of ciphertexts, its per-epoch keys, and the hash chain over it.
//! Rules P-4.1 to P-4.12 in `docs/protocol/4-channels.md`.

use crate::codec::{encode, labelled_hash};
use crate::id::{AppendId, Binding, ChainHead, ChannelId, Hash};
use crate::key::{BadSignature, PublicKey, Signature, SigningKey};
use minicbor::{Decode, Encode};

/// What a channel key is for. Every member derives the key pairs of each from the epoch's exporter (P-4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// Subscribe to the epoch's entries.
    #[n(0)]
    Read,
    /// Append messages and ephemerals.
    #[n(1)]
    Append,
    /// Append the commit that ends the epoch.
    #[n(2)]
    Commit,
    /// Open and join the call room.
    #[n(3)]
    Call,
}

impl Purpose {
    /// All purposes, in the order of their numbers.
    pub const ALL: [Purpose; 4] = [Purpose::Read, Purpose::Append, Purpose::Commit, Purpose::Call];

    /// The word under which the exporter derives this purpose's key.
    pub fn label(self) -> &'static str {
        match self {
            Purpose::Read => "read",
            Purpose::Append => "append",
            Purpose::Commit => "commit",
            Purpose::Call => "call",
        }
    }
}

/// The public keys of one epoch: a map from purpose to key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct EpochKeys {
    /// [`Purpose::Read`].
    #[n(0)]
    pub read: PublicKey,
    /// [`Purpose::Append`].
    #[n(1)]
    pub append: PublicKey,
    /// [`Purpose::Commit`].
    #[n(2)]
    pub commit: PublicKey,
    /// [`Purpose::Call`].
    #[n(3)]
    pub call: PublicKey,
}

impl EpochKeys {
    /// The key of one purpose.
    pub fn of(&self, purpose: Purpose) -> &PublicKey {
        match purpose {
            Purpose::Read => &self.read,
            Purpose::Append => &self.append,
            Purpose::Commit => &self.commit,
            Purpose::Call => &self.call,
        }
    }
}

/// A proof that its maker holds a channel key, good on one connection, for one channel, epoch and purpose (P-4.3).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// The channel.
    #[n(0)]
    pub channel: ChannelId,
    /// The epoch whose key this is.
    #[n(1)]
    pub epoch: u64,
    /// Which key.
    #[n(2)]
    pub purpose: Purpose,
    /// By that key.
    #[n(3)]
    pub signature: Signature,
}

const PROOF_LABEL: &str = "aside channel proof v1";

impl Proof {
    /// Makes a proof.
    pub fn sign(key: &SigningKey, binding: &Binding, channel: ChannelId, epoch: u64, purpose: Purpose) -> Self {
        let parts = [&binding.0[..], &channel.0, &epoch.to_be_bytes(), purpose.label().as_bytes()];
        Self { channel, epoch, purpose, signature: key.sign(PROOF_LABEL, &parts) }
    }

    /// Checks a proof against the epoch's keys and this connection's binding.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, keys: &EpochKeys, binding: &Binding) -> Result<(), BadSignature> {
        let parts = [&binding.0[..], &self.channel.0, &self.epoch.to_be_bytes(), self.purpose.label().as_bytes()];
        keys.of(self.purpose).verify(PROOF_LABEL, &parts, &self.signature)
    }
}

/// What the server can tell of an entry. It is in the chain, so it cannot be changed afterwards (P-4.6).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EntryHeader {
    /// The epoch that the entry was made in.
    #[n(0)]
    pub epoch: u64,
    /// The sender's name for it.
    #[n(1)]
    pub append_id: AppendId,
    /// The first day (since 1970-01-01, UTC) on which the body is gone.
    #[n(2)]
    pub expires_day: u32,
    /// In a commit: the keys of the epoch that it begins. Absent in a message.
    #[n(3)]
    pub next_keys: Option<EpochKeys>,
}

impl EntryHeader {
    /// Whether the entry ends its epoch.
    pub fn is_commit(&self) -> bool {
        self.next_keys.is_some()
    }
}

/// What is left of a body.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Body {
    /// The ciphertext.
    #[n(0)]
    Present(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// It expired: its hash keeps the chain whole.
    #[n(1)]
    Expired(#[n(0)] Hash),
}

impl Body {
    /// The hash that enters the chain.
    pub fn hash(&self) -> Hash {
        match self {
            Body::Present(bytes) => body_hash(bytes),
            Body::Expired(hash) => *hash,
        }
    }
}

/// The hash of a body.
pub fn body_hash(bytes: &[u8]) -> Hash {
    Hash(labelled_hash("aside body v1", &[bytes]))
}

/// One entry of a channel's log. Entries count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// Its place in the log.
    #[n(0)]
    pub seq: u64,
    /// What the server can tell of it.
    #[n(1)]
    pub header: EntryHeader,
    /// The ciphertext, unless it expired.
    #[n(2)]
    pub body: Body,
}

/// The head of a new channel's chain: nothing is in the log, and the first epoch's keys are fixed.
pub fn first_head(channel: &ChannelId, epoch: u64, keys: &EpochKeys) -> ChainHead {
    ChainHead(labelled_hash("aside chain start v1", &[&channel.0, &epoch.to_be_bytes(), &encode(keys)]))
}

/// The head after one more entry: `H(label ‖ channel ‖ head ‖ seq ‖ H(header) ‖ H(body))`.
pub fn next_head(channel: &ChannelId, head: &ChainHead, seq: u64, header: &EntryHeader, body: &Hash) -> ChainHead {
    let header_hash = labelled_hash("aside header v1", &[&encode(header)]);
    ChainHead(labelled_hash("aside chain v1", &[&channel.0, &head.0, &seq.to_be_bytes(), &header_hash, &body.0]))
}

/// A place in a channel's log, with the chain's head there: what members cite to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Position {
    /// The last entry; 0 before the first.
    #[n(0)]
    pub seq: u64,
    /// The head after it.
    #[n(1)]
    pub head: ChainHead,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> EpochKeys {
        let key = |offset| SigningKey::from_seed(&[seed + offset; 32]).public_key();
        EpochKeys { read: key(0), append: key(1), commit: key(2), call: key(3) }
    }

    fn header() -> EntryHeader {
        EntryHeader { epoch: 1, append_id: AppendId([1; 16]), expires_day: 20_000, next_keys: None }
    }

    #[test]
    fn every_part_of_an_entry_moves_the_head() {
        let (channel, head, body) = (ChannelId([1; 32]), ChainHead([2; 32]), body_hash(b"x"));
        let base = next_head(&channel, &head, 1, &header(), &body);
        let changed = [
            next_head(&ChannelId([9; 32]), &head, 1, &header(), &body),
            next_head(&channel, &ChainHead([9; 32]), 1, &header(), &body),
            next_head(&channel, &head, 2, &header(), &body),
            next_head(&channel, &head, 1, &EntryHeader { epoch: 2, ..header() }, &body),
            next_head(&channel, &head, 1, &EntryHeader { append_id: AppendId([2; 16]), ..header() }, &body),
            next_head(&channel, &head, 1, &EntryHeader { expires_day: 1, ..header() }, &body),
            next_head(&channel, &head, 1, &EntryHeader { next_keys: Some(keys(1)), ..header() }, &body),
            next_head(&channel, &head, 1, &header(), &body_hash(b"y")),
        ];
        assert!(changed.iter().all(|head| *head != base));
    }

    #[test]
    fn an_expired_body_leaves_the_chain_whole() {
        assert_eq!(Body::Present(b"x".to_vec()).hash(), Body::Expired(body_hash(b"x")).hash());
    }

    #[test]
    fn a_proof_holds_for_its_connection_epoch_and_purpose_only() {
        let (binding, channel) = (Binding([1; 32]), ChannelId([2; 32]));
        let proof = Proof::sign(&SigningKey::from_seed(&[1; 32]), &binding, channel, 3, Purpose::Read);
        assert!(proof.verify(&keys(1), &binding).is_ok());
        assert!(proof.verify(&keys(1), &Binding([9; 32])).is_err());
        assert!(Proof { epoch: 4, ..proof.clone() }.verify(&keys(1), &binding).is_err());
        assert!(Proof { purpose: Purpose::Append, ..proof }.verify(&keys(1), &binding).is_err());
    }
}

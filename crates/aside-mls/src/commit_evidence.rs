//! A commit entry's body (DESIGN 4a rule 2): the commit, and sealed evidence of who named which next keys.
//!
//! The next epoch's public keys cannot stand in the commit, because what a commit authenticates feeds the exporter that
//! they come from. They stand in the entry's header, which the server sees and could alter. So the committer signs them
//! beside the commit, under a key that only members of the ending epoch have. The header's keys and the commit are the
//! AEAD's associated data: whatever the server alters breaks the tag, and a broken tag blames nobody.

use crate::ephemeral::{open_with, seal_with};
use crate::error::{MlsError, SealedError};
use crate::group::{Group, StagedCommit};
use crate::provider::{DeviceSigner, Session};
use aside_protocol::channel::EpochKeys;
use aside_protocol::codec::{decode, encode, labelled_hash};
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::key::{BadSignature, PublicKey, Signature};
use aside_protocol::limit::ENTRY_BODY_BYTES_MAX;
use minicbor::{Decode, Encode};

const EXPORTER_LABEL: &str = "aside commit evidence";
const STATEMENT_LABEL: &str = "aside commit keys v1";
const COMMIT_LABEL: &str = "aside commit v1";

/// The body as it is on the wire.
#[derive(Encode, Decode)]
struct CommitBody {
    #[cbor(n(0), with = "minicbor::bytes")]
    commit: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    nonce: [u8; 12],
    #[cbor(n(2), with = "minicbor::bytes")]
    sealed: Vec<u8>,
}

/// A leaf's statement that its commit leads to these keys. With the tag checked, it can be shown to other members.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitStatement {
    /// Who says it.
    #[n(0)]
    pub leaf: u32,
    /// In which channel.
    #[n(1)]
    pub channel: ChannelId,
    /// The epoch that the commit ends.
    #[n(2)]
    pub epoch: u64,
    /// Of the commit's bytes.
    #[n(3)]
    pub commit: Hash,
    /// The keys of the epoch that it begins.
    #[n(4)]
    pub next_keys: EpochKeys,
    /// By the leaf's signature key.
    #[n(5)]
    pub signature: Signature,
}

impl CommitStatement {
    /// Checks the signature against the key of the leaf that it names.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, signature_key: &PublicKey) -> Result<(), BadSignature> {
        signature_key.verify(STATEMENT_LABEL, &self.parts().each_ref().map(Vec::as_slice), &self.signature)
    }

    fn parts(&self) -> [Vec<u8>; 5] {
        [
            self.channel.0.to_vec(),
            self.epoch.to_be_bytes().to_vec(),
            self.leaf.to_be_bytes().to_vec(),
            self.commit.0.to_vec(),
            encode(&self.next_keys),
        ]
    }
}

/// What the evidence in a commit entry is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The leaf signed this commit and these keys. If the keys turn out wrong, that leaf lied.
    Valid {
        /// Whose.
        leaf: u32,
    },
    /// The tag does not hold. The server could have done that: blame nobody.
    InvalidTag,
    /// The tag holds, the signature does not: some member made it, and it cannot be told which.
    BadLeafSignature,
}

/// A commit entry's body, opened. The commit itself is not processed yet.
#[derive(Debug, Clone)]
pub struct OpenedCommit {
    /// For [`Group::process`].
    pub commit: Vec<u8>,
    /// The verdict on the evidence.
    pub evidence: Evidence,
    /// What the leaf said, where the evidence is valid: to be kept if the keys are wrong.
    pub statement: Option<CommitStatement>,
}

/// What comes of a commit's evidence once the commit is processed and the next keys are derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The header names the keys that the commit leads to, and its committer signed them.
    Agreed,
    /// The keys are wrong, and this leaf signed that they are right.
    LeafLied {
        /// Who lied.
        leaf: u32,
    },
    /// Something is wrong, and it cannot be shown whose fault it is: pause.
    NobodyToBlame,
}

impl Group {
    /// Makes the body of our commit's entry. `next_keys` are those of [`Group::pending_channel_keys`], `nonce` is
    /// random.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn seal_commit(
        &self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        channel: &ChannelId,
        commit: &[u8],
        next_keys: &EpochKeys,
        nonce: [u8; 12],
    ) -> Result<Vec<u8>, MlsError> {
        let mut statement = self.statement(channel, commit, next_keys, (self.own_leaf(), Signature([0; 64])));
        statement.signature = signer.key.sign(STATEMENT_LABEL, &statement.parts().each_ref().map(Vec::as_slice));
        let key = self.dangerous_export_secret(session, EXPORTER_LABEL, &channel.0)?;
        let plaintext = encode(&(statement.leaf, statement.signature));
        let sealed = seal_with(&key, nonce, &associated_data(commit, next_keys), &plaintext)?;
        Ok(encode(&CommitBody { commit: commit.to_vec(), nonce, sealed }))
    }

    /// Opens the body of a commit's entry of this epoch, before the commit is processed. `header_next_keys` are the
    /// ones in the entry's header.
    ///
    /// # Errors
    /// [`SealedError::Malformed`] for a body that is none: as with an invalid tag, blame nobody. [`SealedError::Mls`].
    pub fn open_commit(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
        body: &[u8],
        header_next_keys: &EpochKeys,
    ) -> Result<OpenedCommit, SealedError> {
        let body: CommitBody = decode(body, ENTRY_BODY_BYTES_MAX)?;
        let key = self.dangerous_export_secret(session, EXPORTER_LABEL, &channel.0)?;
        let associated = associated_data(&body.commit, header_next_keys);
        let (evidence, statement) = match open_with(&key, body.nonce, &associated, &body.sealed) {
            None => (Evidence::InvalidTag, None),
            Some(opened) => match decode::<(u32, Signature)>(&opened, 128) {
                Err(_) => (Evidence::BadLeafSignature, None),
                Ok(signed) => self.weigh(self.statement(channel, &body.commit, header_next_keys, signed)),
            },
        };
        Ok(OpenedCommit { commit: body.commit, evidence, statement })
    }

    fn weigh(&self, statement: CommitStatement) -> (Evidence, Option<CommitStatement>) {
        let leaf = statement.leaf;
        match self.signature_key(leaf).is_ok_and(|key| statement.verify(&key).is_ok()) {
            true => (Evidence::Valid { leaf }, Some(statement)),
            false => (Evidence::BadLeafSignature, None),
        }
    }

    fn statement(
        &self,
        channel: &ChannelId,
        commit: &[u8],
        next_keys: &EpochKeys,
        (leaf, signature): (u32, Signature),
    ) -> CommitStatement {
        let commit = Hash(labelled_hash(COMMIT_LABEL, &[commit]));
        CommitStatement { leaf, channel: *channel, epoch: self.epoch(), commit, next_keys: *next_keys, signature }
    }
}

impl StagedCommit {
    /// Compares the keys in the entry's header with those that the commit leads to. For a commit that removes this
    /// device there is nothing to compare, and the verdict rests on the evidence alone.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn judge_keys(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
        header_next_keys: &EpochKeys,
        evidence: Evidence,
    ) -> Result<KeyVerdict, MlsError> {
        let is_right = self.self_removed || self.channel_keys(session, channel)?.public() == *header_next_keys;
        Ok(match evidence {
            Evidence::Valid { leaf } if is_right && leaf == self.committer.leaf => KeyVerdict::Agreed,
            Evidence::Valid { leaf } if !is_right && leaf == self.committer.leaf => KeyVerdict::LeafLied { leaf },
            Evidence::Valid { .. } | Evidence::InvalidTag | Evidence::BadLeafSignature => KeyVerdict::NobodyToBlame,
        })
    }
}

fn associated_data(commit: &[u8], next_keys: &EpochKeys) -> [u8; 32] {
    labelled_hash(COMMIT_LABEL, &[commit, &encode(next_keys)])
}

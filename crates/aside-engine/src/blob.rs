//! Blobs: what is too large for an envelope, sealed under a key of its own and fetched by who was given the reference.

use crate::context::Context;
use crate::error::EngineError;
use aside_mls::{open_blob, seal_blob};
use aside_protocol::blob::{BlobCapability, BlobId};
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::Hash;
use aside_protocol::limit::{BLOB_BYTES_MAX, BLOB_DAYS_MAX};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Of plaintext in one blob; the seal takes 16 more.
const PART_BYTES_MAX: usize = BLOB_BYTES_MAX - 16;

/// What opens a blob: it travels inside encrypted messages and letters only.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct BlobReference {
    #[n(0)]
    pub capability: BlobCapability,
    #[cbor(n(1), with = "minicbor::bytes")]
    key: [u8; 32],
    /// Of the sealed bytes.
    #[n(2)]
    hash: Hash,
}

impl std::fmt::Debug for BlobReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobReference({:?})", self.capability.id())
    }
}

/// A blob that is to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct SealedBlob {
    #[n(0)]
    pub blob: BlobId,
    /// The first day on which it is gone.
    #[n(1)]
    pub expires_day: u32,
    #[n(2)]
    pub bytes: ByteVec,
}

/// Seals bytes as blobs, in as many parts as they need. They are kept for as long as blobs are.
pub(crate) fn seal(
    context: &mut Context<'_>,
    plaintext: &[u8],
) -> Result<Vec<(BlobReference, SealedBlob)>, EngineError> {
    let mut parts = Vec::new();
    for part in plaintext.chunks(PART_BYTES_MAX) {
        let (capability, key) = (BlobCapability(context.random()), context.random());
        let bytes = seal_blob(&key, part)?;
        let reference = BlobReference { hash: hash(&bytes), capability, key };
        let expires_day = context.now.day().saturating_add(BLOB_DAYS_MAX);
        parts.push((reference, SealedBlob { blob: capability.id(), expires_day, bytes: bytes.into() }));
    }
    Ok(parts)
}

/// Opens what a server gave for a reference. `None`: it is something else.
pub(crate) fn open(reference: &BlobReference, sealed: &[u8]) -> Option<Vec<u8>> {
    match hash(sealed) == reference.hash {
        true => open_blob(&reference.key, sealed),
        false => None,
    }
}

fn hash(sealed: &[u8]) -> Hash {
    Hash(labelled_hash("aside blob content v1", &[sealed]))
}

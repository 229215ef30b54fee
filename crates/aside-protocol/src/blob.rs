//! Blobs: ciphertexts that are found by a secret, for what is too large for a message. Rules P-8.1 to P-8.5 in
//! `docs/protocol/8-storage.md`.

use crate::codec::labelled_hash;
use crate::id::byte_id;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

byte_id!(
    /// A blob's name on its server: the hash of its capability, so that the server's disk opens no blob.
    BlobId, 32
);
byte_id!(
    /// What lets its holder fetch a blob: random, handed on inside encrypted messages only.
    BlobCapability, 32
);

impl BlobCapability {
    /// Under what name the server stores the blob.
    pub fn id(&self) -> BlobId {
        BlobId(labelled_hash("aside blob v1", &[&self.0]))
    }
}

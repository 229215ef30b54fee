//! What MLS encrypts: a length, the wrapped content, and zeros up to the next bucket.

use super::MessageId;
use super::mimi::{CONTENT_BYTES_MAX, MimiContent};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::codec::{self, DecodeError, labelled_hash};
use minicbor::{Decode, Encode};

/// The smallest bucket, in bytes; each next one is twice as large (P-6.2).
pub const BUCKET_BYTES_MIN: usize = 256;
const LENGTH_BYTES: usize = 4;

/// Content with what its sender had seen.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Wrapper {
    /// The last entry that the sender had read, with the head after it (P-6.4). Inside, so that the server cannot adapt it.
    #[n(0)]
    pub cited: Position,
    /// The sender's clock, milliseconds since 1970-01-01 UTC; for display only.
    #[n(1)]
    pub sent_at_unix_ms: i64,
    /// Encoded [`MimiContent`].
    #[cbor(n(2), with = "minicbor::bytes")]
    pub content: Vec<u8>,
}

impl Wrapper {
    /// To padded bytes.
    pub fn seal(&self) -> Vec<u8> {
        pad(&codec::encode(self))
    }

    /// From padded bytes.
    ///
    /// # Errors
    /// [`DecodeError`]: no such length inside, or the wrapper's own.
    pub fn open(padded: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(unpad(padded)?, CONTENT_BYTES_MAX)
    }

    /// The content itself.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn mimi(&self) -> Result<MimiContent, DecodeError> {
        MimiContent::decode(&self.content)
    }
}

/// Puts the length before the bytes, and zeros behind them up to a power of two.
pub fn pad(bytes: &[u8]) -> Vec<u8> {
    let bucket = (bytes.len().saturating_add(LENGTH_BYTES)).next_power_of_two().max(BUCKET_BYTES_MIN);
    let mut padded = Vec::with_capacity(bucket);
    padded.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    padded.extend_from_slice(bytes);
    padded.resize(bucket, 0);
    padded
}

/// Takes the padding off.
///
/// # Errors
/// [`DecodeError::Malformed`] when the length points beyond the end.
pub fn unpad(padded: &[u8]) -> Result<&[u8], DecodeError> {
    let malformed = || DecodeError::Malformed("the padding's length points beyond the end".into());
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>().ok_or_else(malformed)?;
    rest.get(..u32::from_be_bytes(*length) as usize).ok_or_else(malformed)
}

/// The id of a content by its sender (P-6.3). The draft hashes the room as well; we don't, so that an id survives a
/// conversation's move to another channel.
pub fn message_id(sender: &AccountAddress, content: &[u8]) -> MessageId {
    let mut id = labelled_hash("aside message id v1", &[sender.to_string().as_bytes(), content]);
    if let Some(first) = id.first_mut() {
        *first = 1;
    }
    MessageId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_given_away_by_bucket_only() {
        assert_eq!(pad(b"").len(), 256);
        assert_eq!(pad(&[1; 252]).len(), 256);
        assert_eq!(pad(&[1; 253]).len(), 512);
        assert_eq!(unpad(&pad(&[7; 300])), Ok(&[7; 300][..]));
    }

    #[test]
    fn a_length_beyond_the_end_is_malformed() {
        assert!(unpad(&[0, 0, 1, 0, 1]).is_err());
        assert!(unpad(&[0]).is_err());
    }
}

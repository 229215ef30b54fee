//! The one codec: CBOR (RFC 8949) by `minicbor`, structures as arrays indexed by field number.
//!
//! Decoding is total: any byte string gives a value or a [`DecodeError`], and bytes left over are an error, so that a
//! value has one encoding on the wire.

use minicbor::{Decode, Encode};

/// Bytes that are not the value they should be. The text names what was wrong and where, never the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than this kind of value may be.
    #[error("{bytes} bytes, where at most {bytes_max} are allowed")]
    TooLong {
        /// What came.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Not CBOR, or not of the expected shape.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A whole value, and then something more.
    #[error("{0} bytes left over behind the value")]
    Trailing(usize),
}

/// Encodes a value. Encoding into memory cannot fail.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    match minicbor::encode(value, &mut bytes) {
        Ok(()) => bytes,
        // The writer is a Vec (infallible) and no type here encodes conditionally.
        Err(_) => unreachable!("encoding into memory is infallible"),
    }
}

/// Decodes exactly one value of at most `bytes_max` bytes.
///
/// # Errors
/// [`DecodeError`], naming what was wrong.
pub fn decode<'b, T: Decode<'b, ()>>(bytes: &'b [u8], bytes_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max });
    }
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|error| DecodeError::Malformed(error.to_string()))?;
    match bytes.len().saturating_sub(decoder.position()) {
        0 => Ok(value),
        left => Err(DecodeError::Trailing(left)),
    }
}

/// Feeds length-prefixed parts into SHA-256 under a domain-separating label, so that no two part lists collide.
pub fn labelled_hash(label: &str, parts: &[&[u8]]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for part in std::iter::once(&label.as_bytes()).chain(parts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The byte string that a signature under `label` covers: label and parts, each with its length before it.
pub fn labelled_message(label: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut message = Vec::new();
    for part in std::iter::once(&label.as_bytes()).chain(parts) {
        message.extend_from_slice(&(part.len() as u64).to_be_bytes());
        message.extend_from_slice(part);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_behind_the_value_are_refused() {
        assert_eq!(decode::<u8>(&[1, 2], 8), Err(DecodeError::Trailing(1)));
    }

    #[test]
    fn a_value_over_the_limit_is_refused_with_the_limit() {
        assert_eq!(decode::<u8>(&[0; 9], 8), Err(DecodeError::TooLong { bytes: 9, bytes_max: 8 }));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(labelled_hash("l", &[b"ab", b"c"]), labelled_hash("l", &[b"a", b"bc"]));
    }
}

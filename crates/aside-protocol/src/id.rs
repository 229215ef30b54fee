//! Typed identifiers and hashes. An id of one kind cannot be passed where another is meant, and none is ever text.

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// Declares a fixed-length byte string that travels as a CBOR byte string and prints as a short hexadecimal prefix.
macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $bytes;

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;
            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                for byte in self.0.iter().take(4) {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str("…)")
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let position = d.position();
                Self::try_from(d.bytes()?)
                    .map_err(|_| decode::Error::message(concat!(stringify!($name), " has another length")).at(position))
            }
        }
    };
}
pub(crate) use byte_id;

byte_id!(
    /// A channel: random, and bound to nothing. 256 bits, so that knowing one is never luck.
    ChannelId, 32
);
byte_id!(
    /// A sender's name for one append, random; a retry carries the same one (P-4.4).
    AppendId, 16
);
byte_id!(
    /// A device of an account, random.
    DeviceId, 16
);
byte_id!(
    /// A sender's name for one envelope, random; a retry carries the same one (P-5.3).
    DeliveryId, 16
);
byte_id!(
    /// A SHA-256 hash.
    Hash, 32
);
byte_id!(
    /// The head of a channel's hash chain (P-4.6).
    ChainHead, 32
);
byte_id!(
    /// What binds a proof to one connection (P-2.3): both sides compute it, and no two connections share it.
    Binding, 32
);
byte_id!(
    /// A reporter's name for one report, random; a retry carries the same one (P-8.8).
    ReportId, 16
);
byte_id!(
    /// A random number used once.
    Nonce, 32
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn an_id_of_another_length_is_malformed() {
        let bytes = codec::encode(&AppendId([7; 16]));
        assert!(matches!(codec::decode::<DeviceId>(&bytes, 64), Ok(DeviceId(_))));
        assert!(matches!(codec::decode::<ChannelId>(&bytes, 64), Err(codec::DecodeError::Malformed(_))));
    }
}

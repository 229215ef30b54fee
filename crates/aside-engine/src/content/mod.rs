//! What messages say. Only members see this; the server has no type for it.
//!
//! [`Content`] is what the engine acts on; [`mimi`] is how it is written (draft-ietf-mimi-content-08); [`wrapper`] is
//! what is encrypted: content, the sender's place in the log, and padding.

mod join;
pub mod mimi;
pub mod wrapper;

pub use join::JoinRequest;

use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::codec::{self, DecodeError};
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::identity::DeviceRecord;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use mimi::{Disposition, MimiContent, NestedPart, Part};
use minicbor::{Decode, Encode};

/// The longest text, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// The longest content between one person's devices, in bytes.
pub const OWN_BYTES_MAX: usize = 256 * 1024;
/// The longest reaction, in bytes: one emoji with its modifiers.
pub const EMOJI_BYTES_MAX: usize = 64;

const TEXT_TYPE: &str = "text/markdown;variant=GFM";
const PLAIN_TYPE: &str = "text/plain;charset=utf-8";
const RECEIPT_TYPE: &str = "application/vnd.aside.receipt+cbor";
const ARRIVAL_TYPE: &str = "application/vnd.aside.arrival+cbor";
const JOIN_REQUEST_TYPE: &str = "application/vnd.aside.join-request+cbor";
const JOIN_DECLINED_TYPE: &str = "application/vnd.aside.join-declined+cbor";
const OWN_TYPE: &str = "application/vnd.aside.own+cbor";
const LEAVE_TYPE: &str = "application/vnd.aside.leave";

crate::id::row_id!(
    /// A content's id: 0x01, then 31 bytes of SHA-256 over sender and content (P-6.3). It survives a change of channel.
    MessageId
);

/// How far a member has got in a channel (P-6.6): cursors, so that one receipt speaks for all messages up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Receipt {
    /// In which channel.
    #[n(0)]
    pub channel: ChannelId,
    /// The last entry that arrived.
    #[n(1)]
    pub received_seq: u64,
    /// The last entry that the person has seen; 0 where they don't tell.
    #[n(2)]
    pub seen_seq: u64,
}

/// A member's first words in a conversation (P-6.7): how the others reach this device's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Arrival {
    /// The member's home server.
    #[n(0)]
    pub server: ServerPin,
    /// Grants writing to the inbox.
    #[n(1)]
    pub token: DeliveryToken,
    /// The device, with its inbox key.
    #[n(2)]
    pub record: DeviceRecord,
}

/// Everything that a message can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// What they answer.
        reply_to: Option<MessageId>,
    },
    /// Other words for an own message.
    Edit {
        /// Which.
        target: MessageId,
        /// The words.
        text: String,
    },
    /// Takes an own message or reaction back.
    Delete {
        /// Which.
        target: MessageId,
    },
    /// An emoji.
    Reaction {
        /// To which message.
        target: MessageId,
        /// The emoji.
        emoji: String,
    },
    /// How far the sender has got.
    Receipt(Receipt),
    /// How to reach the sender.
    Arrival(Box<Arrival>),
    /// The sender's account leaves the group (P-6.10): from here on its devices read and send nothing.
    Leave,
    /// Somebody asks an admin by a link to be added (P-5.14).
    JoinRequest(Box<JoinRequest>),
    /// An admin does not add them.
    JoinDeclined(AccountAddress),
    /// What one person's devices tell each other (P-7.6): encoded items.
    Own(Vec<u8>),
    /// Something that this version does not know; shown as such.
    Unknown {
        /// Its media type.
        media_type: String,
    },
}

impl Content {
    /// Writes the content as MIMI content; `salt` is random and makes its id unique.
    pub fn to_mimi(&self, salt: [u8; 16]) -> MimiContent {
        let part = |disposition, media_type: &str, content: Vec<u8>| NestedPart {
            disposition,
            language: String::new(),
            part: Part::Single { media_type: media_type.to_owned(), content },
        };
        let text_part = |text: &String| part(Disposition::Render, TEXT_TYPE, text.as_bytes().to_vec());
        let (replaces, in_reply_to, nested) = match self {
            Content::Text { text, reply_to } => (None, *reply_to, text_part(text)),
            Content::Edit { target, text } => (Some(*target), None, text_part(text)),
            Content::Delete { target } => (
                Some(*target),
                None,
                NestedPart { disposition: Disposition::Render, language: String::new(), part: Part::Null },
            ),
            Content::Reaction { target, emoji } => {
                (None, Some(*target), part(Disposition::Reaction, PLAIN_TYPE, emoji.as_bytes().to_vec()))
            }
            Content::Receipt(receipt) => {
                (None, None, part(Disposition::Unspecified, RECEIPT_TYPE, codec::encode(receipt)))
            }
            Content::Arrival(arrival) => {
                (None, None, part(Disposition::Unspecified, ARRIVAL_TYPE, codec::encode(arrival.as_ref())))
            }
            Content::JoinRequest(request) => {
                (None, None, part(Disposition::Unspecified, JOIN_REQUEST_TYPE, codec::encode(request.as_ref())))
            }
            Content::JoinDeclined(address) => {
                (None, None, part(Disposition::Unspecified, JOIN_DECLINED_TYPE, codec::encode(address)))
            }
            Content::Own(bytes) => (None, None, part(Disposition::Unspecified, OWN_TYPE, bytes.clone())),
            Content::Leave => (None, None, part(Disposition::Unspecified, LEAVE_TYPE, Vec::new())),
            Content::Unknown { media_type } => (None, None, part(Disposition::Unspecified, media_type, Vec::new())),
        };
        MimiContent { salt, replaces, in_reply_to, nested }
    }

    /// Reads MIMI content. What this version does not know becomes [`Content::Unknown`].
    ///
    /// # Errors
    /// [`DecodeError`]: a known media type with a malformed or too long body.
    pub fn from_mimi(mimi: &MimiContent) -> Result<Self, DecodeError> {
        let MimiContent { replaces, in_reply_to, nested, .. } = mimi;
        let (media_type, bytes) = match (&nested.part, replaces) {
            (Part::Null, Some(target)) => return Ok(Content::Delete { target: *target }),
            (Part::Null, None) => return Ok(Content::Unknown { media_type: "null".into() }),
            (Part::Other { kind }, _) => return Ok(Content::Unknown { media_type: (*kind).to_owned() }),
            (Part::Single { media_type, content }, _) => (media_type.as_str(), content),
        };
        match (nested.disposition, media_type) {
            (_, RECEIPT_TYPE) => Ok(Content::Receipt(codec::decode(bytes, 256)?)),
            (_, ARRIVAL_TYPE) => Ok(Content::Arrival(Box::new(codec::decode(bytes, 16 * 1024)?))),
            (_, JOIN_REQUEST_TYPE) => Ok(Content::JoinRequest(Box::new(codec::decode(bytes, 64 * 1024)?))),
            (_, JOIN_DECLINED_TYPE) => Ok(Content::JoinDeclined(codec::decode(bytes, 1024)?)),
            (_, OWN_TYPE) => match bytes.len() > OWN_BYTES_MAX {
                true => Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max: OWN_BYTES_MAX }),
                false => Ok(Content::Own(bytes.clone())),
            },
            (_, LEAVE_TYPE) => Ok(Content::Leave),
            (Disposition::Reaction, _) => match in_reply_to {
                Some(target) => Ok(Content::Reaction { target: *target, emoji: utf8(bytes, EMOJI_BYTES_MAX)? }),
                None => Err(DecodeError::Malformed("a reaction to nothing".into())),
            },
            (_, media_type) if media_type.starts_with("text/") => {
                let text = utf8(bytes, TEXT_BYTES_MAX)?;
                match replaces {
                    Some(target) => Ok(Content::Edit { target: *target, text }),
                    None => Ok(Content::Text { text, reply_to: *in_reply_to }),
                }
            }
            _ => Ok(Content::Unknown { media_type: media_type.chars().take(80).collect() }),
        }
    }
}

fn utf8(bytes: &[u8], bytes_max: usize) -> Result<String, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { bytes: bytes.len(), bytes_max });
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::Malformed("text is not UTF-8".into()))
}

/// What is compared between members through inboxes, daily and after a failure (P-6.8): a server that shows different
/// logs to different members cannot make these agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct ConsistencyReport {
    /// The channel.
    #[n(0)]
    pub channel: ChannelId,
    /// The sender's epoch.
    #[n(1)]
    pub epoch: u64,
    /// RFC 9420, section 8.7.
    #[n(2)]
    pub epoch_authenticator: Hash,
    /// How far the sender has read, and the head there.
    #[n(3)]
    pub position: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_read_as_they_are_written() {
        let id = MessageId([3; 32]);
        let all = [
            Content::Text { text: "hi ☂".into(), reply_to: Some(id) },
            Content::Edit { target: id, text: "ho".into() },
            Content::Delete { target: id },
            Content::Reaction { target: id, emoji: "👍🏽".into() },
            Content::Own(vec![7; 9]),
            Content::Leave,
            Content::Receipt(Receipt { channel: ChannelId([1; 32]), received_seq: 9, seen_seq: 0 }),
        ];
        for content in all {
            let bytes = content.to_mimi([7; 16]).encode();
            let read = MimiContent::decode(&bytes).unwrap();
            assert_eq!(Content::from_mimi(&read), Ok(content));
        }
    }

    #[test]
    fn too_long_a_text_is_refused_with_the_limit() {
        let long = Content::Text { text: "x".repeat(TEXT_BYTES_MAX + 1), reply_to: None }.to_mimi([0; 16]);
        let refused = DecodeError::TooLong { bytes: TEXT_BYTES_MAX + 1, bytes_max: TEXT_BYTES_MAX };
        assert_eq!(Content::from_mimi(&long), Err(refused));
    }
}

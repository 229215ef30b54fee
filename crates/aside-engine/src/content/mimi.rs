//! MIMI content, draft-ietf-mimi-content-08, section 5 and its CDDL: the part of it that Aside writes, and a reader that
//! passes over the rest.

use super::MessageId;
use aside_protocol::codec::{self, DecodeError};
use minicbor::data::Type;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// The largest encoded content, in bytes.
pub const CONTENT_BYTES_MAX: usize = 512 * 1024;
const PARTS_DEPTH_MAX: u8 = 4;

/// `baseDispos` of the CDDL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// 0.
    Unspecified,
    /// 1.
    Render,
    /// 2.
    Reaction,
    /// Any other.
    Other(u8),
}

impl Disposition {
    fn number(self) -> u8 {
        match self {
            Disposition::Unspecified => 0,
            Disposition::Render => 1,
            Disposition::Reaction => 2,
            Disposition::Other(number) => number,
        }
    }

    fn of(number: u8) -> Self {
        match number {
            0 => Disposition::Unspecified,
            1 => Disposition::Render,
            2 => Disposition::Reaction,
            other => Disposition::Other(other),
        }
    }
}

/// One part, by its cardinality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// 0: nothing; with `replaces`, a deletion.
    Null,
    /// 1.
    Single {
        /// As in HTTP's Content-Type.
        media_type: String,
        /// The body.
        content: Vec<u8>,
    },
    /// 2 or 3, which this version passes over.
    Other {
        /// For the line that is shown instead.
        kind: &'static str,
    },
}

/// `NestedPart` of the CDDL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NestedPart {
    /// What to do with it.
    pub disposition: Disposition,
    /// RFC 5646; empty: unknown.
    pub language: String,
    /// The part.
    pub part: Part,
}

/// `mimiContent` of the CDDL. Topic, expiry and extensions are written empty and passed over when read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MimiContent {
    /// Random.
    pub salt: [u8; 16],
    /// The content that this one edits or deletes.
    pub replaces: Option<MessageId>,
    /// The content that this one answers.
    pub in_reply_to: Option<MessageId>,
    /// The body.
    pub nested: NestedPart,
}

impl MimiContent {
    /// To bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, CONTENT_BYTES_MAX)
    }
}

impl<C> Encode<C> for MimiContent {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, c: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(7)?.bytes(&self.salt)?;
        self.replaces.encode(e, c)?;
        e.bytes(&[])?.null()?;
        self.in_reply_to.encode(e, c)?;
        e.map(0)?;
        e.array(if matches!(self.nested.part, Part::Single { .. }) { 5 } else { 3 })?;
        e.u8(self.nested.disposition.number())?.str(&self.nested.language)?;
        match &self.nested.part {
            Part::Null | Part::Other { .. } => e.u8(0)?.ok(),
            Part::Single { media_type, content } => e.u8(1)?.str(media_type)?.bytes(content)?.ok(),
        }
    }
}

impl<'b, C> Decode<'b, C> for MimiContent {
    fn decode(d: &mut Decoder<'b>, c: &mut C) -> Result<Self, decode::Error> {
        expect_array(d, 7)?;
        let position = d.position();
        let salt =
            d.bytes()?.try_into().map_err(|_| decode::Error::message("the salt has another length").at(position))?;
        let replaces = Option::decode(d, c)?;
        d.bytes()?;
        d.skip()?;
        let in_reply_to = Option::decode(d, c)?;
        d.skip()?;
        Ok(Self { salt, replaces, in_reply_to, nested: nested(d, 0)? })
    }
}

fn expect_array(d: &mut Decoder<'_>, length: u64) -> Result<(), decode::Error> {
    let position = d.position();
    match d.array()? {
        Some(found) if found == length => Ok(()),
        _ => Err(decode::Error::message("an array has another length").at(position)),
    }
}

fn nested(d: &mut Decoder<'_>, depth: u8) -> Result<NestedPart, decode::Error> {
    let position = d.position();
    let length = d.array()?.ok_or_else(|| decode::Error::message("a part of unknown length").at(position))?;
    let disposition = Disposition::of(d.u8()?);
    let language = d.str()?.to_owned();
    let part = match (d.u8()?, length) {
        (0, 3) => Part::Null,
        (1, 5) => Part::Single { media_type: d.str()?.to_owned(), content: d.bytes()?.to_vec() },
        (kind @ (2 | 3), 4..) if depth < PARTS_DEPTH_MAX => {
            for _ in 3..length {
                if d.datatype()? == Type::Tag {
                    d.tag()?;
                }
                d.skip()?;
            }
            Part::Other { kind: if kind == 2 { "external part" } else { "multi-part" } }
        }
        _ => return Err(decode::Error::message("a part of unknown shape").at(position)),
    };
    Ok(NestedPart { disposition, language, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape of draft-ietf-mimi-content-08's "original message" example, written by hand from the CDDL.
    #[test]
    fn a_foreign_writers_content_is_read() {
        let mut e = Encoder::new(Vec::new());
        e.array(7).unwrap().bytes(&[0x5e; 16]).unwrap().null().unwrap().bytes(b"topic").unwrap();
        e.array(2).unwrap().bool(false).unwrap().u32(1_700_000_000).unwrap();
        e.null().unwrap().map(1).unwrap().u8(1).unwrap().str("mimi://example.com/u/alice").unwrap();
        e.array(5).unwrap().u8(1).unwrap().str("en").unwrap().u8(1).unwrap();
        e.str("text/markdown;variant=GFM").unwrap().bytes(b"Hi everyone").unwrap();
        let read = MimiContent::decode(&e.into_writer()).unwrap();
        assert_eq!(read.salt, [0x5e; 16]);
        assert!(matches!(read.nested.part, Part::Single { ref content, .. } if content == b"Hi everyone"));
    }

    #[test]
    fn a_multi_part_is_passed_over_whole() {
        let mut e = Encoder::new(Vec::new());
        e.array(7).unwrap().bytes(&[1; 16]).unwrap().null().unwrap().bytes(b"").unwrap().null().unwrap();
        e.null().unwrap().map(0).unwrap();
        e.array(5).unwrap().u8(1).unwrap().str("").unwrap().u8(3).unwrap().u8(0).unwrap();
        e.array(2).unwrap().array(3).unwrap().u8(1).unwrap().str("").unwrap().u8(0).unwrap();
        e.array(3).unwrap().u8(1).unwrap().str("").unwrap().u8(0).unwrap();
        let read = MimiContent::decode(&e.into_writer()).unwrap();
        assert_eq!(read.nested.part, Part::Other { kind: "multi-part" });
    }
}

//! Frames: one WebSocket binary message each, in both directions, on both kinds of connection.
//!
//! A client's first frame is its hello, the server answers with its own; from then on the client sends requests with
//! numbers of its choice, and the server sends replies with those numbers, in any order, and pushes.

pub mod account;
pub mod anonymous;

use crate::codec::{self, DecodeError};
use crate::connection::{ClientHello, ServerHello};
use crate::limit::FRAME_BYTES_MAX;
use crate::refusal::Refusal;
use minicbor::{Decode, Encode};

/// Names a request on its connection; the reply carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct RequestId(#[n(0)] pub u32);

/// From client to server. `R` is the request type of the connection's kind.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ClientFrame<R> {
    /// The first frame, once.
    #[n(0)]
    Hello(#[n(0)] ClientHello),
    /// Every other frame.
    #[n(1)]
    Request(#[n(0)] RequestId, #[n(1)] R),
}

/// From server to client. `A` is the answer type, `P` the push type of the connection's kind.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ServerFrame<A, P> {
    /// The first frame, once.
    #[n(0)]
    Hello(#[n(0)] ServerHello),
    /// The request was done.
    #[n(1)]
    Answer(#[n(0)] RequestId, #[n(1)] A),
    /// The request was not done.
    #[n(2)]
    Refused(#[n(0)] RequestId, #[n(1)] Refusal),
    /// Unasked.
    #[n(3)]
    Push(#[n(0)] P),
    /// The connection ends for this reason.
    #[n(4)]
    Goodbye(#[n(0)] Refusal),
}

impl<R: Encode<()>> ClientFrame<R> {
    /// To one WebSocket message.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl<R: for<'b> Decode<'b, ()>> ClientFrame<R> {
    /// From one WebSocket message.
    ///
    /// # Errors
    /// [`DecodeError`]: too long ([`FRAME_BYTES_MAX`]), malformed, or something behind the frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, FRAME_BYTES_MAX)
    }
}

impl<A: Encode<()>, P: Encode<()>> ServerFrame<A, P> {
    /// To one WebSocket message.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

impl<A: for<'b> Decode<'b, ()>, P: for<'b> Decode<'b, ()>> ServerFrame<A, P> {
    /// From one WebSocket message.
    ///
    /// # Errors
    /// [`DecodeError`]: too long ([`FRAME_BYTES_MAX`]), malformed, or something behind the frame.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, FRAME_BYTES_MAX)
    }
}

//! What crosses the wire between an Aside client and an Aside server, and nothing else.
//!
//! This crate is pure: it has no socket, clock, thread or randomness of its own, and imports nothing of ours. Both sides
//! parse with it once, at the edge; behind the edge only its types travel. It must never learn what a message says:
//! message content lives in `aside-engine`, which the server cannot import.
//!
//! The rules that the types serve are numbered in `docs/protocol/` (P-1.1 and so on).

pub mod address;
pub mod blob;
pub mod channel;
pub mod codec;
pub mod connection;
pub mod frame;
pub mod id;
pub mod identity;
pub mod inbox;
pub mod key;
pub mod limit;
pub mod link;
pub mod refusal;
pub mod report;

/// The version of the wire protocol that this crate speaks. Both sides name it in their hello; there is one so far.
pub const PROTOCOL_VERSION: u16 = 1;

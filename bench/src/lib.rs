//! Measures messaging servers from outside, all by the same method: Aside's, Prosody as a peer, and a bare reference
//! server as the machine's limit. It stands where clients stand and sends prepared bytes; it encrypts nothing, so that
//! what is measured is the server. The binary in `engines/` measures the client's side.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod aside;
pub mod closed_loop;
pub mod histogram;
pub mod idle;
pub mod latency;
pub mod mark;
pub mod meter;
pub mod network;
pub mod peer;
pub mod record;
pub mod reference;
pub mod xmpp;

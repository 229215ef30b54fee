//! The server that nobody has to trust: it orders ciphertexts, keeps them until they expire, and hands them on.
//!
//! It has no type for plaintext. [`core`] decides (no clock, socket or randomness of its own), [`store`] remembers,
//! [`shell`] speaks TLS and WebSocket, and the rest serves whoever runs it. The path of a message through this crate:
//! `shell::connection` decodes a frame, `shell::core_thread` hands a batch to [`core::Core::handle_batch`], which checks
//! and stores it in one transaction, and only after the sync do acknowledgement and pushes go out.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod config;
pub mod control;
pub mod core;
pub mod day;
pub mod hello;
pub mod keys;
pub mod log;
pub mod metrics;
pub mod shell;
pub mod store;
pub mod tls;

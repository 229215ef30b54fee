//! The tokio shell around the engine: connections to servers, the loopback API, and the UI that is built into the
//! program.
//!
//! A message's path through here: the loopback API (`loopback/`) takes what a person wrote and makes a command of it;
//! the one loop in `runtime/` hands that to the engine and carries out what comes back; `connection/` moves the frames.
//! This crate decides nothing about messages, keys or conversations: whatever has to survive a crash is the engine's.

mod client;
mod connection;
mod database;
mod loopback;
pub mod profile;
mod randomness;
mod runtime;
pub mod unlock;

pub use client::{Client, StartError};
pub use database::DatabaseError;
pub use runtime::Start;

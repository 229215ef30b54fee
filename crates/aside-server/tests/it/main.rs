//! The server from outside: the core through its inputs and outputs, and the program through its socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod administration;
mod channels;
mod client;
mod devices;
mod failures;
mod pairing;
mod process;
mod storage;
mod support;

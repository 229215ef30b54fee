//! What every step of one input shares: the open transaction, the time, the randomness, and the outputs so far.

use crate::error::EngineError;
use crate::input::{Change, Link, Now, Output};
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use rusqlite::Connection;

/// One input's surroundings. Whatever happens through it happens in one transaction.
pub(crate) struct Context<'a> {
    /// The transaction.
    pub db: &'a Connection,
    /// The time.
    pub now: Now,
    /// Whether planted faults are on; always none in a shipped program.
    pub defects: crate::Defects,
    randomness: &'a mut dyn CryptoRng,
    outputs: Vec<Output>,
}

impl<'a> Context<'a> {
    pub fn new(db: &'a Connection, now: Now, randomness: &'a mut dyn CryptoRng, defects: crate::Defects) -> Self {
        Self { db, now, defects, randomness, outputs: Vec::new() }
    }

    /// Random bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.randomness.fill_bytes(&mut bytes);
        bytes
    }

    /// A random duration, for jitter, in milliseconds.
    pub fn random_ms(&mut self, below: i64) -> i64 {
        let number = u32::from_be_bytes(self.random()) >> 1;
        i64::from(number).checked_rem(below).unwrap_or(0)
    }

    /// Tells the shell that something looks different; the same thing twice in one input is told once.
    pub fn changed(&mut self, change: Change) {
        let output = Output::Changed(change);
        if !self.outputs.contains(&output) {
            self.outputs.push(output);
        }
    }

    /// Whether something that a backup holds looks different.
    pub fn has_changed_what_is_kept(&self) -> bool {
        self.outputs.iter().any(|output| match output {
            Output::Changed(change) => !matches!(change, Change::State | Change::Typing { .. }),
            _ => false,
        })
    }

    pub fn send(&mut self, link: Link, bytes: Vec<u8>) {
        self.outputs.push(Output::Send { link, bytes });
    }

    /// Gives a connection up. Never an error of the engine's.
    pub fn close(&mut self, link: Link, reason: &'static str) -> Result<(), EngineError> {
        self.outputs.push(Output::Close { link, reason });
        Ok(())
    }

    pub fn wanted_changed(&mut self) {
        if !self.outputs.contains(&Output::WantedChanged) {
            self.outputs.push(Output::WantedChanged);
        }
    }

    pub fn wake_at(&mut self, unix_ms: i64) {
        self.outputs.push(Output::WakeAt { unix_ms });
    }

    pub fn into_outputs(self) -> Vec<Output> {
        self.outputs
    }
}

/// Decodes a value that this engine wrote itself.
pub(crate) fn stored<T: for<'b> Decode<'b, ()>>(bytes: &[u8], what: &'static str) -> Result<T, EngineError> {
    minicbor::decode(bytes).map_err(|_| EngineError::Damaged { what })
}

/// Encodes a value for the engine's own tables.
pub(crate) fn to_store<T: Encode<()>>(value: &T) -> Vec<u8> {
    aside_protocol::codec::encode(value)
}

/// An unsigned number for SQLite, which has none. Everything counted here stays below 2^63.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
pub(crate) fn unsql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

//! What a backup holds, as bytes before encryption: a header, rows, an end with their numbers, padding. Chapter 10.
//!
//! Written and read as a stream. Kinds and fields that a program does not know are skipped; a newer *major* version is
//! refused in words.

use super::fault::BackupFault;
use super::kept::{self, Importer, KINDS, Kind};
use crate::context::Context;
use aside_protocol::address::AccountAddress;
use aside_protocol::codec::encode;
use aside_protocol::identity::KeySet;
use aside_protocol::key::PublicKey;
use aside_protocol::link::ServerPin;
use minicbor::{Decode, Decoder, Encode};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// Raised when an older program could no longer make sense of a backup.
pub(super) const MAJOR: u32 = 1;
/// Raised when something is added.
pub(super) const MINOR: u32 = 0;
/// The largest record, in bytes.
const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The least length of a snapshot: small ones all look alike.
const BYTES_MIN: u64 = 64 * 1024;

const HEADER: u32 = 0;
const END: u32 = 1;

/// Whose backup it is, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Header {
    /// [`MAJOR`].
    #[n(0)]
    pub major: u32,
    /// [`MINOR`].
    #[n(1)]
    pub minor: u32,
    /// Grows with each backup of the account.
    #[n(2)]
    pub generation: u64,
    /// When, in milliseconds since 1970-01-01 UTC.
    #[n(3)]
    pub made_ms: i64,
    /// Whose.
    #[n(4)]
    pub address: AccountAddress,
    /// Whose, by key.
    #[n(5)]
    pub root_key: PublicKey,
    /// The home server.
    #[n(6)]
    pub server: ServerPin,
    /// The account's chain.
    #[n(7)]
    pub key_sets: Vec<KeySet>,
}

/// How many rows of each kind.
pub(crate) type Counts = BTreeMap<u32, u64>;

/// Counts what goes through.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Counted<W> {
    fn record(&mut self, bytes: &[u8]) -> Result<(), BackupFault> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= RECORD_BYTES_MAX);
        let length = length.ok_or(crate::error::EngineError::Damaged { what: "row" })?;
        self.all(&length.to_be_bytes())?;
        self.all(bytes)
    }

    fn all(&mut self, bytes: &[u8]) -> Result<(), BackupFault> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        Ok(self.out.write_all(bytes)?)
    }
}

/// Writes everything worth keeping of a database.
///
/// # Errors
/// The database's or the writer's.
pub(super) fn write(db: &Connection, header: &Header, out: &mut impl Write) -> Result<Counts, BackupFault> {
    let mut out = Counted { out, bytes: 0 };
    out.record(&encode(&(HEADER, header)))?;
    let mut counts = Counts::new();
    kept::each_row(db, |kind, bytes| {
        let count = counts.entry(kind.number).or_default();
        *count = count.saturating_add(1);
        out.record(bytes)
    })?;
    out.record(&encode(&(END, (&counts,))))?;
    // An empty record, and zeros.
    let padded = padme(out.bytes.saturating_add(4).max(BYTES_MIN));
    let mut zeros = io::repeat(0).take(padded.saturating_sub(out.bytes));
    io::copy(&mut zeros, &mut out.out)?;
    Ok(counts)
}

/// PADMÉ: a length that tells little of the true one, at the price of 12 % at most.
fn padme(length: u64) -> u64 {
    let Some(exponent) = length.checked_ilog2().filter(|exponent| *exponent > 0) else { return length };
    let significant = exponent.ilog2().saturating_add(1);
    let mask = (1_u64 << exponent.saturating_sub(significant)).saturating_sub(1);
    length.saturating_add(mask) & !mask
}

/// What a reader finds.
pub(super) struct Found {
    pub header: Header,
    pub counts: Counts,
}

/// Reads a snapshot to its very end and gives the rows of known kinds to `take`, which sees the header too.
///
/// # Errors
/// [`BackupFault::Damaged`], [`BackupFault::Newer`], or what `take` gives.
pub(super) fn read(
    input: &mut impl Read,
    mut take: impl FnMut(&Header, &'static Kind, &mut Decoder<'_>) -> Result<(), BackupFault>,
) -> Result<Found, BackupFault> {
    let header = header(input)?;
    let mut counts = Counts::new();
    let promised = loop {
        let record = record(input)?.ok_or(BackupFault::Damaged)?;
        let mut decoder = Decoder::new(&record);
        match kind(&mut decoder)? {
            END => break decoder.decode::<(Counts,)>()?.0,
            HEADER => return Err(BackupFault::Damaged),
            number => {
                let count = counts.entry(number).or_default();
                *count = count.saturating_add(1);
                if let Some(kind) = KINDS.iter().find(|kind| kind.number == number) {
                    take(&header, kind, &mut decoder)?;
                }
            }
        }
    };
    if record(input)?.is_some() || promised != counts || !is_zero_to_the_end(input)? {
        return Err(BackupFault::Damaged);
    }
    Ok(Found { header, counts })
}

/// Only looks whether everything can be read.
pub(super) fn check(input: &mut impl Read) -> Result<Found, BackupFault> {
    read(input, |_, kind, decoder| kept::decode_row(kind, decoder).map(drop))
}

/// Writes the rows into the open transaction's database. Twice is the same as once.
pub(super) fn import(context: &mut Context<'_>, input: &mut impl Read) -> Result<Found, BackupFault> {
    let mut importer = Importer::default();
    read(input, |_, kind, decoder| {
        let values = kept::decode_row(kind, decoder)?;
        importer.take(context, kind, values)
    })
}

/// The first record.
pub(super) fn header(input: &mut impl Read) -> Result<Header, BackupFault> {
    let first = record(input)?.ok_or(BackupFault::Damaged)?;
    let mut decoder = Decoder::new(&first);
    if kind(&mut decoder)? != HEADER {
        return Err(BackupFault::Damaged);
    }
    let major = {
        let mut peek = decoder.clone();
        peek.array()?;
        peek.u32()?
    };
    match major {
        MAJOR => Ok(decoder.decode()?),
        found => Err(BackupFault::Newer { found, known: MAJOR }),
    }
}

fn kind(decoder: &mut Decoder<'_>) -> Result<u32, BackupFault> {
    match decoder.array()? {
        Some(2..) => Ok(decoder.u32()?),
        _ => Err(BackupFault::Damaged),
    }
}

/// The next record; `None` where the padding begins.
fn record(input: &mut impl Read) -> Result<Option<Vec<u8>>, BackupFault> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    match u32::from_be_bytes(length) as usize {
        0 => Ok(None),
        length if length > RECORD_BYTES_MAX => Err(BackupFault::Damaged),
        length => {
            let mut bytes = vec![0; length];
            input.read_exact(&mut bytes)?;
            Ok(Some(bytes))
        }
    }
}

fn is_zero_to_the_end(input: &mut impl Read) -> Result<bool, BackupFault> {
    let mut buffer = [0; 4096];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(true),
            read if buffer.iter().take(read).any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

//! The ciphertext of backups on its way out or in, in parts: written and read as a stream, so that a backup of any size
//! needs the memory of one part.

use aside_protocol::limit::BACKUP_PART_BYTES_MAX;
use rusqlite::{Connection, OptionalExtension, params};
use std::io::{self, Read, Write};

/// What parts are for. One backup each at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// On its way to the server.
    ToServer = 0,
    /// For a file.
    ToFile = 1,
    /// From the server, to be tried.
    Trial = 2,
    /// From the server, to be restored.
    FromServer = 3,
    /// From a file, to be restored.
    FromFile = 4,
}

fn io(error: rusqlite::Error) -> io::Error {
    io::Error::other(error)
}

/// Empties a slot.
pub(crate) fn clear(db: &Connection, slot: Slot) -> rusqlite::Result<()> {
    db.execute("DELETE FROM backup_parts WHERE slot = ?", params![slot as i64])?;
    Ok(())
}

/// One part.
pub(crate) fn get(db: &Connection, slot: Slot, part: u32) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT bytes FROM backup_parts WHERE slot = ? AND part = ?")?
        .query_row(params![slot as i64, part], |row| row.get(0))
        .optional()
}

/// Keeps one part.
pub(crate) fn put(db: &Connection, slot: Slot, part: u32, bytes: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO backup_parts (slot, part, bytes) VALUES (?, ?, ?)")?.execute(params![
        slot as i64,
        part,
        bytes
    ])?;
    Ok(())
}

/// How many parts a slot has, and how many bytes in all.
pub(crate) fn size(db: &Connection, slot: Slot) -> rusqlite::Result<(u32, u64)> {
    db.prepare_cached("SELECT COUNT(*), COALESCE(SUM(LENGTH(bytes)), 0) FROM backup_parts WHERE slot = ?")?
        .query_row(params![slot as i64], |row| Ok((row.get(0)?, crate::context::unsql(row.get(1)?))))
}

/// Writes a slot anew.
pub(super) struct PartsWriter<'a> {
    db: &'a Connection,
    slot: Slot,
    next: u32,
    buffer: Vec<u8>,
}

impl<'a> PartsWriter<'a> {
    /// Empties the slot first.
    pub fn new(db: &'a Connection, slot: Slot) -> rusqlite::Result<Self> {
        clear(db, slot)?;
        Ok(Self { db, slot, next: 0, buffer: Vec::new() })
    }

    /// Writes the last part.
    pub fn finish(mut self) -> rusqlite::Result<()> {
        if !self.buffer.is_empty() {
            self.put()?;
        }
        Ok(())
    }

    fn put(&mut self) -> rusqlite::Result<()> {
        put(self.db, self.slot, self.next, &self.buffer)?;
        self.next = self.next.saturating_add(1);
        self.buffer.clear();
        Ok(())
    }
}

impl Write for PartsWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BACKUP_PART_BYTES_MAX.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.buffer.extend_from_slice(taken);
        if self.buffer.len() == BACKUP_PART_BYTES_MAX {
            self.put().map_err(io)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a slot from its first part to its last.
pub(super) struct PartsReader<'a> {
    db: &'a Connection,
    slot: Slot,
    next: u32,
    part: io::Cursor<Vec<u8>>,
}

impl<'a> PartsReader<'a> {
    pub fn new(db: &'a Connection, slot: Slot) -> Self {
        Self { db, slot, next: 0, part: io::Cursor::new(Vec::new()) }
    }
}

impl Read for PartsReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.part.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            match get(self.db, self.slot, self.next).map_err(io)? {
                Some(bytes) => self.part = io::Cursor::new(bytes),
                None => return Ok(0),
            }
            self.next = self.next.saturating_add(1);
        }
    }
}

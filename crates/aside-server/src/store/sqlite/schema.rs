//! The tables, and how their databases are opened. Files of their own, so that not even a write-ahead log stands between the
//! account side and the channel side: a log is in order of time, and one log for both would pair them.

use super::failure;
use crate::store::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// The version of all schemas, in SQLite's `user_version`.
pub const SCHEMA_VERSION: i64 = 1;
/// How long to wait for the administrator's commands, which write beside the server.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const CACHED_STATEMENTS: usize = 64;

/// Every table is clustered by a name or by random bytes, never by a counter: row order tells nothing about time.
pub(super) const ACCOUNTS: &str = "
CREATE TABLE accounts (
  name TEXT PRIMARY KEY, root_key BLOB NOT NULL, key_sets BLOB NOT NULL, created_day INTEGER NOT NULL,
  seen_day INTEGER NOT NULL, suspended INTEGER NOT NULL, channels_a_day INTEGER, backup_bytes INTEGER, findable BLOB
) WITHOUT ROWID;
CREATE TABLE tallies (
  name TEXT NOT NULL, what INTEGER NOT NULL, day INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (name, what)
) WITHOUT ROWID;
CREATE TABLE reports (
  reporter TEXT NOT NULL, id BLOB NOT NULL, day INTEGER NOT NULL, report BLOB, PRIMARY KEY (reporter, id)) WITHOUT ROWID;
CREATE TABLE devices (
  name TEXT NOT NULL, device BLOB NOT NULL, record BLOB NOT NULL, PRIMARY KEY (name, device)) WITHOUT ROWID;
CREATE TABLE invites (token BLOB PRIMARY KEY, expires_day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE delivery_tokens (
  name TEXT NOT NULL, token BLOB NOT NULL, expires_day INTEGER, found INTEGER NOT NULL, PRIMARY KEY (name, token)
) WITHOUT ROWID;
CREATE TABLE key_packages (
  name TEXT NOT NULL, device BLOB NOT NULL, hash BLOB NOT NULL, spent_day INTEGER, package BLOB,
  PRIMARY KEY (name, device, hash)) WITHOUT ROWID;
CREATE TABLE last_resorts (
  name TEXT NOT NULL, device BLOB NOT NULL, package BLOB NOT NULL, PRIMARY KEY (name, device)) WITHOUT ROWID;
CREATE TABLE inboxes (
  name TEXT NOT NULL, device BLOB NOT NULL, last_seq INTEGER NOT NULL, PRIMARY KEY (name, device)) WITHOUT ROWID;
CREATE TABLE envelopes (
  name TEXT NOT NULL, device BLOB NOT NULL, seq INTEGER NOT NULL, day INTEGER NOT NULL, envelope BLOB NOT NULL,
  PRIMARY KEY (name, device, seq)) WITHOUT ROWID;
CREATE INDEX envelopes_by_day ON envelopes (day);
CREATE TABLE deliveries (
  name TEXT NOT NULL, device BLOB NOT NULL, delivery BLOB NOT NULL, day INTEGER NOT NULL,
  PRIMARY KEY (name, device, delivery)) WITHOUT ROWID;
CREATE INDEX deliveries_by_day ON deliveries (day);
";

/// An entry's key is its channel's random number and its place: one channel's log lies together, channels lie in no order.
/// Append ids are chosen by clients; they are looked up by a keyed hash, so that nobody can choose ids that meet.
pub(super) const CHANNELS: &str = "
CREATE TABLE channels (
  channel BLOB PRIMARY KEY, number INTEGER NOT NULL UNIQUE, base_seq INTEGER NOT NULL, base_head BLOB NOT NULL,
  used_day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE epochs (
  number INTEGER NOT NULL, epoch INTEGER NOT NULL, keys BLOB NOT NULL, begins_after INTEGER NOT NULL,
  ended_seq INTEGER, ended_head BLOB, PRIMARY KEY (number, epoch)) WITHOUT ROWID;
CREATE TABLE entries (
  id INTEGER PRIMARY KEY, day INTEGER NOT NULL, expires_day INTEGER NOT NULL, epoch INTEGER NOT NULL,
  append_id BLOB NOT NULL, head BLOB NOT NULL, next_keys BLOB, body_hash BLOB, body BLOB);
CREATE TABLE appends (
  number INTEGER NOT NULL, hash INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (number, hash, seq)
) WITHOUT ROWID;
CREATE TABLE due (
  day INTEGER NOT NULL, what INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (day, what, number)) WITHOUT ROWID;
CREATE TABLE channel_tokens (token BLOB PRIMARY KEY, expires_day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blobs (blob BLOB PRIMARY KEY, expires_day INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX blobs_by_day ON blobs (expires_day);
CREATE TABLE append_index (key BLOB NOT NULL);
INSERT INTO append_index VALUES (randomblob(32));
CREATE TABLE totals (
  channels INTEGER NOT NULL, entries INTEGER NOT NULL, entry_bytes INTEGER NOT NULL, blobs INTEGER NOT NULL,
  blob_bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0, 0, 0);
";

/// A backup's standing is 0 while it waits for its last parts, 1 when it is whole, 2 when it is given up.
pub(super) const BACKUPS: &str = "
CREATE TABLE backups (
  name TEXT NOT NULL, generation INTEGER NOT NULL, parts INTEGER NOT NULL, stored INTEGER NOT NULL,
  bytes INTEGER NOT NULL, day INTEGER NOT NULL, standing INTEGER NOT NULL, PRIMARY KEY (name, generation)) WITHOUT ROWID;
CREATE TABLE backup_parts (
  name TEXT NOT NULL, generation INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (name, generation, part)) WITHOUT ROWID;
";

/// Who may open a database at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// The administrator's commands too.
    Shared,
    /// One server. This also keeps a second one from running on the same directory.
    Alone,
}

/// Opens a database, and makes its tables if it is new.
pub(super) fn open(path: &Path, tables: &str, sharing: Sharing, page_bytes: u32) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failure)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failure)?;
    if sharing == Sharing::Alone {
        connection.busy_timeout(Duration::from_millis(500)).map_err(failure)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(failure)?;
    }
    connection.pragma_update(None, "page_size", page_bytes).map_err(failure)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(failure)?;
    // Every commit is synced before it returns: what is acknowledged is on the disk.
    connection.pragma_update(None, "synchronous", "FULL").map_err(failure)?;
    // What was deleted is overwritten.
    connection.pragma_update(None, "secure_delete", true).map_err(failure)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failure)?;
    connection.pragma_update(None, "cache_size", -65_536).map_err(failure)?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_000).map_err(failure)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failure)?;
    match version {
        SCHEMA_VERSION => Ok(connection),
        0 => make(connection, tables),
        _ => Err(StoreError::OtherVersion),
    }
}

/// Makes the tables, unless another process did so since the version was read.
fn make(mut connection: Connection, tables: &str) -> Result<Connection, StoreError> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failure)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failure)?;
    if version == 0 {
        let script = format!("{tables} PRAGMA user_version = {SCHEMA_VERSION};");
        transaction.execute_batch(&script).map_err(failure)?;
    }
    transaction.commit().map_err(failure)?;
    Ok(connection)
}

//! Databases as the client keeps them: SQLCipher under a raw key, write-ahead log, full sync.

use anyhow::Result;
use rusqlite::Connection;
use std::path::Path;

/// Whether a transaction waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// As the client does.
    Full,
    /// To see what the disk costs. Nothing is safe then.
    Off,
}

/// Makes a database.
///
/// # Errors
/// The file.
pub fn create(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    let key = "5a".repeat(32);
    connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\"; PRAGMA journal_mode = WAL; PRAGMA user_version;"))?;
    set_sync(&connection, Sync::Full)?;
    Ok(connection)
}

/// Changes whether transactions wait for the disk.
///
/// # Errors
/// A transaction is open.
pub fn set_sync(connection: &Connection, sync: Sync) -> Result<()> {
    let mode = match sync {
        Sync::Full => "FULL",
        Sync::Off => "OFF",
    };
    Ok(connection.pragma_update(None, "synchronous", mode)?)
}

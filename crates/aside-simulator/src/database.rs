//! Copies of a client's database, as somebody has who sets a machine back to an older state of its disk.

use aside_protocol::id::ChannelId;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A file for the way; nothing else uses it.
fn passing_file() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("aside-simulator-{}-{count}", std::process::id()))
}

/// All of it.
pub(crate) fn to_bytes(connection: &Connection) -> Result<Vec<u8>, String> {
    let path = passing_file();
    let taken = connection.execute("VACUUM INTO ?", [path.to_string_lossy()]).map_err(|error| error.to_string());
    let bytes = taken.and_then(|_| std::fs::read(&path).map_err(|error| error.to_string()));
    let _ = std::fs::remove_file(&path);
    bytes
}

/// The channels that stand in it.
pub(crate) fn channels(connection: &Connection) -> Result<BTreeSet<ChannelId>, String> {
    let query = || -> rusqlite::Result<BTreeSet<ChannelId>> {
        connection.prepare("SELECT id FROM channels")?.query_map([], |row| Ok(ChannelId(row.get(0)?)))?.collect()
    };
    query().map_err(|error| error.to_string())
}

/// A database in memory again.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Connection, String> {
    let path = passing_file();
    std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
    let copied = copy_from(&path).map_err(|error| error.to_string());
    let _ = std::fs::remove_file(&path);
    copied
}

fn copy_from(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute("ATTACH ? AS kept", [path.to_string_lossy()])?;
    let rows = |kind: &str| -> rusqlite::Result<Vec<(String, String)>> {
        let query =
            "SELECT name, sql FROM kept.sqlite_schema WHERE type = ? AND sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
        let mut statement = fresh.prepare(query)?;
        let rows = statement.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    for (name, sql) in rows("table")? {
        fresh.execute_batch(&sql)?;
        fresh.execute_batch(&format!("INSERT INTO main.\"{name}\" SELECT * FROM kept.\"{name}\""))?;
    }
    for (_, sql) in rows("index")? {
        fresh.execute_batch(&sql)?;
    }
    let has_counters: bool = fresh.query_row(
        "SELECT EXISTS (SELECT 1 FROM kept.sqlite_schema WHERE name = 'sqlite_sequence')",
        [],
        |row| row.get(0),
    )?;
    if has_counters {
        fresh.execute_batch(
            "DELETE FROM main.sqlite_sequence; INSERT INTO main.sqlite_sequence SELECT * FROM kept.sqlite_sequence",
        )?;
    }
    let version: i64 = fresh.query_row("PRAGMA kept.user_version", [], |row| row.get(0))?;
    fresh.pragma_update(None, "user_version", version)?;
    // Last, so that none of them notes the copying itself.
    for (_, sql) in rows("trigger")? {
        fresh.execute_batch(&sql)?;
    }
    fresh.execute_batch("DETACH kept")?;
    Ok(fresh)
}

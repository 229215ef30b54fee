//! Opens the profile's database: SQLCipher under a raw key, so that nothing on the disk is readable, not even that it
//! is a database.

use crate::unlock::DatabaseKey;
use rusqlite::{Connection, ErrorCode};
use std::fmt::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Why the database does not open.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The key does not fit.
    #[error("the passphrase is wrong (or the profile's database is damaged)")]
    WrongKey,
    /// The file.
    #[error("the profile's database cannot be opened: {0}")]
    File(#[from] std::io::Error),
    /// The database.
    #[error("the profile's database cannot be opened: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Opens the database, making it if need be. The key is checked against the first page.
///
/// # Errors
/// [`DatabaseError::WrongKey`] where the key is another than the one that the file was made with.
pub fn open(path: &Path, key: &DatabaseKey) -> Result<Connection, DatabaseError> {
    drop(crate::profile::file::open_private(path)?);
    let connection = Connection::open(path)?;
    let mut pragma = Zeroizing::new(String::with_capacity(96));
    pragma.push_str("PRAGMA key = \"x'");
    for byte in key.0.iter() {
        // Writing into a String cannot fail.
        let _ = write!(pragma, "{byte:02x}");
    }
    pragma.push_str("'\"");
    connection.execute_batch(&pragma)?;
    // SQLCipher would write its own words about a wrong key to the terminal. The first key of a process turns that on.
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
    match connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())) {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Err(DatabaseError::WrongKey),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(connection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> DatabaseKey {
        DatabaseKey(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_wrong_key_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.db");
        open(&path, &key(1)).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(open(&path, &key(2)), Err(DatabaseError::WrongKey)));
        assert!(open(&path, &key(1)).is_ok());
    }

    #[test]
    fn the_file_shows_neither_its_content_nor_that_it_is_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.db");
        let connection = open(&path, &key(1)).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        connection.execute("INSERT INTO t VALUES ('canary-in-the-mine')", []).unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"canary"));
            assert!(!bytes.starts_with(b"SQLite format 3"));
        }
        drop(connection);
        assert!(!std::fs::read(&path).unwrap().starts_with(b"SQLite format 3"));
    }
}

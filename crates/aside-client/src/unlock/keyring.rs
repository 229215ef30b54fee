//! A random key in the operating system's keyring.

use super::{DatabaseKey, UnlockError};

/// Reads the key of an entry.
pub fn read(_entry: &str) -> Result<DatabaseKey, UnlockError> {
    Err(UnlockError::Keyring("this build has no keyring".to_owned()))
}

/// Makes a key and keeps it, where there is a keyring; gives the entry's name.
pub fn make() -> Result<Option<(String, DatabaseKey)>, UnlockError> {
    Ok(None)
}

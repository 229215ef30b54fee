//! A random key in the operating system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on
//! Windows. Whoever is signed in as the person has it, so nothing has to be typed.

use super::{DatabaseKey, KEY_BYTES, UnlockError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyring::v1::Entry;
use zeroize::Zeroizing;

/// What the keyring shows as the owner of the entries.
const SERVICE: &str = "aside";

/// Reads the key of an entry. A keyring that is locked asks the person by itself.
pub fn read(entry: &str) -> Result<DatabaseKey, UnlockError> {
    let secret = Entry::new(SERVICE, entry).and_then(|entry| entry.get_secret()).map(Zeroizing::new);
    let secret = secret.map_err(|error| match error {
        keyring::v1::Error::NoDefaultStore => UnlockError::Keyring("none answers in this session".to_owned()),
        error => UnlockError::Keyring(error.to_string()),
    })?;
    let key = <[u8; KEY_BYTES]>::try_from(secret.as_slice());
    key.map(|key| DatabaseKey(Zeroizing::new(key)))
        .map_err(|_| UnlockError::Keyring(format!("the entry {entry} holds something else")))
}

/// Makes a key and keeps it, where there is a keyring that gives it back; gives the entry's name, which is random, so
/// that profiles of one name in two homes don't take each other's.
pub fn make() -> Result<Option<(String, DatabaseKey)>, UnlockError> {
    let mut name = [0; 16];
    getrandom::fill(&mut name)?;
    let name = URL_SAFE_NO_PAD.encode(name);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(key.as_mut_slice())?;
    let Ok(entry) = Entry::new(SERVICE, &name) else { return Ok(None) };
    if entry.set_secret(key.as_slice()).is_err() {
        return Ok(None);
    }
    match read(&name) {
        Ok(kept) if kept.0 == key => Ok(Some((name, kept))),
        Ok(_) | Err(_) => {
            tracing::warn!("the system's keyring does not give back what it was given");
            Ok(None)
        }
    }
}

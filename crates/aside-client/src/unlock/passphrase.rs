//! A key from a passphrase: Argon2id (RFC 9106), once a start; the database gets the raw key.

use super::{DatabaseKey, KEY_BYTES, UnlockError};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

const SALT_BYTES: usize = 16;

/// What a guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl KeyCost {
    /// RFC 9106, section 4: the second recommended option, with one lane.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3 };
    #[cfg(test)]
    pub(crate) const FOR_TESTS: Self = Self { memory_kib: 64, passes: 1 };
}

/// A new salt, base64.
pub fn salt() -> Result<String, UnlockError> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    Ok(STANDARD_NO_PAD.encode(salt))
}

/// The key of a passphrase.
pub fn derive(passphrase: &str, salt: &str, cost: KeyCost) -> Result<DatabaseKey, UnlockError> {
    let salt = STANDARD_NO_PAD.decode(salt).map_err(|error| UnlockError::Parameters(error.to_string()))?;
    let damaged = |error: argon2::Error| UnlockError::Parameters(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(KEY_BYTES)).map_err(damaged)?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
        .map_err(damaged)?;
    Ok(DatabaseKey(key))
}

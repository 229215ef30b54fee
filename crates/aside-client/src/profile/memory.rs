//! What a profile has to know before its database is open: `profile.json`. Nothing in it is secret.

use serde::{Deserialize, Serialize};

/// What protects the database's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Protection {
    /// A passphrase, through Argon2id (RFC 9106).
    Passphrase {
        /// 16 random bytes, base64.
        salt: String,
        /// Argon2's memory cost.
        memory_kib: u32,
        /// Argon2's number of passes.
        passes: u32,
    },
    /// A random key in the operating system's keyring.
    Keyring {
        /// The entry's name there.
        entry: String,
    },
}

/// `profile.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Absent until the database was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
    /// The loopback port that was used last: a tab that was left open finds the client there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

//! Recovery: the phrase that a person writes down, the backup that it opens, and an account's way back when every device
//! is lost. Chapter 10 of the protocol.
//!
//! [`phrase`] makes keys of words, [`confirm`] forgets them. [`kept`] says what a backup holds (never MLS state, which
//! would reuse nonces, and never a device's keys), [`snapshot`] writes and reads it, [`seal`] encrypts it, [`parts`] cuts
//! it up. [`backup`] brings it to the server and tries it, [`restore`] brings it back ([`look`] says first which one), [`devices`] and
//! [`rejoin`] are what follows.

pub(crate) mod backup;
pub(crate) mod confirm;
mod devices;
mod fault;
mod kept;
mod look;
pub(crate) mod parts;
pub(crate) mod phrase;
mod rejoin;
pub(crate) mod restore;
mod seal;
mod snapshot;
#[cfg(test)]
mod tests;

pub use fault::BackupFault;
pub use phrase::{PHRASE_WORDS, PhraseError, TypedPhrase};

use crate::context::Context;
use crate::error::{CommandError, EngineError};
use crate::input::{Answer, Command};
use crate::{Engine, Heart};
use minicbor::{Decode, Encode};
use parts::Slot;
use schemars::JsonSchema;
use serde::Serialize;

/// How often backups are made; a simulation makes it faster. In milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct BackupPace {
    /// How long nothing may have changed before a backup is made.
    pub settle_ms: i64,
    /// How often the newest backup is fetched and tried.
    pub try_every_ms: i64,
}

impl Default for BackupPace {
    fn default() -> Self {
        Self { settle_ms: 5 * 60_000, try_every_ms: 30 * 86_400_000 }
    }
}

/// What recovery keeps in memory. All of it can be lost at any time.
#[derive(Default)]
pub(crate) struct Memory {
    /// Something secret was overwritten in this transaction.
    pub erase: bool,
    /// A command changed something that a backup holds.
    pub is_changed: bool,
    /// When something changed last.
    pub changed_ms: Option<i64>,
    /// The row, as it was read or written last.
    pub backups: Option<backup::Backups>,
    /// A restore that was begun.
    pub restoring: Option<restore::Restoring>,
}

impl Memory {
    /// After a rollback: the row may be another than was noted.
    pub fn rolled_back(&mut self) {
        self.backups = None;
    }
}

/// How well the account could be brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RecoveryState {
    /// Whether the person has confirmed the words.
    pub confirmed: bool,
    /// The backup on the server.
    pub backup: BackupState,
    /// How the account came to this device, if it was restored here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// What a restore brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema, Encode, Decode)]
pub struct Restored {
    /// When, in milliseconds since 1970-01-01 UTC.
    #[n(0)]
    pub at: i64,
    /// When the backup was made that was used; absent: there was none.
    #[n(1)]
    pub backup_at: Option<i64>,
    /// What a person should know of what is there and what is not.
    #[n(2)]
    pub words: String,
}

/// A backup that was opened and read to its end, before it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundBackup {
    /// When it was made, in milliseconds since 1970-01-01 UTC; absent: there is none, and the account would come back
    /// empty.
    #[serde(rename = "at")]
    pub made_ms: Option<i64>,
    /// How many messages it holds, notes among them.
    pub messages: u64,
    /// How many contacts.
    pub contacts: u64,
    /// What a person should know before using it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// The backup on the server, as far as this device knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BackupState {
    /// When it was made.
    pub at: Option<i64>,
    /// Whether it can be restored; unknown until it was tried.
    pub ok: Option<bool>,
    /// What a person should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// Its size.
    #[serde(skip)]
    pub bytes: u64,
}

/// How far a restore is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreState {
    /// None was begun, or it is done.
    None,
    /// Under way.
    Working,
    /// Waits for the person to look, and for `UseBackup`.
    Found(FoundBackup),
    /// It ended.
    Failed {
        /// Why, in words.
        words: String,
    },
}

/// Carries out a command about recovery; others change nothing.
pub(crate) fn command(heart: &mut Heart, context: &mut Context<'_>, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::BackUp => backup::want(heart, context),
        Command::MakeBackupFile => backup::make_file(heart, context),
        Command::DropBackupFile => {
            parts::clear(context.db, Slot::ToFile)?;
            Ok(Answer::Done)
        }
        Command::TakeBackupFile { part, bytes } => restore::take_file(heart, context, part, &bytes),
        Command::Restore { phrase, from, lost, look } => restore::begin(heart, context, &phrase, from, (lost, look)),
        Command::UseBackup { lost } => restore::use_found(heart, context, lost),
        Command::ForgetRestore => restore::forget(heart, context),
        Command::ConfirmPhrase { phrase } => confirm::confirm(heart, context, &phrase),
        _ => Ok(Answer::Done),
    }
}

impl Engine {
    /// How well the account could be brought back.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn recovery_state(&self) -> Result<RecoveryState, EngineError> {
        let backups = backup::load(&self.db)?;
        let (at, bytes) = backups.stored.map_or((None, 0), |stored| (Some(stored.made_ms), stored.bytes));
        let confirmed = self.heart.identity.is_some() && confirm::entropy(&self.db)?.is_none();
        let backup = BackupState { at, ok: backups.is_good, words: backups.words, bytes };
        Ok(RecoveryState { confirmed, backup, restored: backups.restored })
    }

    /// How far a restore is.
    pub fn restore_state(&self) -> RestoreState {
        match &self.heart.recovery.restoring {
            None => RestoreState::None,
            Some(restore::Restoring { failure: Some(words), .. }) => RestoreState::Failed { words: words.clone() },
            Some(restore::Restoring { found: Some(found), .. }) => RestoreState::Found(found.clone()),
            Some(_) => RestoreState::Working,
        }
    }

    /// The size of the backup that was made for a file: parts, and bytes in all.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn backup_file_size(&self) -> Result<(u32, u64), EngineError> {
        Ok(parts::size(&self.db, Slot::ToFile)?)
    }

    /// A part of it.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn backup_file_part(&self, part: u32) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(parts::get(&self.db, Slot::ToFile, part)?)
    }
}

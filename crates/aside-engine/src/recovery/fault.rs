//! Why a backup is not made, or does not come back: sentences for a person.

use crate::error::EngineError;

/// What is wrong with a backup, or with whoever shows it.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// It opens with other words.
    #[error("these words do not open this backup: it belongs to another account, or the words are another account's")]
    OtherWords,
    /// A bit is wrong, a part is missing, or the end is.
    #[error("the backup is damaged or cut off: nothing of it was taken; look for another copy")]
    Damaged,
    /// Written by a later program.
    #[error(
        "the backup was made by a newer Aside (its version is {found}, this program reads up to {known}): update first"
    )]
    Newer {
        /// In the backup.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Of another account of the same words, which cannot be by accident.
    #[error("the backup is {found}'s and not {wanted}'s")]
    OtherAccount {
        /// Whose it is.
        found: String,
        /// Who was asked for.
        wanted: String,
    },
    /// The server is not the one that the backup names.
    #[error(
        "whoever answers at {address} is not the server that this account was made on: nothing was done; try again on \
         another network, or restore from a file"
    )]
    OtherServer {
        /// Where.
        address: String,
    },
    /// What the server says of the backup is not what stands inside.
    #[error("the server shows this backup as another one than it is: nothing of it was taken")]
    Mislabelled,
    /// The server shows an older backup than it was given.
    #[error("the server shows an older backup than this device stored there: it lost the newest, or hides it")]
    Older,
    /// It opens and is whole, and holds less than was put in.
    #[error("the backup on the server opens, but holds less than was put in")]
    Incomplete,
    /// Nothing there.
    #[error(
        "the server has no backup of this account, so it cannot show that it is the right one: restore from a file, or \
         give the server's link (an invite or a contact link of somebody there) with the words"
    )]
    NoBackup,
    /// The server's account is older than the backup's.
    #[error(
        "the server shows an older state of the account than the backup holds: nothing was done; ask its administrator"
    )]
    OlderAccount,
    /// The account's chain at the server does not verify.
    #[error(
        "the account's keys at the server do not check out ({0}): nothing was done; ask the server's administrator"
    )]
    BadAccount(String),
    /// The server said no.
    #[error("{0}")]
    Refused(String),
    /// The database, or a defect.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<rusqlite::Error> for BackupFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<std::io::Error> for BackupFault {
    /// Reading fails because of the database, wrapped by [`super::parts`], or because what is read is damaged.
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<rusqlite::Error>() {
            Ok(error) => Self::Engine(error.into()),
            Err(_) => Self::Damaged,
        }
    }
}

impl From<minicbor::decode::Error> for BackupFault {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Damaged
    }
}

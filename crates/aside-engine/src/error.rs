//! What can go wrong: with a command, which a person hears of, and with the engine itself, which ends the process.

use aside_protocol::limit::MESSAGE_DAYS_MAX;

/// A command that was not carried out. The text is a sentence for a person and says what to do; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no account yet.
    #[error("this profile has no account yet: join a server with an invite first")]
    NotJoined,
    /// There is one already.
    #[error("this profile has an account already ({address}); use another profile for another account")]
    AlreadyJoined {
        /// Which.
        address: String,
    },
    /// One's own link.
    #[error("this is your own link: give it to somebody else")]
    OwnLink,
    /// The link's person is known with another root key.
    #[error("{address} is known with other keys than this link says: ask them, by another way, which link is theirs")]
    OtherKeys {
        /// Who.
        address: String,
    },
    /// No such conversation.
    #[error("there is no such conversation")]
    UnknownConversation,
    /// No such message.
    #[error("there is no such message")]
    UnknownMessage,
    /// No such contact.
    #[error("{address} is not among the contacts: add them with their link first")]
    UnknownContact {
        /// Who.
        address: String,
    },
    /// The conversation takes no messages in its state.
    #[error("nothing can be sent here: {why}")]
    CannotSend {
        /// In words.
        why: String,
    },
    /// The text is empty.
    #[error("there is nothing to send")]
    Empty,
    /// The text is too long.
    #[error("the text has {bytes} bytes; at most {bytes_max} fit: send it in parts")]
    TooLong {
        /// What came.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// A title is empty or too long.
    #[error("a title has 1 to {chars_max} characters")]
    Title {
        /// The limit.
        chars_max: usize,
    },
    /// A group is too large or has nobody in it.
    #[error("a group has 1 to {max} other members")]
    GroupSize {
        /// The limit.
        max: usize,
    },
    /// Somebody else's message.
    #[error("only one's own messages can be changed")]
    NotOwn,
    /// No single emoji.
    #[error("a reaction is one emoji")]
    NotAnEmoji,
    /// The message has not failed.
    #[error("this message has not failed; it is on its way")]
    NotFailed,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The engine cannot go on. Nothing of the input took effect.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database.
    #[error("the profile's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// The group state.
    #[error("the group state failed: {0}")]
    Mls(#[from] aside_mls::MlsError),
    /// A row of the engine's own that does not decode: the database was damaged or is of a newer program.
    #[error("the profile's database holds a damaged {what}")]
    Damaged {
        /// Which kind of row.
        what: &'static str,
    },
    /// The database is of a newer program.
    #[error("this profile was used by a newer Aside (database version {found}, this program knows {known}): update it")]
    NewerDatabase {
        /// In the file.
        found: i64,
        /// Ours.
        known: i64,
    },
}

impl From<rusqlite::Error> for CommandError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<aside_mls::MlsError> for CommandError {
    fn from(error: aside_mls::MlsError) -> Self {
        Self::Engine(error.into())
    }
}

/// How long messages are kept on servers at most; named in words by the settings page.
pub const RETENTION_DAYS_MAX: u32 = MESSAGE_DAYS_MAX;

impl From<aside_mls::CredentialFault> for EngineError {
    fn from(fault: aside_mls::CredentialFault) -> Self {
        Self::Mls(fault.into())
    }
}

impl From<aside_mls::MetadataError> for EngineError {
    fn from(error: aside_mls::MetadataError) -> Self {
        Self::Mls(error.into())
    }
}

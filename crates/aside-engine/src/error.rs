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
    #[error(
        "this link shows other keys of {address} than those that {voucher}: somebody may be pretending to be them. Ask \
         them, by another way, whether they made a new account; if so, add the link again with new keys accepted"
    )]
    OtherKeys {
        /// Who.
        address: String,
        /// Whence the known ones are.
        voucher: &'static str,
    },
    /// As many links as there can be.
    #[error("there are {max} links that work already: withdraw one first")]
    TooManyLinks {
        /// The limit.
        max: u32,
    },
    /// No such link of one's own.
    #[error("there is no such link; it was withdrawn or has ended")]
    UnknownLink,
    /// Blocking oneself.
    #[error("nobody can block themselves")]
    OneselfBlocked,
    /// What was scanned is something else.
    #[error("this is not the code beside a safety number: scan the one that they see in their conversation with you")]
    NotASafetyCode,
    /// A report is about one person.
    #[error("a report is about one person: choose messages of theirs")]
    NobodyReported,
    /// A report is too large.
    #[error("the report is too large ({why}): choose fewer messages, or a shorter note")]
    ReportTooLarge {
        /// With the limit.
        why: String,
    },
    /// The conversation is no request.
    #[error("this conversation is no request: leave or remove it instead")]
    NotARequest,
    /// The conversation asks for no decision.
    #[error("there is nothing to decide here")]
    NothingToAccept,
    /// A name for a contact is too long.
    #[error("a name has at most {chars_max} characters")]
    Name {
        /// The limit.
        chars_max: usize,
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
    /// A group is needed here.
    #[error("this is a conversation of two: only groups have a title, a picture and members to change")]
    NotAGroup,
    /// The role does not allow it.
    #[error("only the group's admins can do that: ask one of them")]
    NotAdmin,
    /// The group would have no admin.
    #[error("you are the group's only admin: make another member an admin first")]
    LastAdmin,
    /// Too many admins.
    #[error("a group has at most {max} admins")]
    TooManyAdmins {
        /// The limit.
        max: usize,
    },
    /// No such member.
    #[error("{address} is not a member of this group")]
    NotAMember {
        /// Who.
        address: String,
    },
    /// Nobody of this name asks.
    #[error("{address} does not ask to join, or was answered already")]
    NoRequest {
        /// Who.
        address: String,
    },
    /// The picture is too large, or none.
    #[error("{why}")]
    Picture {
        /// In words, with the limit.
        why: String,
    },
    /// The group cannot be changed in its state.
    #[error("the group cannot be changed: {why}")]
    CannotChange {
        /// In words.
        why: String,
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
    /// The words were typed back before, and are not on this device any more.
    #[error("the words were confirmed and erased from this device: only your own paper has them")]
    PhraseConfirmed,
    /// A backup cannot be made or restored.
    #[error(transparent)]
    Backup(crate::recovery::BackupFault),
    /// The typed words.
    #[error(transparent)]
    Phrase(#[from] crate::recovery::PhraseError),
    /// The account is full of devices.
    #[error("an account has at most {max} devices: revoke one first")]
    TooManyDevices {
        /// The limit.
        max: usize,
    },
    /// No such device, or no such request.
    #[error("there is no such device")]
    UnknownDevice,
    /// A device's name is empty or too long.
    #[error("a device's name has 1 to {chars_max} characters")]
    DeviceName {
        /// The limit.
        chars_max: usize,
    },
    /// The link's time is over.
    #[error("this link has ended: show a new one on the other device")]
    LinkEnded,
    /// A device does not revoke itself.
    #[error("this device cannot revoke itself: do it on another one")]
    ThisDevice,
    /// Another device revoked this one.
    #[error(
        "this device was removed from the account by another one: it keeps what it holds, and sends and receives nothing \
         more; to use the account here again, link a fresh profile"
    )]
    Revoked,
    /// One at a time.
    #[error("a device is being revoked at this moment: try again when that is done")]
    RevokingAlready,
    /// The phrase is not this account's.
    #[error("these are not the 24 words of this account: check them, in their order")]
    WrongPhrase,
    /// No backup waits for the person's word.
    #[error("no backup was found yet that could be used: begin the restore again")]
    NothingFound,
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
    /// The database is of an older program, whose tables were others.
    #[error(
        "an older Aside made this profile (its database has version {found}, this program reads only {known}): go on \
         with the program that made it, or begin anew in another profile (--profile NAME). Nothing was changed"
    )]
    OlderDatabase {
        /// In the file.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database is of a newer program.
    #[error(
        "a newer Aside used this profile (its database has version {found}, this program reads only {known}): update \
         this program. Nothing was changed"
    )]
    NewerDatabase {
        /// In the file.
        found: i64,
        /// Ours.
        known: i64,
    },
}

impl From<crate::recovery::BackupFault> for CommandError {
    fn from(fault: crate::recovery::BackupFault) -> Self {
        match fault {
            crate::recovery::BackupFault::Engine(error) => Self::Engine(error),
            fault => Self::Backup(fault),
        }
    }
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

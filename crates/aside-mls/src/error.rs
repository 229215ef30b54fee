//! Why an operation failed: one enum an operation, each variant naming whose fault it is.

use crate::credential::{CredentialFault, Member};
use crate::group::GroupId;
use crate::metadata::{ADMINS_MAX, PICTURE_BYTES_MAX, TITLE_CHARS_MAX};
use crate::role::Forbidden;
use aside_protocol::codec::DecodeError;
use aside_protocol::identity::CredentialError;

/// What openmls or the database said. For logs: it names no person and holds no secret.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failure of ours: of the database, of the library, or of the caller. What a peer did wrong has its own enums.
#[derive(Debug, thiserror::Error)]
pub enum MlsError {
    /// The database refused. Roll back, load again, try again.
    #[error("storage: {0}")]
    Storage(#[from] rusqlite::Error),
    /// The tables could not be created or upgraded.
    #[error("migration: {0}")]
    Migration(#[source] Source),
    /// Part of a stored group is missing or does not decode. It exists, and cannot be used: re-add or re-found.
    #[error("the stored state of {0:?} is incomplete")]
    Incomplete(GroupId),
    /// openmls refused what we asked for.
    #[error("{doing}: {source}")]
    Library {
        /// The operation.
        doing: &'static str,
        /// Its error.
        source: Source,
    },
    /// A cryptographic primitive failed, as it does for lack of randomness or for a key of a wrong length.
    #[error("{doing} failed")]
    Crypto {
        /// The operation.
        doing: &'static str,
    },
    /// The library panicked, as it does for some malformed keys. Drop the group and load it again.
    #[error("the library panicked while {doing}")]
    Panicked {
        /// The operation.
        doing: &'static str,
    },
    /// State of a group with this id is there already.
    #[error("state of {0:?} is there already")]
    GroupExists(GroupId),
    /// A credential that we were given or hold is not good.
    #[error(transparent)]
    Credential(#[from] CredentialFault),
    /// Metadata outside its limits.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Our account may not do this; the other members would refuse the commit.
    #[error("this account may not {0}")]
    RoleForbids(Forbidden),
    /// No member has this leaf.
    #[error("no member at leaf {0}")]
    UnknownLeaf(u32),
    /// This device is no longer a member.
    #[error("this device is no longer a member")]
    NotAMember,
    /// A commit of ours is waiting; merge or clear it first.
    #[error("a commit is pending")]
    PendingCommit,
    /// No commit of ours is waiting.
    #[error("no commit is pending")]
    NoPendingCommit,
}

/// Metadata that a group may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The GroupContext has no metadata.
    #[error("the group has no metadata")]
    Missing,
    /// Not the encoding of metadata.
    #[error("metadata: {0}")]
    Malformed(#[from] DecodeError),
    /// Over [`TITLE_CHARS_MAX`].
    #[error("a title has at most {TITLE_CHARS_MAX} characters, not {chars}")]
    TitleTooLong {
        /// Its length.
        chars: usize,
    },
    /// Nobody could ever add or remove anybody.
    #[error("a group has at least one admin")]
    NoAdmin,
    /// Over [`ADMINS_MAX`].
    #[error("a group has at most {ADMINS_MAX} admins, not {0}")]
    TooManyAdmins(usize),
    /// An account is listed twice.
    #[error("an admin is listed twice")]
    DuplicateAdmin,
    /// Over [`PICTURE_BYTES_MAX`].
    #[error("a picture has at most {PICTURE_BYTES_MAX} bytes, not {bytes}: choose a smaller one")]
    PictureTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not one of the kinds that are shown.
    #[error("a picture has to be a JPEG, PNG or WebP file")]
    NotAPicture,
}

/// Why a KeyPackage is not used. Every variant but the last is the fault of its maker or of the server.
#[derive(Debug, thiserror::Error)]
pub enum KeyPackageError {
    /// Too long, not a KeyPackage, or without the extension that holds its lifetime.
    #[error("not a KeyPackage of ours")]
    Malformed,
    /// Of another suite than [`crate::SUITE`].
    #[error("the KeyPackage is of another suite")]
    OtherSuite,
    /// Signatures or contents do not hold (RFC 9420, section 10.1).
    #[error("the KeyPackage is not valid: {0}")]
    Invalid(#[source] Source),
    /// Used before its time, by more than the tolerated skew.
    #[error("the KeyPackage is not valid before {not_before_unix_s}")]
    NotYetValid {
        /// When it begins.
        not_before_unix_s: u64,
    },
    /// Used after its time.
    #[error("the KeyPackage expired at {not_after_unix_s}")]
    Expired {
        /// When it ended.
        not_after_unix_s: u64,
    },
    /// Whoever it says that it is of did not certify it.
    #[error(transparent)]
    Credential(#[from] CredentialFault),
    /// Ours.
    #[error(transparent)]
    Mls(#[from] MlsError),
}

/// Why a Welcome led nowhere. The KeyPackage is consumed all the same, unless the caller rolls back.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Not a Welcome and a ratchet tree.
    #[error("not a Welcome with its ratchet tree")]
    Malformed,
    /// Of another suite than [`crate::SUITE`].
    #[error("the Welcome is of another suite")]
    OtherSuite,
    /// For a KeyPackage that this device does not have: of another device, or used before.
    #[error("the Welcome is for no KeyPackage of this device")]
    NoMatchingKeyPackage,
    /// This device has state of that group. If it is broken, [`crate::Session::rejoin`].
    #[error("this device has that group already")]
    GroupExists,
    /// The Welcome, the GroupInfo or the tree do not hold together (RFC 9420, section 12.4.3.1).
    #[error("the Welcome is not valid: {0}")]
    Invalid(#[source] Source),
    /// A member's credential is not good.
    #[error("the member at leaf {leaf}: {fault}")]
    Credential {
        /// Where it stands.
        leaf: u32,
        /// What is wrong.
        fault: CredentialFault,
    },
    /// A member's HPKE key is none.
    #[error("the member at leaf {leaf} has an unusable key")]
    UnusableKey {
        /// Where it stands.
        leaf: u32,
    },
    /// The group's metadata is not good.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The GroupContext has an extension that Aside does not use, as external senders.
    #[error("the group has an extension that Aside does not use")]
    UnexpectedExtension,
    /// Ours.
    #[error(transparent)]
    Mls(#[from] MlsError),
}

/// Why a message could not be decrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecryptable {
    /// Its key was used before: a replay, or a copy.
    #[error("its key was used before")]
    Replayed,
    /// Its key is gone: the sender is too far ahead of it.
    #[error("its key is gone")]
    TooOld,
    /// More messages of its sender are missing than are tolerated.
    #[error("too many messages before it are missing")]
    TooFarAhead,
    /// Altered, or made with keys that are not this epoch's.
    #[error("it was altered or is of another fork")]
    Damaged,
    /// The signature inside is not its sender's.
    #[error("its signature does not hold")]
    BadSignature,
}

/// Why a message or commit was refused. The group stays in its epoch; load it again before going on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Not an MLS message.
    #[error("not an MLS message")]
    Malformed,
    /// A standalone proposal, an external commit or a public message.
    #[error("a kind of message that Aside does not use")]
    UnexpectedKind,
    /// Of another group.
    #[error("of another group")]
    OtherGroup,
    /// Made in another epoch. If it is ahead of ours, commits are missing; if behind, it came too late.
    #[error("made in epoch {message}, the group is in {group}")]
    WrongEpoch {
        /// The message's.
        message: u64,
        /// The group's.
        group: u64,
    },
    /// Made by this very leaf: MLS cannot decrypt one's own messages.
    #[error("made by this device")]
    OwnMessage,
    /// It cannot be decrypted.
    #[error("undecryptable: {0}")]
    Undecryptable(Undecryptable),
    /// A commit that does not hold (RFC 9420, section 12.4.2): the garbage commit.
    #[error("the commit is not valid: {0}")]
    InvalidCommit(#[source] Source),
    /// A credential that the commit brings in is not good.
    #[error("a credential in the commit of leaf {}: {fault}", author.leaf)]
    Credential {
        /// Who committed it.
        author: Box<Member>,
        /// What is wrong.
        fault: CredentialFault,
    },
    /// The commit brings in an HPKE key that is none, to which nobody could encrypt.
    #[error("an unusable key in the commit of leaf {}", author.leaf)]
    UnusableKey {
        /// Who committed it.
        author: Box<Member>,
    },
    /// The commit's metadata is not good.
    #[error("the metadata in the commit of leaf {}: {fault}", author.leaf)]
    Metadata {
        /// Who committed it.
        author: Box<Member>,
        /// What is wrong.
        fault: MetadataError,
    },
    /// The commit does what no commit of ours does: another type of proposal, or a change of the group beside its
    /// metadata, as external senders.
    #[error("the commit of leaf {} hides a change that nobody may make", author.leaf)]
    UnexpectedChange {
        /// Who committed it.
        author: Box<Member>,
    },
    /// The author's role does not allow this.
    #[error("the member at leaf {} may not {what}", author.leaf)]
    RoleForbids {
        /// Who committed it.
        author: Box<Member>,
        /// What.
        what: Forbidden,
    },
    /// This device is no longer a member.
    #[error("this device is no longer a member")]
    NotAMember,
    /// Ours.
    #[error(transparent)]
    Mls(#[from] MlsError),
}

impl ProcessError {
    /// The credential's fault, if that is what was refused and it is one that [`CredentialError`] names.
    pub fn credential_error(&self) -> Option<&CredentialError> {
        match self {
            ProcessError::Credential { fault: CredentialFault::Invalid(error), .. } => Some(error),
            _ => None,
        }
    }
}

/// Why something sealed with keys of the epoch did not open. Nobody can be blamed: the server could have altered it.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// Not the encoding of something sealed, or over its limit.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The tag does not hold.
    #[error("it was altered, or sealed in another epoch or channel")]
    InvalidTag,
    /// The tag holds, but the member that it names did not sign: some other member made it.
    #[error("the member at leaf {leaf} did not sign it")]
    BadLeafSignature {
        /// Whom it names.
        leaf: u32,
    },
    /// Ours.
    #[error(transparent)]
    Mls(#[from] MlsError),
}

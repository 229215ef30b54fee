//! What a server answers when it does not do what was asked: by name, with the limit, and whose fault it is.

use crate::channel::Purpose;
use minicbor::{Decode, Encode};

/// A refusal. Its text is a sentence for a person; its variant is for programs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The entry names another epoch than the current one: catch up, look for one's own id, encrypt again (P-4.5).
    #[n(0)]
    #[error("the conversation moved on to epoch {current}")]
    StaleEpoch {
        /// The channel's epoch.
        #[n(0)]
        current: u64,
    },
    /// No such channel, or it is gone.
    #[n(1)]
    #[error("the server has no such channel")]
    UnknownChannel,
    /// A channel with this id exists with other keys.
    #[n(2)]
    #[error("a channel with this id exists already")]
    ChannelExists,
    /// The proof for this purpose was not made on this connection.
    #[n(3)]
    #[error("this connection has not proved its {} key", purpose.label())]
    NotProven {
        /// Which.
        #[n(0)]
        purpose: Purpose,
    },
    /// The proof does not verify, or names an epoch whose keys are gone.
    #[n(4)]
    #[error("the proof of the {} key does not hold", purpose.label())]
    BadProof {
        /// Which.
        #[n(0)]
        purpose: Purpose,
    },
    /// The same append id came with another body.
    #[n(5)]
    #[error("this append id was used for something else")]
    AppendIdReused,
    /// Something is larger than allowed.
    #[n(6)]
    #[error("{bytes} bytes, where at most {bytes_max} are allowed")]
    TooLarge {
        /// What came.
        #[n(0)]
        bytes: u64,
        /// The limit.
        #[n(1)]
        bytes_max: u64,
    },
    /// More things than allowed.
    #[n(7)]
    #[error("more than {max} at once")]
    TooMany {
        /// The limit.
        #[n(0)]
        max: u64,
    },
    /// The expiry is in the past, or further off than allowed.
    #[n(8)]
    #[error("the expiry has to lie between tomorrow and {days_max} days from now")]
    BadExpiry {
        /// The limit.
        #[n(0)]
        days_max: u32,
    },
    /// No such account, or no such delivery token: the two are not told apart, so that names cannot be tried out.
    #[n(9)]
    #[error("no such account, or the link to it was withdrawn or used up")]
    UnknownAccountOrToken,
    /// The channel token is unknown, spent or expired.
    #[n(10)]
    #[error("the channel token is unknown, spent or expired")]
    BadChannelToken,
    /// The day's channel tokens are drawn.
    #[n(11)]
    #[error("at most {a_day} new conversations a day")]
    ChannelTokensDrawn {
        /// The limit.
        #[n(0)]
        a_day: u32,
    },
    /// The invite is unknown, used or expired.
    #[n(12)]
    #[error("this invite is unknown, used up or expired: ask the server's administrator for another")]
    BadInvite,
    /// Somebody has this name.
    #[n(13)]
    #[error("this name is taken: choose another")]
    NameTaken,
    /// A credential, record or chain does not verify.
    #[n(14)]
    #[error("the account's keys do not check out: {what}")]
    BadIdentity {
        /// Which check failed.
        #[n(0)]
        what: String,
    },
    /// The challenge's answer does not verify, or the device is not the account's.
    #[n(15)]
    #[error("the server does not know this device")]
    UnknownDevice,
    /// The request needs an authenticated account connection.
    #[n(16)]
    #[error("this connection has not signed in")]
    NotSignedIn,
    /// The administrator suspended the account.
    #[n(17)]
    #[error("the server's administrator suspended this account: ask them why")]
    Suspended,
    /// The inbox is full.
    #[n(18)]
    #[error("the other side's inbox holds {max} envelopes and takes no more")]
    InboxFull {
        /// The limit.
        #[n(0)]
        max: u64,
    },
    /// Too often.
    #[n(19)]
    #[error("too many requests: try again in {seconds} s")]
    RateLimited {
        /// When to try again.
        #[n(0)]
        seconds: u32,
    },
    /// The bytes are no frame. The connection is closed after this.
    #[n(20)]
    #[error("the frame is malformed: {what}")]
    Malformed {
        /// Where and what.
        #[n(0)]
        what: String,
    },
    /// The other side speaks another version.
    #[n(21)]
    #[error("the server speaks protocol version {server}: update the older program")]
    Version {
        /// The server's.
        #[n(0)]
        server: u16,
    },
    /// The store failed (disk full, for instance); nothing was changed.
    #[n(22)]
    #[error("the server cannot store anything at the moment")]
    Unavailable,
    /// The account's key sets moved on: fetch the account, then make the request anew (P-3.12).
    #[n(23)]
    #[error("the account's keys were changed meanwhile: key set {current} is the newest")]
    StaleKeySet {
        /// The number of the newest key set.
        #[n(0)]
        current: u32,
    },
    /// A key set of the account revoked this device.
    #[n(24)]
    #[error("this device was removed from its account")]
    DeviceRevoked,
    /// The account can be written to later, or never.
    #[n(25)]
    #[error("this account takes no messages at the moment")]
    AccountUnavailable,
    /// No such blob, or it expired.
    #[n(26)]
    #[error("the server does not have this any more")]
    UnknownBlob,
    /// A blob of this name exists with other bytes.
    #[n(27)]
    #[error("a blob with this name exists already")]
    BlobExists,
    /// The account has no finished backup, or not so many parts.
    #[n(28)]
    #[error("the server has no backup of this account")]
    NoBackup,
    /// A backup of this generation or a newer one is there or on its way (P-8.6).
    #[n(29)]
    #[error("a newer backup, of generation {generation}, is there already")]
    StaleBackup {
        /// The newest generation that the server knows of.
        #[n(0)]
        generation: u64,
    },
    /// Parts of a backup come in order.
    #[n(30)]
    #[error("part {next} of the backup comes first")]
    BackupPartMissing {
        /// The part that the server waits for.
        #[n(0)]
        next: u32,
    },
    /// The backup is larger than the account may store.
    #[n(31)]
    #[error("the server keeps at most {bytes_max} bytes of backup for this account: ask its administrator for more")]
    BackupFull {
        /// The limit.
        #[n(0)]
        bytes_max: u64,
    },
    /// Often enough for today.
    #[n(32)]
    #[error("at most {a_day} of these a day: try again tomorrow")]
    DailyLimit {
        /// The limit.
        #[n(0)]
        a_day: u32,
    },
}

/// Who can do something about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Send the identical request again, later.
    RetryLater,
    /// Bring the local state up to date, then make the request anew.
    CatchUp,
    /// A person has to decide or do something.
    Person,
    /// The program has a fault; trying again does not help.
    Fault,
}

impl Refusal {
    /// What to do about it.
    pub fn remedy(&self) -> Remedy {
        match self {
            Refusal::RateLimited { .. } | Refusal::Unavailable | Refusal::InboxFull { .. } => Remedy::RetryLater,
            Refusal::ChannelTokensDrawn { .. } | Refusal::DailyLimit { .. } | Refusal::AccountUnavailable => {
                Remedy::RetryLater
            }
            Refusal::StaleEpoch { .. } | Refusal::NotProven { .. } | Refusal::BadProof { .. } => Remedy::CatchUp,
            Refusal::BadChannelToken | Refusal::NotSignedIn | Refusal::StaleKeySet { .. } => Remedy::CatchUp,
            Refusal::StaleBackup { .. } | Refusal::BackupPartMissing { .. } => Remedy::CatchUp,
            Refusal::UnknownChannel | Refusal::UnknownAccountOrToken | Refusal::BadInvite | Refusal::NameTaken => {
                Remedy::Person
            }
            Refusal::Suspended | Refusal::UnknownDevice | Refusal::Version { .. } => Remedy::Person,
            Refusal::DeviceRevoked | Refusal::UnknownBlob | Refusal::NoBackup | Refusal::BackupFull { .. } => {
                Remedy::Person
            }
            Refusal::ChannelExists | Refusal::AppendIdReused | Refusal::TooLarge { .. } | Refusal::TooMany { .. } => {
                Remedy::Fault
            }
            Refusal::BadExpiry { .. } | Refusal::BadIdentity { .. } | Refusal::Malformed { .. } => Remedy::Fault,
            Refusal::BlobExists => Remedy::Fault,
        }
    }
}

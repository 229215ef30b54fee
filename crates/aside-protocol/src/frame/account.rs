//! The account connection: it speaks for one device of one account, and never names a channel.

use super::{ClientFrame, ServerFrame};
use crate::address::AccountName;
use crate::id::{Binding, DeviceId, Hash};
use crate::identity::{DeviceCertificate, DeviceRecord, DirectoryAccount, KeySet};
use crate::inbox::{ChannelToken, DeliveryToken, InboxEntry, InviteToken};
use crate::key::{BadSignature, PublicKey, Signature, SigningKey};
use crate::report::AbuseReport;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Path of the WebSocket.
pub const PATH: &str = "/v1/account";
/// A client's frame on this connection.
pub type FromClient = ClientFrame<Request>;
/// A server's frame on this connection.
pub type FromServer = ServerFrame<Answer, Push>;

const SIGN_IN_LABEL: &str = "aside sign in v1";
const ROOT_SIGN_IN_LABEL: &str = "aside root sign in v1";

/// What a device asks.
// A registration is large and comes once in an account's life; a box would be met by every other request.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Makes the account, with its first device, and signs in. A repeat with the same keys succeeds again.
    #[n(0)]
    Register(#[n(0)] Registration),
    /// Signs in.
    #[n(1)]
    SignIn(#[n(0)] SignIn),
    /// Adds KeyPackages (up to [`crate::limit::KEY_PACKAGES_MAX`] in all), and replaces the last-resort one if given.
    #[n(2)]
    PublishKeyPackages(#[n(0)] KeyPackages),
    /// How many KeyPackages are left.
    #[n(3)]
    CountKeyPackages,
    /// The inbox from an entry on, in pages. The last page makes the inbox live: pushes follow.
    #[n(4)]
    ReadInbox {
        /// The last entry that the device has.
        #[n(0)]
        after: u64,
    },
    /// Deletes entries that the device has dealt with.
    #[n(5)]
    AcknowledgeInbox {
        /// The last of them.
        #[n(0)]
        through: u64,
    },
    /// Registers a delivery token of the account by its hash. A repeat replaces.
    #[n(6)]
    PutDeliveryToken {
        /// Of the token.
        #[n(0)]
        token: Hash,
        /// The first day on which it is void; absent: never.
        #[n(1)]
        expires_day: Option<u32>,
    },
    /// Withdraws a delivery token.
    #[n(7)]
    RevokeDeliveryToken {
        /// Of the token.
        #[n(0)]
        token: Hash,
    },
    /// Draws tokens that pay for channels, within the day's allowance.
    #[n(8)]
    DrawChannelTokens {
        /// How many; fewer may come.
        #[n(0)]
        count: u32,
    },
    /// The account's chain and devices, as the directory shows them.
    #[n(9)]
    GetAccount,
    /// Adds a device that the newest key set certifies; it can sign in from then on. A repeat succeeds again.
    #[n(10)]
    AddDevice(#[n(0)] DeviceRecord),
    /// Continues the account's chain. A repeat succeeds again.
    #[n(11)]
    PutKeySet(#[n(0)] KeySetChange),
    /// Signs in with the root key, when no device is left that could. Good for `GetAccount`, `PutKeySet`, `AddDevice` and
    /// `GetBackup` only.
    #[n(12)]
    SignInAsRoot(#[n(0)] SignInAsRoot),
    /// Stores a part of a backup; parts come in order. With its last part it takes the place of the one before. A repeat
    /// succeeds again.
    #[n(13)]
    PutBackup(#[n(0)] BackupPart),
    /// A part of the newest whole backup.
    #[n(14)]
    GetBackup {
        /// Counts from 0.
        #[n(0)]
        part: u32,
    },
    /// Tells the server's administrator of somebody. A repeat of the report's id is done once.
    #[n(15)]
    Report(#[n(0)] AbuseReport),
    /// Lets people on this server find the account by its name, or no longer. A repeat changes nothing.
    #[n(16)]
    SetFindable {
        /// What whoever finds the account is given to write to it with; absent: it cannot be found.
        #[n(0)]
        token: Option<DeliveryToken>,
    },
}

/// A new account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Registration {
    /// From the invite link.
    #[n(0)]
    pub invite: InviteToken,
    /// The name; the server's own address completes it.
    #[n(1)]
    pub name: AccountName,
    /// The root key.
    #[n(2)]
    pub root_key: PublicKey,
    /// The chain; one key set.
    #[n(3)]
    pub key_sets: Vec<KeySet>,
    /// The first device.
    #[n(4)]
    pub device: DeviceRecord,
    /// By the device, over this connection's binding.
    #[n(5)]
    pub signature: Signature,
}

/// A device's answer to the connection's challenge, which is the binding.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignIn {
    /// The account.
    #[n(0)]
    pub name: AccountName,
    /// The device.
    #[n(1)]
    pub device: DeviceId,
    /// By the device.
    #[n(2)]
    pub signature: Signature,
}

/// The next link of an account's chain, with what keeps its devices good (P-3.12).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeySetChange {
    /// The key set.
    #[n(0)]
    pub key_set: KeySet,
    /// By its account key: one for each device of the account that no key set revokes, and no others.
    #[n(1)]
    pub certificates: Vec<DeviceCertificate>,
}

/// The root key's answer to the connection's challenge.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignInAsRoot {
    /// The account.
    #[n(0)]
    pub name: AccountName,
    /// By the root key: [`sign_in_as_root`].
    #[n(1)]
    pub signature: Signature,
}

/// A part of a backup, which only its account's keys open.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BackupPart {
    /// Of the backup that it belongs to; larger than that of any backup before.
    #[n(0)]
    pub generation: u64,
    /// Counts from 0.
    #[n(1)]
    pub part: u32,
    /// How many there are, 1 to [`crate::limit::BACKUP_PARTS_MAX`]; the same in each part.
    #[n(2)]
    pub parts: u32,
    /// Ciphertext, 1 to [`crate::limit::BACKUP_PART_BYTES_MAX`] bytes.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// Signs a binding for [`SignInAsRoot`].
pub fn sign_in_as_root(root: &SigningKey, binding: &Binding, name: &AccountName) -> Signature {
    root.sign(ROOT_SIGN_IN_LABEL, &[&binding.0, name.as_str().as_bytes()])
}

/// Checks what [`sign_in_as_root`] made.
///
/// # Errors
/// [`BadSignature`].
pub fn verify_sign_in_as_root(
    root: &PublicKey,
    binding: &Binding,
    name: &AccountName,
    s: &Signature,
) -> Result<(), BadSignature> {
    root.verify(ROOT_SIGN_IN_LABEL, &[&binding.0, name.as_str().as_bytes()], s)
}

/// Signs a binding for [`SignIn`] and [`Registration`].
pub fn sign_in(key: &SigningKey, binding: &Binding, device: &DeviceId) -> Signature {
    key.sign(SIGN_IN_LABEL, &[&binding.0, &device.0])
}

/// Checks what [`sign_in`] made.
///
/// # Errors
/// [`BadSignature`].
pub fn verify_sign_in(
    key: &PublicKey,
    binding: &Binding,
    device: &DeviceId,
    s: &Signature,
) -> Result<(), BadSignature> {
    key.verify(SIGN_IN_LABEL, &[&binding.0, &device.0], s)
}

/// KeyPackages (RFC 9420, section 10), each an MLSMessage.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyPackages {
    /// Each is handed out once.
    #[n(0)]
    pub once: Vec<ByteVec>,
    /// Handed out when no other is left, any number of times.
    #[n(1)]
    pub last_resort: Option<ByteVec>,
    /// The newest key set that their credentials hold; with another one than the account's newest they are refused.
    #[n(2)]
    pub key_set: u32,
}

/// What the server answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Done.
    #[n(0)]
    Done,
    /// To `CountKeyPackages` and `PublishKeyPackages`.
    #[n(1)]
    KeyPackageCount(#[n(0)] u32),
    /// To `ReadInbox`.
    #[n(2)]
    Inbox {
        /// In order.
        #[n(0)]
        entries: Vec<InboxEntry>,
        /// Whether this was the last page, so that pushes follow.
        #[n(1)]
        live: bool,
    },
    /// To `DrawChannelTokens`.
    #[n(3)]
    ChannelTokens(#[n(0)] Vec<ChannelToken>),
    /// To `GetAccount`.
    #[n(4)]
    Account(#[n(0)] DirectoryAccount),
    /// To `GetBackup`.
    #[n(5)]
    Backup {
        /// Of the whole backup; if it changes between two parts, a newer backup came, and part 0 comes first again.
        #[n(0)]
        generation: u64,
        /// How many parts it has.
        #[n(1)]
        parts: u32,
        /// The part.
        #[cbor(n(2), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
}

/// What the server pushes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Push {
    /// An envelope arrived.
    #[n(0)]
    Envelope(#[n(0)] InboxEntry),
    /// Another connection changed the account's key sets or devices: time for `GetAccount`.
    #[n(1)]
    AccountChanged,
}

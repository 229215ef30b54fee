//! The account connection: it speaks for one device of one account, and never names a channel.

use super::{ClientFrame, ServerFrame};
use crate::address::AccountName;
use crate::id::{Binding, DeviceId, Hash};
use crate::identity::{DeviceRecord, KeySet};
use crate::inbox::{ChannelToken, InboxEntry, InviteToken};
use crate::key::{BadSignature, PublicKey, Signature, SigningKey};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Path of the WebSocket.
pub const PATH: &str = "/v1/account";
/// A client's frame on this connection.
pub type FromClient = ClientFrame<Request>;
/// A server's frame on this connection.
pub type FromServer = ServerFrame<Answer, Push>;

const SIGN_IN_LABEL: &str = "aside sign in v1";

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
}

/// What the server pushes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Push {
    /// An envelope arrived.
    #[n(0)]
    Envelope(#[n(0)] InboxEntry),
}

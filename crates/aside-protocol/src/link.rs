//! Links: what an administrator gives to a person, and a person to another. They travel outside Aside, so they carry
//! every key that is needed not to trust the server.
//!
//! `aside://HOST[:PORT]/invite#DATA`, `aside://HOST[:PORT]/contact/NAME#DATA`, `aside://HOST[:PORT]/device/NAME#DATA` and
//! `aside://HOST[:PORT]/group/NAME#DATA`,
//! DATA being base64url (RFC 4648, section 5, unpadded) of CBOR. The data stands in the fragment, which no browser sends
//! anywhere.

use crate::address::{AccountAddress, AddressError, ServerAddress};
use crate::codec::{self, DecodeError};
use crate::id::DeviceId;
use crate::inbox::InviteToken;
use crate::key::PublicKey;
use crate::limit::LINK_BYTES_MAX;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "aside://";

/// How a client checks the server's TLS certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum TlsTrust {
    /// It is signed by the server's identity key; no certificate authority is asked. X25519MLKEM768 only.
    #[n(0)]
    Pinned,
    /// It is signed by a certificate authority; the hello proves the identity key on top.
    #[n(1)]
    CertificateAuthority,
}

/// A server, with what proves that it is the one: this is what links, profiles and encrypted messages name servers by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ServerPin {
    /// Where.
    #[n(0)]
    pub address: ServerAddress,
    /// Who.
    #[n(1)]
    pub identity_key: PublicKey,
    /// How its TLS is checked.
    #[n(2)]
    pub tls: TlsTrust,
}

impl PartialOrd for TlsTrust {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for TlsTrust {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (*self as u8).cmp(&(*other as u8))
    }
}
impl std::hash::Hash for TlsTrust {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (*self as u8).hash(state);
    }
}

/// An invitation to make an account on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// The server.
    pub server: ServerPin,
    /// Good once.
    pub token: InviteToken,
}

/// An invitation to write to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactLink {
    /// The person's home server.
    pub server: ServerPin,
    /// The person's address there.
    pub address: AccountAddress,
    /// The person's root key.
    pub root_key: PublicKey,
    /// From which the delivery token and the introduction key are derived (P-5.2).
    pub secret: LinkSecret,
}

/// An invitation to become a further device of an account, shown by one of its devices. Good once, for minutes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLink {
    /// The account's home server.
    pub server: ServerPin,
    /// The account.
    pub address: AccountAddress,
    /// Its root key: the new device believes nobody else.
    pub root_key: PublicKey,
    /// The device that shows the link, and that the request goes to.
    pub device: DeviceId,
    /// From which the delivery token is derived, and by which both sides know that the other has the link (P-7.2).
    pub secret: DeviceLinkSecret,
    /// When it ends, in seconds since 1970-01-01 UTC.
    pub expires_unix_s: u64,
}

/// An invitation to ask to be added to a group. It names nothing of the group: who is given it learns of the group when an
/// admin has added them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLink {
    /// The inviting admin's home server.
    pub server: ServerPin,
    /// The inviting admin.
    pub address: AccountAddress,
    /// Their root key: whoever joins checks that its holder is in the group.
    pub root_key: PublicKey,
    /// Which group.
    pub group: GroupName,
    /// From which the delivery token and the proof are derived (P-5.14).
    pub secret: GroupLinkSecret,
}

crate::id::byte_id!(
    /// A group as links name it: the conversation's id (P-6.9).
    GroupName, 32
);
crate::id::byte_id!(
    /// The secret of a group link.
    GroupLinkSecret, 32
);

impl GroupLinkSecret {
    /// The delivery token that the link grants.
    pub fn delivery_token(&self) -> crate::inbox::DeliveryToken {
        crate::inbox::DeliveryToken(codec::labelled_hash("aside group link delivery v1", &[&self.0]))
    }

    /// Proves, inside the sealed envelope, that whoever asks was given the link.
    pub fn proof(&self, asker: &PublicKey) -> crate::id::Hash {
        crate::id::Hash(codec::labelled_hash("aside group link proof v1", &[&self.0, &asker.0]))
    }
}

crate::id::byte_id!(
    /// The secret of a device link.
    DeviceLinkSecret, 32
);

impl DeviceLinkSecret {
    /// The delivery token that the link grants.
    pub fn delivery_token(&self) -> crate::inbox::DeliveryToken {
        crate::inbox::DeliveryToken(codec::labelled_hash("aside device link delivery v1", &[&self.0]))
    }
}

crate::id::byte_id!(
    /// The secret of a contact link. The server knows the hash of the delivery token made from it, and nothing else.
    LinkSecret, 32
);
use minicbor::{Decoder, Encoder, decode, encode};

impl LinkSecret {
    /// The delivery token that the link grants.
    pub fn delivery_token(&self) -> crate::inbox::DeliveryToken {
        crate::inbox::DeliveryToken(codec::labelled_hash("aside link delivery v1", &[&self.0]))
    }

    /// Proves, inside the sealed envelope, that the sender was given the link: the server sees tokens, never this.
    pub fn introduction(&self, introducer: &PublicKey) -> crate::id::Hash {
        crate::id::Hash(codec::labelled_hash("aside link introduction v1", &[&self.0, &introducer.0]))
    }
}

#[derive(Encode, Decode)]
struct InviteData {
    #[n(0)]
    identity_key: PublicKey,
    #[n(1)]
    tls: TlsTrust,
    #[n(2)]
    token: InviteToken,
}

#[derive(Encode, Decode)]
struct ContactData {
    #[n(0)]
    identity_key: PublicKey,
    #[n(1)]
    tls: TlsTrust,
    #[n(2)]
    root_key: PublicKey,
    #[n(3)]
    secret: LinkSecret,
}

#[derive(Encode, Decode)]
struct GroupData {
    #[n(0)]
    identity_key: PublicKey,
    #[n(1)]
    tls: TlsTrust,
    #[n(2)]
    root_key: PublicKey,
    #[n(3)]
    group: GroupName,
    #[n(4)]
    secret: GroupLinkSecret,
}

#[derive(Encode, Decode)]
struct DeviceData {
    #[n(0)]
    identity_key: PublicKey,
    #[n(1)]
    tls: TlsTrust,
    #[n(2)]
    root_key: PublicKey,
    #[n(3)]
    device: DeviceId,
    #[n(4)]
    secret: DeviceLinkSecret,
    #[n(5)]
    expires_unix_s: u64,
}

/// Text that is not the link that was asked for. Each variant is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin as links do, or lacks a part.
    #[error("this is not a whole Aside link: it begins with {SCHEME} and has a # in it; copy all of it")]
    Shape,
    /// A link of the other kind.
    #[error("this is {found}; here {wanted} is needed")]
    OtherKind {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// The server's or the person's address in it.
    #[error("the address in the link is wrong: {0}")]
    Address(#[from] AddressError),
    /// The part behind `#` was cut or changed.
    #[error("the link is damaged behind its #; copy all of it, to the last letter")]
    Base64,
    /// The part behind `#` holds something else.
    #[error("the link is damaged ({0}); copy all of it, to the last letter")]
    Data(#[from] DecodeError),
}

const INVITE: &str = "an invite to a server";
const CONTACT: &str = "a link to a person";
const GROUP: &str = "a link to a group";
const DEVICE: &str = "a link for one's own further device";

/// What a link with this path is for.
fn kind_of(path: &str) -> Option<&'static str> {
    match path.split_once('/').map_or(path, |(first, _)| first) {
        "invite" => Some(INVITE),
        "contact" => Some(CONTACT),
        "device" => Some(DEVICE),
        "group" => Some(GROUP),
        _ => None,
    }
}

/// Refuses a link of another kind by its name.
fn expect_kind(path: &str, wanted: &'static str) -> Result<(), LinkError> {
    match kind_of(path) {
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(LinkError::OtherKind { found, wanted }),
        None => Err(LinkError::Shape),
    }
}

/// Splits a link into server address, path and data.
fn split(text: &str) -> Result<(ServerAddress, &str, Vec<u8>), LinkError> {
    let text = text.trim();
    if text.len() > LINK_BYTES_MAX {
        return Err(LinkError::Data(DecodeError::TooLong { bytes: text.len(), bytes_max: LINK_BYTES_MAX }));
    }
    let rest = text.strip_prefix(SCHEME).ok_or(LinkError::Shape)?;
    let (place, data) = rest.split_once('#').ok_or(LinkError::Shape)?;
    let (server, path) = place.split_once('/').ok_or(LinkError::Shape)?;
    let data = URL_SAFE_NO_PAD.decode(data).map_err(|_| LinkError::Base64)?;
    Ok((server.parse()?, path, data))
}

impl FromStr for InviteLink {
    type Err = LinkError;
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, path, data) = split(text)?;
        expect_kind(path, INVITE)?;
        if path != "invite" {
            return Err(LinkError::Shape);
        }
        let InviteData { identity_key, tls, token } = codec::decode(&data, LINK_BYTES_MAX)?;
        Ok(Self { server: ServerPin { address, identity_key, tls }, token })
    }
}

impl fmt::Display for InviteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerPin { address, identity_key, tls } = &self.server;
        let data = InviteData { identity_key: *identity_key, tls: *tls, token: self.token };
        write!(f, "{SCHEME}{address}/invite#{}", URL_SAFE_NO_PAD.encode(codec::encode(&data)))
    }
}

impl FromStr for ContactLink {
    type Err = LinkError;
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, path, data) = split(text)?;
        expect_kind(path, CONTACT)?;
        let name = path.strip_prefix("contact/").ok_or(LinkError::Shape)?.parse()?;
        let ContactData { identity_key, tls, root_key, secret } = codec::decode(&data, LINK_BYTES_MAX)?;
        let person = AccountAddress { name, server: address.clone() };
        Ok(Self { server: ServerPin { address, identity_key, tls }, address: person, root_key, secret })
    }
}

impl fmt::Display for ContactLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerPin { address, identity_key, tls } = &self.server;
        let data = ContactData { identity_key: *identity_key, tls: *tls, root_key: self.root_key, secret: self.secret };
        let name = &self.address.name;
        write!(f, "{SCHEME}{address}/contact/{name}#{}", URL_SAFE_NO_PAD.encode(codec::encode(&data)))
    }
}

impl FromStr for GroupLink {
    type Err = LinkError;
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, path, data) = split(text)?;
        expect_kind(path, GROUP)?;
        let name = path.strip_prefix("group/").ok_or(LinkError::Shape)?.parse()?;
        let GroupData { identity_key, tls, root_key, group, secret } = codec::decode(&data, LINK_BYTES_MAX)?;
        let inviter = AccountAddress { name, server: address.clone() };
        Ok(Self { server: ServerPin { address, identity_key, tls }, address: inviter, root_key, group, secret })
    }
}

impl fmt::Display for GroupLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerPin { address, identity_key, tls } = &self.server;
        let (root_key, group, secret) = (self.root_key, self.group, self.secret);
        let data = GroupData { identity_key: *identity_key, tls: *tls, root_key, group, secret };
        let name = &self.address.name;
        write!(f, "{SCHEME}{address}/group/{name}#{}", URL_SAFE_NO_PAD.encode(codec::encode(&data)))
    }
}

impl FromStr for DeviceLink {
    type Err = LinkError;
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let (address, path, data) = split(text)?;
        expect_kind(path, DEVICE)?;
        let name = path.strip_prefix("device/").ok_or(LinkError::Shape)?.parse()?;
        let DeviceData { identity_key, tls, root_key, device, secret, expires_unix_s } =
            codec::decode(&data, LINK_BYTES_MAX)?;
        let account = AccountAddress { name, server: address.clone() };
        let server = ServerPin { address, identity_key, tls };
        Ok(Self { server, address: account, root_key, device, secret, expires_unix_s })
    }
}

impl fmt::Display for DeviceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServerPin { address, identity_key, tls } = &self.server;
        let data = DeviceData {
            identity_key: *identity_key,
            tls: *tls,
            root_key: self.root_key,
            device: self.device,
            secret: self.secret,
            expires_unix_s: self.expires_unix_s,
        };
        let name = &self.address.name;
        write!(f, "{SCHEME}{address}/device/{name}#{}", URL_SAFE_NO_PAD.encode(codec::encode(&data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device_link() -> DeviceLink {
        DeviceLink {
            address: "alice@chat.example.org:8443".parse().unwrap(),
            server: invite().server,
            root_key: PublicKey([3; 32]),
            device: DeviceId([5; 16]),
            secret: DeviceLinkSecret([4; 32]),
            expires_unix_s: 1_800_000_000,
        }
    }

    #[test]
    fn a_device_link_is_read_as_it_is_printed_and_is_no_contact_link() {
        let link = device_link();
        assert_eq!(format!("{link}\n").parse(), Ok(link.clone()));
        let error = link.to_string().parse::<ContactLink>().unwrap_err();
        assert_eq!(error, LinkError::OtherKind { found: DEVICE, wanted: CONTACT });
        let error = invite().to_string().parse::<DeviceLink>().unwrap_err();
        assert_eq!(error, LinkError::OtherKind { found: INVITE, wanted: DEVICE });
    }

    #[test]
    fn a_group_link_is_read_as_it_is_printed() {
        let link = GroupLink {
            address: "alice@chat.example.org:8443".parse().unwrap(),
            server: invite().server,
            root_key: PublicKey([3; 32]),
            group: GroupName([6; 32]),
            secret: GroupLinkSecret([4; 32]),
        };
        assert_eq!(link.to_string().parse(), Ok(link.clone()));
        let error = link.to_string().parse::<ContactLink>().unwrap_err();
        assert_eq!(error, LinkError::OtherKind { found: GROUP, wanted: CONTACT });
    }

    fn invite() -> InviteLink {
        let address = "chat.example.org:8443".parse().unwrap();
        let server = ServerPin { address, identity_key: PublicKey([1; 32]), tls: TlsTrust::Pinned };
        InviteLink { server, token: InviteToken([2; 16]) }
    }

    #[test]
    fn links_are_read_as_they_are_printed() {
        let invite = invite();
        assert_eq!(invite.to_string().parse(), Ok(invite.clone()));
        let contact = ContactLink {
            address: "alice@chat.example.org:8443".parse().unwrap(),
            server: invite.server,
            root_key: PublicKey([3; 32]),
            secret: LinkSecret([4; 32]),
        };
        assert_eq!(format!(" {contact}\n").parse(), Ok(contact));
    }

    #[test]
    fn a_link_of_the_other_kind_is_called_by_its_name() {
        let error = invite().to_string().parse::<ContactLink>().unwrap_err();
        assert_eq!(error, LinkError::OtherKind { found: INVITE, wanted: CONTACT });
    }

    #[test]
    fn a_cut_link_is_damaged() {
        let text = invite().to_string();
        let cut = text.get(..text.len() - 4).unwrap();
        assert!(matches!(cut.parse::<InviteLink>(), Err(LinkError::Data(_) | LinkError::Base64)));
        assert_eq!("aside://h/invite".parse::<InviteLink>(), Err(LinkError::Shape));
    }
}

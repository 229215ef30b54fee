//! Links: what an administrator gives to a person, and a person to another. They travel outside Aside, so they carry
//! every key that is needed not to trust the server.
//!
//! `aside://HOST[:PORT]/invite#DATA` and `aside://HOST[:PORT]/contact/NAME#DATA`, DATA being base64url (RFC 4648,
//! section 5, unpadded) of CBOR. The data stands in the fragment, which no browser sends anywhere.

use crate::address::{AccountAddress, AddressError, ServerAddress};
use crate::codec::{self, DecodeError};
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
        match path {
            "invite" => {}
            _ if path.starts_with("contact/") => return Err(LinkError::OtherKind { found: CONTACT, wanted: INVITE }),
            _ => return Err(LinkError::Shape),
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
        let name = match path.strip_prefix("contact/") {
            Some(name) => name.parse()?,
            None if path == "invite" => return Err(LinkError::OtherKind { found: INVITE, wanted: CONTACT }),
            None => return Err(LinkError::Shape),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

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

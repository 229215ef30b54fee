//! Names and addresses: `name@host[:port]`, the port optional where it is 443.

use crate::limit::{HOST_BYTES_MAX, NAME_BYTES_MAX};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use std::fmt;
use std::str::FromStr;

/// The port that an address means when it names none.
pub const PORT_DEFAULT: u16 = 443;

/// Text that is no name or address. Each variant is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Empty, or longer than [`NAME_BYTES_MAX`].
    #[error("a name has 1 to {NAME_BYTES_MAX} characters")]
    NameLength,
    /// A character that names do not have.
    #[error("a name has small letters a to z, digits, and . _ - between them; {0:?} is none of these")]
    NameCharacter(char),
    /// Begins or ends with punctuation.
    #[error("a name begins and ends with a letter or a digit")]
    NameEdge,
    /// No host, or one with characters that host names do not have.
    #[error("{0:?} is no host name or IP address")]
    Host(String),
    /// Not a number from 1 to 65535.
    #[error("{0:?} is no port: a port is a number from 1 to 65535")]
    Port(String),
    /// No `@`.
    #[error("an address looks like name@host or name@host:port")]
    Shape,
}

/// The local part of an address: 1 to 32 of `a-z 0-9 . _ -`, beginning and ending with a letter or a digit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(AddressError::NameLength);
        }
        if let Some(odd) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
            return Err(AddressError::NameCharacter(odd));
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !text.ends_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(AddressError::NameEdge);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where a server is reached: a host name or IP address, and a TCP port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// The host, without the brackets that an IPv6 address has in text.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad_host = || AddressError::Host(text.to_owned());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(bad_host)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| bad_host())?;
                let port = match after {
                    "" => None,
                    _ => Some(after.strip_prefix(':').ok_or_else(bad_host)?),
                };
                (host, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let is_ipv6 = text.starts_with('[');
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if host.is_empty() || host.len() > HOST_BYTES_MAX || !(is_ipv6 || host.chars().all(is_host)) {
            return Err(bad_host());
        }
        let port = match port {
            None => PORT_DEFAULT,
            Some(digits) => match digits.parse::<u16>() {
                Ok(port) if port != 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
                _ => return Err(AddressError::Port(digits.to_owned())),
            },
        };
        Ok(Self { host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => f.write_str(&self.host)?,
        }
        match self.port {
            PORT_DEFAULT => Ok(()),
            port => write!(f, ":{port}"),
        }
    }
}

/// A person's address: `name@host[:port]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct AccountAddress {
    /// The local part.
    #[n(0)]
    pub name: AccountName,
    /// The home server.
    #[n(1)]
    pub server: ServerAddress,
}

impl FromStr for AccountAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (name, server) = text.split_once('@').ok_or(AddressError::Shape)?;
        Ok(Self { name: name.parse()?, server: server.parse()? })
    }
}

impl fmt::Display for AccountAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name.as_str(), self.server)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text on the wire, parsed by the same `FromStr` that a person's input goes through; `Debug` shows nothing of it,
/// because logs may not hold names or addresses.
macro_rules! text_on_the_wire {
    ($name:ident) => {
        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.str(&self.to_string())?.ok()
            }
        }
        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let position = d.position();
                d.str()?
                    .parse()
                    .map_err(|_| decode::Error::message(concat!("no valid ", stringify!($name))).at(position))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}
text_on_the_wire!(AccountName);
text_on_the_wire!(ServerAddress);

impl fmt::Debug for AccountAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_they_are_read() {
        for text in ["alice@example.org", "a.b-c@example.org:8443", "x@[::1]:7000", "x@127.0.0.1:1"] {
            assert_eq!(text.parse::<AccountAddress>().unwrap().to_string(), text);
        }
        assert_eq!("a@EXAMPLE.org:443".parse::<AccountAddress>().unwrap().to_string(), "a@example.org");
    }

    #[test]
    fn a_bad_address_is_refused_by_its_fault() {
        let fault = |text: &str| text.parse::<AccountAddress>().unwrap_err();
        assert_eq!(fault("alice"), AddressError::Shape);
        assert_eq!(fault("@h"), AddressError::NameLength);
        assert_eq!(fault("Alice@h"), AddressError::NameCharacter('A'));
        assert_eq!(fault(".a@h"), AddressError::NameEdge);
        assert_eq!(fault("a@h:0"), AddressError::Port("0".into()));
        assert_eq!(fault("a@h:+1"), AddressError::Port("+1".into()));
        assert!(matches!(fault("a@"), AddressError::Host(_)));
        assert!(matches!(fault("a@b c"), AddressError::Host(_)));
        assert!(matches!(fault("a@[::1"), AddressError::Host(_)));
    }
}

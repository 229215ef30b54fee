//! Why a connection was not made, and what a person can do about it.

use aside_protocol::address::ServerAddress;
use aside_protocol::connection::HelloError;
use aside_protocol::refusal::{Refusal, Remedy};

/// Whether trying again soon can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It can.
    MayHeal,
    /// Somebody has to do something first.
    Hopeless,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name does not resolve, or nobody listens there.
    #[error("unreachable: {0}")]
    Unreachable(std::io::Error),
    /// A step took too long.
    #[error("no answer to the {step}")]
    NoAnswer {
        /// Which.
        step: &'static str,
    },
    /// The certificate is another's.
    #[error("the TLS certificate is not this server's: {0}")]
    Certificate(rustls::Error),
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(std::io::Error),
    /// The address's host is no name that TLS can check.
    #[error("the host cannot stand in a certificate")]
    HostName,
    /// There is a web server, but not Aside's.
    #[error("no WebSocket: {0}")]
    WebSocket(Box<tokio_tungstenite::tungstenite::Error>),
    /// What came first was no hello.
    #[error("the server did not say hello")]
    NoHello,
    /// The hello does not hold.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// The server says why not.
    #[error("the server refused: {0}")]
    Refused(Refusal),
}

impl DialError {
    /// For the log: which step failed, and nothing about whom.
    pub fn step(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "tcp",
            Self::NoAnswer { step } => step,
            Self::Certificate(_) | Self::Tls(_) | Self::HostName => "tls",
            Self::WebSocket(_) => "websocket",
            Self::NoHello | Self::Hello(_) | Self::Refused(_) => "hello",
        }
    }

    /// Whether trying again soon can help.
    pub fn prospect(&self) -> Prospect {
        match self {
            Self::Certificate(_) | Self::HostName | Self::Hello(_) => Prospect::Hopeless,
            Self::Refused(refusal) => match refusal.remedy() {
                Remedy::RetryLater => Prospect::MayHeal,
                Remedy::CatchUp | Remedy::Person | Remedy::Fault => Prospect::Hopeless,
            },
            Self::Unreachable(_) | Self::NoAnswer { .. } | Self::Tls(_) | Self::WebSocket(_) | Self::NoHello => {
                Prospect::MayHeal
            }
        }
    }

    /// A sentence for a person.
    pub fn advice(&self, server: &ServerAddress) -> String {
        match self {
            Self::Unreachable(error) => match error.kind() {
                std::io::ErrorKind::ConnectionRefused => {
                    format!("{server} is reached, but no Aside server runs there at the moment.")
                }
                _ => format!("{server} cannot be reached. Check this machine's network, and the address."),
            },
            Self::NoAnswer { .. } => format!("{server} does not answer. Check this machine's network."),
            Self::Certificate(_) => format!(
                "What answers at {server} has another key than the server that the link named: nothing was sent to it. \
                 Ask the server's administrator, by another way, for a link with the current key."
            ),
            Self::Tls(_) => format!(
                "{server} cannot speak the encryption that Aside requires (TLS 1.3 with X25519MLKEM768), or something \
                 between breaks it."
            ),
            Self::HostName => format!("{server} is no address that a certificate can name."),
            Self::WebSocket(_) | Self::NoHello => {
                format!("Something answers at {server}, but it is no Aside server. Check the address.")
            }
            Self::Hello(error) => sentence(&error.to_string()),
            Self::Refused(refusal) => sentence(&refusal.to_string()),
        }
    }
}

/// Capital letter, full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

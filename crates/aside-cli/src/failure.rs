//! Why a command did not succeed: a sentence for standard error, and an exit status for scripts.

use crate::resolve::ResolveError;
use aside_client::StartError;
use aside_client::profile::ProfileError;
use aside_client::unlock::UnlockError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The client said no, in a sentence.
    #[error("{message}")]
    Refused {
        /// Stable, for programs.
        code: String,
        /// For a person.
        message: String,
    },
    /// NAME.
    #[error(transparent)]
    Name(#[from] ResolveError),
    /// The client went away during the call.
    #[error("the running client ended during the call: try again")]
    Gone,
    /// What answered is no client.
    #[error("the running client gave an answer that this program does not understand ({0}): is it of another version?")]
    Strange(String),
    /// The profile is held by a process that does not answer.
    #[error("another process holds the profile {profile} and does not answer; end it, and try again")]
    Held {
        /// Which.
        profile: String,
    },
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The passphrase.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The client.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The client ended by a failure of its own.
    #[error("Aside had to stop: {0}")]
    Stopped(String),
    /// A file that has to be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which.
        path: std::path::PathBuf,
        /// The system's words.
        error: String,
    },
    /// Standard input or output.
    #[error("{0}")]
    Terminal(#[from] std::io::Error),
    /// Something that has to be given.
    #[error("{0}")]
    Usage(&'static str),
}

impl Failure {
    /// The exit status, as `aside --help` lists it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { code, .. } => match code.as_str() {
                "not_acknowledged" | "not_connected" => 3,
                "unknown_contact" | "unknown_conversation" => 4,
                _ => 1,
            },
            Self::Usage(_) => 2,
            Self::Name(_) => 4,
            Self::Unlock(_) | Self::Held { .. } => 5,
            Self::Start(StartError::Engine(aside_client::Start::Database(_))) => 5,
            Self::Gone | Self::Strange(_) | Self::Profile(_) | Self::Start(_) => 1,
            Self::Stopped(_) | Self::Terminal(_) | Self::Unreadable { .. } => 1,
        }
    }
}

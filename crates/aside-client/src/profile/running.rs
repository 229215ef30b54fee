//! How to reach the process that owns a profile: `runtime.json`, readable by the profile's owner only.

use serde::{Deserialize, Serialize};

/// A running client.
#[derive(Clone, Serialize, Deserialize)]
pub struct Running {
    /// On 127.0.0.1.
    pub port: u16,
    /// For `Authorization: Bearer`, and for `/open`; new with every start.
    pub secret: String,
    /// The process, for a person who looks for it.
    pub pid: u32,
    /// Whether it runs until somebody stops it.
    pub stay: Stay,
}

/// How long a client means to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stay {
    /// Until somebody stops it.
    UntilStopped,
    /// Until one command is done.
    ForOneCommand,
}

impl Running {
    /// This process, listening on a port.
    pub fn new(port: u16, secret: String, stay: Stay) -> Self {
        Self { port, secret, pid: std::process::id(), stay }
    }

    /// The address to open in a browser.
    pub fn address_to_open(&self) -> String {
        format!("http://127.0.0.1:{}/open?secret={}", self.port, self.secret)
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running(port {}, pid {})", self.port, self.pid)
    }
}

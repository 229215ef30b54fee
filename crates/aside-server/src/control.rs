//! How the administrator's commands reach a running server: a socket in the server's directory, which only its owner can
//! enter. Whoever connects is told how much there is on the channel side, which no other process can open; before that the
//! server takes up what the commands changed, so that a suspension holds when the command ends.

use crate::store::ChannelTotals;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// The socket's file name in the server's directory.
pub const CONTROL_FILE: &str = "control.sock";
/// How long a command waits for the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_BYTES_MAX: u64 = 4_096;

/// What the server says on its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Channels.
    pub channels: i64,
    /// Entries whose headers are kept.
    pub entries: i64,
    /// Bytes of their bodies.
    pub entry_bytes: i64,
    /// Blobs.
    pub blobs: i64,
    /// Bytes of blobs.
    pub blob_bytes: i64,
}

impl From<ChannelTotals> for Answer {
    fn from(totals: ChannelTotals) -> Self {
        let ChannelTotals { channels, entries, entry_bytes, blobs, blob_bytes } = totals;
        Self { channels, entries, entry_bytes, blobs, blob_bytes }
    }
}

/// Has the running server take up what was changed. `None`: no server runs on this directory, or it doesn't answer.
pub fn ask(dir: &Path) -> Option<Answer> {
    let stream = UnixStream::connect(dir.join(CONTROL_FILE)).ok()?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
    let mut text = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

//! One connection: two queues of frames. Order holds within a connection, and nothing else does.

use aside_protocol::frame::RequestId;
use aside_server::core::ConnectionId;
use std::collections::{BTreeSet, VecDeque};

/// An open connection between an engine and a server.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Which server.
    pub site: usize,
    pub connection: ConnectionId,
    pub to_server: VecDeque<Vec<u8>>,
    pub to_client: VecDeque<Vec<u8>>,
    /// Commits that the server was asked to take, to count those that lost.
    pub commits: BTreeSet<RequestId>,
}

impl Wire {
    pub fn at(site: usize, connection: ConnectionId) -> Self {
        let (to_server, to_client) = (VecDeque::new(), VecDeque::new());
        Self { site, connection, to_server, to_client, commits: BTreeSet::new() }
    }
}

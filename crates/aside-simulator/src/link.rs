//! One connection: two queues of frames. Order holds within a connection, and nothing else does.

use aside_server::core::ConnectionId;
use std::collections::VecDeque;

/// An open connection between an engine and the server.
#[derive(Debug)]
pub(crate) struct Wire {
    pub connection: ConnectionId,
    pub to_server: VecDeque<Vec<u8>>,
    pub to_client: VecDeque<Vec<u8>>,
}

impl Wire {
    pub fn new(connection: ConnectionId) -> Self {
        Self { connection, to_server: VecDeque::new(), to_client: VecDeque::new() }
    }
}

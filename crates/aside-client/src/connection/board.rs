//! What people see of the connections: one line a server, with what they can do about it.

use super::error::Prospect;
use aside_engine::input::{Change, Link, Wanted};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Where a connection is. The order is from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It stands.
    Connected,
    /// It is being made.
    Connecting,
    /// It was tried, and failed; it will be tried again.
    Offline,
}

/// A server, as `State.connections` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ServerConnection {
    /// Its address.
    pub server: String,
    /// The worse of its two connections'.
    pub status: Status,
    /// When this status began, unix milliseconds.
    pub since: i64,
    /// What a person can do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Whether waiting can help.
    #[serde(skip)]
    pub prospect: Prospect,
}

#[derive(Debug)]
struct Line {
    prospect: Prospect,
    server: String,
    status: Status,
    advice: Option<String>,
    /// Why the engine closes the connection, until it is closed.
    closing: Option<&'static str>,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<Link, Line>,
    servers: BTreeMap<String, ServerConnection>,
}

/// The state of all connections.
#[derive(Debug)]
pub struct Board {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

impl Board {
    /// An empty board that tells of its changes there.
    pub fn new(changes: broadcast::Sender<Change>) -> Self {
        Self { state: Mutex::default(), changes }
    }

    /// All servers, by address.
    pub fn servers(&self) -> Vec<ServerConnection> {
        self.state().servers.values().cloned().collect()
    }

    /// A connection is being made for the first time.
    pub fn connecting(&self, wanted: &Wanted) {
        let server = wanted.server.address.to_string();
        let line =
            Line { prospect: Prospect::MayHeal, server, status: Status::Connecting, advice: None, closing: None };
        let mut state = self.state();
        state.lines.insert(wanted.link, line);
        self.settle(state);
    }

    /// It stands.
    pub fn connected(&self, link: Link) {
        self.change(link, |line| {
            line.status = Status::Connected;
            line.advice = None;
            line.prospect = Prospect::MayHeal;
        });
    }

    /// The engine closes it, for this reason; [`Board::lost`] follows.
    pub fn closing(&self, link: Link, reason: &'static str) {
        self.change(link, |line| line.closing = Some(reason));
    }

    /// It ended, and is made again.
    pub fn lost(&self, link: Link) {
        self.change(link, |line| match line.closing.take() {
            None => line.status = Status::Connecting,
            Some(reason) => {
                line.status = Status::Offline;
                line.advice = Some(format!("The connection was closed: {reason}."));
            }
        });
    }

    /// It was not made.
    pub fn failed(&self, link: Link, advice: String, prospect: Prospect) {
        self.change(link, |line| {
            line.prospect = prospect;
            line.status = Status::Offline;
            line.advice = Some(advice);
        });
    }

    /// It is not wanted any more.
    pub fn forget(&self, link: Link) {
        let mut state = self.state();
        state.lines.remove(&link);
        self.settle(state);
    }

    fn change(&self, link: Link, change: impl FnOnce(&mut Line)) {
        let mut state = self.state();
        if let Some(line) = state.lines.get_mut(&link) {
            change(line);
        }
        self.settle(state);
    }

    /// Sums the lines up a server each, and tells whoever looks if that differs from before.
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        let since = crate::runtime::now().unix_ms;
        let mut servers: BTreeMap<String, ServerConnection> = BTreeMap::new();
        for line in state.lines.values() {
            let Line { server, status, advice, prospect, .. } = line;
            let worst = servers.get(server).map(|known| known.status);
            if worst.is_none_or(|worst| *status > worst) {
                let (server, status, advice, prospect) = (server.clone(), *status, advice.clone(), *prospect);
                servers.insert(server.clone(), ServerConnection { server, status, since, advice, prospect });
            }
        }
        for (server, summed) in &mut servers {
            if let Some(before) = state.servers.get(server).filter(|before| before.status == summed.status) {
                summed.since = before.since;
            }
        }
        let changed = servers != state.servers;
        state.servers = servers;
        drop(state);
        if changed {
            // Nobody may be looking.
            let _ = self.changes.send(Change::State);
        }
    }

    /// The map is whole even if somebody panicked while holding it: every change is one assignment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aside_engine::input::{ConnectionKind, ServerId};
    use aside_protocol::key::PublicKey;
    use aside_protocol::link::{ServerPin, TlsTrust};

    fn wanted(kind: ConnectionKind) -> Wanted {
        let address = "localhost:1".parse().unwrap();
        let server = ServerPin { address, identity_key: PublicKey([1; 32]), tls: TlsTrust::Pinned };
        Wanted { link: Link { server: ServerId(1), kind }, server }
    }

    #[test]
    fn a_server_is_as_well_as_the_worse_of_its_two_connections() {
        let (account, anonymous) = (wanted(ConnectionKind::Account), wanted(ConnectionKind::Anonymous));
        let board = Board::new(broadcast::channel(16).0);
        board.connecting(&account);
        board.connecting(&anonymous);
        board.connected(account.link);
        assert_eq!(board.servers()[0].status, Status::Connecting);
        board.connected(anonymous.link);
        assert_eq!(board.servers()[0].status, Status::Connected);
        board.failed(account.link, "Do this.".into(), Prospect::MayHeal);
        assert_eq!(board.servers()[0].advice.as_deref(), Some("Do this."));
        board.forget(account.link);
        board.forget(anonymous.link);
        assert!(board.servers().is_empty());
    }

    #[test]
    fn why_the_engine_closed_a_connection_is_shown() {
        let account = wanted(ConnectionKind::Account);
        let board = Board::new(broadcast::channel(16).0);
        board.connecting(&account);
        board.closing(account.link, "the server broke the protocol");
        board.lost(account.link);
        assert_eq!(board.servers()[0].status, Status::Offline);
        assert!(board.servers()[0].advice.as_ref().unwrap().contains("broke the protocol"));
    }
}

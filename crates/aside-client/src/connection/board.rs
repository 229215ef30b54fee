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
    /// It has lasted for [`super::STANDS_AFTER`].
    stood: bool,
    /// The engine closed the last one before it had stood: the next is likely to end the same way, and is not called
    /// well before it has.
    was_closed_early: bool,
}

impl Line {
    fn stands(&mut self) {
        self.status = Status::Connected;
        self.advice = None;
        self.prospect = Prospect::MayHeal;
    }
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
        let status = Status::Connecting;
        let line = Line {
            server,
            advice: None,
            closing: None,
            stood: false,
            was_closed_early: false,
            status,
            prospect: Prospect::MayHeal,
        };
        let mut state = self.state();
        state.lines.insert(wanted.link, line);
        self.settle(state);
    }

    /// It was made. Where the engine closed the one before at once, what was said of that stays until [`Board::stands`]:
    /// the server of a suspended account takes every connection, and refuses to sign in after.
    pub fn connected(&self, link: Link) {
        self.change(link, |line| {
            if !line.was_closed_early {
                line.stands();
            }
        });
    }

    /// It was not closed for [`super::STANDS_AFTER`].
    pub fn stands(&self, link: Link) {
        self.change(link, |line| {
            if line.closing.is_none() {
                line.stood = true;
                line.was_closed_early = false;
                line.stands();
            }
        });
    }

    /// The engine closes it, for this reason; [`Board::lost`] follows.
    pub fn closing(&self, link: Link, reason: &'static str) {
        self.change(link, |line| line.closing = Some(reason));
    }

    /// It ended, and is made again.
    pub fn lost(&self, link: Link) {
        self.change(link, |line| {
            let stood = std::mem::take(&mut line.stood);
            match line.closing.take() {
                None if line.was_closed_early => {}
                None => line.status = Status::Connecting,
                Some(reason) => {
                    line.was_closed_early = !stood;
                    line.status = Status::Offline;
                    line.advice = Some(format!("The connection was closed: {reason}."));
                }
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

    #[test]
    fn what_is_said_of_a_closed_connection_stays_while_the_next_ones_are_closed_too() {
        let account = wanted(ConnectionKind::Account);
        let (changes, mut seen) = broadcast::channel(16);
        let board = Board::new(changes);
        board.connecting(&account);
        board.connected(account.link);
        board.closing(account.link, "your account is suspended");
        board.lost(account.link);
        let said = board.servers();
        assert!(said[0].advice.as_ref().unwrap().contains("suspended"));
        while seen.try_recv().is_ok() {}
        for _ in 0..3 {
            board.connected(account.link);
            assert_eq!(board.servers(), said);
            board.closing(account.link, "your account is suspended");
            board.lost(account.link);
        }
        assert!(seen.try_recv().is_err(), "nobody who looks is told of a change");
        board.connected(account.link);
        board.stands(account.link);
        assert_eq!((board.servers()[0].status, &board.servers()[0].advice), (Status::Connected, &None));
        // One that had stood says nothing about the next.
        board.closing(account.link, "the server said goodbye");
        board.lost(account.link);
        board.connected(account.link);
        assert_eq!(board.servers()[0].status, Status::Connected);
    }
}

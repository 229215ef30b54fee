//! The network's side of a message's path: one task for every connection that the engine wants, which dials, pumps and
//! dials again. Nothing here reads a frame; that is the engine's.
//!
//! The two connections to one server share nothing (design rule 4a.13): each has its own TLS configuration without a
//! session cache, its own jitter and its own backoff.

mod backoff;
mod board;
mod claim;
mod dial;
mod error;
mod hello;
mod pump;
mod tls;

pub use board::{Board, ServerConnection, Status};
pub use claim::ask as ask_who_it_is;
pub use error::Prospect;

use crate::randomness::SystemRandomness;
use crate::runtime::Message;
use aside_engine::input::{Input, Link, Wanted};
use backoff::Backoff;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Frames that may wait for one connection's socket. The engine never has as many requests in flight.
pub const SEND_QUEUE_FRAMES_MAX: usize = 4 * aside_protocol::limit::REQUESTS_IN_FLIGHT_MAX;
/// The first dial of a connection waits up to this long, so that the pair to one server does not start as one.
const START_JITTER: Duration = Duration::from_millis(100);
/// A connection that stood this long starts the backoff from its beginning.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// A connection that lasted this long was not refused: signing in takes one round trip.
const STANDS_AFTER: Duration = Duration::from_secs(3);

/// Keeps the wanted connections.
pub struct Connections {
    /// What the engine wants.
    pub wanted: watch::Receiver<Vec<Wanted>>,
    /// The engine.
    pub engine: mpsc::Sender<Message>,
    /// What people see of it.
    pub board: Arc<Board>,
    /// A person has acted: whoever waits dials at once.
    pub hurry: Arc<Notify>,
    /// The client stops.
    pub stop: CancellationToken,
}

impl Connections {
    /// Runs until the client stops; every task of its own has ended then.
    pub async fn run(mut self) {
        let mut tasks = JoinSet::new();
        let mut running: HashMap<Link, (Wanted, CancellationToken)> = HashMap::new();
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            running.retain(|link, (kept, stop)| {
                let still = wanted.contains(kept);
                if !still {
                    stop.cancel();
                    self.board.forget(*link);
                }
                still
            });
            for wanted in wanted {
                running.entry(wanted.link).or_insert_with(|| {
                    let stop = self.stop.child_token();
                    tasks.spawn(self.keeper(wanted.clone(), stop.clone()).run());
                    (wanted, stop)
                });
            }
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { break },
                Some(_) = tasks.join_next() => {}
                () = self.stop.cancelled() => break,
            }
        }
        for (_, stop) in running.into_values() {
            stop.cancel();
        }
        while tasks.join_next().await.is_some() {}
    }

    fn keeper(&self, wanted: Wanted, stop: CancellationToken) -> Keeper {
        let (engine, board, hurry) = (self.engine.clone(), self.board.clone(), self.hurry.clone());
        Keeper { wanted, engine, board, hurry, stop }
    }
}

/// Keeps one connection.
struct Keeper {
    wanted: Wanted,
    engine: mpsc::Sender<Message>,
    board: Arc<Board>,
    hurry: Arc<Notify>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let stop = self.stop.clone();
        let mut backoff = Backoff::default();
        let mut pause = SystemRandomness.below(START_JITTER);
        self.board.connecting(&self.wanted);
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.hurry.notified() => backoff.reset(),
                () = stop.cancelled() => return,
            }
            let session = tokio::select! {
                session = dial::dial(&self.wanted) => session,
                () = stop.cancelled() => return,
            };
            match session {
                Ok(session) => {
                    let begun = Instant::now();
                    self.serve(session).await;
                    if begun.elapsed() >= STABLE_AFTER {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    tracing::info!(step = error.step(), "a connection was not made");
                    if error.prospect() == Prospect::Hopeless {
                        backoff.give_up_hurrying();
                    }
                    let advice = error.advice(&self.wanted.server.address);
                    self.board.failed(self.wanted.link, advice, error.prospect());
                }
            }
            pause = backoff.next(&mut SystemRandomness);
        }
    }

    /// One connection's life. `Connected` carries the queue of frames, so that none of an earlier connection's goes out
    /// on this one.
    async fn serve(&self, session: dial::Session) {
        let (link, binding) = (self.wanted.link, session.binding);
        let (outbox, frames) = mpsc::channel(SEND_QUEUE_FRAMES_MAX);
        if self.engine.send(Message::Connected { link, binding, outbox }).await.is_err() {
            return;
        }
        self.board.connected(link);
        let pump = pump::pump(session.socket, link, &self.engine, frames, &self.stop);
        let mut pump = std::pin::pin!(pump);
        let ended = tokio::select! {
            ended = &mut pump => ended,
            () = tokio::time::sleep(STANDS_AFTER) => {
                self.board.stands(link);
                pump.await
            }
        };
        tracing::info!(?ended, "a connection ended");
        // The engine is gone only when the client stops.
        let _ = self.engine.send(Message::Network(Input::Disconnected { link })).await;
        self.board.lost(link);
    }
}

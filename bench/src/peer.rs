//! What the measurements need of a server: sessions that send and receive. User 2i writes to user 2i + 1.

use crate::mark::Mark;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Sessions that are opened at the same time.
const OPENING_MAX: usize = 32;
const OPENING_TIME_MAX: Duration = Duration::from_secs(60);

/// What a session hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message arrived.
    Delivered(Mark),
    /// So many of this session's messages, counted from its beginning, are accepted. A server that stores before it
    /// accepts says by this that they are stored.
    Accepted(u64),
}

/// A server, as its clients reach it.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Sends.
    type Sender: Sender;
    /// Receives.
    type Receiver: Receiver;

    /// Makes what so many pairs need, once.
    fn prepare(&self, pairs: u32) -> impl Future<Output = Result<()>> + Send;

    /// Opens a session.
    fn session(&self, user: u32) -> impl Future<Output = Result<(Self::Sender, Self::Receiver)>> + Send;
}

/// The sending half.
pub trait Sender: Send + 'static {
    /// Writes messages, as one request where the protocol has requests of several. An [`Event::Accepted`] follows.
    fn send(&mut self, messages: Vec<String>) -> impl Future<Output = Result<()>> + Send;
}

/// The receiving half.
pub trait Receiver: Send + 'static {
    /// Waits, and adds what came. An error is a refusal or a broken connection; either ends the measurement.
    fn next(&mut self, events: &mut Vec<Event>) -> impl Future<Output = Result<()>> + Send;
}

/// Opens sessions of these users; they come in the same order.
///
/// # Errors
/// The first that cannot be opened.
pub async fn sessions<P: Peer>(peer: &P, users: impl Iterator<Item = u32>) -> Result<Vec<(P::Sender, P::Receiver)>> {
    let gate = Arc::new(Semaphore::new(OPENING_MAX));
    let mut opening = JoinSet::new();
    for (place, user) in users.enumerate() {
        let (peer, gate) = (peer.clone(), gate.clone());
        opening.spawn(async move {
            let _permit = gate.acquire_owned().await?;
            let opened = tokio::time::timeout(OPENING_TIME_MAX, peer.session(user)).await;
            let session = opened.context("opening a session took too long")?.with_context(|| format!("user {user}"))?;
            anyhow::Ok((place, session))
        });
    }
    let mut opened = Vec::new();
    while let Some(session) = opening.join_next().await {
        opened.push(session??);
    }
    opened.sort_by_key(|(place, _)| *place);
    Ok(opened.into_iter().map(|(_, session)| session).collect())
}

//! Memory of a server by the number of connections that do nothing.

use crate::meter::usage;
use crate::peer::{Peer, Receiver, Sender, sessions};
use anyhow::{Result, bail};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Connections that fill caches and run every path once; the slope is taken from the rest.
const FIRST: u32 = 20;
/// Pairs whose channels the connections share.
const PAIRS: u32 = 50;

/// What came of it, in KiB.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Before anybody connected.
    pub before: u64,
    /// With all connections.
    pub after: u64,
    /// For each connection.
    pub each: f64,
    /// The server's share of a processor while all do nothing.
    pub cpu: f64,
}

/// Opens so many connections, waits so long, and looks.
///
/// # Errors
/// A connection did not open, or did not stay.
pub async fn run<P: Peer>(peer: &P, connections: u32, hold: Duration, server: &[u32]) -> Result<Figures> {
    let before = usage(server).resident_kib;
    peer.prepare(PAIRS).await?;
    let mut opened = sessions(peer, 0..FIRST).await?;
    sleep(Duration::from_secs(2)).await;
    let first = usage(server).resident_kib;
    opened.extend(sessions(peer, FIRST..connections).await?);
    let mut open = JoinSet::new();
    for (sender, receiver) in opened {
        open.spawn(stay(sender, receiver));
    }
    sleep(hold).await;
    let begun = (usage(server), std::time::Instant::now());
    sleep(hold).await;
    let after = usage(server);
    let cpu = (after.cpu_seconds - begun.0.cpu_seconds) / begun.1.elapsed().as_secs_f64();
    if let Some(ended) = open.try_join_next() {
        bail!("a connection did not stay: {:#}", ended?);
    }
    let each = (after.resident_kib as f64 - first as f64) / f64::from(connections - FIRST);
    Ok(Figures { before, after: after.resident_kib, each, cpu })
}

/// Answers the server's questions after life. Ends only with an error.
async fn stay(sender: impl Sender, mut receiver: impl Receiver) -> anyhow::Error {
    let (_sender, mut events) = (sender, Vec::new());
    loop {
        if let Err(error) = receiver.next(&mut events).await {
            return error;
        }
        events.clear();
    }
}

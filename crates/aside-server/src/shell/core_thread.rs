//! The one thread that the core and the store live on: takes what waits, hands it to the core as one batch, and gives the
//! outputs to the connections' queues. While it syncs, the next batch gathers.

use super::now;
use super::queue::QueueSender;
use crate::core::{BATCH_INPUTS_MAX, CloseReason, ConnectionId, ConnectionKind, Core, CoreCounters, Input, Output};
use crate::log::{LogEvent, log};
use crate::metrics::{Metrics, count};
use crate::store::sqlite::SqliteStore;
use crate::store::{ChannelTotals, StoreError};
use aside_protocol::id::Binding;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What goes to the core's thread.
pub(super) enum ToCore {
    Connected {
        connection: ConnectionId,
        kind: ConnectionKind,
        binding: Binding,
        queue: QueueSender,
    },
    Input(Input),
    Tick,
    /// Take up what was changed elsewhere, and tell how much there is.
    Refresh(oneshot::Sender<Option<ChannelTotals>>),
}

/// The running thread.
pub(super) struct CoreThread {
    /// Ready when the store is closed.
    pub(super) ended: oneshot::Receiver<()>,
}

pub(super) fn start(
    core: Core<SqliteStore>,
    inputs: mpsc::Receiver<ToCore>,
    metrics: Arc<Metrics>,
) -> io::Result<CoreThread> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| io::Error::other("no randomness"))?;
    let rng = ChaCha20Rng::from_seed(seed);
    let (end, ended) = oneshot::channel();
    let worker =
        Worker { core, rng, metrics, queues: HashMap::new(), asked: Vec::new(), before: CoreCounters::default() };
    std::thread::Builder::new().name("core".to_owned()).spawn(move || {
        worker.run(inputs);
        let _ = end.send(());
    })?;
    Ok(CoreThread { ended })
}

struct Worker {
    core: Core<SqliteStore>,
    rng: ChaCha20Rng,
    metrics: Arc<Metrics>,
    queues: HashMap<ConnectionId, QueueSender>,
    /// Who waits to be told how much there is.
    asked: Vec<oneshot::Sender<Option<ChannelTotals>>>,
    before: CoreCounters,
}

impl Worker {
    fn run(mut self, mut inputs: mpsc::Receiver<ToCore>) {
        // Connections that were closed for not reading: the core hears of it with the next batch.
        let mut closed: Vec<ConnectionId> = Vec::new();
        while let Some(first) = inputs.blocking_recv() {
            let mut batch: Vec<Input> = closed.drain(..).map(|connection| Input::Disconnected { connection }).collect();
            self.gather(&mut batch, first);
            while batch.len() < BATCH_INPUTS_MAX
                && let Ok(next) = inputs.try_recv()
            {
                self.gather(&mut batch, next);
            }
            let requests = batch.len();
            let outputs = self.core.handle_batch(now(), &mut self.rng, batch);
            for output in outputs {
                self.release(output, &mut closed);
            }
            self.report(requests);
            if !self.asked.is_empty() {
                let totals = self.core.totals().ok();
                for tell in self.asked.drain(..) {
                    // A command that does not wait any more needs no answer.
                    let _ = tell.send(totals);
                }
            }
        }
        match self.core.into_store().close() {
            Ok(()) => log(LogEvent::Stopped),
            Err(error) => log(LogEvent::StopFailed { fault: fault(error) }),
        }
    }

    fn gather(&mut self, batch: &mut Vec<Input>, input: ToCore) {
        batch.push(match input {
            ToCore::Connected { connection, kind, binding, queue } => {
                self.queues.insert(connection, queue);
                Input::Connected { connection, kind, binding }
            }
            ToCore::Input(input) => {
                if let Input::Disconnected { connection } = &input {
                    self.queues.remove(connection);
                }
                input
            }
            ToCore::Tick => Input::Tick,
            ToCore::Refresh(tell) => {
                self.asked.push(tell);
                Input::Tick
            }
        });
    }

    fn release(&mut self, output: Output, closed: &mut Vec<ConnectionId>) {
        match output {
            Output::Send { connection, frame, class } => {
                let Some(queue) = self.queues.get(&connection) else { return };
                if let Err(overflow) = queue.send(frame, class) {
                    log(LogEvent::SlowConsumerClosed { bytes: overflow.bytes });
                    count(&self.metrics.slow_consumers);
                    self.queues.remove(&connection);
                    closed.push(connection);
                }
            }
            Output::Close { connection, reason } => {
                if reason == CloseReason::Malformed {
                    log(LogEvent::MalformedClosed);
                }
                self.queues.remove(&connection);
            }
        }
    }

    fn report(&mut self, requests: usize) {
        let counters = self.core.counters();
        if counters.commits_failed > self.before.commits_failed {
            log(LogEvent::StoreFailed { requests });
        }
        if counters.maintenance_failed > self.before.maintenance_failed {
            log(LogEvent::MaintenanceFailed);
        }
        self.before = counters;
        self.metrics.set_core(counters);
    }
}

fn fault(error: StoreError) -> &'static str {
    match error {
        StoreError::DiskFull => "the disk is full",
        StoreError::Locked => "the database is locked",
        StoreError::Io => "reading or writing failed",
        StoreError::Corrupt => "the database is damaged",
        StoreError::OtherVersion => "the database is of another version",
        StoreError::OutOfTurn => "a transaction was left open",
    }
}

//! Throughput: pairs that each keep a fixed number of undelivered messages under way. What counts is both accepted by the
//! server and received by the other member; in the end every message has to be, once and in order.

use crate::histogram::Histogram;
use crate::mark::{Mark, message, now_ns};
use crate::meter::{Meter, Used};
use crate::peer::{Event, Peer, Receiver, Sender, sessions};
use anyhow::{Context, Result, bail};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long the messages under way may take at the end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(20);

/// How messages become requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Grouping {
    /// A request for each message, as many under way as the window allows.
    Single,
    /// As Aside's client does: one request under way for each channel, with every message that waits.
    Waiting,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Pairs of users.
    pub pairs: u32,
    /// Undelivered messages of a pair, at most.
    pub window: usize,
    /// Bytes of a message.
    pub bytes: usize,
    /// Seconds before the measurement.
    pub warm_up: u64,
    /// Seconds of the measurement.
    pub seconds: u64,
    /// How messages become requests.
    pub grouping: Grouping,
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// In each second, the lesser of the messages accepted and those delivered.
    pub a_second: Vec<u64>,
    /// From a sender's write to its receiver's read.
    pub latency: Histogram,
    /// Messages in a request, on average.
    pub grouped: f64,
    /// Messages of the whole run, all of them accepted and delivered.
    pub messages: u64,
    /// Who used the machine.
    pub used: Used,
}

/// What the tasks of a run share.
#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    requests: AtomicU64,
    accepted: AtomicU64,
    delivered: AtomicU64,
    stopping: AtomicBool,
    latency: Mutex<Histogram>,
    fault: Mutex<Option<String>>,
}

/// What the tasks of one pair share.
struct Pair {
    credits: Semaphore,
    accepted: AtomicU64,
    moved: Notify,
}

impl Shared {
    fn latency(&self) -> MutexGuard<'_, Histogram> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first fault is the one that says something.
    fn fail(&self, fault: &anyhow::Error) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(format!("{fault:#}"));
    }

    fn check(&self) -> Result<()> {
        match self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            None => Ok(()),
            Some(fault) => bail!("{fault}"),
        }
    }

    fn done(&self) -> u64 {
        self.accepted.load(Relaxed).min(self.delivered.load(Relaxed))
    }
}

/// Runs it. `server` are the process ids that count as the server.
///
/// # Errors
/// A session broke, the server refused something, or not every message arrived once and in order.
pub async fn run<P: Peer>(peer: &P, plan: Plan, server: &[u32]) -> Result<Figures> {
    peer.prepare(plan.pairs).await.context("preparing the pairs")?;
    let receivers = sessions(peer, (0..plan.pairs).map(|pair| 2 * pair + 1)).await?;
    let senders = sessions(peer, (0..plan.pairs).map(|pair| 2 * pair)).await?;
    let shared = Arc::new(Shared::default());
    let mut tasks = JoinSet::new();
    for ((unused, receiver), (sender, acknowledgements)) in receivers.into_iter().zip(senders) {
        let (credits, accepted, moved) = (Semaphore::new(plan.window), AtomicU64::new(0), Notify::new());
        let pair = Arc::new(Pair { credits, accepted, moved });
        let (task_shared, task_pair) = (shared.clone(), pair.clone());
        tasks.spawn(async move {
            // A connection closes when its sending half is dropped.
            let _unused = unused;
            let result = receive(receiver, &task_shared, &task_pair).await;
            result.unwrap_or_else(|error| task_shared.fail(&error.context("a receiver")));
        });
        let (task_shared, task_pair) = (shared.clone(), pair.clone());
        tasks.spawn(async move {
            let result = acknowledge(acknowledgements, &task_shared, &task_pair).await;
            result.unwrap_or_else(|error| task_shared.fail(&error.context("a sender's acknowledgements")));
        });
        let task_shared = shared.clone();
        tasks.spawn(async move {
            let result = send(sender, plan, &task_shared, &pair).await;
            result.unwrap_or_else(|error| task_shared.fail(&error.context("a sender")));
        });
    }
    let figures = measure(plan, server, &shared).await;
    tasks.abort_all();
    figures
}

async fn measure(plan: Plan, server: &[u32], shared: &Shared) -> Result<Figures> {
    sleep(Duration::from_secs(plan.warm_up)).await;
    shared.latency().clear();
    let meter = Meter::start(server)?;
    let (mut a_second, mut before, begin) = (Vec::new(), shared.done(), Instant::now());
    for second in 1..=plan.seconds {
        tokio::time::sleep_until(begin + Duration::from_secs(second)).await;
        shared.check()?;
        let done = shared.done();
        a_second.push(done - before);
        before = done;
    }
    let (used, latency) = (meter.stop()?, shared.latency().clone());
    shared.stopping.store(true, Relaxed);
    drain(shared).await?;
    let messages = shared.sent.load(Relaxed);
    let grouped = messages as f64 / shared.requests.load(Relaxed).max(1) as f64;
    Ok(Figures { a_second, latency, grouped, messages, used })
}

/// Waits until everything that was sent is accepted and delivered.
async fn drain(shared: &Shared) -> Result<()> {
    let deadline = Instant::now() + DRAIN_TIME_MAX;
    loop {
        // Senders that were past their look at `stopping` still count up.
        sleep(Duration::from_millis(100)).await;
        shared.check()?;
        let (sent, accepted) = (shared.sent.load(Relaxed), shared.accepted.load(Relaxed));
        let delivered = shared.delivered.load(Relaxed);
        if sent == accepted && sent == delivered {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("of {sent} messages {accepted} were accepted and {delivered} delivered");
        }
    }
}

async fn receive(mut receiver: impl Receiver, shared: &Shared, pair: &Pair) -> Result<()> {
    let (mut events, mut expected) = (Vec::new(), 0);
    loop {
        receiver.next(&mut events).await?;
        let now = now_ns();
        let mut latency = shared.latency();
        for event in events.drain(..) {
            let Event::Delivered(mark) = event else { continue };
            if mark.number != expected {
                bail!("message {} came where {expected} was to come", mark.number);
            }
            expected += 1;
            latency.add_ns(now.saturating_sub(mark.sent_ns));
            shared.delivered.fetch_add(1, Relaxed);
            pair.credits.add_permits(1);
        }
    }
}

async fn acknowledge(mut acknowledgements: impl Receiver, shared: &Shared, pair: &Pair) -> Result<()> {
    let mut events = Vec::new();
    loop {
        acknowledgements.next(&mut events).await?;
        for event in events.drain(..) {
            let Event::Accepted(count) = event else { continue };
            let before = pair.accepted.swap(count, Relaxed);
            shared.accepted.fetch_add(count.saturating_sub(before), Relaxed);
            pair.moved.notify_one();
        }
    }
}

async fn send(mut sender: impl Sender, plan: Plan, shared: &Shared, pair: &Pair) -> Result<()> {
    let mut number = 0;
    loop {
        let mut count = 1;
        pair.credits.acquire().await?.forget();
        if plan.grouping == Grouping::Waiting {
            let more = pair.credits.available_permits();
            // Nobody else takes permits.
            count += pair.credits.forget_permits(more);
        }
        if shared.stopping.load(Relaxed) {
            // The connection stays open until everything has been read.
            return std::future::pending().await;
        }
        let sent_ns = now_ns();
        let numbers = number..number + u32::try_from(count)?;
        number = numbers.end;
        let messages = numbers.map(|number| message(Mark { sent_ns, number }, plan.bytes)).collect();
        shared.sent.fetch_add(count as u64, Relaxed);
        shared.requests.fetch_add(1, Relaxed);
        sender.send(messages).await?;
        while plan.grouping == Grouping::Waiting && pair.accepted.load(Relaxed) < u64::from(number) {
            pair.moved.notified().await;
        }
    }
}

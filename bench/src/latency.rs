//! Latency: one pair at a fixed rate. The schedule does not wait for the server, so that a stall is felt by every message
//! that was due in it.

use crate::histogram::Histogram;
use crate::mark::{Mark, message, now_ns};
use crate::meter::{Meter, Used};
use crate::peer::{Event, Peer, Receiver, Sender, sessions};
use anyhow::{Context, Result, bail};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// Timers tick once a millisecond; what is later than this is charged to the server, which held the sender up.
const LATE: Duration = Duration::from_millis(3);
/// How long the last message may take.
const LAST_TIME_MAX: Duration = Duration::from_secs(20);

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Messages a second.
    pub rate: u32,
    /// Bytes of a message.
    pub bytes: usize,
    /// Seconds.
    pub seconds: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    /// From a sender's write to its receiver's read.
    pub delivery: Histogram,
    /// From a sender's write to the server's acceptance.
    pub acceptance: Histogram,
    /// Who used the machine.
    pub used: Used,
}

/// Runs it.
///
/// # Errors
/// A session broke, the server refused something, or a message is missing.
pub async fn run<P: Peer>(peer: &P, plan: Plan, server: &[u32]) -> Result<Figures> {
    peer.prepare(1).await.context("preparing the pair")?;
    let mut opened = sessions(peer, [1, 0].into_iter()).await?.into_iter();
    let (_unused, receiver) = opened.next().context("no receiver")?;
    let (sender, acknowledgements) = opened.next().context("no sender")?;
    let total = plan.rate * plan.seconds;
    let sent = Arc::new(Mutex::new(Vec::with_capacity(total as usize)));
    let meter = Meter::start(server)?;
    let receiving = tokio::spawn(receive(receiver, total));
    let accepting = tokio::spawn(accept(acknowledgements, total, sent.clone()));
    // Dropped only at the end: a connection closes with its sending half.
    let _sender = send(sender, plan, total, &sent).await?;
    let delivery = timeout(LAST_TIME_MAX, receiving).await.context("messages are missing")???;
    let acceptance = timeout(LAST_TIME_MAX, accepting).await.context("acknowledgements are missing")???;
    Ok(Figures { delivery, acceptance, used: meter.stop()? })
}

async fn send<S: Sender>(mut sender: S, plan: Plan, total: u32, sent: &Mutex<Vec<u64>>) -> Result<S> {
    let begin = Instant::now() + Duration::from_millis(50);
    for number in 0..total {
        let due = begin + Duration::from_secs(1) * number / plan.rate;
        sleep_until(due).await;
        let late = due.elapsed();
        let charged = if late > LATE { u64::try_from(late.as_nanos())? } else { 0 };
        let sent_ns = now_ns().saturating_sub(charged);
        sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent_ns);
        sender.send(vec![message(Mark { sent_ns, number }, plan.bytes)]).await?;
    }
    Ok(sender)
}

async fn receive(mut receiver: impl Receiver, total: u32) -> Result<Histogram> {
    let (mut histogram, mut events, mut expected) = (Histogram::default(), Vec::new(), 0);
    while expected < total {
        receiver.next(&mut events).await?;
        let now = now_ns();
        for event in events.drain(..) {
            let Event::Delivered(mark) = event else { continue };
            if mark.number != expected {
                bail!("message {} came where {expected} was to come", mark.number);
            }
            expected += 1;
            histogram.add_ns(now.saturating_sub(mark.sent_ns));
        }
    }
    Ok(histogram)
}

async fn accept(mut acknowledgements: impl Receiver, total: u32, sent: Arc<Mutex<Vec<u64>>>) -> Result<Histogram> {
    let (mut histogram, mut events, mut accepted) = (Histogram::default(), Vec::new(), 0);
    while accepted < u64::from(total) {
        acknowledgements.next(&mut events).await?;
        let now = now_ns();
        for event in events.drain(..) {
            let Event::Accepted(count) = event else { continue };
            let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            let newly = sent.get(accepted as usize..count as usize).context("more was accepted than was sent")?;
            newly.iter().for_each(|sent_ns| histogram.add_ns(now.saturating_sub(*sent_ns)));
            accepted = count;
        }
    }
    Ok(histogram)
}

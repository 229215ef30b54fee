//! Throughput from end to end: one person writes texts, another gets them, both with real engines and their databases on
//! the disk, over a real server. A text counts when the other's engine has it in its timeline, on its disk.

use crate::person::Person;
use anyhow::{Context, Result, bail};
use aside_bench::histogram::Histogram;
use aside_bench::meter::Meter;
use aside_bench::record::{Spread, disturbance};
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Change, Command};
use aside_engine::view::ConversationState;
use aside_protocol::link::InviteLink;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take that is not measured.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_secs(2);

/// What is measured.
pub struct Plan {
    /// Two unused invites.
    pub invite: Vec<InviteLink>,
    /// The server's process.
    pub pid: u32,
    /// Where databases are made.
    pub folder: PathBuf,
    /// Bytes of a text.
    pub bytes: usize,
    /// Undelivered texts.
    pub window: usize,
    /// Seconds of the measurement.
    pub seconds: u64,
}

/// Runs it, and prints one line.
///
/// # Errors
/// The two do not become acquainted, or a text is missing.
pub fn run(plan: Plan) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    std::fs::create_dir_all(&plan.folder)?;
    let writer = Person::start("writer", &plan.folder, runtime.handle())?;
    let reader = Person::start("reader", &plan.folder, runtime.handle())?;
    let conversation = acquaint(&plan, &writer, &reader)?;
    Conversation { plan, writer, reader, conversation, under_way: HashMap::new(), number: 0 }.measure()
}

/// Makes two accounts and a conversation between them.
fn acquaint(plan: &Plan, writer: &Person, reader: &Person) -> Result<ConversationId> {
    for ((person, name), invite) in [(writer, "writer"), (reader, "reader")].into_iter().zip(&plan.invite) {
        let join = Command::Join { invite: invite.clone(), name: format!("{name}-{}", std::process::id()).parse()? };
        person.command(join)?;
        wait_for("an account", || person.ask(|engine| engine.is_settled().unwrap_or(false)))?;
    }
    let Answer::ContactLink { link, .. } = reader.command(Command::MakeContactLink)? else { bail!("no link") };
    let made = link.clone();
    wait_for("a contact link", || {
        let made = made.clone();
        reader.ask(move |engine| engine.link_is_registered(&made).unwrap_or(false))
    })?;
    let Answer::Conversation(id) = writer.command(Command::AddContact { link })? else { bail!("no conversation") };
    for person in [writer, reader] {
        wait_for("a conversation", || {
            person.ask(|engine| {
                let conversations = engine.conversations().unwrap_or_default();
                conversations.iter().any(|conversation| conversation.state == ConversationState::Active)
            })
        })?;
    }
    Ok(id)
}

fn wait_for(what: &str, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !ready()? {
        if begun.elapsed() > PATIENCE {
            bail!("waited in vain for {what}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

struct Conversation {
    plan: Plan,
    writer: Person,
    reader: Person,
    conversation: ConversationId,
    under_way: HashMap<MessageId, Instant>,
    number: u64,
}

impl Conversation {
    fn measure(mut self) -> Result<()> {
        self.run_for(WARM_UP, &mut Histogram::default())?;
        let (mut latency, mut a_second) = (Histogram::default(), Vec::new());
        let meter = Meter::start(&[self.plan.pid])?;
        for _ in 0..self.plan.seconds {
            a_second.push(self.run_for(Duration::from_secs(1), &mut latency)?);
        }
        let used = meter.stop()?;
        self.drain(&mut latency)?;
        let spread = Spread::of(&a_second).context("not one second was measured")?;
        println!(
            "real engines, {} B: {spread} texts/s from one writer to one reader, window {} | p50 {:.1} ms, p99 {:.1} ms \
             | {} texts, none missing | server {:.0} % of a core, both engines {:.0} %, others {:.0} %{}",
            self.plan.bytes,
            self.plan.window,
            latency.quantile(0.5).as_secs_f64() * 1e3,
            latency.quantile(0.99).as_secs_f64() * 1e3,
            self.number,
            used.server * 100.0,
            used.generator * 100.0,
            used.others * 100.0,
            disturbance(used.others)
        );
        Ok(())
    }

    /// Writes and reads for so long; gives how many texts a second arrived.
    fn run_for(&mut self, time: Duration, latency: &mut Histogram) -> Result<f64> {
        let (begun, mut arrived) = (Instant::now(), 0_u32);
        while begun.elapsed() < time {
            while self.under_way.len() < self.plan.window {
                self.write()?;
            }
            arrived += self.read(latency)?;
        }
        Ok(f64::from(arrived) / begun.elapsed().as_secs_f64())
    }

    fn write(&mut self) -> Result<()> {
        self.number += 1;
        let mut text = format!("{} ", self.number);
        text.extend(std::iter::repeat_n('x', self.plan.bytes.saturating_sub(text.len())));
        let begun = Instant::now();
        let command = Command::SendText { conversation: self.conversation, text, reply_to: None };
        let Answer::Message(id) = self.writer.command(command)? else { bail!("no message") };
        self.under_way.insert(id, begun);
        Ok(())
    }

    /// Waits for something to arrive, then takes what did.
    fn read(&mut self, latency: &mut Histogram) -> Result<u32> {
        let first = self.reader.changes.recv_timeout(PATIENCE).context("nothing arrives")?;
        let mut arrived = 0;
        for change in std::iter::once(first).chain(self.reader.changes.try_iter()) {
            if let Change::Message(id) = change
                && let Some(begun) = self.under_way.remove(&id)
            {
                latency.add_ns(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                arrived += 1;
            }
        }
        // Nobody shows the writer's changes, but they may not pile up.
        self.writer.changes.try_iter().for_each(drop);
        Ok(arrived)
    }

    fn drain(&mut self, latency: &mut Histogram) -> Result<()> {
        let begun = Instant::now();
        while !self.under_way.is_empty() {
            if begun.elapsed() > PATIENCE {
                bail!("{} texts are missing", self.under_way.len());
            }
            self.read(latency)?;
        }
        Ok(())
    }
}

//! One person: an engine on a thread of its own with its database on the disk, and its connections to the server. The
//! client's shell does the same and more (`aside-client`), but answers over HTTP, which would be measured along.

use crate::store;
use anyhow::{Context, Result};
use aside_bench::aside::{dial, network};
use aside_engine::input::{Answer, Change, Command, ConnectionKind, Input, Link, Now, Output, Wanted};
use aside_engine::{Engine, Options};
use aside_protocol::frame::{account, anonymous};
use aside_protocol::id::Binding;
use futures_util::{SinkExt, StreamExt};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;

/// The longest sleep.
const SLEEP_MAX: Duration = Duration::from_secs(1);

type Question = Box<dyn FnOnce(&Engine) + Send>;

enum Event {
    Connected { link: Link, binding: Binding, outbox: UnboundedSender<Vec<u8>> },
    Network(Input),
    Command(Box<Command>, Sender<Result<Answer>>),
    Ask(Question),
}

/// Speaks to a person's engine.
pub struct Person {
    events: Sender<Event>,
    /// What somebody would see change.
    pub changes: Receiver<Change>,
}

impl Person {
    /// Opens an engine and starts its thread. `runtime` carries its connections.
    ///
    /// # Errors
    /// The database.
    pub fn start(name: &'static str, folder: &Path, runtime: &Handle) -> Result<Self> {
        let connection = store::create(&folder.join(format!("{name}.db")))?;
        let engine = Engine::open(connection, Options::default())?;
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let randomness = ChaCha20Rng::from_seed(seed);
        let ((events, received), (changed, changes)) = (channel(), channel());
        let (own, runtime) = (events.clone(), runtime.clone());
        let (outboxes, wanted) = (HashMap::new(), Vec::new());
        let running = Running { engine, randomness, events: own, changed, runtime, outboxes, wanted, wake_at: None };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            if let Err(error) = running.run(&received) {
                eprintln!("{name}'s engine ended: {error:#}");
            }
        })?;
        Ok(Self { events, changes })
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// What the engine says, or its thread ended.
    pub fn command(&self, command: Command) -> Result<Answer> {
        let (reply, answer) = channel();
        self.events.send(Event::Command(Box::new(command), reply)).ok().context("the engine ended")?;
        answer.recv().context("the engine ended")?
    }

    /// Looks at the engine.
    ///
    /// # Errors
    /// Its thread ended.
    pub fn ask<T: Send + 'static>(&self, question: impl FnOnce(&Engine) -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = channel();
        let ask = Event::Ask(Box::new(move |engine| {
            reply.send(question(engine)).ok();
        }));
        self.events.send(ask).ok().context("the engine ended")?;
        answer.recv().context("the engine ended")
    }
}

struct Running {
    engine: Engine,
    randomness: ChaCha20Rng,
    events: Sender<Event>,
    changed: Sender<Change>,
    runtime: Handle,
    outboxes: HashMap<Link, UnboundedSender<Vec<u8>>>,
    wanted: Vec<Wanted>,
    wake_at: Option<i64>,
}

impl Running {
    fn run(mut self, received: &Receiver<Event>) -> Result<()> {
        self.connect()?;
        loop {
            let sleep = self.wake_at.map_or(SLEEP_MAX, |at| {
                Duration::from_millis(u64::try_from(at.saturating_sub(now().unix_ms)).unwrap_or(0)).min(SLEEP_MAX)
            });
            match received.recv_timeout(sleep) {
                Ok(event) => self.take(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            if self.wake_at.is_some_and(|at| at <= now().unix_ms) {
                self.wake_at = None;
                self.input(Input::Tick)?;
            }
        }
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Connected { link, binding, outbox } => {
                self.outboxes.insert(link, outbox);
                self.input(Input::Connected { link, binding })
            }
            Event::Network(input) => self.input(input),
            Event::Ask(question) => {
                question(&self.engine);
                Ok(())
            }
            Event::Command(command, reply) => match self.engine.command(now(), &mut self.randomness, *command) {
                Ok((answer, outputs)) => {
                    reply.send(Ok(answer)).ok();
                    self.carry_out(outputs)
                }
                Err(error) => {
                    reply.send(Err(error.into())).ok();
                    Ok(())
                }
            },
        }
    }

    fn input(&mut self, input: Input) -> Result<()> {
        let outputs = self.engine.handle(now(), &mut self.randomness, input)?;
        self.carry_out(outputs)
    }

    fn carry_out(&mut self, outputs: Vec<Output>) -> Result<()> {
        for output in outputs {
            match output {
                Output::WantedChanged => self.connect()?,
                Output::Send { link, bytes } => {
                    if let Some(outbox) = self.outboxes.get(&link) {
                        outbox.send(bytes).ok();
                    }
                }
                Output::Close { reason, .. } => anyhow::bail!("the engine closes a connection: {reason}"),
                Output::Changed(change) => {
                    self.changed.send(change).ok();
                }
                Output::WakeAt { unix_ms } => {
                    self.wake_at = Some(self.wake_at.map_or(unix_ms, |at| at.min(unix_ms)));
                }
            }
        }
        Ok(())
    }

    /// Opens the connections that are wanted and not there yet.
    fn connect(&mut self) -> Result<()> {
        for wanted in self.engine.wanted()? {
            if !self.wanted.contains(&wanted) {
                let events = self.events.clone();
                self.wanted.push(wanted.clone());
                self.runtime.spawn(async move {
                    // A measurement does not dial again: what breaks, ends it.
                    if let Err(error) = carry(&wanted, &events).await {
                        eprintln!("a connection ended: {error:#}");
                        events.send(Event::Network(Input::Disconnected { link: wanted.link })).ok();
                    }
                });
            }
        }
        Ok(())
    }
}

/// Carries frames both ways until one side ends.
async fn carry(wanted: &Wanted, events: &Sender<Event>) -> Result<()> {
    let path = match wanted.link.kind {
        ConnectionKind::Account => account::PATH,
        ConnectionKind::Anonymous => anonymous::PATH,
    };
    let (socket, binding) = dial(&network(&wanted.server)?, &wanted.server, path).await?;
    let (outbox, outgoing) = unbounded_channel();
    events.send(Event::Connected { link: wanted.link, binding, outbox }).ok().context("the engine ended")?;
    let (sink, mut stream) = socket.split();
    tokio::spawn(write(outgoing, sink));
    loop {
        if let Message::Binary(bytes) = stream.next().await.context("closed by the server")?? {
            let frame = Input::Frame { link: wanted.link, bytes: bytes.into() };
            events.send(Event::Network(frame)).ok().context("the engine ended")?;
        }
    }
}

async fn write(
    mut outgoing: UnboundedReceiver<Vec<u8>>,
    mut sink: impl futures_util::Sink<Message, Error = tokio_tungstenite::tungstenite::Error> + Unpin,
) -> Result<()> {
    while let Some(bytes) = outgoing.recv().await {
        sink.send(Message::Binary(bytes.into())).await?;
    }
    Ok(())
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
}

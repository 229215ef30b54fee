//! The one loop that owns the engine. It carries outputs out in their order, and never waits for the network.

use super::{Message, now};
use crate::connection::Board;
use crate::database::{self, DatabaseError};
use crate::randomness::SystemRandomness;
use crate::unlock::DatabaseKey;
use aside_engine::error::{CommandError, EngineError};
use aside_engine::input::{Change, Input, Link, Output, Wanted};
use aside_engine::{Engine, Options};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// The longest sleep: a machine that was suspended finds its overdue wake-ups within this time.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// After a failure the engine's clock rests this long.
const LOOK_AGAIN_AFTER_MS: i64 = 1_000;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum Start {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What the loop is made of.
pub struct EngineLoop {
    /// What comes.
    pub messages: mpsc::Receiver<Message>,
    /// What people see.
    pub changes: broadcast::Sender<Change>,
    /// Which connections to keep.
    pub wanted: watch::Sender<Vec<Wanted>>,
    /// The connections' states.
    pub board: Arc<Board>,
}

impl EngineLoop {
    /// Opens the database and the engine, reports that, and runs until [`Message::Stop`]. Blocks its thread.
    ///
    /// # Errors
    /// The engine's own, where not even its views can be read: the client ends.
    pub fn run(
        self,
        path: PathBuf,
        key: DatabaseKey,
        started: oneshot::Sender<Result<(), Start>>,
    ) -> Result<(), EngineError> {
        let opened = database::open(&path, &key)
            .map_err(Start::from)
            .and_then(|connection| Ok(Engine::open(connection, Options::default())?));
        drop(key);
        let engine = match opened {
            Ok(engine) => engine,
            Err(error) => {
                let _ = started.send(Err(error));
                return Ok(());
            }
        };
        let _ = started.send(Ok(()));
        let Self { messages, changes, wanted, board } = self;
        Running { engine, messages, changes, wanted, board, outboxes: HashMap::new(), wake_at_unix_ms: None }.run()
    }
}

struct Running {
    engine: Engine,
    messages: mpsc::Receiver<Message>,
    changes: broadcast::Sender<Change>,
    wanted: watch::Sender<Vec<Wanted>>,
    board: Arc<Board>,
    /// A connection is in here from its `Connected` to its end; frames of others are late, and dropped.
    outboxes: HashMap<Link, mpsc::Sender<Vec<u8>>>,
    wake_at_unix_ms: Option<i64>,
}

impl Running {
    fn run(mut self) -> Result<(), EngineError> {
        self.publish_wanted()?;
        self.input(Input::Tick)?;
        let runtime = Handle::current();
        loop {
            let next = runtime.block_on(tokio::time::timeout(self.sleep(), self.messages.recv()));
            match next {
                Err(_) => {}
                Ok(None | Some(Message::Stop)) => return Ok(()),
                Ok(Some(message)) => self.message(message)?,
            }
            if self.wake_at_unix_ms.is_some_and(|at| at <= now().unix_ms) {
                self.wake_at_unix_ms = None;
                self.input(Input::Tick)?;
            }
        }
    }

    fn sleep(&self) -> Duration {
        let Some(at) = self.wake_at_unix_ms else { return SLEEP_MAX };
        let wait_ms = u64::try_from(at.saturating_sub(now().unix_ms)).unwrap_or(0);
        Duration::from_millis(wait_ms).min(SLEEP_MAX)
    }

    fn message(&mut self, message: Message) -> Result<(), EngineError> {
        match message {
            Message::Connected { link, binding, outbox } => {
                self.outboxes.insert(link, outbox);
                self.input(Input::Connected { link, binding })?;
            }
            Message::Network(input @ Input::Frame { link, .. }) => {
                if self.outboxes.contains_key(&link) {
                    self.input(input)?;
                }
            }
            Message::Network(input) => {
                if let Input::Disconnected { link } = &input {
                    self.outboxes.remove(link);
                }
                self.input(input)?;
            }
            Message::Command(command, reply) => {
                // Whoever asked may have gone; what was done stands.
                match self.engine.command(now(), &mut SystemRandomness, *command) {
                    Ok((answer, outputs)) => {
                        let _ = reply.send(Ok(answer));
                        self.carry_out(outputs)?;
                    }
                    Err(error) => {
                        if let CommandError::Engine(error) = &error {
                            self.begin_anew(error);
                        }
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Message::Ask(question) => question(&self.engine),
            Message::Stop => {}
        }
        Ok(())
    }

    fn input(&mut self, input: Input) -> Result<(), EngineError> {
        match self.engine.handle(now(), &mut SystemRandomness, input) {
            Ok(outputs) => self.carry_out(outputs),
            Err(error) => {
                self.begin_anew(&error);
                Ok(())
            }
        }
    }

    /// The engine failed: nothing of the input took effect, and it knows of no connection any more. All are closed and
    /// made again, with their backoff, and what was not answered comes again: a full disk heals like that by itself.
    fn begin_anew(&mut self, error: &EngineError) {
        tracing::error!(%error, "the engine failed");
        let links: Vec<Link> = self.outboxes.keys().copied().collect();
        for link in links {
            self.close(link, "this machine could not store what came; look whether its disk is full");
        }
        let soon = now().unix_ms.saturating_add(LOOK_AGAIN_AFTER_MS);
        self.wake_at_unix_ms = Some(self.wake_at_unix_ms.map_or(soon, |at| at.max(soon)));
    }

    fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), EngineError> {
        for output in outputs {
            match output {
                Output::WantedChanged => self.publish_wanted()?,
                Output::Send { link, bytes } => self.send(link, bytes),
                Output::Close { link, reason } => self.close(link, reason),
                // Nobody may be looking.
                Output::Changed(change) => drop(self.changes.send(change)),
                Output::WakeAt { unix_ms } => {
                    self.wake_at_unix_ms = Some(self.wake_at_unix_ms.map_or(unix_ms, |at| at.min(unix_ms)));
                }
            }
        }
        Ok(())
    }

    fn publish_wanted(&mut self) -> Result<(), EngineError> {
        self.wanted.send_replace(self.engine.wanted()?);
        Ok(())
    }

    /// A queue that is full belongs to a socket that takes nothing: the connection is made anew, and the engine sends
    /// again what was not answered.
    fn send(&mut self, link: Link, bytes: Vec<u8>) {
        let Some(outbox) = self.outboxes.get(&link) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = outbox.try_send(bytes) {
            self.close(link, "it takes nothing any more");
        }
    }

    fn close(&mut self, link: Link, reason: &'static str) {
        tracing::warn!(reason, "a connection is closed");
        if self.outboxes.remove(&link).is_some() {
            self.board.closing(link, reason);
        }
    }
}

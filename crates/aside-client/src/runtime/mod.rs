//! The shell's middle: one loop owns the engine, on a thread of its own, and takes one message at a time. Everybody
//! else holds an [`EngineHandle`].

mod engine_loop;

pub(crate) use engine_loop::EngineLoop;
pub use engine_loop::Start;

use aside_engine::Engine;
use aside_engine::error::{CommandError, EngineError};
use aside_engine::input::{Answer, Change, Command, Input, Link, Now};
use aside_protocol::id::Binding;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

/// Messages that may wait for the engine. Whoever finds the queue full waits, and TCP makes the server wait.
pub(crate) const QUEUE_MAX: usize = 256;
/// Changes that a subscriber may be behind; one that falls further behind is told so, and reads everything again.
pub(crate) const CHANGES_MAX: usize = 1024;
/// How long a waiter relies on changes alone: some of what it waits for announces itself by none.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The time, by the machine's clock.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { unix_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) }
}

type Reply = oneshot::Sender<Result<Answer, CommandError>>;
type Question = Box<dyn FnOnce(&Engine) + Send>;

/// What the engine's thread takes.
pub(crate) enum Message {
    /// A connection stands. Its frames go into `outbox` from here on; dropping that closes it.
    Connected {
        /// Which.
        link: Link,
        /// Of this very connection.
        binding: Binding,
        /// To its socket.
        outbox: mpsc::Sender<Vec<u8>>,
    },
    /// Frames and ends of connections.
    Network(Input),
    /// What a person wants.
    Command(Box<Command>, Reply),
    /// Reads the views.
    Ask(Question),
    /// The last message.
    Stop,
}

/// Why a call to the engine gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The engine said no.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The client stops.
    #[error("the client is stopping")]
    Stopped,
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        Self::Command(CommandError::Engine(error))
    }
}

/// Speaks to the engine's loop.
#[derive(Clone)]
pub(crate) struct EngineHandle {
    messages: mpsc::Sender<Message>,
    changes: broadcast::Sender<Change>,
    hurry: Arc<Notify>,
}

impl EngineHandle {
    pub(crate) fn new(messages: mpsc::Sender<Message>, changes: broadcast::Sender<Change>, hurry: Arc<Notify>) -> Self {
        Self { messages, changes, hurry }
    }

    /// Has a command carried out. Where it needs the network, connections that wait for their next try don't wait.
    pub(crate) async fn command(&self, command: Command) -> Result<Answer, CallError> {
        if needs_network(&command) {
            self.hurry.notify_waiters();
        }
        let (reply, answer) = oneshot::channel();
        let message = Message::Command(Box::new(command), reply);
        self.messages.send(message).await.map_err(|_| CallError::Stopped)?;
        Ok(answer.await.map_err(|_| CallError::Stopped)??)
    }

    /// Reads the views, between two inputs.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |engine| {
            // Whoever asked may have gone.
            let _ = reply.send(question(engine));
        });
        self.messages.send(Message::Ask(question)).await.map_err(|_| CallError::Stopped)?;
        Ok(answer.await.map_err(|_| CallError::Stopped)??)
    }

    /// Every change from here on.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Looks after every change until `check` finds something, for `time_max` at most.
    pub(crate) async fn until<T: Send + 'static>(
        &self,
        time_max: Duration,
        check: impl Fn(&Engine) -> Result<Option<T>, EngineError> + Clone + Send + 'static,
    ) -> Result<Option<T>, CallError> {
        let deadline = tokio::time::Instant::now() + time_max;
        let mut changes = self.changes();
        loop {
            if let Some(found) = self.ask(check.clone()).await? {
                return Ok(Some(found));
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(None);
            }
            let look_again = deadline.min(tokio::time::Instant::now() + LOOK_AGAIN_AFTER);
            let _ = tokio::time::timeout_at(look_again, changes.recv()).await;
        }
    }
}

/// Whether a person who does this expects the network to be tried now.
fn needs_network(command: &Command) -> bool {
    !matches!(
        command,
        Command::MarkRead { .. }
            | Command::MarkListened { .. }
            | Command::SetDraft { .. }
            | Command::Typing { .. }
            | Command::SetVerified { .. }
            | Command::PutSettings(_)
            | Command::ConfirmPhrase { .. }
            | Command::MakeBackupFile
            | Command::DropBackupFile
            | Command::TakeBackupFile { .. }
    )
}

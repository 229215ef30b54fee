//! A running client: the engine's loop, its connections and the loopback API, started and stopped together.

use crate::connection::{Board, Connections, Status};
use crate::loopback::{self, Guard, Sessions};
use crate::profile::{Memory, Profile, ProfileError, Running, Stay};
use crate::randomness::SystemRandomness;
use crate::runtime::{CHANGES_MAX, EngineHandle, EngineLoop, Message, QUEUE_MAX, Start};
use crate::unlock::DatabaseKey;
use aside_engine::error::EngineError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the parts of a client may take to end before they are left behind.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a client that stops goes on for commands that hold it, and then for calls that wait: another command's
/// message may be about to be acknowledged.
const CALLS_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a client that is about to stop waits between two looks at whether everything is done.
const SETTLE_LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why a client did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database or the engine.
    #[error(transparent)]
    Engine(#[from] Start),
    /// No port on 127.0.0.1.
    #[error("no port on 127.0.0.1 can be opened: {0}")]
    Port(std::io::Error),
    /// The profile's files.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The engine's thread ended before it began.
    #[error("the client ended while it was starting")]
    Ended,
}

/// A running client. It owns its profile until [`Client::stop`].
pub struct Client {
    profile: Profile,
    running: Running,
    engine: EngineHandle,
    messages: mpsc::Sender<Message>,
    board: Arc<Board>,
    /// Somebody asked it to stop.
    quit: CancellationToken,
    /// Commands that still mean to call.
    holds: TaskTracker,
    /// No new calls; streams end.
    stop: CancellationToken,
    /// All calls are finished.
    served: CancellationToken,
    /// The connections close.
    disconnect: CancellationToken,
    tasks: TaskTracker,
    failure: Arc<Mutex<Option<EngineError>>>,
}

impl Client {
    /// Starts a client on a profile: opens its database, serves the loopback API on 127.0.0.1 (on the profile's last
    /// port, if that is free) and connects. Needs a tokio runtime with several threads.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(mut profile: Profile, key: DatabaseKey, stay: Stay) -> Result<Self, StartError> {
        let listener = listen(profile.memory().port).await.map_err(StartError::Port)?;
        let port = listener.local_addr().map_err(StartError::Port)?.port();
        profile.remember(Memory { port: Some(port), ..profile.memory().clone() })?;
        let secret = URL_SAFE_NO_PAD.encode(SystemRandomness.bytes::<32>());
        let running = Running::new(port, secret.clone(), stay);
        let sessions = Sessions::open(profile.place().sessions())?;

        let (messages, received) = mpsc::channel(QUEUE_MAX);
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let (wanted, wanted_seen) = watch::channel(Vec::new());
        let board = Arc::new(Board::new(changes.clone()));
        let hurry = Arc::new(Notify::new());
        let (stop, served, disconnect) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let client = Self {
            engine: EngineHandle::new(messages.clone(), changes.clone(), hurry.clone()),
            messages: messages.clone(),
            board: board.clone(),
            quit: CancellationToken::new(),
            holds: TaskTracker::new(),
            stop,
            served: served.clone(),
            disconnect: disconnect.clone(),
            tasks: TaskTracker::new(),
            failure: Arc::default(),
            profile,
            running,
        };

        let engine_loop = EngineLoop { messages: received, changes, wanted, board: board.clone() };
        client.start_engine(engine_loop, key).await?;
        client.tasks.spawn(Connections { wanted: wanted_seen, engine: messages, board, hurry, stop: disconnect }.run());
        let app = loopback::App {
            engine: client.engine.clone(),
            board: client.board.clone(),
            guard: Arc::new(Guard::new(port, secret, client.profile.place().name(), sessions)),
            profile: client.profile.place().name().to_string(),
            quit: client.quit.clone(),
            stop: client.stop.clone(),
            holds: client.holds.clone(),
            joining: Arc::default(),
        };
        client.tasks.spawn(async move {
            loopback::serve(listener, app).await;
            served.cancel();
        });
        client.profile.announce(&client.running)?;
        Ok(client)
    }

    async fn start_engine(&self, engine_loop: EngineLoop, key: DatabaseKey) -> Result<(), StartError> {
        let (report, started) = oneshot::channel();
        let (path, stop, failure) = (self.profile.place().database(), self.stop.clone(), self.failure.clone());
        self.tasks.spawn_blocking(move || {
            if let Err(error) = engine_loop.run(path, key, report) {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            stop.cancel();
        });
        Ok(started.await.map_err(|_| StartError::Ended)??)
    }

    /// How to reach it.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Waits until somebody stops it (`POST /api/quit`), or it fails.
    pub async fn stopped(&self) {
        tokio::select! {
            () = self.quit.cancelled() => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits until every connection stands and there is nothing left that they would still move; not longer than
    /// `time_max`, and not at all where no server can be reached. Gives whether everything is done.
    pub async fn settled(&self, time_max: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + time_max;
        loop {
            let look = self.engine.ask(|engine| Ok((engine.wanted()?.is_empty(), engine.is_settled()?))).await;
            let servers = self.board.servers();
            let all_are = |status| !servers.is_empty() && servers.iter().all(|server| server.status == status);
            match look {
                Err(_) => return false,
                Ok((true, _)) => return true,
                Ok((false, true)) if all_are(Status::Connected) => return true,
                Ok(_) if all_are(Status::Offline) => return false,
                Ok(_) => {}
            }
            if tokio::time::Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(SETTLE_LOOK_EVERY).await;
        }
    }

    /// Stops: no new calls, those under way finished (another command may wait for its message to be acknowledged),
    /// connections closed, the engine's last input done. The profile is free afterwards.
    ///
    /// # Errors
    /// The engine's failure, if that is what stopped it.
    pub async fn stop(self) -> Result<(), EngineError> {
        // Others start a client of their own from here on, as soon as the lock is free.
        if let Err(error) = self.profile.withdraw() {
            tracing::warn!(%error, "runtime.json stays");
        }
        self.holds.close();
        tokio::select! {
            () = self.holds.wait() => {}
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(CALLS_TIME_MAX) => tracing::warn!("a command goes on without this client"),
        }
        self.stop.cancel();
        if tokio::time::timeout(CALLS_TIME_MAX, self.served.cancelled()).await.is_err() {
            tracing::warn!("some calls were not finished in time");
        }
        self.disconnect.cancel();
        let _ = tokio::time::timeout(STOP_TIME_MAX, self.messages.send(Message::Stop)).await;
        self.tasks.close();
        if tokio::time::timeout(STOP_TIME_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("some part of the client did not end in time");
        }
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// A client that is dropped unstopped, on a failed start for instance, leaves no thread waiting.
impl Drop for Client {
    fn drop(&mut self) {
        self.stop.cancel();
        self.disconnect.cancel();
    }
}

async fn listen(port: Option<u16>) -> std::io::Result<TcpListener> {
    if let Some(port) = port
        && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
    {
        return Ok(listener);
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Place;
    use crate::unlock::tests::Nobody;
    use crate::unlock::{KeyCost, unlock};
    use zeroize::Zeroizing;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_profile_of_an_older_program_is_refused_with_its_version_and_the_way_on() {
        let home = tempfile::tempdir().unwrap();
        let open = || {
            let mut profile = Place::new(home.path(), "alice".parse().unwrap()).take().unwrap();
            let passphrase = Some(Zeroizing::new("words".to_owned()));
            let key = unlock(&mut profile, passphrase, &mut Nobody, KeyCost::FOR_TESTS).unwrap();
            (profile, key)
        };
        let (profile, key) = open();
        let path = profile.place().database();
        crate::database::open(&path, &key).unwrap().pragma_update(None, "user_version", 1).unwrap();
        drop(profile);
        let before = std::fs::read(&path).unwrap();
        let (profile, key) = open();
        let refused = Client::start(profile, key, Stay::ForOneCommand).await.err().unwrap().to_string();
        assert!(refused.starts_with("an older Aside made this profile (its database has version 1,"), "{refused}");
        assert!(refused.contains("--profile NAME"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

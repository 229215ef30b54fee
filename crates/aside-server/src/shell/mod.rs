//! The shell around the core: sockets, clock, randomness, threads. It decides nothing about messages.
//!
//! ```text
//! accept ──▶ TLS ──▶ http ──▶ connection (a task each) ──inputs──▶ core_thread (one) ──frames──▶ connection
//! ```

mod accept;
mod certificates;
mod connection;
mod control;
mod core_thread;
mod http;
mod queue;

use crate::config::{Config, TlsMode};
use crate::core::{Core, Now};
use crate::keys::{KeysError, ServerDir};
use crate::log::{LogEvent, log};
use crate::metrics::Metrics;
use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;
use crate::tls::TlsError;
use aside_protocol::connection::{BindingKind, ServerClaim};
use certificates::Certificates;
use core_thread::ToCore;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// For TLS and HTTP up to the WebSocket upgrade, together.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the upgrade to the client's hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a quiet connection is pinged.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Pings without any sign of life after which a connection is closed.
pub const KEEPALIVE_MISSES_MAX: u32 = 3;
/// How long one write may take a peer that does not read.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer may take to hear that its connection ends; well within [`SHUTDOWN_TIMEOUT`].
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// From the order to stop to the end of the process.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the core is told that time passes.
const TICK: Duration = Duration::from_secs(1);
/// Inputs that wait for the core; connections wait behind that.
const INPUTS_WAITING_MAX: usize = 4_096;

/// Why the server does not run. Each variant is a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The database.
    #[error("the database in {dir} cannot be opened: {cause}{}", hint(.cause))]
    Store {
        /// The server's directory.
        dir: PathBuf,
        /// Why.
        cause: StoreError,
    },
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {cause}. Stop the program that uses it, or change `{key}` in aside-server.toml"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
        /// The key in the configuration.
        key: &'static str,
    },
    /// The online certificate is over.
    #[error("the server's certificate ended: renew it with `aside-server certify {0}`")]
    CertificateEnded(PathBuf),
    /// The operating system refuses a thread or a signal handler.
    #[error("the operating system refuses: {0}")]
    System(#[from] std::io::Error),
}

fn hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked => " (another server runs on this directory)",
        _ => "",
    }
}

/// The time.
pub fn now() -> Now {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Now { unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX) }
}

/// What every connection shares.
struct Shared {
    dir: ServerDir,
    config: Config,
    certificates: RwLock<Arc<Certificates>>,
    binding_kind: BindingKind,
    claim: ServerClaim,
    metrics: Arc<Metrics>,
    connections: Arc<Semaphore>,
    connections_max: usize,
    next_connection: AtomicU64,
    to_core: mpsc::Sender<ToCore>,
    stopping: watch::Receiver<bool>,
}

impl Shared {
    /// What a connection begins with. A poisoned lock holds what was there before.
    fn certificates(&self) -> Arc<Certificates> {
        let guard = self.certificates.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&guard)
    }

    fn set_certificates(&self, certificates: Certificates) {
        let mut guard = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        *guard = Arc::new(certificates);
    }
}

/// A server that has its sockets, keys and database, and begins to serve when it is told to.
pub struct Server {
    listeners: Vec<TcpListener>,
    metrics_listener: Option<TcpListener>,
    dir: ServerDir,
    certificates: Certificates,
    store: SqliteStore,
    control: Option<control::Control>,
    config: Config,
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, RunError> {
    TcpListener::bind(address).await.map_err(|cause| RunError::Listen { address, cause, key })
}

impl Server {
    /// Takes hold of everything that can be missing, so that a fault is told at once and by name.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn prepare(dir: &ServerDir, config: Config) -> Result<Self, RunError> {
        let certificates = certificates::load(dir, &config)?;
        let mut listeners = Vec::new();
        for address in &config.listen {
            listeners.push(listen(*address, "listen").await?);
        }
        let metrics_listener = match config.metrics_listen {
            Some(address) => Some(listen(address, "metrics_listen").await?),
            None => None,
        };
        let store =
            SqliteStore::open(dir.path()).map_err(|cause| RunError::Store { dir: dir.path().to_owned(), cause })?;
        let control = control::listen(dir.path());
        Ok(Self { listeners, metrics_listener, dir: dir.clone(), certificates, store, control, config })
    }

    /// Serves until `stop` is ready; then closes the connections, stores what was taken, and closes the store.
    ///
    /// # Errors
    /// [`RunError::System`].
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let metrics = Arc::new(Metrics::default());
        let (to_core, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let core = Core::new(self.store, self.config.core.clone());
        let thread = core_thread::start(core, inputs, Arc::clone(&metrics))?;
        let (stop_all, stopping) = watch::channel(false);
        let binding_kind = match self.config.tls {
            TlsMode::Plain => BindingKind::Nonces,
            TlsMode::Pinned | TlsMode::Certificate { .. } => BindingKind::TlsExporter,
        };
        let claim = ServerClaim { identity_key: self.certificates.identity.identity_key, tls: self.config.tls.trust() };
        let shared = Arc::new(Shared {
            dir: self.dir,
            certificates: RwLock::new(Arc::new(self.certificates)),
            claim,
            binding_kind,
            metrics,
            connections: Arc::new(Semaphore::new(self.config.connections_max)),
            connections_max: self.config.connections_max,
            config: self.config,
            next_connection: AtomicU64::new(1),
            to_core,
            stopping,
        });
        log(LogEvent::Started { listeners: self.listeners.len() });
        let mut tasks = JoinSet::new();
        for listener in self.listeners {
            tasks.spawn(accept::accept(listener, Arc::clone(&shared), accept::Serves::Everything));
        }
        if let Some(listener) = self.metrics_listener {
            tasks.spawn(accept::accept(listener, Arc::clone(&shared), accept::Serves::Metrics));
        }
        if let Some(control) = self.control {
            tasks.spawn(control::serve(control, Arc::clone(&shared)));
        }
        tasks.spawn(certificates::look_after(Arc::clone(&shared)));
        tasks.spawn(tick(Arc::clone(&shared)));
        stop.await;
        let open = usize::try_from(shared.metrics.connections.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        log(LogEvent::Stopping { connections: open });
        drop(shared);
        let _ = stop_all.send(true);
        let orderly = async {
            while tasks.join_next().await.is_some() {}
            // The last sender is gone, so that the core thread drains, commits, and closes the store.
            let _ = thread.ended.await;
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, orderly).await.is_err() {
            log(LogEvent::StopFailed { fault: "it took too long" });
        }
        Ok(())
    }
}

/// Tells the core that time passes.
async fn tick(shared: Arc<Shared>) {
    let mut stopping = shared.stopping.clone();
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = stopping.changed() => return,
            _ = ticks.tick() => {
                // A core with that much to do notices the time soon enough.
                let _ = shared.to_core.try_send(ToCore::Tick);
            }
        }
    }
}

/// Ready when the process is told to stop, by SIGTERM or SIGINT.
///
/// # Errors
/// When the operating system refuses a signal handler.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

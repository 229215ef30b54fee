//! The loopback API (`docs/loopback-api/`): what the UI, the CLI and bots call, on 127.0.0.1 only. One file a resource.
//! Everything here asks the engine or tells it; nothing is decided here but who may call.

mod answer;
mod contacts;
mod conversations;
mod describe;
mod devices;
mod events;
mod groups;
mod guard;
mod hold;
mod invites;
mod join;
mod links;
mod listen;
mod messages;
mod openapi;
mod peer;
mod qr;
mod recovery;
mod reports;
mod routes;
mod safety;
mod session;
mod settings;
mod state;
mod typing;
mod ui;

pub use guard::Guard;
pub use session::Sessions;

use crate::connection::Board;
use crate::runtime::EngineHandle;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The largest body of a call: a text at its longest, four times over (JSON escapes), and room to spare.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// What every call can reach.
#[derive(Clone)]
pub struct App {
    /// The engine.
    pub engine: EngineHandle,
    /// The connections' states.
    pub board: Arc<Board>,
    /// Who may call.
    pub guard: Arc<Guard>,
    /// The profile's name.
    pub profile: String,
    /// Asks the client to stop.
    pub quit: CancellationToken,
    /// No new calls; streams end.
    pub stop: CancellationToken,
    /// Commands for which a client that was asked to stop goes on; closed when it takes no more.
    pub holds: TaskTracker,
    /// One join at a time.
    pub joining: Arc<tokio::sync::Mutex<()>>,
}

/// Serves until the client stops; calls that are under way are finished.
pub async fn serve(listener: TcpListener, app: App) {
    let stop = app.stop.clone();
    let router = routes::router(app);
    let served = axum::serve(peer::OwnUserOnly(listener), router)
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the loopback API ended");
    }
}

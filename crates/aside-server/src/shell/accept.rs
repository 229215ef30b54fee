//! Takes TCP connections, within the limit, and brings each through TLS and HTTP to its WebSocket.

use super::http::{self, Caller};
use super::{HANDSHAKE_TIMEOUT, Shared, connection};
use crate::log::{LogEvent, log};
use crate::metrics::count;
use aside_protocol::connection::{TLS_EXPORTER_BYTES, TLS_EXPORTER_LABEL};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// Clients.
    Everything,
    /// Prometheus, without TLS.
    Metrics,
}

/// After the system refused a connection: it has no more file descriptors, and asking at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>, serves: Serves) {
    let mut stopping = shared.stopping.clone();
    let mut tasks = JoinSet::new();
    // Told once each time that the limit is reached.
    let mut is_full = false;
    loop {
        let stream = tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    log(LogEvent::AcceptFailed { errno: error.raw_os_error().unwrap_or(0) });
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
            count(&shared.metrics.turned_away);
            if !std::mem::replace(&mut is_full, true) {
                log(LogEvent::ConnectionsFull { max: shared.connections_max });
            }
            continue;
        };
        is_full = false;
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            count(&shared.metrics.accepted);
            count(&shared.metrics.connections);
            serve(stream, &shared, serves).await;
            shared.metrics.connections.fetch_sub(1, Ordering::Relaxed);
            drop(permit);
        });
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, shared: &Arc<Shared>, serves: Serves) {
    // Frames are small and answers are waited for.
    let _ = stream.set_nodelay(true);
    let is_loopback = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    let mut stopping = shared.stopping.clone();
    let certificates = shared.certificates();
    match (&certificates.tls, serves) {
        (_, Serves::Metrics) => {
            let served = http::serve(stream, Arc::clone(shared), Caller::Prometheus);
            tokio::select! { _ = served => {}, _ = stopping.changed() => {} }
        }
        (None, Serves::Everything) => speak(stream, shared, Caller::Proxied, Vec::new()).await,
        (Some(tls), Serves::Everything) => {
            let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream));
            let stream = tokio::select! {
                done = handshake => match done { Ok(Ok(stream)) => stream, _ => return },
                _ = stopping.changed() => return,
            };
            let exporter = [0; TLS_EXPORTER_BYTES];
            let Ok(exporter) = stream.get_ref().1.export_keying_material(exporter, TLS_EXPORTER_LABEL, None) else {
                return;
            };
            let caller = if is_loopback { Caller::Loopback } else { Caller::Remote };
            speak(stream, shared, caller, exporter.to_vec()).await;
        }
    }
}

/// HTTP until the upgrade, then frames until the end.
async fn speak<IO>(stream: IO, shared: &Arc<Shared>, caller: Caller, exporter: Vec<u8>)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stopping = shared.stopping.clone();
    let upgraded = tokio::select! {
        upgraded = http::serve(stream, Arc::clone(shared), caller) => upgraded,
        _ = stopping.changed() => return,
    };
    if let Some((socket, kind)) = upgraded {
        connection::run(socket, kind, Arc::clone(shared), exporter).await;
    }
}

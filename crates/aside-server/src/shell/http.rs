//! HTTP/1.1 on the one port: two WebSocket upgrades, who the server claims to be, `/healthz` and `/metrics`. No script and no page, ever.

use super::{HANDSHAKE_TIMEOUT, Shared};
use crate::core::ConnectionKind;
use aside_protocol::codec::encode;
use aside_protocol::connection::CLAIM_PATH;
use aside_protocol::frame::{account, anonymous};
use aside_protocol::limit::FRAME_BYTES_MAX;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Read buffer of one connection, in bytes. It grows for larger frames; idle connections are many.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes of frames that are written together at most.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Header bytes of one request (hyper's least is 8 KiB).
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Who asks, as far as it matters for what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody.
    Remote,
    /// Somebody on this machine.
    Loopback,
    /// Somebody behind the reverse proxy.
    Proxied,
    /// On the listener for metrics.
    Prometheus,
}

type Upgrade = Arc<Mutex<Option<(OnUpgrade, ConnectionKind)>>>;

/// Serves HTTP on one connection until it ends, or becomes a WebSocket.
pub(super) async fn serve<IO>(
    stream: IO,
    shared: Arc<Shared>,
    caller: Caller,
) -> Option<(WebSocketStream<IO>, ConnectionKind)>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgrade: Upgrade = Arc::default();
    let service = service_fn(|request| {
        let response = respond(request, &shared, caller, &upgrade);
        async move { Ok::<_, Infallible>(response) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    served.ok()?;
    let (upgrade, kind) = upgrade.lock().ok()?.take()?;
    let parts = upgrade.await.ok()?.downcast::<TokioIo<IO>>().ok()?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let (io, read) = (parts.io.into_inner(), parts.read_buf.to_vec());
    Some((WebSocketStream::from_partially_read(io, read, Role::Server, Some(config)).await, kind))
}

fn respond(
    mut request: Request<Incoming>,
    shared: &Arc<Shared>,
    caller: Caller,
    upgrade: &Upgrade,
) -> Response<Full<Bytes>> {
    let kind = match (request.method(), request.uri().path(), caller) {
        (&Method::GET, "/metrics", Caller::Loopback | Caller::Prometheus) => {
            return text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", shared.metrics.render());
        }
        (_, _, Caller::Prometheus) => return plain(StatusCode::NOT_FOUND, "not found\n"),
        (&Method::GET | &Method::HEAD, "/healthz", _) => return plain(StatusCode::OK, "ok\n"),
        (&Method::GET, CLAIM_PATH, _) => {
            return answer(StatusCode::OK, "application/cbor", encode(&shared.claim).into());
        }
        (&Method::GET, account::PATH, _) => ConnectionKind::Account,
        (&Method::GET, anonymous::PATH, _) => ConnectionKind::Anonymous,
        _ => return plain(StatusCode::NOT_FOUND, "not found\n"),
    };
    let Some(accept) = accept_key(request.headers()) else {
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket (RFC 6455)\n");
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        return response;
    };
    if let Ok(mut slot) = upgrade.lock() {
        *slot = Some((hyper::upgrade::on(&mut request), kind));
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// RFC 6455, section 4.2: what the handshake has to say, and the answer to its key.
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name: HeaderName, word: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    };
    let is_upgrade = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
    if !is_upgrade || !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    text(status, "text/plain; charset=utf-8", body.to_owned())
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    answer(status, content_type, Bytes::from(body))
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Nothing here is for a browser; if one asks, it is told to make nothing of it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

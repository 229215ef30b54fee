//! From an address to a connection on which the server has proved who it is: TCP, TLS, WebSocket, hello.

use super::error::DialError;
use super::{hello, tls};
use aside_engine::input::{ConnectionKind, Wanted};
use aside_protocol::frame::{account, anonymous};
use aside_protocol::id::Binding;
use aside_protocol::limit::FRAME_BYTES_MAX;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// Each step's time.
const STEP_TIME_MAX: Duration = Duration::from_secs(10);

/// The socket of a connection.
pub type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// A connection after its hellos.
pub struct Session {
    /// Carries frames.
    pub socket: Socket,
    /// Of this very connection.
    pub binding: Binding,
}

/// Makes a connection.
///
/// # Errors
/// [`DialError`], by the step that failed.
pub async fn dial(wanted: &Wanted) -> Result<Session, DialError> {
    let pin = &wanted.server;
    let (host, port) = (pin.address.host(), pin.address.port());
    let stream =
        step("connection", async { TcpStream::connect((host, port)).await.map_err(DialError::Unreachable) }).await?;
    stream.set_nodelay(true).map_err(DialError::Unreachable)?;
    let stream = step("encryption", tls::encrypt(pin, stream)).await?;
    let exporter = tls::exporter(&stream)?;
    let path = match wanted.link.kind {
        ConnectionKind::Account => account::PATH,
        ConnectionKind::Anonymous => anonymous::PATH,
    };
    let url = format!("wss://{}{path}", pin.address);
    let config =
        WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
    let mut socket = step("request", async {
        let opened = tokio_tungstenite::client_async_with_config(url, stream, Some(config)).await;
        opened.map(|(socket, _)| socket).map_err(|error| DialError::WebSocket(Box::new(error)))
    })
    .await?;
    let binding = step("hello", hello::exchange(&mut socket, pin, &exporter)).await?;
    Ok(Session { socket, binding })
}

async fn step<T>(step: &'static str, work: impl Future<Output = Result<T, DialError>>) -> Result<T, DialError> {
    tokio::time::timeout(STEP_TIME_MAX, work).await.unwrap_or(Err(DialError::NoAnswer { step }))
}

//! One WebSocket: the hello, then frames in and frames out. Frames are decoded here, beside the core's thread.

use super::core_thread::ToCore;
use super::queue::{QueueReceiver, Waiting, queue};
use super::{CLOSE_TIMEOUT, HELLO_TIMEOUT, KEEPALIVE_INTERVAL, KEEPALIVE_MISSES_MAX, Shared, WRITE_TIMEOUT};
use crate::core::{ConnectionId, ConnectionKind, FrameClass, Input, Request};
use crate::metrics::count;
use aside_protocol::frame::{account, anonymous};
use aside_protocol::id::{Binding, Nonce};
use aside_protocol::limit::REQUESTS_IN_FLIGHT_MAX;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Requests that may be unanswered when one is handed on whose answer can be a page: pages are large, and a client that
/// asks for a thousand of them at once waits for its own reading, not for the server's memory.
const IN_FLIGHT_BEFORE_PAGE_MAX: usize = 4;
/// Frames that are written together before the socket is flushed.
const FRAMES_A_FLUSH_MAX: usize = 64;

/// The connection is over; whoever was at fault was told.
struct Over;

/// Serves one WebSocket from its hello to its end.
pub(super) async fn run<IO>(
    mut socket: WebSocketStream<IO>,
    kind: ConnectionKind,
    shared: Arc<Shared>,
    exporter: Vec<u8>,
) where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopping = shared.stopping.clone();
    let binding = tokio::select! {
        hello = tokio::time::timeout(HELLO_TIMEOUT, say_hello(&mut socket, &shared, &exporter)) => match hello {
            Ok(Ok(binding)) => binding,
            _ => return,
        },
        _ = stopping.changed() => return,
    };
    let connection = ConnectionId(shared.next_connection.fetch_add(1, Ordering::Relaxed));
    let (sender, receiver) = queue();
    let connected = ToCore::Connected { connection, kind, binding, queue: sender };
    if shared.to_core.send(connected).await.is_err() {
        return;
    }
    let mut session =
        Session { socket, connection, kind, shared: &shared, receiver, in_flight: 0, held: None, misses: 0 };
    tokio::select! {
        _ = session.exchange() => {}
        _ = stopping.changed() => {}
    }
    let Session { mut socket, .. } = session;
    let _ = shared.to_core.send(ToCore::Input(Input::Disconnected { connection })).await;
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.close(None)).await;
}

/// The first frame of each side (P-2.1).
async fn say_hello<IO>(socket: &mut WebSocketStream<IO>, shared: &Shared, exporter: &[u8]) -> Result<Binding, Over>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let first = loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => break bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err(Over),
        }
    };
    let mut nonce = Nonce([0; 32]);
    getrandom::fill(&mut nonce.0).map_err(|_| Over)?;
    match shared.certificates().identity.answer(&first, shared.binding_kind, nonce, exporter) {
        Ok((binding, hello)) => {
            socket.send(Message::Binary(hello)).await.map_err(|_| Over)?;
            Ok(binding)
        }
        Err(goodbye) => {
            let _ = socket.send(Message::Binary(goodbye)).await;
            let _ = socket.close(None).await;
            Err(Over)
        }
    }
}

struct Session<'a, IO> {
    socket: WebSocketStream<IO>,
    connection: ConnectionId,
    kind: ConnectionKind,
    shared: &'a Shared,
    receiver: QueueReceiver,
    /// Requests whose replies are not written yet.
    in_flight: usize,
    /// A request that waits until fewer are in flight; nothing is read behind it.
    held: Option<Input>,
    /// Pings since the last sign of life.
    misses: u32,
}

impl<IO> Session<'_, IO>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    async fn exchange(&mut self) -> Result<(), Over> {
        let mut keepalive = tokio::time::interval(KEEPALIVE_INTERVAL);
        keepalive.reset();
        loop {
            self.hand_on().await?;
            tokio::select! {
                waiting = self.receiver.recv() => self.write(waiting.ok_or(Over)?).await?,
                message = self.socket.next(), if self.held.is_none() => self.read(message).await?,
                _ = keepalive.tick() => self.ping().await?,
            }
        }
    }

    /// Hands the held request to the core, if it may go.
    async fn hand_on(&mut self) -> Result<(), Over> {
        let may_go = |input: &mut Input| self.in_flight < in_flight_max(input);
        let Some(input) = self.held.take_if(may_go) else { return Ok(()) };
        self.in_flight = self.in_flight.saturating_add(1);
        self.shared.to_core.send(ToCore::Input(input)).await.map_err(|_| Over)
    }

    async fn read(&mut self, message: Option<Result<Message, Error>>) -> Result<(), Over> {
        self.misses = 0;
        let what = match message {
            Some(Ok(Message::Binary(bytes))) => {
                count(&self.shared.metrics.frames_in);
                self.held = Some(Input::decode(self.connection, self.kind, &bytes));
                return Ok(());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Ok(()),
            Some(Ok(Message::Text(_))) => "a text message, where frames are binary".to_owned(),
            Some(Err(Error::Capacity(error))) => error.to_string(),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
        };
        self.held = Some(Input::Malformed { connection: self.connection, what });
        Ok(())
    }

    /// Writes what waits, together.
    async fn write(&mut self, first: Waiting) -> Result<(), Over> {
        let writing = async {
            let mut next = Some(first);
            let mut written = 0_usize;
            while let Some(Waiting { frame, class }) = next {
                if class == FrameClass::Reply {
                    self.in_flight = self.in_flight.saturating_sub(1);
                }
                count(&self.shared.metrics.frames_out);
                self.socket.feed(Message::Binary(frame)).await?;
                written = written.saturating_add(1);
                next = if written < FRAMES_A_FLUSH_MAX { self.receiver.try_recv() } else { None };
            }
            self.socket.flush().await
        };
        match tokio::time::timeout(WRITE_TIMEOUT, writing).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over),
        }
    }

    async fn ping(&mut self) -> Result<(), Over> {
        if self.misses >= KEEPALIVE_MISSES_MAX {
            return Err(Over);
        }
        self.misses = self.misses.saturating_add(1);
        let ping = self.socket.send(Message::Ping(Bytes::new()));
        match tokio::time::timeout(WRITE_TIMEOUT, ping).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over),
        }
    }
}

/// Requests in flight with which this one has to wait.
fn in_flight_max(input: &Input) -> usize {
    match input {
        Input::Request { request, .. } => {
            let is_paged = match request {
                Request::Anonymous(request) => matches!(
                    request,
                    anonymous::Request::Subscribe { .. }
                        | anonymous::Request::FetchKeyPackages { .. }
                        | anonymous::Request::FetchAccount { .. }
                        | anonymous::Request::FindByName { .. }
                        | anonymous::Request::GetBlob { .. }
                ),
                Request::Account(request) => matches!(
                    **request,
                    account::Request::ReadInbox { .. }
                        | account::Request::GetAccount
                        | account::Request::GetBackup { .. }
                ),
            };
            if is_paged { IN_FLIGHT_BEFORE_PAGE_MAX } else { REQUESTS_IN_FLIGHT_MAX }
        }
        _ => usize::MAX,
    }
}

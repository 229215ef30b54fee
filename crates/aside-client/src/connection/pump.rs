//! Moves frames between a socket and the engine, and notices when the other end is gone.

use super::dial::Socket;
use crate::runtime::Message;
use aside_engine::input::{Input, Link};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message as WebSocketMessage};
use tokio_util::sync::CancellationToken;

/// A ping goes out this often: less than what home routers forget a connection after.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Silence, pongs included, after which the connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the farewell may take.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// Frames that go into one write.
const BATCH_FRAMES_MAX: usize = 64;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The server closed it, or the network did.
    ByServer,
    /// Nothing came for [`SILENCE_MAX`].
    Silence,
    /// It carried something that is no frame.
    NotAFrame,
    /// The engine wants it closed.
    ByEngine,
    /// The client stops, or the connection is not wanted any more.
    Stopped,
}

/// Runs until one side ends. Reading and writing go on independently, so that neither can starve the other.
pub async fn pump(
    socket: Socket,
    link: Link,
    engine: &mpsc::Sender<Message>,
    frames: mpsc::Receiver<Vec<u8>>,
    stop: &CancellationToken,
) -> Ended {
    let (mut sink, stream) = socket.split();
    let ended = tokio::select! {
        ended = read(stream, link, engine) => ended,
        ended = write(&mut sink, frames) => ended,
        () = stop.cancelled() => Ended::Stopped,
    };
    // A farewell is a courtesy; the server copes without.
    let _ = tokio::time::timeout(CLOSE_TIME_MAX, sink.close()).await;
    ended
}

async fn read(mut stream: SplitStream<Socket>, link: Link, engine: &mpsc::Sender<Message>) -> Ended {
    loop {
        let bytes = match tokio::time::timeout(SILENCE_MAX, stream.next()).await {
            Err(_) => return Ended::Silence,
            Ok(Some(Ok(WebSocketMessage::Binary(bytes)))) => bytes,
            Ok(Some(Ok(WebSocketMessage::Ping(_) | WebSocketMessage::Pong(_)))) => continue,
            Ok(Some(Ok(WebSocketMessage::Close(_)))) | Ok(None) => return Ended::ByServer,
            Ok(Some(Ok(WebSocketMessage::Text(_) | WebSocketMessage::Frame(_)))) => return Ended::NotAFrame,
            Ok(Some(Err(Error::Capacity(_) | Error::Protocol(_)))) => return Ended::NotAFrame,
            Ok(Some(Err(_))) => return Ended::ByServer,
        };
        let frame = Message::Network(Input::Frame { link, bytes: bytes.into() });
        if engine.send(frame).await.is_err() {
            return Ended::Stopped;
        }
    }
}

async fn write(sink: &mut SplitSink<Socket, WebSocketMessage>, mut frames: mpsc::Receiver<Vec<u8>>) -> Ended {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    let mut batch = Vec::with_capacity(BATCH_FRAMES_MAX);
    loop {
        let sent = tokio::select! {
            count = frames.recv_many(&mut batch, BATCH_FRAMES_MAX) => match count {
                0 => return Ended::ByEngine,
                _ => None,
            },
            _ = ping.tick() => Some(sink.send(WebSocketMessage::Ping(Vec::new().into())).await),
        };
        let sent = match sent {
            Some(sent) => sent,
            None => flush(sink, &mut batch).await,
        };
        if sent.is_err() {
            return Ended::ByServer;
        }
    }
}

async fn flush(sink: &mut SplitSink<Socket, WebSocketMessage>, batch: &mut Vec<Vec<u8>>) -> Result<(), Error> {
    for bytes in batch.drain(..) {
        sink.feed(WebSocketMessage::Binary(bytes.into())).await?;
    }
    sink.flush().await
}

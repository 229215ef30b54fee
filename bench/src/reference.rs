//! The client of `aside-bench-reference`. To the server: 1 user | 2 recipient message. From it: 1 message | 2 count of
//! stored messages. Numbers are big-endian.

use crate::mark;
use crate::network::{Network, Socket};
use crate::peer::{self, Event, Peer};
use anyhow::{Context, Result};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

/// To the server: who speaks.
pub const HELLO: u8 = 1;
/// To the server: a message for somebody.
pub const SEND: u8 = 2;
/// From the server: a message.
pub const DELIVERED: u8 = 1;
/// From the server: how many of this session's messages are stored.
pub const STORED: u8 = 2;

/// The reference server.
#[derive(Clone)]
pub struct Reference {
    /// Where it is.
    pub network: Network,
}

/// Sends to one user.
pub struct Sender {
    sink: SplitSink<Socket, Message>,
    to: u32,
}

/// Receives.
pub struct Receiver(SplitStream<Socket>);

impl Peer for Reference {
    type Sender = Sender;
    type Receiver = Receiver;

    async fn prepare(&self, _: u32) -> Result<()> {
        Ok(())
    }

    async fn session(&self, user: u32) -> Result<(Sender, Receiver)> {
        let (mut sink, stream) = self.network.open("/").await?.split();
        sink.send(Message::binary([&[HELLO][..], &user.to_be_bytes()].concat())).await?;
        Ok((Sender { sink, to: user + 1 }, Receiver(stream)))
    }
}

impl peer::Sender for Sender {
    async fn send(&mut self, messages: Vec<String>) -> Result<()> {
        for message in messages {
            let frame = [&[SEND][..], &self.to.to_be_bytes(), message.as_bytes()].concat();
            self.sink.feed(Message::binary(frame)).await?;
        }
        Ok(self.sink.flush().await?)
    }
}

impl peer::Receiver for Receiver {
    async fn next(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let frame = self.0.next().await.context("closed by the server")??.into_data();
        match frame.split_first() {
            Some((&DELIVERED, message)) => events.extend(mark::find(message).map(Event::Delivered)),
            Some((&STORED, count)) => events.push(Event::Accepted(u64::from_be_bytes(count.try_into()?))),
            _ => {}
        }
        Ok(())
    }
}

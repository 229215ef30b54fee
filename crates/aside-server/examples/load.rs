//! Measures a running server with prepared ciphertexts: pairs of connections, each with a channel of its own, one
//! appending with a window of unanswered requests, the other subscribed.
//!
//! `load INVITE PAIRS BODY_BYTES WINDOW SECONDS` with an invite from `aside-server invite`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs, dead_code)]

#[path = "../tests/it/client.rs"]
mod client;
#[path = "../tests/it/support.rs"]
#[allow(unused_macros, unused_imports)]
mod support;

use aside_protocol::channel::{EntryHeader, Purpose};
use aside_protocol::frame::account::{Answer, Request};
use aside_protocol::frame::anonymous::{self, NewEntry};
use aside_protocol::frame::{ClientFrame, RequestId, ServerFrame, account};
use aside_protocol::id::{AppendId, ChannelId};
use aside_protocol::inbox::ChannelToken;
use aside_protocol::link::{InviteLink, ServerPin};
use client::Client;
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::{Person, epoch_keys, proof};
use tokio_tungstenite::tungstenite::Message;

struct Pair {
    channel: ChannelId,
    sender: Client,
    receiver: Client,
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

async fn pair(pin: &ServerPin, token: ChannelToken) -> Pair {
    let channel = ChannelId(random());
    let mut sender = Client::connect(pin, anonymous::PATH).await;
    let keys = epoch_keys(&channel, 1);
    sender.anonymous(anonymous::Request::CreateChannel { channel, token, epoch: 1, keys }).await.unwrap();
    let proves = proof(&channel, 1, Purpose::Append, &sender.binding);
    sender.anonymous(proves).await.unwrap();
    let mut receiver = Client::connect(pin, anonymous::PATH).await;
    let proves = proof(&channel, 1, Purpose::Read, &receiver.binding);
    receiver.anonymous(proves).await.unwrap();
    receiver.anonymous(anonymous::Request::Subscribe { channel, epoch: 1, after: 0 }).await.unwrap();
    Pair { channel, sender, receiver }
}

#[derive(Default)]
struct Totals {
    acknowledged: AtomicU64,
    delivered: AtomicU64,
    measuring: AtomicBool,
    stop: AtomicBool,
}

async fn send(mut sender: Client, channel: ChannelId, body: usize, window: u32, totals: Arc<Totals>) -> Vec<u32> {
    let expires_day = aside_server::shell::now().day() + 30;
    let body = random::<2048>()[..body].to_vec();
    let (mut next, mut answered) = (0_u32, 0_u32);
    let mut sent_at: HashMap<u32, Instant> = HashMap::new();
    let mut latencies = Vec::new();
    while !totals.stop.load(Ordering::Relaxed) {
        while next - answered < window {
            let header = EntryHeader { epoch: 1, append_id: AppendId(random()), expires_day, next_keys: None };
            let entries = vec![NewEntry { header, body: body.clone() }];
            let request = anonymous::Request::Append { channel, entries };
            let frame = ClientFrame::Request(RequestId(next), request).encode();
            sender.socket.feed(Message::Binary(frame.into())).await.unwrap();
            sent_at.insert(next, Instant::now());
            next += 1;
        }
        sender.socket.flush().await.unwrap();
        let frame = sender.socket.next().await.unwrap().unwrap().into_data();
        let ServerFrame::Answer(RequestId(id), _) = anonymous::FromServer::decode(&frame).unwrap() else { continue };
        answered += 1;
        let began = sent_at.remove(&id).unwrap();
        if totals.measuring.load(Ordering::Relaxed) {
            totals.acknowledged.fetch_add(1, Ordering::Relaxed);
            latencies.push(began.elapsed().as_micros() as u32);
        }
    }
    latencies
}

async fn receive(mut receiver: Client, totals: Arc<Totals>) {
    while let Some(Ok(message)) = receiver.socket.next().await {
        if message.is_binary() && totals.measuring.load(Ordering::Relaxed) {
            totals.delivered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let link: InviteLink = arguments[1].parse().unwrap();
    let number = |index: usize| arguments[index].parse::<usize>().unwrap();
    let (pairs, body, window, seconds) = (number(2), number(3), number(4), number(5));
    let address = link.server.address.to_string();
    let name = format!("load{}", u32::from_be_bytes(random()));
    let mut account = Client::connect(&link.server, account::PATH).await;
    account.register(&Person::new(&name, &address, 1), link.token).await;
    let draw = Request::DrawChannelTokens { count: pairs as u32 };
    let Ok(Answer::ChannelTokens(tokens)) = account.account(draw).await else { panic!() };
    let totals = Arc::new(Totals::default());
    let mut senders = Vec::new();
    for token in tokens {
        let Pair { channel, sender, receiver } = pair(&link.server, token).await;
        tokio::spawn(receive(receiver, Arc::clone(&totals)));
        senders.push((sender, channel));
    }
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|(sender, channel)| tokio::spawn(send(sender, channel, body, window as u32, Arc::clone(&totals))))
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    totals.measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(seconds as u64)).await;
    totals.measuring.store(false, Ordering::Relaxed);
    totals.stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies.sort_unstable();
    let at = |share: f64| f64::from(latencies[(latencies.len() as f64 * share) as usize]) / 1000.0;
    let a_second = |count: &AtomicU64| count.load(Ordering::Relaxed) / seconds as u64;
    println!(
        "{pairs} pairs, {body} B, window {window}: {} acknowledged/s, {} delivered/s, ack p50 {:.1} ms, p99 {:.1} ms",
        a_second(&totals.acknowledged),
        a_second(&totals.delivered),
        at(0.5),
        at(0.99)
    );
}

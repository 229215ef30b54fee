//! `aside-bench-reference`: the machine's limit. A bare relay over TLS and WebSocket that stores each message in SQLite
//! (full sync, group commit) before it says so and delivers; no accounts, no keys, no protocol.

use anyhow::{Context, Result};
use aside_bench::network::{acceptor, socket_config};
use aside_bench::reference::{DELIVERED, HELLO, SEND, STORED};
use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

/// Messages of one transaction.
const BATCH_MAX: usize = 1_024;

#[derive(Parser)]
#[command(about = "The machine's limit: a relay that stores and knows nothing")]
struct Arguments {
    /// Where to listen on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// A certificate chain, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, PEM
    #[arg(long)]
    key: PathBuf,
    /// The database, which is made
    #[arg(long)]
    database: PathBuf,
}

type Outbox = UnboundedSender<Bytes>;
type Users = Arc<Mutex<HashMap<u32, Outbox>>>;

/// A message on its way to the disk.
struct Job {
    to: u32,
    delivery: Bytes,
    sender: Outbox,
    count: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let tls = acceptor(&arguments.certificate, &arguments.key)?;
    let users = Users::default();
    let (jobs, waiting) = mpsc::channel();
    let writer_users = users.clone();
    std::thread::spawn(move || {
        // Without its writer the server could do nothing but lie.
        if let Err(error) = write(&waiting, &writer_users, &arguments.database) {
            eprintln!("the writer ended: {error:#}");
            std::process::exit(1);
        }
    });
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A session that breaks is its client's to report.
        tokio::spawn(serve(stream, tls.clone(), users.clone(), jobs.clone()));
    }
}

/// Takes everything that waits, one transaction, then delivers and acknowledges.
fn write(waiting: &mpsc::Receiver<Job>, users: &Users, path: &Path) -> Result<()> {
    let database = rusqlite::Connection::open(path)?;
    database.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE log (recipient INTEGER, seq INTEGER, body BLOB, PRIMARY KEY (recipient, seq)) WITHOUT ROWID;",
    )?;
    let mut insert = database.prepare("INSERT INTO log VALUES (?1, ?2, ?3)")?;
    let mut ends: HashMap<u32, i64> = HashMap::new();
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Job> = std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1)).collect();
        database.execute_batch("BEGIN IMMEDIATE")?;
        for job in &batch {
            let seq = ends.entry(job.to).or_default();
            *seq += 1;
            insert.execute((job.to, *seq, job.delivery.get(1..).unwrap_or_default()))?;
        }
        database.execute_batch("COMMIT")?;
        let users = users.lock().unwrap_or_else(PoisonError::into_inner);
        for job in batch {
            if let Some(recipient) = users.get(&job.to) {
                recipient.send(job.delivery).ok();
            }
            job.sender.send([&[STORED][..], &job.count.to_be_bytes()].concat().into()).ok();
        }
    }
    Ok(())
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, users: Users, jobs: mpsc::Sender<Job>) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(socket_config())).await?;
    let (sink, mut frames) = socket.split();
    let (outbox, outgoing) = unbounded_channel();
    tokio::spawn(carry(outgoing, sink));
    let mut count = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame?.into_data();
        let (Some(kind), Some(user), Some(body)) = (frame.first(), frame.get(1..5), frame.get(5..)) else { continue };
        let user = u32::from_be_bytes(user.try_into()?);
        match *kind {
            HELLO => {
                users.lock().unwrap_or_else(PoisonError::into_inner).insert(user, outbox.clone());
            }
            SEND => {
                count += 1;
                let delivery = [&[DELIVERED][..], body].concat().into();
                let job = Job { to: user, delivery, sender: outbox.clone(), count };
                jobs.send(job).ok().context("the writer is gone")?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes what waits, as much as possible at once.
async fn carry(
    mut outgoing: UnboundedReceiver<Bytes>,
    mut sink: impl futures_util::Sink<Message, Error = tokio_tungstenite::tungstenite::Error> + Unpin,
) -> Result<()> {
    while let Some(bytes) = outgoing.recv().await {
        sink.feed(Message::Binary(bytes)).await?;
        while let Ok(bytes) = outgoing.try_recv() {
            sink.feed(Message::Binary(bytes)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

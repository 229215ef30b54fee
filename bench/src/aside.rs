//! Aside's server as a peer: channels with keys of this process's own, and prepared bytes where clients have MLS
//! ciphertexts. One account draws the tokens that pay for the channels; the sessions are anonymous connections.

use crate::mark;
use crate::network::{Network, Socket};
use crate::peer::{self, Event, Peer};
use anyhow::{Context, Result, bail};
use aside_protocol::PROTOCOL_VERSION;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::{Body, EntryHeader, EpochKeys, Proof, Purpose};
use aside_protocol::connection::{
    BindingKind, ClientHello, ServerHello, TLS_EXPORTER_BYTES, TLS_EXPORTER_LABEL, binding,
};
use aside_protocol::frame::{RequestId, account, anonymous};
use aside_protocol::id::{AppendId, Binding, ChannelId, DeviceId, Nonce};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::inbox::ChannelToken;
use aside_protocol::key::SigningKey;
use aside_protocol::limit::MESSAGE_DAYS_DEFAULT;
use aside_protocol::link::{InviteLink, ServerPin};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_tungstenite::tungstenite::Message;

/// The epoch that every channel here begins in and stays in.
const EPOCH: u64 = 1;
/// X-Wing's, which nobody will seal anything to.
const INBOX_KEY_BYTES: usize = 1_216;

/// Who gets a message pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Echo {
    /// The other member alone, as with the servers beside it.
    Other,
    /// Both members: clients subscribe on the connection that they append on, and see their own entries come back.
    Both,
}

/// An Aside server.
#[derive(Clone)]
pub struct Aside {
    network: Network,
    invite: Arc<InviteLink>,
    echo: Echo,
    channels: Arc<OnceLock<Vec<Channel>>>,
}

struct Channel {
    id: ChannelId,
    read: SigningKey,
    append: SigningKey,
}

/// Appends to one channel.
pub struct Sender {
    sink: SplitSink<Socket, Message>,
    channel: ChannelId,
    expires_day: u32,
    next_request: u32,
    /// Draws append ids. They have to look random from their first byte on: the server finds them by a prefix.
    ids: SplitMix,
}

/// Hears one connection.
pub struct Receiver {
    stream: SplitStream<Socket>,
    accepted: u64,
    /// Own entries that come back are no deliveries.
    user: u32,
}

impl Aside {
    /// By an unused invite.
    ///
    /// # Errors
    /// The invite's host is no name that TLS can check.
    pub fn new(invite: InviteLink, echo: Echo) -> Result<Self> {
        let network = network(&invite.server)?;
        Ok(Self { network, invite: Arc::new(invite), echo, channels: Arc::default() })
    }

    /// Makes an account, and draws tokens on it.
    async fn draw(&self, count: u32) -> Result<Vec<ChannelToken>> {
        let (mut socket, binding) = dial(&self.network, &self.invite.server, account::PATH).await?;
        let registration = self.registration(&binding)?;
        ask_account(&mut socket, 1, account::Request::Register(registration)).await?;
        match ask_account(&mut socket, 2, account::Request::DrawChannelTokens { count }).await? {
            account::Answer::ChannelTokens(tokens) if tokens.len() == count as usize => Ok(tokens),
            answer => bail!("wanted {count} channel tokens and got {answer:?}"),
        }
    }

    fn registration(&self, binding: &Binding) -> Result<account::Registration> {
        let name = format!("bench-{}", u64::from_be_bytes(random()?)).parse()?;
        let address = AccountAddress { name, server: self.invite.server.address.clone() };
        let (root, account, signer) = (signing_key()?, signing_key()?, signing_key()?);
        let root_key = root.public_key();
        let of = (&address, &root_key);
        let set = KeySet::sign(of, None, account.public_key(), vec![], (KeySetSigner::Root, &root));
        let device = DeviceId(random()?);
        let certificate = DeviceCertificate::issue(of, &account, 0, device, signer.public_key());
        Ok(account::Registration {
            invite: self.invite.token,
            name: address.name.clone(),
            root_key,
            key_sets: vec![set],
            device: DeviceRecord::sign(certificate, vec![7; INBOX_KEY_BYTES], &signer),
            signature: account::sign_in(&signer, binding, &device),
        })
    }
}

impl Peer for Aside {
    type Sender = Sender;
    type Receiver = Receiver;

    async fn prepare(&self, pairs: u32) -> Result<()> {
        let tokens = self.draw(pairs).await?;
        let (mut socket, _) = dial(&self.network, &self.invite.server, anonymous::PATH).await?;
        let mut channels = Vec::with_capacity(tokens.len());
        for (token, number) in tokens.into_iter().zip(1..) {
            let channel = Channel { id: ChannelId(random()?), read: signing_key()?, append: signing_key()? };
            let (commit, call) = (signing_key()?.public_key(), signing_key()?.public_key());
            let keys = EpochKeys { read: channel.read.public_key(), append: channel.append.public_key(), commit, call };
            let request = anonymous::Request::CreateChannel { channel: channel.id, token, epoch: EPOCH, keys };
            ask(&mut socket, number, request).await?;
            channels.push(channel);
        }
        if self.channels.set(channels).is_err() {
            bail!("the channels were prepared before");
        }
        Ok(())
    }

    async fn session(&self, user: u32) -> Result<(Sender, Receiver)> {
        let channels = self.channels.get().context("no channels are prepared")?;
        let pair = user as usize / 2;
        let channel = channels.get(pair % channels.len().max(1)).context("no channels are prepared")?;
        let (mut socket, binding) = dial(&self.network, &self.invite.server, anonymous::PATH).await?;
        let prove = |key, purpose| anonymous::Request::Prove(Proof::sign(key, &binding, channel.id, EPOCH, purpose));
        ask(&mut socket, 1, prove(&channel.append, Purpose::Append)).await?;
        if user % 2 == 1 || self.echo == Echo::Both {
            ask(&mut socket, 2, prove(&channel.read, Purpose::Read)).await?;
            ask(&mut socket, 3, anonymous::Request::Subscribe { channel: channel.id, epoch: EPOCH, after: 0 }).await?;
        }
        let (sink, stream) = socket.split();
        let expires_day = today() + MESSAGE_DAYS_DEFAULT;
        let sender = Sender {
            sink,
            channel: channel.id,
            expires_day,
            next_request: 4,
            ids: SplitMix(u64::from_be_bytes(random()?)),
        };
        Ok((sender, Receiver { stream, accepted: 0, user }))
    }
}

impl peer::Sender for Sender {
    async fn send(&mut self, messages: Vec<String>) -> Result<()> {
        let entries = messages.into_iter().map(|message| self.entry(message)).collect();
        let request = anonymous::Request::Append { channel: self.channel, entries };
        let frame = anonymous::FromClient::Request(RequestId(self.next_request), request);
        self.next_request = self.next_request.wrapping_add(1);
        Ok(self.sink.send(Message::Binary(frame.encode().into())).await?)
    }
}

impl Sender {
    fn entry(&mut self, message: String) -> anonymous::NewEntry {
        let mut id = [0; AppendId::BYTES];
        id.chunks_exact_mut(8).for_each(|half| half.copy_from_slice(&self.ids.next().to_be_bytes()));
        let header =
            EntryHeader { epoch: EPOCH, append_id: AppendId(id), expires_day: self.expires_day, next_keys: None };
        anonymous::NewEntry { header, body: message.into_bytes() }
    }
}

impl peer::Receiver for Receiver {
    async fn next(&mut self, events: &mut Vec<Event>) -> Result<()> {
        let Message::Binary(bytes) = self.stream.next().await.context("closed by the server")?? else {
            return Ok(());
        };
        match anonymous::FromServer::decode(&bytes)? {
            anonymous::FromServer::Push(anonymous::Push::Entry(_, entry)) => {
                if let Body::Present(body) = &entry.body
                    && self.user % 2 == 1
                {
                    events.extend(mark::find(body).map(Event::Delivered));
                }
            }
            anonymous::FromServer::Answer(_, anonymous::Answer::Appended(positions)) => {
                self.accepted += positions.len() as u64;
                events.push(Event::Accepted(self.accepted));
            }
            anonymous::FromServer::Refused(_, refusal) | anonymous::FromServer::Goodbye(refusal) => {
                bail!("refused: {refusal}")
            }
            _ => {}
        }
        Ok(())
    }
}

/// The way to the server of a pin.
///
/// # Errors
/// The host is no name that TLS can check.
pub fn network(pin: &ServerPin) -> Result<Network> {
    Network::pinned(pin.address.host(), pin.address.port(), &pin.identity_key)
}

/// Connects to a path, exchanges hellos, checks the server's, and gives the connection's binding.
///
/// # Errors
/// The connection, or the server is not the one of the pin.
pub async fn dial(network: &Network, pin: &ServerPin, path: &str) -> Result<(Socket, Binding)> {
    let mut socket = network.open(path).await?;
    let exporter =
        socket.get_ref().get_ref().1.export_keying_material([0; TLS_EXPORTER_BYTES], TLS_EXPORTER_LABEL, None)?;
    let nonce = Nonce(random()?);
    let hello = anonymous::FromClient::Hello(ClientHello { version: PROTOCOL_VERSION, nonce });
    socket.send(Message::Binary(hello.encode().into())).await?;
    let hello: ServerHello = match anonymous::FromServer::decode(&next_binary(&mut socket).await?)? {
        anonymous::FromServer::Hello(hello) if hello.binding_kind == BindingKind::TlsExporter => hello,
        other => bail!("instead of a hello over TLS came {other:?}"),
    };
    let bound = binding(hello.binding_kind, &pin.identity_key, &nonce, &hello.nonce, &exporter);
    hello.verify(&pin.identity_key, &bound, today())?;
    Ok((socket, bound))
}

async fn next_binary(socket: &mut Socket) -> Result<bytes::Bytes> {
    loop {
        if let Message::Binary(bytes) = socket.next().await.context("closed by the server")?? {
            return Ok(bytes);
        }
    }
}

async fn ask_account(socket: &mut Socket, number: u32, request: account::Request) -> Result<account::Answer> {
    let frame = account::FromClient::Request(RequestId(number), request);
    socket.send(Message::Binary(frame.encode().into())).await?;
    loop {
        match account::FromServer::decode(&next_binary(socket).await?)? {
            account::FromServer::Answer(RequestId(id), answer) if id == number => return Ok(answer),
            account::FromServer::Refused(_, refusal) | account::FromServer::Goodbye(refusal) => {
                bail!("refused: {refusal}")
            }
            _ => {}
        }
    }
}

async fn ask(socket: &mut Socket, number: u32, request: anonymous::Request) -> Result<()> {
    let frame = anonymous::FromClient::Request(RequestId(number), request);
    socket.send(Message::Binary(frame.encode().into())).await?;
    loop {
        match anonymous::FromServer::decode(&next_binary(socket).await?)? {
            anonymous::FromServer::Answer(RequestId(id), _) if id == number => return Ok(()),
            anonymous::FromServer::Refused(_, refusal) | anonymous::FromServer::Goodbye(refusal) => {
                bail!("refused: {refusal}")
            }
            _ => {}
        }
    }
}

fn signing_key() -> Result<SigningKey> {
    Ok(SigningKey::from_seed(&random()?))
}

/// SplitMix64 (Steele, Lea and Flood, 2014): random enough for ids that guard nothing, without a system call each.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// From the operating system.
fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// Days since 1970-01-01, UTC.
fn today() -> u32 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    u32::try_from(seconds / 86_400).unwrap_or(u32::MAX)
}

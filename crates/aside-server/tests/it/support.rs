//! People, keys and a core that a test can talk to.

use aside_protocol::address::{AccountAddress, AccountName, ServerAddress};
use aside_protocol::channel::{Entry, EntryHeader, EpochKeys, Position, Proof, Purpose};
use aside_protocol::frame::account::{self, Registration, SignIn, sign_in};
use aside_protocol::frame::anonymous::{self, NewEntry};
use aside_protocol::frame::{RequestId, ServerFrame};
use aside_protocol::id::{AppendId, Binding, ChannelId, DeviceId};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::inbox::{ChannelToken, InviteToken};
use aside_protocol::key::SigningKey;
use aside_protocol::refusal::Refusal;
use aside_server::core::{ConnectionId, ConnectionKind, Core, CoreConfig, Input, Now, Output, Request};
use aside_server::store::Store;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;

pub const TODAY: u32 = 20_000;
pub const SERVER: &str = "a.example";

/// What a person's device holds.
pub struct Person {
    pub address: AccountAddress,
    pub root: SigningKey,
    pub account: SigningKey,
    pub device_key: SigningKey,
    pub device: DeviceId,
}

impl Person {
    pub fn new(name: &str, server: &str, seed: u8) -> Self {
        let key = |n: u8| {
            let mut bytes = [seed; 32];
            bytes[0] = n;
            SigningKey::from_seed(&bytes)
        };
        let address = format!("{name}@{server}").parse().unwrap();
        Self { address, root: key(1), account: key(2), device_key: key(3), device: DeviceId([seed; 16]) }
    }

    pub fn name(&self) -> AccountName {
        self.address.name.clone()
    }

    pub fn registration(&self, invite: InviteToken, binding: &Binding) -> Registration {
        let root_key = self.root.public_key();
        let of = (&self.address, &root_key);
        let set = KeySet::sign(of, None, self.account.public_key(), vec![], (KeySetSigner::Root, &self.root));
        let certificate = DeviceCertificate::issue(of, &self.account, 0, self.device, self.device_key.public_key());
        let device = DeviceRecord::sign(certificate, vec![self.device.0[0]; 1216], &self.device_key);
        let signature = sign_in(&self.device_key, binding, &self.device);
        Registration { invite, name: self.name(), root_key, key_sets: vec![set], device, signature }
    }

    pub fn sign_in(&self, binding: &Binding) -> account::Request {
        let signature = sign_in(&self.device_key, binding, &self.device);
        account::Request::SignIn(SignIn { name: self.name(), device: self.device, signature })
    }
}

/// The secret keys of one channel epoch.
pub fn epoch_key(channel: &ChannelId, epoch: u64, purpose: Purpose) -> SigningKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&epoch.to_be_bytes());
    seed[8..30].copy_from_slice(&channel.0[..22]);
    seed[31] = purpose as u8 + 1;
    SigningKey::from_seed(&seed)
}

pub fn epoch_keys(channel: &ChannelId, epoch: u64) -> EpochKeys {
    let key = |purpose| epoch_key(channel, epoch, purpose).public_key();
    EpochKeys {
        read: key(Purpose::Read),
        append: key(Purpose::Append),
        commit: key(Purpose::Commit),
        call: key(Purpose::Call),
    }
}

pub fn proof(channel: &ChannelId, epoch: u64, purpose: Purpose, binding: &Binding) -> anonymous::Request {
    let key = epoch_key(channel, epoch, purpose);
    anonymous::Request::Prove(Proof::sign(&key, binding, *channel, epoch, purpose))
}

pub fn message(epoch: u64, id: u8, body: &[u8]) -> NewEntry {
    let header = EntryHeader { epoch, append_id: AppendId([id; 16]), expires_day: TODAY + 30, next_keys: None };
    NewEntry { header, body: body.to_vec() }
}

pub fn commit(channel: &ChannelId, epoch: u64, id: u8) -> NewEntry {
    let mut entry = message(epoch, id, b"commit");
    entry.header.next_keys = Some(epoch_keys(channel, epoch + 1));
    entry.header.expires_day = TODAY + 180;
    entry
}

/// A frame as a client reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Account(account::FromServer),
    Anonymous(anonymous::FromServer),
    Closed,
}

/// A core, its clock, and what each connection heard and did not look at yet.
pub struct World<S: Store> {
    pub core: Core<S>,
    pub now: Now,
    pub rng: ChaCha20Rng,
    pub heard: BTreeMap<ConnectionId, Vec<Heard>>,
    kinds: BTreeMap<ConnectionId, ConnectionKind>,
    next_connection: u64,
    next_request: u32,
}

pub fn config() -> CoreConfig {
    CoreConfig::new(SERVER.parse::<ServerAddress>().unwrap())
}

pub fn binding(connection: ConnectionId) -> Binding {
    Binding([connection.0 as u8; 32])
}

impl<S: Store> World<S> {
    pub fn new(store: S) -> Self {
        Self {
            core: Core::new(store, config()),
            now: Now { unix_ms: u64::from(TODAY) * 86_400_000 + 1 },
            rng: ChaCha20Rng::from_seed([7; 32]),
            heard: BTreeMap::new(),
            kinds: BTreeMap::new(),
            next_connection: 1,
            next_request: 1,
        }
    }

    pub fn input(&mut self, inputs: Vec<Input>) {
        for output in self.core.handle_batch(self.now, &mut self.rng, inputs) {
            let (connection, heard) = match output {
                Output::Send { connection, frame, .. } => match self.kinds[&connection] {
                    ConnectionKind::Account => {
                        (connection, Heard::Account(account::FromServer::decode(&frame).unwrap()))
                    }
                    ConnectionKind::Anonymous => {
                        (connection, Heard::Anonymous(anonymous::FromServer::decode(&frame).unwrap()))
                    }
                },
                Output::Close { connection, .. } => (connection, Heard::Closed),
            };
            self.heard.entry(connection).or_default().push(heard);
        }
    }

    pub fn tick(&mut self) {
        self.input(vec![Input::Tick]);
    }

    pub fn connect(&mut self, kind: ConnectionKind) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.kinds.insert(connection, kind);
        self.input(vec![Input::Connected { connection, kind, binding: binding(connection) }]);
        connection
    }

    pub fn request(&mut self, connection: ConnectionId, request: Request) -> (RequestId, Input) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        (id, Input::Request { connection, id, request })
    }

    /// Takes what a connection heard.
    pub fn take(&mut self, connection: ConnectionId) -> Vec<Heard> {
        self.heard.remove(&connection).unwrap_or_default()
    }

    pub fn account(&mut self, c: ConnectionId, request: account::Request) -> Result<account::Answer, Refusal> {
        let (id, input) = self.request(c, Request::Account(Box::new(request)));
        self.input(vec![input]);
        let is_reply = |heard: &Heard| match heard {
            Heard::Account(ServerFrame::Answer(of, _) | ServerFrame::Refused(of, _)) => *of == id,
            _ => false,
        };
        let list = self.heard.get_mut(&c).expect("a reply");
        let place = list.iter().position(is_reply).expect("a reply");
        match list.remove(place) {
            Heard::Account(ServerFrame::Answer(_, answer)) => Ok(answer),
            Heard::Account(ServerFrame::Refused(_, refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    pub fn anonymous(&mut self, c: ConnectionId, request: anonymous::Request) -> Result<anonymous::Answer, Refusal> {
        let (id, input) = self.request(c, Request::Anonymous(request));
        self.input(vec![input]);
        let is_reply = |heard: &Heard| match heard {
            Heard::Anonymous(ServerFrame::Answer(of, _) | ServerFrame::Refused(of, _)) => *of == id,
            _ => false,
        };
        let list = self.heard.get_mut(&c).expect("a reply");
        let place = list.iter().position(is_reply).expect("a reply");
        match list.remove(place) {
            Heard::Anonymous(ServerFrame::Answer(_, answer)) => Ok(answer),
            Heard::Anonymous(ServerFrame::Refused(_, refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Puts an invite into the store, as the administrator's command does.
    pub fn invite(&mut self, n: u8) -> InviteToken {
        let token = InviteToken([n; 16]);
        let store = self.core.store();
        store.begin().unwrap();
        store.put_invite(&token.hash(), TODAY + 7).unwrap();
        store.commit().unwrap();
        token
    }

    pub fn register(&mut self, person: &Person, n: u8) -> ConnectionId {
        let invite = self.invite(n);
        let connection = self.connect(ConnectionKind::Account);
        let registration = person.registration(invite, &binding(connection));
        assert_eq!(self.account(connection, account::Request::Register(registration)), Ok(account::Answer::Done));
        connection
    }

    /// A channel token that nobody drew.
    pub fn channel_token(&mut self, n: u8) -> ChannelToken {
        let token = ChannelToken([n; 32]);
        let store = self.core.store();
        store.begin().unwrap();
        store.put_channel_token(&token.hash(), TODAY + 7).unwrap();
        store.commit().unwrap();
        token
    }

    /// A channel in epoch 1.
    pub fn channel(&mut self, c: ConnectionId, n: u8) -> ChannelId {
        let (channel, token) = (ChannelId([n; 32]), self.channel_token(n));
        let keys = epoch_keys(&channel, 1);
        let request = anonymous::Request::CreateChannel { channel, token, epoch: 1, keys };
        assert_eq!(self.anonymous(c, request), Ok(anonymous::Answer::Done));
        channel
    }

    pub fn prove(&mut self, c: ConnectionId, channel: &ChannelId, epoch: u64, purpose: Purpose) {
        let proof = proof(channel, epoch, purpose, &binding(c));
        assert_eq!(self.anonymous(c, proof), Ok(anonymous::Answer::Done));
    }

    /// A connection that proved everything in an epoch.
    pub fn member(&mut self, channel: &ChannelId, epoch: u64) -> ConnectionId {
        let connection = self.connect(ConnectionKind::Anonymous);
        for purpose in [Purpose::Read, Purpose::Append, Purpose::Commit] {
            self.prove(connection, channel, epoch, purpose);
        }
        connection
    }

    pub fn append(
        &mut self,
        c: ConnectionId,
        channel: ChannelId,
        entries: Vec<NewEntry>,
    ) -> Result<Vec<Position>, Refusal> {
        match self.anonymous(c, anonymous::Request::Append { channel, entries })? {
            anonymous::Answer::Appended(positions) => Ok(positions),
            other => panic!("{other:?}"),
        }
    }

    pub fn commit(&mut self, c: ConnectionId, channel: ChannelId, entry: NewEntry) -> Result<Position, Refusal> {
        match self.anonymous(c, anonymous::Request::Commit { channel, entry })? {
            anonymous::Answer::Appended(positions) => Ok(positions[0]),
            other => panic!("{other:?}"),
        }
    }

    pub fn subscribe(
        &mut self,
        c: ConnectionId,
        channel: ChannelId,
        epoch: u64,
        after: u64,
    ) -> Result<(Vec<Entry>, Position, bool), Refusal> {
        match self.anonymous(c, anonymous::Request::Subscribe { channel, epoch, after })? {
            anonymous::Answer::Entries { entries, end, live } => Ok((entries, end, live)),
            other => panic!("{other:?}"),
        }
    }
}

/// The numbers of the entries that were pushed.
pub fn pushed(heard: &[Heard]) -> Vec<u64> {
    let seq = |heard: &Heard| match heard {
        Heard::Anonymous(ServerFrame::Push(anonymous::Push::Entry(_, entry))) => Some(entry.seq),
        _ => None,
    };
    heard.iter().filter_map(seq).collect()
}

/// Runs a claim on both backends.
macro_rules! on_both_stores {
    ($($claim:ident),* $(,)?) => {
        mod volatile_store {
            $(#[test] fn $claim() {
                super::$claim($crate::support::World::new(aside_server::store::volatile::VolatileStore::new()));
            })*
        }
        mod sqlite_store {
            $(#[test] fn $claim() {
                let dir = tempfile::tempdir().unwrap();
                let store = aside_server::store::sqlite::SqliteStore::open(dir.path()).unwrap();
                super::$claim($crate::support::World::new(store));
            })*
        }
    };
}
pub(crate) use on_both_stores;

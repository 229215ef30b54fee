//! What the server decides. Pure: time, randomness and inputs are arguments, outputs are values, memory is a [`Store`].
//!
//! [`Core::handle_batch`] is the group commit: many inputs, one transaction, one sync, and only then the outputs. What
//! the core holds besides the store (connections, proofs, subscriptions, heads of channels) is lost without harm.

mod account;
mod append;
mod backup;
mod blob;
mod channel;
mod connection;
mod device;
mod directory;
mod inbox;
mod report;
mod retention;
mod subscribe;

use crate::store::{ChannelTotals, Store, StoreError};
use aside_protocol::address::ServerAddress;
use aside_protocol::frame::{ClientFrame, RequestId, ServerFrame, account as account_frame, anonymous};
use aside_protocol::id::{Binding, ChannelId, Hash};
use aside_protocol::limit::{BACKUP_BYTES_DEFAULT, CHANNEL_TOKENS_A_DAY, INBOX_ENVELOPES_MAX, MESSAGE_DAYS_MAX};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;
use connection::Connection;
use rand_core::CryptoRng;
use std::collections::{BTreeSet, HashMap};

use crate::store::DeviceKey;
pub use connection::{ConnectionId, ConnectionKind};

/// Inputs that one transaction takes at most.
pub const BATCH_INPUTS_MAX: usize = 512;
/// Heads of channels that are kept in memory.
const HEADS_MAX: usize = 100_000;

/// The time, as the caller knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since 1970-01-01, UTC.
    pub unix_ms: u64,
}

impl Now {
    /// The day since 1970-01-01, UTC: the finest time that is ever stored.
    pub fn day(self) -> u32 {
        u32::try_from(self.unix_ms / 86_400_000).unwrap_or(u32::MAX)
    }
}

/// A request of either kind of connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "anonymous requests are the hot path, and not worth an allocation each")]
pub enum Request {
    /// On the account connection.
    Account(Box<account_frame::Request>),
    /// On the anonymous connection.
    Anonymous(anonymous::Request),
}

/// What happens to the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection finished its hello.
    Connected {
        /// The caller's name for it, never used again after it is closed.
        connection: ConnectionId,
        /// By the path of the WebSocket.
        kind: ConnectionKind,
        /// What proofs and signatures on it are bound to.
        binding: Binding,
    },
    /// A request came.
    Request {
        /// On this connection.
        connection: ConnectionId,
        /// The client's number for it.
        id: RequestId,
        /// What is asked.
        request: Request,
    },
    /// Bytes came that are no request.
    Malformed {
        /// On this connection.
        connection: ConnectionId,
        /// What was wrong, without any of the bytes.
        what: String,
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// About once a second.
    Tick,
}

impl Input {
    /// Decodes one WebSocket message behind the hello. Total: what is no request becomes [`Input::Malformed`].
    pub fn decode(connection: ConnectionId, kind: ConnectionKind, bytes: &[u8]) -> Self {
        let decoded = match kind {
            ConnectionKind::Account => account_frame::FromClient::decode(bytes).map(|frame| match frame {
                ClientFrame::Request(id, request) => Some((id, Request::Account(Box::new(request)))),
                ClientFrame::Hello(_) => None,
            }),
            ConnectionKind::Anonymous => anonymous::FromClient::decode(bytes).map(|frame| match frame {
                ClientFrame::Request(id, request) => Some((id, Request::Anonymous(request))),
                ClientFrame::Hello(_) => None,
            }),
        };
        match decoded {
            Ok(Some((id, request))) => Self::Request { connection, id, request },
            Ok(None) => Self::Malformed { connection, what: "a second hello".to_owned() },
            Err(error) => Self::Malformed { connection, what: error.to_string() },
        }
    }
}

/// What kind of frame is sent; the shell bounds how many of each it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameClass {
    /// The reply to a request.
    Reply,
    /// Unasked.
    Push,
    /// The last words of a connection.
    Goodbye,
}

/// Why the core ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// It sent something that no client of ours sends.
    Malformed,
    /// Its account was suspended.
    Suspended,
    /// Its device was revoked.
    Revoked,
    /// The transaction failed that this connection's state was part of; it connects again and finds what is stored.
    Unavailable,
}

/// What the core wants done. Everything that it says as done is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send one WebSocket message.
    Send {
        /// On this connection.
        connection: ConnectionId,
        /// The message.
        frame: Bytes,
        /// What it is.
        class: FrameClass,
    },
    /// Close a connection, behind what was sent on it before. No [`Input::Disconnected`] is needed for it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
}

/// What an administrator may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreConfig {
    /// The address that completes the names of accounts.
    pub address: ServerAddress,
    /// Channel tokens that an account may draw a day, at most [`CHANNEL_TOKENS_A_DAY`].
    pub channel_tokens_a_day: u32,
    /// Envelopes that wait in one inbox, at most [`INBOX_ENVELOPES_MAX`].
    pub inbox_envelopes_max: usize,
    /// KeyPackages that one delivery token fetches a minute.
    pub fetches_a_minute: u32,
    /// The longest that a message may ask to be kept, in days, at most [`MESSAGE_DAYS_MAX`].
    pub message_days_max: u32,
    /// Bytes of one account's backup.
    pub backup_bytes_max: u64,
}

impl CoreConfig {
    /// The defaults, for a server at `address`.
    pub fn new(address: ServerAddress) -> Self {
        Self {
            address,
            channel_tokens_a_day: CHANNEL_TOKENS_A_DAY,
            inbox_envelopes_max: INBOX_ENVELOPES_MAX,
            fetches_a_minute: 30,
            message_days_max: MESSAGE_DAYS_MAX,
            backup_bytes_max: BACKUP_BYTES_DEFAULT,
        }
    }
}

/// What was done so far, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreCounters {
    /// Requests that were done.
    pub answered: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Entries that were stored.
    pub appended: u64,
    /// Envelopes that were stored.
    pub deposited: u64,
    /// Frames that were pushed.
    pub pushed: u64,
    /// Transactions that were committed.
    pub commits: u64,
    /// Transactions that failed.
    pub commits_failed: u64,
    /// Requests that met a damaged row.
    pub damaged: u64,
    /// Failures of the store's upkeep.
    pub maintenance_failed: u64,
}

/// A fault that the simulator plants.
#[cfg(feature = "planted-defects")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Outputs are released before the transaction is committed.
    AckBeforeSync,
    /// A commit is taken whatever the epoch is.
    NoCompareAndSwap,
}

/// Why a request was not done: refused by a rule, or by the store.
enum Fault {
    Refused(Refusal),
    Store(StoreError),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Time, randomness and outputs of the batch at hand.
struct Batch<'a> {
    now: Now,
    randomness: &'a mut dyn CryptoRng,
    outputs: Vec<Output>,
    /// Connections whose state in memory would be wrong if the transaction failed.
    changed: BTreeSet<ConnectionId>,
}

impl Batch<'_> {
    fn send(&mut self, connection: ConnectionId, frame: Bytes, class: FrameClass) {
        self.outputs.push(Output::Send { connection, frame, class });
    }
}

/// The server's heart. See the module.
pub struct Core<S> {
    store: S,
    config: CoreConfig,
    connections: HashMap<ConnectionId, Connection>,
    /// Where channels stand; forgotten whenever a transaction fails.
    heads: HashMap<ChannelId, channel::Head>,
    /// Who gets a channel's pushes, in the order of subscription.
    subscribers: HashMap<ChannelId, Vec<ConnectionId>>,
    /// Who gets a device's envelopes.
    inboxes: HashMap<DeviceKey, Vec<ConnectionId>>,
    /// KeyPackages that each delivery token fetched in the minute.
    fetches: HashMap<Hash, u32>,
    fetches_minute: u64,
    sweep: retention::Sweep,
    counters: CoreCounters,
    #[cfg(feature = "planted-defects")]
    defect: Option<Defect>,
}

impl<S: Store> Core<S> {
    /// A core over a store, with no connections.
    pub fn new(store: S, config: CoreConfig) -> Self {
        Self {
            store,
            config,
            connections: HashMap::new(),
            heads: HashMap::new(),
            subscribers: HashMap::new(),
            inboxes: HashMap::new(),
            fetches: HashMap::new(),
            fetches_minute: 0,
            sweep: retention::Sweep::default(),
            counters: CoreCounters::default(),
            #[cfg(feature = "planted-defects")]
            defect: None,
        }
    }

    /// Plants a fault.
    #[cfg(feature = "planted-defects")]
    pub fn plant(&mut self, defect: Defect) {
        self.defect = Some(defect);
    }

    /// The store, between batches.
    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// Ends the core, as the end of the process does: what is stored is in the store, and everything else is gone.
    pub fn into_store(self) -> S {
        self.store
    }

    /// How much there is on the channel side, between batches.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn totals(&mut self) -> Result<ChannelTotals, StoreError> {
        self.store.begin()?;
        let totals = self.store.channel_totals();
        self.store.rollback();
        totals
    }

    /// What was done so far.
    pub fn counters(&self) -> CoreCounters {
        self.counters
    }

    /// Handles inputs in order, in one transaction, and returns the outputs when it is synced. If the store fails, every
    /// request among the inputs is answered with [`Refusal::Unavailable`], and nothing of them was done.
    pub fn handle_batch(&mut self, now: Now, randomness: &mut dyn CryptoRng, inputs: Vec<Input>) -> Vec<Output> {
        let asked = asked(&inputs);
        let ticks = inputs.iter().any(|input| matches!(input, Input::Tick));
        let mut batch = Batch { now, randomness, outputs: Vec::with_capacity(inputs.len()), changed: BTreeSet::new() };
        let mut result = self.begin();
        for input in inputs {
            match result {
                Ok(()) => result = self.handle(&mut batch, input),
                Err(_) => self.handle_without_store(&mut batch, input),
            }
        }
        let outputs = match result.and_then(|()| self.commit()) {
            Ok(()) => {
                self.counters.commits = self.counters.commits.saturating_add(1);
                batch.outputs
            }
            Err(_) => self.give_up(batch, asked),
        };
        if ticks && self.store.maintain(now).is_err() {
            self.counters.maintenance_failed = self.counters.maintenance_failed.saturating_add(1);
        }
        outputs
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "planted-defects")]
        if self.defect == Some(Defect::AckBeforeSync) {
            match self.store.begin() {
                // The batch before is still open: its outputs went out long ago.
                Err(StoreError::OutOfTurn) => self.store.commit()?,
                other => return other,
            }
        }
        self.store.begin()
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        #[cfg(feature = "planted-defects")]
        if self.defect == Some(Defect::AckBeforeSync) {
            return Ok(());
        }
        self.store.commit()
    }

    /// After the store failed: forgets what memory derived from the void transaction, and says so to everybody.
    fn give_up(&mut self, batch: Batch<'_>, asked: Vec<(ConnectionId, RequestId)>) -> Vec<Output> {
        self.store.rollback();
        self.heads.clear();
        self.counters.commits_failed = self.counters.commits_failed.saturating_add(1);
        // Last words of connections that end for their own fault stay true. Others end because of what was not stored
        // after all: they hear nothing of it, and connect again.
        let malformed = |output: &Output| match output {
            Output::Close { connection, reason: CloseReason::Malformed } => Some(*connection),
            _ => None,
        };
        let malformed: BTreeSet<ConnectionId> = batch.outputs.iter().filter_map(malformed).collect();
        let ends = |output: Output| match output {
            Output::Close { connection, .. } if !malformed.contains(&connection) => {
                Some(Output::Close { connection, reason: CloseReason::Unavailable })
            }
            Output::Close { .. } => Some(output),
            Output::Send { connection, class: FrameClass::Goodbye, .. } if malformed.contains(&connection) => {
                Some(output)
            }
            Output::Send { .. } => None,
        };
        let mut outputs: Vec<Output> = Vec::new();
        for (connection, id) in asked {
            let frame = connection::refused(id, Refusal::Unavailable);
            outputs.push(Output::Send { connection, frame, class: FrameClass::Reply });
        }
        outputs.extend(batch.outputs.into_iter().filter_map(ends));
        for connection in batch.changed {
            if self.connections.contains_key(&connection) {
                self.disconnect(connection);
                outputs.push(Output::Close { connection, reason: CloseReason::Unavailable });
            }
        }
        outputs
    }

    fn handle(&mut self, batch: &mut Batch<'_>, input: Input) -> Result<(), StoreError> {
        match input {
            Input::Request { connection, id, request } => {
                let changes = self.store.changes();
                let fault = match request {
                    Request::Account(request) => self.handle_account(batch, connection, id, *request),
                    Request::Anonymous(request) => self.handle_anonymous(batch, connection, id, request),
                };
                match fault {
                    Ok(()) => Ok(()),
                    Err(Fault::Refused(refusal)) => {
                        self.refuse(batch, connection, id, refusal);
                        Ok(())
                    }
                    // A row that is not what was stored harms whoever asked for it, and nobody else in the batch.
                    Err(Fault::Store(StoreError::Corrupt)) if self.store.changes() == changes => {
                        self.counters.damaged = self.counters.damaged.saturating_add(1);
                        self.refuse(batch, connection, id, Refusal::Unavailable);
                        Ok(())
                    }
                    Err(Fault::Store(error)) => Err(error),
                }
            }
            Input::Tick => self.tick(batch),
            other => {
                self.handle_without_store(batch, other);
                Ok(())
            }
        }
    }

    /// The inputs that have to be heeded although the transaction failed.
    fn handle_without_store(&mut self, batch: &mut Batch<'_>, input: Input) {
        match input {
            Input::Connected { connection, kind, binding } => {
                self.connections.insert(connection, Connection::new(kind, binding));
            }
            Input::Disconnected { connection } => self.disconnect(connection),
            Input::Malformed { connection, what } => {
                if self.connections.contains_key(&connection) {
                    self.close(batch, connection, Refusal::Malformed { what }, CloseReason::Malformed);
                }
            }
            Input::Request { .. } | Input::Tick => {}
        }
    }

    /// Answers a request with a refusal; a malformed one ends the connection.
    fn refuse(&mut self, batch: &mut Batch<'_>, connection: ConnectionId, id: RequestId, refusal: Refusal) {
        self.counters.refused = self.counters.refused.saturating_add(1);
        let malformed = matches!(refusal, Refusal::Malformed { .. });
        batch.send(connection, connection::refused(id, refusal.clone()), FrameClass::Reply);
        if malformed {
            self.close(batch, connection, refusal, CloseReason::Malformed);
        }
    }

    /// Says goodbye and forgets the connection.
    fn close(&mut self, batch: &mut Batch<'_>, connection: ConnectionId, refusal: Refusal, reason: CloseReason) {
        let frame: anonymous::FromServer = ServerFrame::Goodbye(refusal);
        batch.send(connection, frame.encode().into(), FrameClass::Goodbye);
        batch.outputs.push(Output::Close { connection, reason });
        self.disconnect(connection);
    }
}

/// The requests that are owed a reply, whatever happens.
fn asked(inputs: &[Input]) -> Vec<(ConnectionId, RequestId)> {
    let request = |input: &Input| match input {
        Input::Request { connection, id, .. } => Some((*connection, *id)),
        _ => None,
    };
    inputs.iter().filter_map(request).collect()
}

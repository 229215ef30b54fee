//! The server of the world: the real core over a store that forgets at a crash what was not committed.

use aside_protocol::address::ServerAddress;
use aside_protocol::channel::Entry;
use aside_protocol::id::ChannelId;
use aside_protocol::inbox::InviteToken;
use aside_server::core::{ConnectionId, Core, CoreConfig, Defect, Input, Now, Output};
use aside_server::store::volatile::VolatileStore;
use aside_server::store::{AccountStore, ChannelState, ChannelStore, Page, Store, StoreError};
use rand_chacha::ChaCha8Rng;

pub(crate) struct Server {
    core: Option<Core<VolatileStore>>,
    at_rest: Option<VolatileStore>,
    address: ServerAddress,
    randomness: ChaCha8Rng,
    defect: Option<Defect>,
    next_connection: u64,
}

impl Server {
    pub fn new(address: ServerAddress, randomness: ChaCha8Rng, defect: Option<Defect>) -> Self {
        let mut server =
            Self { core: None, at_rest: Some(VolatileStore::new()), address, randomness, defect, next_connection: 1 };
        server.start();
        server
    }

    pub fn is_running(&self) -> bool {
        self.core.is_some()
    }

    pub fn start(&mut self) {
        if let Some(store) = self.at_rest.take() {
            let mut core = Core::new(store, CoreConfig::new(self.address.clone()));
            if let Some(defect) = self.defect {
                core.plant(defect);
            }
            self.core = Some(core);
        }
    }

    /// The machine stops: what is not committed is gone.
    pub fn crash(&mut self) {
        if let Some(core) = self.core.take() {
            let mut store = core.into_store();
            store.crash();
            self.at_rest = Some(store);
        }
    }

    /// What an administrator does before the world begins.
    pub fn invite(&mut self, token: &InviteToken, day: u32) -> Result<(), String> {
        let Some(core) = &mut self.core else { return Err("the server does not run".into()) };
        let store = core.store();
        let put = store.begin().and_then(|()| store.put_invite(&token.hash(), day.saturating_add(30)));
        put.and_then(|()| store.commit()).map_err(|error| format!("{error:?}"))
    }

    pub fn name_connection(&mut self) -> ConnectionId {
        self.next_connection = self.next_connection.saturating_add(1);
        ConnectionId(self.next_connection)
    }

    /// One batch: one transaction, then its outputs.
    pub fn handle(&mut self, now: Now, inputs: Vec<Input>) -> Vec<Output> {
        match &mut self.core {
            Some(core) => core.handle_batch(now, &mut self.randomness, inputs),
            None => Vec::new(),
        }
    }

    /// A channel with its whole log, as it is stored; absent if this server has no such channel.
    pub fn log(&mut self, channel: &ChannelId) -> Result<Option<(ChannelState, Vec<Entry>)>, String> {
        let Some(core) = &mut self.core else { return Ok(None) };
        let store = core.store();
        // With a planted defect a transaction is open already.
        let is_begun = store.begin().is_ok();
        let mut read = || -> Result<Option<(ChannelState, Vec<Entry>)>, StoreError> {
            let Some(state) = store.find_channel(channel)? else { return Ok(None) };
            let page = Page { items_max: usize::MAX, bytes_max: usize::MAX };
            let entries = store.read_entries(state.number, 0, state.end.seq, page)?;
            Ok(Some((state, entries)))
        };
        let log = read().map_err(|error| format!("{error:?}"));
        if is_begun {
            store.rollback();
        }
        log
    }
}

//! A store in memory, for the simulator and for tests. It forgets at a crash exactly what was not committed, which is
//! what a disk may do; a core that acknowledges too early is caught by it.

mod accounts;
mod backups;
mod channels;

use super::{ChannelNumber, Due, Page, Store, StoreError, StoredBackup, StoredEpoch, Tally};
use crate::core::Now;
use accounts::{AccountRow, DeliveryTokenRow, EnvelopeRow, KeyPackageRow, ReportRow};
use aside_protocol::address::AccountName;
use aside_protocol::blob::BlobId;
use aside_protocol::id::{AppendId, ChannelId, DeliveryId, DeviceId, Hash, ReportId};
use aside_protocol::identity::DeviceRecord;
use backups::Standing as BackupStanding;
use channels::{BlobRow, ChannelRow, EntryRow};
use std::collections::BTreeMap;
use std::ops::RangeBounds;

/// Rows by key, and what it takes to undo the open transaction.
#[derive(Debug)]
struct Table<K, V> {
    rows: BTreeMap<K, V>,
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), undo: Vec::new() }
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    fn range<R: RangeBounds<K>>(&self, range: R) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.rows.range(range)
    }

    fn insert(&mut self, key: K, value: V) {
        let before = self.rows.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.remove(key) {
            self.undo.push((key.clone(), Some(before)));
        }
    }

    /// Removes the first `max` rows that `due` picks, and returns how many they were.
    fn remove_where(&mut self, max: usize, due: impl Fn(&K, &V) -> bool) -> usize {
        let keys: Vec<K> = self.rows.iter().filter(|(k, v)| due(k, v)).map(|(k, _)| k.clone()).take(max).collect();
        keys.iter().for_each(|key| self.remove(key));
        keys.len()
    }

    fn changes(&self) -> u64 {
        self.undo.len() as u64
    }

    fn commit(&mut self) {
        self.undo.clear();
    }

    fn rollback(&mut self) {
        for (key, before) in self.undo.drain(..).rev() {
            match before {
                Some(value) => self.rows.insert(key, value),
                None => self.rows.remove(&key),
            };
        }
    }
}

type DeviceRowKey = (AccountName, DeviceId);

/// See the module.
#[derive(Debug, Default)]
pub struct VolatileStore {
    channels: Table<ChannelId, ChannelRow>,
    numbers: Table<ChannelNumber, ChannelId>,
    epochs: Table<(ChannelNumber, u64), StoredEpoch>,
    entries: Table<(ChannelNumber, u64), EntryRow>,
    appends: Table<(ChannelNumber, AppendId), u64>,
    due: Table<(u32, Due, ChannelNumber), ()>,
    channel_tokens: Table<Hash, u32>,
    blobs: Table<BlobId, BlobRow>,
    accounts: Table<AccountName, AccountRow>,
    devices: Table<DeviceRowKey, DeviceRecord>,
    invites: Table<Hash, u32>,
    delivery_tokens: Table<(AccountName, Hash), DeliveryTokenRow>,
    key_packages: Table<(AccountName, DeviceId, Hash), KeyPackageRow>,
    last_resorts: Table<DeviceRowKey, Vec<u8>>,
    inbox_ends: Table<DeviceRowKey, u64>,
    envelopes: Table<(AccountName, DeviceId, u64), EnvelopeRow>,
    deliveries: Table<(AccountName, DeviceId, DeliveryId), u32>,
    tallies: Table<(AccountName, Tally), (u32, u32)>,
    reports: Table<(AccountName, ReportId), ReportRow>,
    backups: Table<(AccountName, u64), (StoredBackup, BackupStanding)>,
    backup_parts: Table<(AccountName, u64, u32), Vec<u8>>,
    open: bool,
    commits: u64,
    failing: Option<StoreError>,
}

/// Calls a method on every table.
macro_rules! every_table {
    ($store:expr, $method:ident) => {
        every_table!($store, $method,
            channels, numbers, epochs, entries, appends, due, channel_tokens, blobs,
            accounts, devices, invites, delivery_tokens, key_packages, last_resorts, inbox_ends, envelopes, deliveries,
            tallies, reports, backups, backup_parts)
    };
    ($store:expr, $method:ident, $($table:ident),*) => {
        [$($store.$table.$method()),*]
    };
}

impl VolatileStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The machine stops: what was not committed is gone. The store is then what the next start finds.
    pub fn crash(&mut self) {
        every_table!(self, rollback);
        self.open = false;
    }

    /// How many transactions were committed so far.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Makes every commit fail from here on, as a full disk does; `None` ends that.
    pub fn fail_commits(&mut self, with: Option<StoreError>) {
        self.failing = with;
    }

    fn in_transaction(&self) -> Result<(), StoreError> {
        if self.open { Ok(()) } else { Err(StoreError::OutOfTurn) }
    }
}

/// Cuts a run of items to a page.
fn cut<T>(items: impl Iterator<Item = T>, page: Page, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut total = 0_usize;
    let mut kept = Vec::new();
    for item in items.take(page.items_max) {
        total = total.saturating_add(bytes(&item));
        if total > page.bytes_max && !kept.is_empty() {
            break;
        }
        kept.push(item);
    }
    kept
}

impl Store for VolatileStore {
    fn begin(&mut self) -> Result<(), StoreError> {
        if self.open {
            return Err(StoreError::OutOfTurn);
        }
        self.open = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.in_transaction()?;
        if let Some(error) = self.failing {
            return Err(error);
        }
        every_table!(self, commit);
        self.open = false;
        self.commits = self.commits.saturating_add(1);
        Ok(())
    }

    fn rollback(&mut self) {
        every_table!(self, rollback);
        self.open = false;
    }

    fn maintain(&mut self, _: Now) -> Result<(), StoreError> {
        Ok(())
    }

    fn changed_elsewhere(&mut self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn changes(&self) -> u64 {
        every_table!(self, changes).iter().sum()
    }
}

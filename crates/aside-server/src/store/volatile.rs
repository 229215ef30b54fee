//! A store in memory, for the simulator and for tests. It forgets at a crash exactly what was not committed, which is
//! what a disk may do; a core that acknowledges too early is caught by it.

use super::{
    AccountSummary, ChannelNumber, ChannelState, Creation, Deposit, DeviceKey, Due, KnownAppend, Page,
    SPENT_KEY_PACKAGE_DAYS, Standing, Store, StoreError, StoredAccount, StoredEpoch,
};
use crate::core::Now;
use aside_protocol::address::AccountName;
use aside_protocol::channel::{Body, Entry, EpochKeys, Position};
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::{AppendId, ChannelId, DeliveryId, DeviceId, Hash};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::key::PublicKey;
use aside_protocol::limit::{COMMIT_DAYS, ENVELOPE_DAYS};
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

#[derive(Debug, Clone)]
struct ChannelRow {
    number: ChannelNumber,
    /// The end of the log up to which entries are forgotten.
    base: Position,
}

#[derive(Debug, Clone)]
struct EntryRow {
    entry: Entry,
    head: Position,
    day: u32,
}

#[derive(Debug, Clone)]
struct AccountRow {
    account: StoredAccount,
    created_day: u32,
    tokens_drawn: (u32, u32),
}

#[derive(Debug, Clone)]
enum KeyPackageRow {
    Unused(Vec<u8>),
    Spent { day: u32 },
}

#[derive(Debug, Clone)]
struct EnvelopeRow {
    envelope: Vec<u8>,
    day: u32,
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
    accounts: Table<AccountName, AccountRow>,
    devices: Table<DeviceRowKey, DeviceRecord>,
    invites: Table<Hash, u32>,
    delivery_tokens: Table<(AccountName, Hash), Option<u32>>,
    key_packages: Table<(AccountName, DeviceId, Hash), KeyPackageRow>,
    last_resorts: Table<DeviceRowKey, Vec<u8>>,
    inbox_ends: Table<DeviceRowKey, u64>,
    envelopes: Table<(AccountName, DeviceId, u64), EnvelopeRow>,
    deliveries: Table<(AccountName, DeviceId, DeliveryId), u32>,
    open: bool,
    commits: u64,
    failing: Option<StoreError>,
}

/// Calls a method on every table.
macro_rules! every_table {
    ($store:expr, $method:ident) => {
        $store.channels.$method();
        $store.numbers.$method();
        $store.epochs.$method();
        $store.entries.$method();
        $store.appends.$method();
        $store.due.$method();
        $store.channel_tokens.$method();
        $store.accounts.$method();
        $store.devices.$method();
        $store.invites.$method();
        $store.delivery_tokens.$method();
        $store.key_packages.$method();
        $store.last_resorts.$method();
        $store.inbox_ends.$method();
        $store.envelopes.$method();
        $store.deliveries.$method();
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

    fn end(&self, number: ChannelNumber, base: Position) -> Position {
        let last = self.entries.range((number, 0)..=(number, u64::MAX)).next_back();
        last.map_or(base, |(_, row)| row.head)
    }

    /// Expires bodies of one channel.
    fn expire_bodies(&mut self, number: ChannelNumber, today: u32, max: usize) -> usize {
        let due = |row: &EntryRow| row.entry.header.expires_day <= today && matches!(row.entry.body, Body::Present(_));
        let rows = self.entries.range((number, 0)..=(number, u64::MAX)).filter(|(_, row)| due(row)).take(max);
        let rows: Vec<_> = rows.map(|(key, row)| (*key, row.clone())).collect();
        let count = rows.len();
        for (key, mut row) in rows {
            row.entry.body = Body::Expired(row.entry.body.hash());
            self.entries.insert(key, row);
        }
        count
    }

    /// Forgets the oldest entries of one channel.
    fn forget_headers(&mut self, number: ChannelNumber, today: u32, max: usize) -> usize {
        let old = self.entries.range((number, 0)..=(number, u64::MAX)).map(|(key, row)| (*key, row.clone()));
        let old: Vec<_> = old.take_while(|(_, row)| row.day.saturating_add(COMMIT_DAYS) <= today).take(max).collect();
        for (key, row) in &old {
            self.entries.remove(key);
            self.appends.remove(&(number, row.entry.header.append_id));
            if row.entry.header.is_commit() {
                self.epochs.remove(&(number, row.entry.header.epoch));
            }
        }
        if let (Some((_, row)), Some(id)) = (old.last(), self.numbers.get(&number).copied()) {
            self.channels.insert(id, ChannelRow { number, base: row.head });
        }
        old.len()
    }
}

fn package_hash(package: &[u8]) -> Hash {
    Hash(labelled_hash("key package", &[package]))
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

    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError> {
        self.in_transaction()?;
        let Some(ChannelRow { number, base }) = self.channels.get(channel) else { return Ok(None) };
        let epoch = self.epochs.range((*number, 0)..=(*number, u64::MAX)).next_back().map(|((_, epoch), _)| *epoch);
        let epoch = epoch.ok_or(StoreError::Corrupt)?;
        Ok(Some(ChannelState { number: *number, epoch, end: self.end(*number, *base) }))
    }

    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        epoch: u64,
        keys: &EpochKeys,
    ) -> Result<Creation, StoreError> {
        self.in_transaction()?;
        if self.numbers.get(&number).is_some() {
            return Ok(Creation::NumberTaken);
        }
        self.numbers.insert(number, *channel);
        self.channels.insert(*channel, ChannelRow { number, base: start });
        self.epochs.insert((number, epoch), StoredEpoch { keys: *keys, begins_after: start.seq, ended: None });
        Ok(Creation::Created)
    }

    fn find_epoch(&mut self, number: ChannelNumber, epoch: u64) -> Result<Option<StoredEpoch>, StoreError> {
        self.in_transaction()?;
        Ok(self.epochs.get(&(number, epoch)).copied())
    }

    fn find_append(&mut self, number: ChannelNumber, id: &AppendId) -> Result<Option<KnownAppend>, StoreError> {
        self.in_transaction()?;
        let Some(seq) = self.appends.get(&(number, *id)) else { return Ok(None) };
        let row = self.entries.get(&(number, *seq)).ok_or(StoreError::Corrupt)?;
        Ok(Some(KnownAppend { position: row.head, body_hash: row.entry.body.hash() }))
    }

    fn append(&mut self, number: ChannelNumber, entry: &Entry, end: Position, day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.appends.insert((number, entry.header.append_id), entry.seq);
        self.entries.insert((number, entry.seq), EntryRow { entry: entry.clone(), head: end, day });
        Ok(())
    }

    fn end_epoch(
        &mut self,
        number: ChannelNumber,
        epoch: u64,
        commit: Position,
        next: u64,
        next_keys: &EpochKeys,
    ) -> Result<(), StoreError> {
        self.in_transaction()?;
        let ended = *self.epochs.get(&(number, epoch)).ok_or(StoreError::Corrupt)?;
        self.epochs.insert((number, epoch), StoredEpoch { ended: Some(commit), ..ended });
        self.epochs.insert((number, next), StoredEpoch { keys: *next_keys, begins_after: commit.seq, ended: None });
        Ok(())
    }

    fn read_entries(
        &mut self,
        number: ChannelNumber,
        after: u64,
        through: u64,
        page: Page,
    ) -> Result<Vec<Entry>, StoreError> {
        self.in_transaction()?;
        if after >= through {
            return Ok(Vec::new());
        }
        let rows = self.entries.range((number, after.saturating_add(1))..=(number, through));
        let size = |entry: &Entry| match &entry.body {
            Body::Present(bytes) => bytes.len(),
            Body::Expired(_) => Hash::BYTES,
        };
        Ok(cut(rows.map(|(_, row)| row.entry.clone()), page, size))
    }

    fn note_due(&mut self, number: ChannelNumber, day: u32, due: Due) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.due.insert((day, due, number), ());
        Ok(())
    }

    fn sweep_channels(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        self.in_transaction()?;
        let first = self.due.range(..).next().map(|(key, ())| *key);
        let Some(key @ (_, due, number)) = first.filter(|(day, ..)| *day <= today) else {
            return Ok(self.channel_tokens.remove_where(rows_max, |_, expires| *expires <= today));
        };
        let count = match due {
            Due::Bodies => self.expire_bodies(number, today, rows_max),
            Due::Headers => self.forget_headers(number, today, rows_max),
        };
        if count < rows_max {
            self.due.remove(&key);
        }
        Ok(count.max(1))
    }

    fn put_channel_token(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.channel_tokens.insert(*token, expires_day);
        Ok(())
    }

    fn take_channel_token(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let good = self.channel_tokens.get(token).is_some_and(|expires| *expires > today);
        self.channel_tokens.remove(token);
        Ok(good)
    }

    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
        self.in_transaction()?;
        Ok(self.accounts.get(name).map(|row| row.account.clone()))
    }

    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError> {
        self.in_transaction()?;
        let account = StoredAccount { root_key: *root_key, key_sets: key_sets.to_vec(), standing: Standing::Good };
        self.accounts.insert(name.clone(), AccountRow { account, created_day: day, tokens_drawn: (day, 0) });
        self.devices.insert((name.clone(), device.certificate.device), device.clone());
        Ok(())
    }

    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let Some(mut row) = self.accounts.get(name).cloned() else { return Ok(false) };
        row.account.standing = standing;
        self.accounts.insert(name.clone(), row);
        Ok(true)
    }

    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError> {
        self.in_transaction()?;
        let of = |name: &AccountName| (name.clone(), DeviceId([0; 16]))..=(name.clone(), DeviceId([0xff; 16]));
        let summary = |(name, row): (&AccountName, &AccountRow)| AccountSummary {
            name: name.clone(),
            devices: u32::try_from(self.devices.range(of(name)).count()).unwrap_or(u32::MAX),
            created_day: row.created_day,
            standing: row.account.standing,
        };
        Ok(self.accounts.range(..).map(summary).collect())
    }

    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError> {
        self.in_transaction()?;
        let range = (name.clone(), DeviceId([0; 16]))..=(name.clone(), DeviceId([0xff; 16]));
        Ok(self.devices.range(range).map(|(_, record)| record.clone()).collect())
    }

    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError> {
        self.in_transaction()?;
        Ok(self.devices.get(&(device.name.clone(), device.device)).cloned())
    }

    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.invites.insert(*token, expires_day);
        Ok(())
    }

    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        self.in_transaction()?;
        Ok(self.invites.get(token).is_some_and(|expires| *expires > today))
    }

    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.invites.remove(token);
        Ok(())
    }

    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let key = (name.clone(), *token);
        let range = (name.clone(), Hash([0; 32]))..=(name.clone(), Hash([0xff; 32]));
        if self.delivery_tokens.get(&key).is_none() && self.delivery_tokens.range(range).count() >= tokens_max {
            return Ok(false);
        }
        self.delivery_tokens.insert(key, expires_day);
        Ok(true)
    }

    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.delivery_tokens.remove(&(name.clone(), *token));
        Ok(())
    }

    fn has_delivery_token(&mut self, name: &AccountName, token: &Hash, today: u32) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let token = self.delivery_tokens.get(&(name.clone(), *token));
        Ok(token.is_some_and(|expires| expires.is_none_or(|day| day > today)))
    }

    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let key = |package: &[u8]| (device.name.clone(), device.device, package_hash(package));
        let mut fresh: Vec<_> = packages.iter().map(|package| (key(package), package.to_vec())).collect();
        fresh.retain(|(key, _)| self.key_packages.get(key).is_none());
        let count = usize::try_from(self.count_key_packages(device)?).unwrap_or(usize::MAX);
        if count.saturating_add(fresh.len()) > packages_max {
            return Ok(false);
        }
        fresh.into_iter().for_each(|(key, bytes)| self.key_packages.insert(key, KeyPackageRow::Unused(bytes)));
        Ok(true)
    }

    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.last_resorts.insert((device.name.clone(), device.device), package.to_vec());
        Ok(())
    }

    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError> {
        self.in_transaction()?;
        let key = |edge| (device.name.clone(), device.device, Hash([edge; 32]));
        let rows = self.key_packages.range(key(0)..=key(0xff));
        Ok(u32::try_from(rows.filter(|(_, row)| matches!(row, KeyPackageRow::Unused(_))).count()).unwrap_or(u32::MAX))
    }

    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.in_transaction()?;
        let key = |edge| (device.name.clone(), device.device, Hash([edge; 32]));
        let unused = self.key_packages.range(key(0)..=key(0xff)).find_map(|(key, row)| match row {
            KeyPackageRow::Unused(bytes) => Some((key.clone(), bytes.clone())),
            KeyPackageRow::Spent { .. } => None,
        });
        let Some((key, bytes)) = unused else {
            return Ok(self.last_resorts.get(&(device.name.clone(), device.device)).cloned());
        };
        self.key_packages.insert(key, KeyPackageRow::Spent { day: today });
        Ok(Some(bytes))
    }

    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError> {
        self.in_transaction()?;
        let delivery = (device.name.clone(), device.device, *id);
        if self.deliveries.get(&delivery).is_some() {
            return Ok(Deposit::Repeated);
        }
        let key = |seq| (device.name.clone(), device.device, seq);
        if self.envelopes.range(key(0)..=key(u64::MAX)).count() >= envelopes_max {
            return Ok(Deposit::Full);
        }
        let inbox = (device.name.clone(), device.device);
        let seq = self.inbox_ends.get(&inbox).copied().unwrap_or(0).saturating_add(1);
        self.inbox_ends.insert(inbox, seq);
        self.deliveries.insert(delivery, day);
        self.envelopes.insert(key(seq), EnvelopeRow { envelope: envelope.to_vec(), day });
        Ok(Deposit::Stored(seq))
    }

    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError> {
        self.in_transaction()?;
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let key = |seq| (device.name.clone(), device.device, seq);
        let rows = self.envelopes.range(key(first)..=key(u64::MAX));
        let entries = rows.map(|((.., seq), row)| InboxEntry { seq: *seq, envelope: row.envelope.clone() });
        Ok(cut(entries, page, |entry| entry.envelope.len()))
    }

    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError> {
        self.in_transaction()?;
        let key = |seq| (device.name.clone(), device.device, seq);
        let keys: Vec<_> = self.envelopes.range(key(0)..=key(through)).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.envelopes.remove(key));
        Ok(())
    }

    fn channel_tokens_drawn(&mut self, name: &AccountName, today: u32) -> Result<u32, StoreError> {
        self.in_transaction()?;
        let row = self.accounts.get(name).ok_or(StoreError::Corrupt)?;
        Ok(if row.tokens_drawn.0 == today { row.tokens_drawn.1 } else { 0 })
    }

    fn set_channel_tokens_drawn(&mut self, name: &AccountName, today: u32, drawn: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        let mut row = self.accounts.get(name).cloned().ok_or(StoreError::Corrupt)?;
        row.tokens_drawn = (today, drawn);
        self.accounts.insert(name.clone(), row);
        Ok(())
    }

    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        self.in_transaction()?;
        let old = |day: u32, days: u32| day.saturating_add(days) <= today;
        let mut count = self.invites.remove_where(rows_max, |_, expires| *expires <= today);
        let spent =
            |row: &KeyPackageRow| matches!(row, KeyPackageRow::Spent { day } if old(*day, SPENT_KEY_PACKAGE_DAYS));
        let left = |count: usize| rows_max.saturating_sub(count);
        count += self.delivery_tokens.remove_where(left(count), |_, expires| expires.is_some_and(|day| day <= today));
        count += self.key_packages.remove_where(left(count), |_, row| spent(row));
        count += self.envelopes.remove_where(left(count), |_, row| old(row.day, ENVELOPE_DAYS));
        count += self.deliveries.remove_where(left(count), |_, day| old(*day, ENVELOPE_DAYS));
        Ok(count)
    }
}

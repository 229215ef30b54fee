//! The channel side in memory.

use super::{VolatileStore, cut};
use crate::store::{
    CHANNEL_UNUSED_DAYS, ChannelNumber, ChannelState, ChannelStore, ChannelTotals, Creation, Due, KnownAppend, Page,
    StoreError, StoredEpoch,
};
use aside_protocol::blob::BlobId;
use aside_protocol::channel::{Body, Entry, EpochKeys, Position};
use aside_protocol::id::{AppendId, ChannelId, Hash};
use aside_protocol::limit::COMMIT_DAYS;

#[derive(Debug, Clone)]
pub(super) struct ChannelRow {
    number: ChannelNumber,
    /// The end of the log up to which entries are forgotten.
    base: Position,
    used_day: u32,
}

#[derive(Debug, Clone)]
pub(super) struct EntryRow {
    entry: Entry,
    head: Position,
    day: u32,
}

#[derive(Debug, Clone)]
pub(super) struct BlobRow {
    bytes: Vec<u8>,
    expires_day: u32,
}

impl VolatileStore {
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
        let id = self.numbers.get(&number).copied();
        let channel = id.and_then(|id| Some((id, self.channels.get(&id).cloned()?)));
        if let (Some((_, row)), Some((id, channel))) = (old.last(), channel) {
            self.channels.insert(id, ChannelRow { base: row.head, ..channel });
        }
        old.len()
    }

    /// Forgets a channel that is empty and was not used for long.
    fn forget_if_abandoned(&mut self, number: ChannelNumber, today: u32) {
        let Some(id) = self.numbers.get(&number).copied() else { return };
        let is_unused =
            self.channels.get(&id).is_some_and(|row| row.used_day.saturating_add(CHANNEL_UNUSED_DAYS) <= today);
        if !is_unused || self.entries.range((number, 0)..=(number, u64::MAX)).next().is_some() {
            return;
        }
        let epochs: Vec<_> = self.epochs.range((number, 0)..=(number, u64::MAX)).map(|(key, _)| *key).collect();
        epochs.iter().for_each(|key| self.epochs.remove(key));
        self.channels.remove(&id);
        self.numbers.remove(&number);
    }
}

impl ChannelStore for VolatileStore {
    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError> {
        self.in_transaction()?;
        let Some(ChannelRow { number, base, used_day }) = self.channels.get(channel) else { return Ok(None) };
        let epoch = self.epochs.range((*number, 0)..=(*number, u64::MAX)).next_back().map(|((_, epoch), _)| *epoch);
        let epoch = epoch.ok_or(StoreError::Corrupt)?;
        let end = self.end(*number, *base);
        Ok(Some(ChannelState { number: *number, epoch, end, used_day: *used_day }))
    }

    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        (epoch, keys): (u64, &EpochKeys),
        day: u32,
    ) -> Result<Creation, StoreError> {
        self.in_transaction()?;
        if self.numbers.get(&number).is_some() {
            return Ok(Creation::NumberTaken);
        }
        self.numbers.insert(number, *channel);
        self.channels.insert(*channel, ChannelRow { number, base: start, used_day: day });
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
            let blobs = self.blobs.remove_where(rows_max, |_, row| row.expires_day <= today);
            let left = rows_max.saturating_sub(blobs);
            return Ok(blobs.saturating_add(self.channel_tokens.remove_where(left, |_, expires| *expires <= today)));
        };
        let count = match due {
            Due::Bodies => self.expire_bodies(number, today, rows_max),
            Due::Headers => self.forget_headers(number, today, rows_max),
            Due::Channel => 0,
        };
        if count < rows_max {
            self.due.remove(&key);
            self.forget_if_abandoned(number, today);
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

    fn touch_channel(&mut self, number: ChannelNumber, day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        let id = self.numbers.get(&number).copied().ok_or(StoreError::Corrupt)?;
        let row = self.channels.get(&id).cloned().ok_or(StoreError::Corrupt)?;
        self.channels.insert(id, ChannelRow { used_day: day, ..row });
        Ok(())
    }

    fn put_blob(&mut self, blob: &BlobId, bytes: &[u8], expires_day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.blobs.insert(*blob, BlobRow { bytes: bytes.to_vec(), expires_day });
        Ok(())
    }

    fn find_blob(&mut self, blob: &BlobId, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.in_transaction()?;
        let row = self.blobs.get(blob).filter(|row| row.expires_day > today);
        Ok(row.map(|row| row.bytes.clone()))
    }

    fn channel_totals(&mut self) -> Result<ChannelTotals, StoreError> {
        self.in_transaction()?;
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let body = |row: &EntryRow| match &row.entry.body {
            Body::Present(bytes) => bytes.len(),
            Body::Expired(_) => 0,
        };
        Ok(ChannelTotals {
            channels: count(self.channels.range(..).count()),
            entries: count(self.entries.range(..).count()),
            entry_bytes: count(self.entries.range(..).map(|(_, row)| body(row)).sum()),
            blobs: count(self.blobs.range(..).count()),
            blob_bytes: count(self.blobs.range(..).map(|(_, row)| row.bytes.len()).sum()),
        })
    }
}

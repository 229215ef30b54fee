//! The channel side's statements. The hot path is [`find_append`] and [`append`]: one look-up and two insertions.

use super::statement::{all, one, run};
use super::{failure, int};
use crate::store::{
    CHANNEL_UNUSED_DAYS, ChannelNumber, ChannelState, ChannelTotals, Creation, Due, KnownAppend, Page, StoreError,
    StoredEpoch,
};
use aside_protocol::blob::BlobId;
use aside_protocol::channel::{Body, Entry, EntryHeader, EpochKeys, Position, body_hash};
use aside_protocol::codec::{self, labelled_hash};
use aside_protocol::id::{AppendId, ChainHead, ChannelId, Hash};
use aside_protocol::limit::COMMIT_DAYS;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

const KEYS_BYTES_MAX: usize = 256;
/// Blobs that one sweep deletes at most: each is up to 1.5 MiB that is overwritten.
const BLOBS_A_SWEEP_MAX: usize = 8;
const SEQ_BITS: u32 = 32;
const SEQ_MASK: i64 = 0xffff_ffff;

/// The key of an entry's row.
fn entry_id(number: ChannelNumber, seq: u64) -> i64 {
    (i64::from(number.get()) << SEQ_BITS) | (int(seq).min(SEQ_MASK))
}

fn seq_of(id: i64) -> u64 {
    u64::try_from(id & SEQ_MASK).unwrap_or(0)
}

/// A fixed-length column.
fn fixed<const N: usize>(row: &Row<'_>, index: usize) -> rusqlite::Result<[u8; N]> {
    row.get(index)
}

/// The secret under which append ids are indexed.
pub(super) struct AppendKey([u8; 32]);

impl AppendKey {
    pub(super) fn load(c: &Connection) -> Result<Self, StoreError> {
        one(c, "SELECT key FROM append_index", [], |row| fixed(row, 0))?.map(Self).ok_or(StoreError::Corrupt)
    }

    /// Half as long to keep as an id. Whoever chooses ids does not know the key, so that rows rarely share a hash.
    fn hash(&self, id: &AppendId) -> i64 {
        let hash = labelled_hash("append index", &[&self.0, &id.0]);
        let (half, _) = hash.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        i64::from_be_bytes(*half)
    }
}

pub(super) fn find(c: &Connection, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError> {
    let sql = "SELECT number, base_seq, base_head, used_day FROM channels WHERE channel = ?1";
    let row =
        |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?, fixed::<32>(row, 2)?, row.get::<_, u32>(3)?));
    let found = c.prepare_cached(sql).and_then(|mut s| s.query_row([channel.as_bytes()], row).optional());
    let Some((number, base_seq, base_head, used_day)) = found.map_err(failure)? else { return Ok(None) };
    let number = ChannelNumber::from_random(number << 1);
    let sql = "SELECT id, head FROM entries WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1";
    let last = |row: &Row<'_>| Ok(Position { seq: seq_of(row.get(0)?), head: ChainHead(fixed(row, 1)?) });
    let range = [entry_id(number, 0), entry_id(number, u64::MAX)];
    let end = c.prepare_cached(sql).and_then(|mut s| s.query_row(range, last).optional()).map_err(failure)?;
    let end = end.unwrap_or(Position { seq: u64::from(base_seq), head: ChainHead(base_head) });
    let sql = "SELECT max(epoch) FROM epochs WHERE number = ?1";
    let epoch = c.prepare_cached(sql).and_then(|mut s| s.query_row([number.get()], |row| row.get::<_, i64>(0)));
    let epoch = u64::try_from(epoch.map_err(failure)?).map_err(|_| StoreError::Corrupt)?;
    Ok(Some(ChannelState { number, epoch, end, used_day }))
}

pub(super) fn create(
    c: &Connection,
    channel: &ChannelId,
    number: ChannelNumber,
    start: Position,
    (epoch, keys): (u64, &EpochKeys),
    day: u32,
) -> Result<Creation, StoreError> {
    let sql = "SELECT 1 FROM channels WHERE number = ?1";
    if c.prepare_cached(sql).and_then(|mut s| s.exists([number.get()])).map_err(failure)? {
        return Ok(Creation::NumberTaken);
    }
    let sql = "INSERT INTO channels (channel, number, base_seq, base_head, used_day) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(c, sql, params![channel.as_bytes(), number.get(), int(start.seq), start.head.as_bytes(), day])?;
    begin_epoch(c, number, epoch, keys, start.seq)?;
    Ok(Creation::Created)
}

fn begin_epoch(
    c: &Connection,
    number: ChannelNumber,
    epoch: u64,
    keys: &EpochKeys,
    after: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO epochs (number, epoch, keys, begins_after) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![number.get(), int(epoch), codec::encode(keys), int(after)]).map(|_| ())
}

pub(super) fn find_epoch(c: &Connection, number: ChannelNumber, epoch: u64) -> Result<Option<StoredEpoch>, StoreError> {
    let sql = "SELECT keys, begins_after, ended_seq, ended_head FROM epochs WHERE number = ?1 AND epoch = ?2";
    let row = |row: &Row<'_>| {
        let (keys, begins_after): (Vec<u8>, u32) = (row.get(0)?, row.get(1)?);
        let (seq, head): (Option<u32>, Option<[u8; 32]>) = (row.get(2)?, row.get(3)?);
        let ended = seq.zip(head).map(|(seq, head)| Position { seq: u64::from(seq), head: ChainHead(head) });
        Ok((keys, u64::from(begins_after), ended))
    };
    let found = c.prepare_cached(sql).and_then(|mut s| s.query_row(params![number.get(), int(epoch)], row).optional());
    let Some((keys, begins_after, ended)) = found.map_err(failure)? else { return Ok(None) };
    Ok(Some(StoredEpoch { keys: decode_keys(&keys)?, begins_after, ended }))
}

fn decode_keys(bytes: &[u8]) -> Result<EpochKeys, StoreError> {
    codec::decode(bytes, KEYS_BYTES_MAX).map_err(|_| StoreError::Corrupt)
}

pub(super) fn find_append(
    c: &Connection,
    key: &AppendKey,
    number: ChannelNumber,
    id: &AppendId,
) -> Result<Option<KnownAppend>, StoreError> {
    let mut statement = c.prepare_cached("SELECT seq FROM appends WHERE number = ?1 AND hash = ?2").map_err(failure)?;
    let mut rows = statement.query(params![number.get(), key.hash(id)]).map_err(failure)?;
    while let Some(row) = rows.next().map_err(failure)? {
        let seq: u32 = row.get(0).map_err(failure)?;
        if let Some(known) = known_append(c, number, u64::from(seq), id)? {
            return Ok(Some(known));
        }
    }
    Ok(None)
}

/// The entry at `seq`, if the whole of its append id is `id`.
fn known_append(
    c: &Connection,
    number: ChannelNumber,
    seq: u64,
    id: &AppendId,
) -> Result<Option<KnownAppend>, StoreError> {
    let sql = "SELECT head, body_hash, body FROM entries WHERE id = ?1 AND append_id = ?2";
    let row = |row: &Row<'_>| {
        let position = Position { seq, head: ChainHead(fixed(row, 0)?) };
        let body_hash = match row.get_ref(2)? {
            ValueRef::Blob(bytes) => body_hash(bytes),
            _ => Hash(fixed(row, 1)?),
        };
        Ok(KnownAppend { position, body_hash })
    };
    c.prepare_cached(sql)
        .and_then(|mut s| s.query_row(params![entry_id(number, seq), id.as_bytes()], row).optional())
        .map_err(failure)
}

pub(super) fn append(
    c: &Connection,
    key: &AppendKey,
    number: ChannelNumber,
    entry: &Entry,
    end: Position,
    day: u32,
) -> Result<(), StoreError> {
    let header = &entry.header;
    let (body, hash) = match &entry.body {
        Body::Present(bytes) => (Some(bytes.as_slice()), None),
        Body::Expired(hash) => (None, Some(hash.as_bytes())),
    };
    let sql = "INSERT INTO entries (id, day, expires_day, epoch, append_id, head, next_keys, body_hash, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let row = params![
        entry_id(number, entry.seq),
        day,
        header.expires_day,
        int(header.epoch),
        header.append_id.as_bytes(),
        end.head.as_bytes(),
        header.next_keys.as_ref().map(codec::encode),
        hash,
        body
    ];
    run(c, sql, row)?;
    let sql = "INSERT INTO appends (number, hash, seq) VALUES (?1, ?2, ?3)";
    run(c, sql, params![number.get(), key.hash(&header.append_id), int(entry.seq)]).map(|_| ())
}

pub(super) fn end_epoch(
    c: &Connection,
    number: ChannelNumber,
    epoch: u64,
    commit: Position,
    (next, next_keys): (u64, &EpochKeys),
) -> Result<(), StoreError> {
    let sql = "UPDATE epochs SET ended_seq = ?3, ended_head = ?4 WHERE number = ?1 AND epoch = ?2";
    run(c, sql, params![number.get(), int(epoch), int(commit.seq), commit.head.as_bytes()])?;
    begin_epoch(c, number, next, next_keys, commit.seq)
}

pub(super) fn read(
    c: &Connection,
    number: ChannelNumber,
    after: u64,
    through: u64,
    page: Page,
) -> Result<Vec<Entry>, StoreError> {
    if after >= through {
        return Ok(Vec::new());
    }
    let sql = "SELECT id, expires_day, epoch, append_id, next_keys, body_hash, body FROM entries
               WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let range = params![entry_id(number, after), entry_id(number, through), int(page.items_max as u64)];
    let mut rows = statement.query(range).map_err(failure)?;
    let (mut entries, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next().map_err(failure)? {
        let entry = decode_entry(row)?;
        bytes = bytes.saturating_add(match &entry.body {
            Body::Present(body) => body.len(),
            Body::Expired(_) => Hash::BYTES,
        });
        if bytes > page.bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn decode_entry(row: &Row<'_>) -> Result<Entry, StoreError> {
    let next_keys = match row.get_ref(4).map_err(failure)? {
        ValueRef::Null => None,
        ValueRef::Blob(bytes) => Some(decode_keys(bytes)?),
        _ => return Err(StoreError::Corrupt),
    };
    let body = match row.get_ref(6).map_err(failure)? {
        ValueRef::Blob(bytes) => Body::Present(bytes.to_vec()),
        _ => Body::Expired(Hash(fixed(row, 5).map_err(failure)?)),
    };
    let epoch: i64 = row.get(2).map_err(failure)?;
    let header = EntryHeader {
        epoch: u64::try_from(epoch).map_err(|_| StoreError::Corrupt)?,
        append_id: AppendId(fixed(row, 3).map_err(failure)?),
        expires_day: row.get(1).map_err(failure)?,
        next_keys,
    };
    Ok(Entry { seq: seq_of(row.get(0).map_err(failure)?), header, body })
}

fn due_number(due: Due) -> u8 {
    match due {
        Due::Bodies => 0,
        Due::Headers => 1,
        Due::Channel => 2,
    }
}

pub(super) fn note_due(c: &Connection, number: ChannelNumber, day: u32, due: Due) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO due (day, what, number) VALUES (?1, ?2, ?3)";
    run(c, sql, params![day, due_number(due), number.get()]).map(|_| ())
}

/// Does something of what is due. Returns how many things it did, and what the channel side lost by it.
pub(super) fn sweep(
    c: &Connection,
    key: &AppendKey,
    today: u32,
    rows_max: usize,
) -> Result<(usize, ChannelTotals), StoreError> {
    let sql = "SELECT day, what, number FROM due WHERE day <= ?1 ORDER BY day, what, number LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get::<_, u32>(0)?, row.get::<_, u8>(1)?, row.get::<_, u32>(2)?));
    let mut lost = ChannelTotals::default();
    let Some((day, what, number)) = one(c, sql, [today], row)? else {
        return Ok((sweep_blobs_and_tokens(c, today, rows_max, &mut lost)?, lost));
    };
    let number = ChannelNumber::from_random(number << 1);
    let count = match what {
        0 => expire_bodies(c, number, today, rows_max, &mut lost)?,
        1 => forget_headers(c, key, (number, today), rows_max, &mut lost)?,
        _ => 0,
    };
    if count < rows_max {
        run(c, "DELETE FROM due WHERE day = ?1 AND what = ?2 AND number = ?3", params![day, what, number.get()])?;
        forget_if_abandoned(c, number, today, &mut lost)?;
    }
    Ok((count.max(1), lost))
}

fn sweep_blobs_and_tokens(
    c: &Connection,
    today: u32,
    rows_max: usize,
    lost: &mut ChannelTotals,
) -> Result<usize, StoreError> {
    let sql = "SELECT blob, length(bytes) FROM blobs WHERE expires_day <= ?1 LIMIT ?2";
    let row = |row: &Row<'_>| Ok((BlobId(fixed(row, 0)?), row.get::<_, i64>(1)?));
    let max = rows_max.min(BLOBS_A_SWEEP_MAX);
    let over: Vec<(BlobId, i64)> = all(c, sql, params![today, int(max as u64)], row)?;
    for (blob, bytes) in &over {
        run(c, "DELETE FROM blobs WHERE blob = ?1", [blob.as_bytes()])?;
        lost.blobs = lost.blobs.saturating_add(1);
        lost.blob_bytes = lost.blob_bytes.saturating_add(*bytes);
    }
    if !over.is_empty() {
        return Ok(over.len());
    }
    let sql = "DELETE FROM channel_tokens WHERE token IN
               (SELECT token FROM channel_tokens WHERE expires_day <= ?1 LIMIT ?2)";
    run(c, sql, params![today, int(rows_max as u64)])
}

/// Forgets a channel that is empty and was not used for long.
fn forget_if_abandoned(
    c: &Connection,
    number: ChannelNumber,
    today: u32,
    lost: &mut ChannelTotals,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM channels WHERE number = ?1 AND used_day <= ?2
               AND NOT EXISTS (SELECT 1 FROM entries WHERE id BETWEEN ?3 AND ?4)";
    let long_ago = i64::from(today).saturating_sub(i64::from(CHANNEL_UNUSED_DAYS));
    let gone = run(c, sql, params![number.get(), long_ago, entry_id(number, 0), entry_id(number, u64::MAX)])?;
    if gone > 0 {
        run(c, "DELETE FROM epochs WHERE number = ?1", [number.get()])?;
        lost.channels = lost.channels.saturating_add(1);
    }
    Ok(())
}

/// Takes bodies away and leaves their hashes, so that the chain stays whole.
fn expire_bodies(
    c: &Connection,
    number: ChannelNumber,
    today: u32,
    max: usize,
    lost: &mut ChannelTotals,
) -> Result<usize, StoreError> {
    let sql = "SELECT id, body FROM entries
               WHERE id BETWEEN ?1 AND ?2 AND expires_day <= ?3 AND body IS NOT NULL LIMIT ?4";
    let row = |row: &Row<'_>| {
        let body = row.get_ref(1)?.as_blob()?;
        Ok((row.get::<_, i64>(0)?, body_hash(body), int(body.len() as u64)))
    };
    let range = params![entry_id(number, 0), entry_id(number, u64::MAX), today, int(max as u64)];
    let due: Vec<(i64, Hash, i64)> = all(c, sql, range, row)?;
    for (id, hash, bytes) in &due {
        run(c, "UPDATE entries SET body = NULL, body_hash = ?2 WHERE id = ?1", params![id, hash.as_bytes()])?;
        lost.entry_bytes = lost.entry_bytes.saturating_add(*bytes);
    }
    Ok(due.len())
}

/// What [`forget_headers`] has to know of an entry.
struct Forgotten {
    id: i64,
    append_id: AppendId,
    head: ChainHead,
    ended_epoch: Option<i64>,
    body_bytes: i64,
}

/// Forgets the oldest entries, and with commits the keys of the epochs that they ended.
fn forget_headers(
    c: &Connection,
    key: &AppendKey,
    (number, today): (ChannelNumber, u32),
    max: usize,
    lost: &mut ChannelTotals,
) -> Result<usize, StoreError> {
    let old = oldest(c, number, today, max)?;
    for entry in &old {
        run(c, "DELETE FROM entries WHERE id = ?1", [entry.id])?;
        let sql = "DELETE FROM appends WHERE number = ?1 AND hash = ?2 AND seq = ?3";
        run(c, sql, params![number.get(), key.hash(&entry.append_id), entry.id & SEQ_MASK])?;
        lost.entries = lost.entries.saturating_add(1);
        lost.entry_bytes = lost.entry_bytes.saturating_add(entry.body_bytes);
        if let Some(epoch) = entry.ended_epoch {
            run(c, "DELETE FROM epochs WHERE number = ?1 AND epoch = ?2", params![number.get(), epoch])?;
        }
    }
    if let Some(last) = old.last() {
        let sql = "UPDATE channels SET base_seq = ?2, base_head = ?3 WHERE number = ?1";
        run(c, sql, params![number.get(), last.id & SEQ_MASK, last.head.as_bytes()])?;
    }
    Ok(old.len())
}

/// The log's first entries that are old enough. It ends with the first that is not: only a beginning may be forgotten.
fn oldest(c: &Connection, number: ChannelNumber, today: u32, max: usize) -> Result<Vec<Forgotten>, StoreError> {
    let sql = "SELECT id, day, append_id, head, epoch, next_keys IS NOT NULL, coalesce(length(body), 0)
               FROM entries
               WHERE id BETWEEN ?1 AND ?2 ORDER BY id LIMIT ?3";
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let range = params![entry_id(number, 0), entry_id(number, u64::MAX), int(max as u64)];
    let mut rows = statement.query(range).map_err(failure)?;
    let mut old = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        let day: u32 = row.get(1).map_err(failure)?;
        if day.saturating_add(COMMIT_DAYS) > today {
            break;
        }
        let read = || -> rusqlite::Result<Forgotten> {
            let is_commit: bool = row.get(5)?;
            let epoch: i64 = row.get(4)?;
            Ok(Forgotten {
                id: row.get(0)?,
                append_id: AppendId(fixed(row, 2)?),
                head: ChainHead(fixed(row, 3)?),
                ended_epoch: is_commit.then_some(epoch),
                body_bytes: row.get(6)?,
            })
        };
        old.push(read().map_err(failure)?);
    }
    Ok(old)
}

pub(super) fn put_token(c: &Connection, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO channel_tokens (token, expires_day) VALUES (?1, ?2)";
    run(c, sql, params![token.as_bytes(), expires_day]).map(|_| ())
}

pub(super) fn take_token(c: &Connection, token: &Hash, today: u32) -> Result<bool, StoreError> {
    let sql = "DELETE FROM channel_tokens WHERE token = ?1 AND expires_day > ?2";
    run(c, sql, params![token.as_bytes(), today]).map(|rows| rows > 0)
}

pub(super) fn touch(c: &Connection, number: ChannelNumber, day: u32) -> Result<(), StoreError> {
    run(c, "UPDATE channels SET used_day = ?2 WHERE number = ?1", params![number.get(), day]).map(|_| ())
}

/// Returns the bytes of an expired blob of this name that was there.
pub(super) fn put_blob(
    c: &Connection,
    blob: &BlobId,
    bytes: &[u8],
    expires_day: u32,
) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT length(bytes) FROM blobs WHERE blob = ?1";
    let before = one(c, sql, [blob.as_bytes()], |row| row.get(0))?;
    let sql = "INSERT OR REPLACE INTO blobs (blob, expires_day, bytes) VALUES (?1, ?2, ?3)";
    run(c, sql, params![blob.as_bytes(), expires_day, bytes])?;
    Ok(before)
}

pub(super) fn find_blob(c: &Connection, blob: &BlobId, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM blobs WHERE blob = ?1 AND expires_day > ?2";
    one(c, sql, params![blob.as_bytes(), today], |row| row.get(0))
}

pub(super) fn totals(c: &Connection) -> Result<ChannelTotals, StoreError> {
    let sql = "SELECT channels, entries, entry_bytes, blobs, blob_bytes FROM totals";
    let row = |row: &Row<'_>| {
        let (channels, entries, entry_bytes) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(ChannelTotals { channels, entries, entry_bytes, blobs: row.get(3)?, blob_bytes: row.get(4)? })
    };
    one(c, sql, [], row)?.ok_or(StoreError::Corrupt)
}

/// Adds to the totals, once a transaction.
pub(super) fn add_totals(c: &Connection, more: ChannelTotals) -> Result<(), StoreError> {
    let sql = "UPDATE totals SET channels = channels + ?1, entries = entries + ?2, entry_bytes = entry_bytes + ?3,
               blobs = blobs + ?4, blob_bytes = blob_bytes + ?5";
    let ChannelTotals { channels, entries, entry_bytes, blobs, blob_bytes } = more;
    run(c, sql, params![channels, entries, entry_bytes, blobs, blob_bytes]).map(|_| ())
}

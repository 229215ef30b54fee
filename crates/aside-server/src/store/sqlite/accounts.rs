//! The account side's statements.

use super::{failure, int};
use crate::store::{
    AccountSummary, Deposit, DeviceKey, Page, SPENT_KEY_PACKAGE_DAYS, Standing, StoreError, StoredAccount,
};
use aside_protocol::address::AccountName;
use aside_protocol::codec::{self, labelled_hash};
use aside_protocol::id::{DeliveryId, Hash};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::key::PublicKey;
use aside_protocol::limit::{ENVELOPE_DAYS, FRAME_BYTES_MAX};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

fn run<P: Params>(c: &Connection, sql: &str, params: P) -> Result<usize, StoreError> {
    c.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failure)
}

fn one<T, P: Params>(
    c: &Connection,
    sql: &str,
    params: P,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    c.prepare_cached(sql).and_then(|mut statement| statement.query_row(params, row).optional()).map_err(failure)
}

/// Records came in one frame, so that they are no longer than one.
fn decode_record(bytes: &[u8]) -> Result<DeviceRecord, StoreError> {
    codec::decode(bytes, FRAME_BYTES_MAX).map_err(|_| StoreError::Corrupt)
}

fn decode_key_sets(bytes: &[u8]) -> Result<Vec<KeySet>, StoreError> {
    codec::decode(bytes, FRAME_BYTES_MAX).map_err(|_| StoreError::Corrupt)
}

fn standing(suspended: bool) -> Standing {
    if suspended { Standing::Suspended } else { Standing::Good }
}

pub(super) fn find(c: &Connection, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
    let sql = "SELECT root_key, key_sets, suspended FROM accounts WHERE name = ?1";
    let row = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, bool>(2)?));
    let Some((root_key, key_sets, suspended)) = one(c, sql, [name.as_str()], row)? else { return Ok(None) };
    let (root_key, key_sets) = (PublicKey(root_key), decode_key_sets(&key_sets)?);
    Ok(Some(StoredAccount { root_key, key_sets, standing: standing(suspended) }))
}

pub(super) fn create(
    c: &Connection,
    name: &AccountName,
    (root_key, key_sets): (&PublicKey, &[KeySet]),
    device: &DeviceRecord,
    day: u32,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO accounts (name, root_key, key_sets, created_day, suspended, drawn_day, drawn)
               VALUES (?1, ?2, ?3, ?4, FALSE, ?4, 0)";
    let chain = codec::encode(&key_sets.to_vec());
    run(c, sql, params![name.as_str(), root_key.as_bytes(), chain, day])?;
    let sql = "INSERT INTO devices (name, device, record) VALUES (?1, ?2, ?3)";
    run(c, sql, params![name.as_str(), device.certificate.device.as_bytes(), codec::encode(device)]).map(|_| ())
}

pub(super) fn set_standing(c: &Connection, name: &AccountName, to: Standing) -> Result<bool, StoreError> {
    let sql = "UPDATE accounts SET suspended = ?2 WHERE name = ?1";
    run(c, sql, params![name.as_str(), to == Standing::Suspended]).map(|rows| rows > 0)
}

pub(super) fn list(c: &Connection) -> Result<Vec<AccountSummary>, StoreError> {
    let sql = "SELECT name, created_day, suspended, (SELECT count(*) FROM devices d WHERE d.name = a.name)
               FROM accounts a ORDER BY name";
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let mut rows = statement.query([]).map_err(failure)?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        let name: String = row.get(0).map_err(failure)?;
        accounts.push(AccountSummary {
            name: name.parse().map_err(|_| StoreError::Corrupt)?,
            created_day: row.get(1).map_err(failure)?,
            standing: standing(row.get(2).map_err(failure)?),
            devices: row.get(3).map_err(failure)?,
        });
    }
    Ok(accounts)
}

pub(super) fn list_devices(c: &Connection, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError> {
    let sql = "SELECT record FROM devices WHERE name = ?1 ORDER BY device";
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let mut rows = statement.query([name.as_str()]).map_err(failure)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failure)? {
        records.push(decode_record(&row.get::<_, Vec<u8>>(0).map_err(failure)?)?);
    }
    Ok(records)
}

pub(super) fn find_device(c: &Connection, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError> {
    let sql = "SELECT record FROM devices WHERE name = ?1 AND device = ?2";
    let key = params![device.name.as_str(), device.device.as_bytes()];
    let record = one(c, sql, key, |row| row.get::<_, Vec<u8>>(0))?;
    record.map(|bytes| decode_record(&bytes)).transpose()
}

pub(super) fn put_invite(c: &Connection, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO invites (token, expires_day) VALUES (?1, ?2)";
    run(c, sql, params![token.as_bytes(), expires_day]).map(|_| ())
}

pub(super) fn has_invite(c: &Connection, token: &Hash, today: u32) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM invites WHERE token = ?1 AND expires_day > ?2";
    Ok(one(c, sql, params![token.as_bytes(), today], |_| Ok(()))?.is_some())
}

pub(super) fn remove_invite(c: &Connection, token: &Hash) -> Result<(), StoreError> {
    run(c, "DELETE FROM invites WHERE token = ?1", [token.as_bytes()]).map(|_| ())
}

pub(super) fn put_delivery_token(
    c: &Connection,
    name: &AccountName,
    token: &Hash,
    expires_day: Option<u32>,
    tokens_max: usize,
) -> Result<bool, StoreError> {
    let sql = "UPDATE delivery_tokens SET expires_day = ?3 WHERE name = ?1 AND token = ?2";
    if run(c, sql, params![name.as_str(), token.as_bytes(), expires_day])? > 0 {
        return Ok(true);
    }
    let sql = "SELECT count(*) FROM delivery_tokens WHERE name = ?1";
    let count = one(c, sql, [name.as_str()], |row| row.get::<_, i64>(0))?.unwrap_or(0);
    if count >= int(tokens_max as u64) {
        return Ok(false);
    }
    let sql = "INSERT INTO delivery_tokens (name, token, expires_day) VALUES (?1, ?2, ?3)";
    run(c, sql, params![name.as_str(), token.as_bytes(), expires_day]).map(|_| true)
}

pub(super) fn remove_delivery_token(c: &Connection, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
    let sql = "DELETE FROM delivery_tokens WHERE name = ?1 AND token = ?2";
    run(c, sql, params![name.as_str(), token.as_bytes()]).map(|_| ())
}

pub(super) fn has_delivery_token(
    c: &Connection,
    name: &AccountName,
    token: &Hash,
    today: u32,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM delivery_tokens
               WHERE name = ?1 AND token = ?2 AND (expires_day IS NULL OR expires_day > ?3)";
    Ok(one(c, sql, params![name.as_str(), token.as_bytes(), today], |_| Ok(()))?.is_some())
}

fn package_hash(package: &[u8]) -> [u8; 32] {
    labelled_hash("key package", &[package])
}

pub(super) fn add_key_packages(
    c: &Connection,
    device: &DeviceKey,
    packages: &[&[u8]],
    packages_max: usize,
) -> Result<bool, StoreError> {
    let (name, id) = (device.name.as_str(), device.device.as_bytes());
    let mut fresh = Vec::new();
    for package in packages {
        let hash = package_hash(package);
        let sql = "SELECT 1 FROM key_packages WHERE name = ?1 AND device = ?2 AND hash = ?3";
        if one(c, sql, params![name, id, hash], |_| Ok(()))?.is_none() {
            fresh.push((hash, package));
        }
    }
    let count = usize::try_from(count_key_packages(c, device)?).unwrap_or(usize::MAX);
    if count.saturating_add(fresh.len()) > packages_max {
        return Ok(false);
    }
    for (hash, package) in fresh {
        let sql = "INSERT OR IGNORE INTO key_packages (name, device, hash, package) VALUES (?1, ?2, ?3, ?4)";
        run(c, sql, params![name, id, hash, package])?;
    }
    Ok(true)
}

pub(super) fn put_last_resort(c: &Connection, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO last_resorts (name, device, package) VALUES (?1, ?2, ?3)";
    run(c, sql, params![device.name.as_str(), device.device.as_bytes(), package]).map(|_| ())
}

pub(super) fn count_key_packages(c: &Connection, device: &DeviceKey) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) FROM key_packages WHERE name = ?1 AND device = ?2 AND spent_day IS NULL";
    let key = params![device.name.as_str(), device.device.as_bytes()];
    Ok(one(c, sql, key, |row| row.get(0))?.unwrap_or(0))
}

pub(super) fn take_key_package(c: &Connection, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
    let (name, id) = (device.name.as_str(), device.device.as_bytes());
    let sql = "SELECT hash, package FROM key_packages
               WHERE name = ?1 AND device = ?2 AND spent_day IS NULL ORDER BY hash LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?));
    let Some((hash, package)) = one(c, sql, params![name, id], row)? else {
        let sql = "SELECT package FROM last_resorts WHERE name = ?1 AND device = ?2";
        return one(c, sql, params![name, id], |row| row.get(0));
    };
    let sql = "UPDATE key_packages SET package = NULL, spent_day = ?4 WHERE name = ?1 AND device = ?2 AND hash = ?3";
    run(c, sql, params![name, id, hash, today])?;
    Ok(Some(package))
}

pub(super) fn deposit(
    c: &Connection,
    device: &DeviceKey,
    delivery: &DeliveryId,
    (envelope, day): (&[u8], u32),
    envelopes_max: usize,
) -> Result<Deposit, StoreError> {
    let (name, id) = (device.name.as_str(), device.device.as_bytes());
    let sql = "SELECT 1 FROM deliveries WHERE name = ?1 AND device = ?2 AND delivery = ?3";
    if one(c, sql, params![name, id, delivery.as_bytes()], |_| Ok(()))?.is_some() {
        return Ok(Deposit::Repeated);
    }
    let sql = "SELECT count(*) FROM envelopes WHERE name = ?1 AND device = ?2";
    let waiting = one(c, sql, params![name, id], |row| row.get::<_, i64>(0))?.unwrap_or(0);
    if waiting >= int(envelopes_max as u64) {
        return Ok(Deposit::Full);
    }
    let sql = "INSERT INTO inboxes (name, device, last_seq) VALUES (?1, ?2, 1)
               ON CONFLICT DO UPDATE SET last_seq = last_seq + 1 RETURNING last_seq";
    let seq = one(c, sql, params![name, id], |row| row.get::<_, i64>(0))?.ok_or(StoreError::Corrupt)?;
    let sql = "INSERT INTO envelopes (name, device, seq, day, envelope) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(c, sql, params![name, id, seq, day, envelope])?;
    let sql = "INSERT INTO deliveries (name, device, delivery, day) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![name, id, delivery.as_bytes(), day])?;
    Ok(Deposit::Stored(u64::try_from(seq).map_err(|_| StoreError::Corrupt)?))
}

pub(super) fn read_inbox(
    c: &Connection,
    device: &DeviceKey,
    after: u64,
    page: Page,
) -> Result<Vec<InboxEntry>, StoreError> {
    let sql = "SELECT seq, envelope FROM envelopes WHERE name = ?1 AND device = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let range = params![device.name.as_str(), device.device.as_bytes(), int(after), int(page.items_max as u64)];
    let mut rows = statement.query(range).map_err(failure)?;
    let (mut entries, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next().map_err(failure)? {
        let (seq, envelope): (i64, Vec<u8>) = (row.get(0).map_err(failure)?, row.get(1).map_err(failure)?);
        bytes = bytes.saturating_add(envelope.len());
        if bytes > page.bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(InboxEntry { seq: u64::try_from(seq).map_err(|_| StoreError::Corrupt)?, envelope });
    }
    Ok(entries)
}

pub(super) fn acknowledge_inbox(c: &Connection, device: &DeviceKey, through: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM envelopes WHERE name = ?1 AND device = ?2 AND seq <= ?3";
    run(c, sql, params![device.name.as_str(), device.device.as_bytes(), int(through)]).map(|_| ())
}

pub(super) fn channel_tokens_drawn(c: &Connection, name: &AccountName, today: u32) -> Result<u32, StoreError> {
    let sql = "SELECT drawn_day, drawn FROM accounts WHERE name = ?1";
    let row = one(c, sql, [name.as_str()], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, u32>(1)?)))?;
    let (day, drawn) = row.ok_or(StoreError::Corrupt)?;
    Ok(if day == today { drawn } else { 0 })
}

pub(super) fn set_channel_tokens_drawn(
    c: &Connection,
    name: &AccountName,
    today: u32,
    drawn: u32,
) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET drawn_day = ?2, drawn = ?3 WHERE name = ?1";
    run(c, sql, params![name.as_str(), today, drawn]).map(|_| ())
}

/// What is swept, in order, each with the days that it is kept: `?1` is so many days ago, `?2` the most rows.
const SWEEPS: [(&str, u32); 5] = [
    ("DELETE FROM invites WHERE token IN (SELECT token FROM invites WHERE expires_day <= ?1 LIMIT ?2)", 0),
    (
        "DELETE FROM delivery_tokens WHERE (name, token) IN
         (SELECT name, token FROM delivery_tokens WHERE expires_day <= ?1 LIMIT ?2)",
        0,
    ),
    (
        "DELETE FROM key_packages WHERE (name, device, hash) IN
         (SELECT name, device, hash FROM key_packages WHERE spent_day <= ?1 LIMIT ?2)",
        SPENT_KEY_PACKAGE_DAYS,
    ),
    (
        "DELETE FROM envelopes WHERE (name, device, seq) IN
         (SELECT name, device, seq FROM envelopes WHERE day <= ?1 LIMIT ?2)",
        ENVELOPE_DAYS,
    ),
    (
        "DELETE FROM deliveries WHERE (name, device, delivery) IN
         (SELECT name, device, delivery FROM deliveries WHERE day <= ?1 LIMIT ?2)",
        ENVELOPE_DAYS,
    ),
];

pub(super) fn sweep(c: &Connection, today: u32, rows_max: usize) -> Result<usize, StoreError> {
    let mut count = 0_usize;
    for (sql, days) in SWEEPS {
        let left = rows_max.saturating_sub(count);
        count = count.saturating_add(run(c, sql, params![today.saturating_sub(days), int(left as u64)])?);
    }
    Ok(count)
}

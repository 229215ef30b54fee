//! The account side's statements.

use super::statement::{all, one, run};
use super::{failure, int};
use crate::store::{
    AccountSummary, Admission, Deposit, DeviceKey, Page, Quota, SPENT_KEY_PACKAGE_DAYS, Standing, StoreError,
    StoredAccount, Tally,
};
use aside_protocol::address::AccountName;
use aside_protocol::codec::{self, labelled_hash};
use aside_protocol::id::{DeliveryId, Hash, ReportId};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::{DeliveryToken, InboxEntry};
use aside_protocol::key::PublicKey;
use aside_protocol::limit::{ENVELOPE_DAYS, FRAME_BYTES_MAX};
use rusqlite::{Connection, Row, params};

/// How long it is remembered that a report was made, after it was closed, in days.
const CLOSED_REPORT_DAYS: u32 = 90;
/// How [`Tally::ChannelTokens`] stands in the tables.
pub(super) const TALLY_OF_CHANNEL_TOKENS: u8 = 0;

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

fn quota(channels_a_day: Option<u32>, backup_bytes: Option<i64>) -> Quota {
    Quota { channels_a_day, backup_bytes: backup_bytes.and_then(|bytes| u64::try_from(bytes).ok()) }
}

pub(super) fn find(c: &Connection, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
    let sql = "SELECT root_key, key_sets, suspended, channels_a_day, backup_bytes, findable
               FROM accounts WHERE name = ?1";
    let row = |row: &Row<'_>| {
        let (root_key, key_sets): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
        let account = StoredAccount {
            root_key: PublicKey(root_key),
            key_sets: Vec::new(),
            standing: standing(row.get(2)?),
            quota: quota(row.get(3)?, row.get(4)?),
            findable: row.get::<_, Option<[u8; 32]>>(5)?.map(DeliveryToken),
        };
        Ok((account, key_sets))
    };
    let Some((account, key_sets)) = one(c, sql, [name.as_str()], row)? else { return Ok(None) };
    Ok(Some(StoredAccount { key_sets: decode_key_sets(&key_sets)?, ..account }))
}

pub(super) fn create(
    c: &Connection,
    name: &AccountName,
    (root_key, key_sets): (&PublicKey, &[KeySet]),
    device: &DeviceRecord,
    day: u32,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO accounts (name, root_key, key_sets, created_day, seen_day, suspended)
               VALUES (?1, ?2, ?3, ?4, ?4, FALSE)";
    let chain = codec::encode(&key_sets.to_vec());
    run(c, sql, params![name.as_str(), root_key.as_bytes(), chain, day])?;
    add_device(c, name, device)
}

pub(super) fn add_device(c: &Connection, name: &AccountName, device: &DeviceRecord) -> Result<(), StoreError> {
    let sql = "INSERT INTO devices (name, device, record) VALUES (?1, ?2, ?3)";
    run(c, sql, params![name.as_str(), device.certificate.device.as_bytes(), codec::encode(device)]).map(|_| ())
}

/// Every table that holds something of one device, apart from KeyPackages.
const OF_A_DEVICE: [&str; 4] = [
    "DELETE FROM devices WHERE name = ?1 AND device = ?2",
    "DELETE FROM inboxes WHERE name = ?1 AND device = ?2",
    "DELETE FROM envelopes WHERE name = ?1 AND device = ?2",
    "DELETE FROM deliveries WHERE name = ?1 AND device = ?2",
];

pub(super) fn replace_key_sets(
    c: &Connection,
    name: &AccountName,
    key_sets: &[KeySet],
    devices: &[DeviceRecord],
) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET key_sets = ?2 WHERE name = ?1";
    run(c, sql, params![name.as_str(), codec::encode(&key_sets.to_vec())])?;
    for before in list_devices(c, name)? {
        let device = before.certificate.device;
        match devices.iter().find(|record| record.certificate.device == device) {
            Some(record) => {
                let sql = "UPDATE devices SET record = ?3 WHERE name = ?1 AND device = ?2";
                run(c, sql, params![name.as_str(), device.as_bytes(), codec::encode(record)])?;
            }
            None => {
                for sql in OF_A_DEVICE {
                    run(c, sql, params![name.as_str(), device.as_bytes()])?;
                }
            }
        }
    }
    run(c, "DELETE FROM key_packages WHERE name = ?1", [name.as_str()])?;
    run(c, "DELETE FROM last_resorts WHERE name = ?1", [name.as_str()]).map(|_| ())
}

pub(super) fn set_standing(c: &Connection, name: &AccountName, to: Standing) -> Result<bool, StoreError> {
    let sql = "UPDATE accounts SET suspended = ?2 WHERE name = ?1";
    run(c, sql, params![name.as_str(), to == Standing::Suspended]).map(|rows| rows > 0)
}

pub(super) fn set_quota(c: &Connection, name: &AccountName, to: Quota) -> Result<bool, StoreError> {
    let sql = "UPDATE accounts SET channels_a_day = ?2, backup_bytes = ?3 WHERE name = ?1";
    run(c, sql, params![name.as_str(), to.channels_a_day, to.backup_bytes.map(int)]).map(|rows| rows > 0)
}

pub(super) fn note_seen(c: &Connection, name: &AccountName, day: u32) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET seen_day = ?2 WHERE name = ?1 AND seen_day <> ?2";
    run(c, sql, params![name.as_str(), day]).map(|_| ())
}

pub(super) fn list(c: &Connection) -> Result<Vec<AccountSummary>, StoreError> {
    let sql = "SELECT name, created_day, seen_day, suspended, channels_a_day, backup_bytes,
               (SELECT count(*) FROM devices d WHERE d.name = a.name),
               (SELECT coalesce(sum(length(envelope)), 0) FROM envelopes e WHERE e.name = a.name)
               FROM accounts a ORDER BY name";
    let row = |row: &Row<'_>| {
        let name: String = row.get(0)?;
        Ok(AccountSummary {
            name: name.parse().map_err(|_| rusqlite::Error::InvalidQuery)?,
            created_day: row.get(1)?,
            seen_day: row.get(2)?,
            standing: standing(row.get(3)?),
            quota: quota(row.get(4)?, row.get(5)?),
            devices: row.get(6)?,
            envelope_bytes: u64::try_from(row.get::<_, i64>(7)?).unwrap_or(0),
        })
    };
    all(c, sql, [], row)
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
    let sql = "INSERT INTO delivery_tokens (name, token, expires_day, found) VALUES (?1, ?2, ?3, FALSE)";
    run(c, sql, params![name.as_str(), token.as_bytes(), expires_day]).map(|_| true)
}

pub(super) fn remove_delivery_token(c: &Connection, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
    let sql = "DELETE FROM delivery_tokens WHERE name = ?1 AND token = ?2";
    run(c, sql, params![name.as_str(), token.as_bytes()]).map(|_| ())
}

pub(super) fn find_delivery_token(
    c: &Connection,
    name: &AccountName,
    token: &Hash,
    today: u32,
) -> Result<Option<(Admission, Standing)>, StoreError> {
    let sql = "SELECT t.found, a.suspended FROM delivery_tokens t JOIN accounts a ON a.name = t.name
               WHERE t.name = ?1 AND t.token = ?2 AND (t.expires_day IS NULL OR t.expires_day > ?3)";
    let row = |row: &Row<'_>| {
        let admission = if row.get(0)? { Admission::Found } else { Admission::Given };
        Ok((admission, standing(row.get(1)?)))
    };
    one(c, sql, params![name.as_str(), token.as_bytes(), today], row)
}

pub(super) fn set_findable(
    c: &Connection,
    name: &AccountName,
    token: Option<&DeliveryToken>,
) -> Result<(), StoreError> {
    let sql = "UPDATE accounts SET findable = ?2 WHERE name = ?1";
    run(c, sql, params![name.as_str(), token.map(DeliveryToken::as_bytes)])?;
    run(c, "DELETE FROM delivery_tokens WHERE name = ?1 AND found", [name.as_str()])?;
    let Some(token) = token else { return Ok(()) };
    let sql = "INSERT OR REPLACE INTO delivery_tokens (name, token, found) VALUES (?1, ?2, TRUE)";
    run(c, sql, params![name.as_str(), token.hash().as_bytes()]).map(|_| ())
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

pub(super) fn drop_key_packages(c: &Connection, device: &DeviceKey) -> Result<(), StoreError> {
    let sql = "DELETE FROM key_packages WHERE name = ?1 AND device = ?2 AND spent_day IS NULL";
    run(c, sql, params![device.name.as_str(), device.device.as_bytes()]).map(|_| ())
}

pub(super) fn put_last_resort(c: &Connection, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO last_resorts (name, device, package) VALUES (?1, ?2, ?3)";
    run(c, sql, params![device.name.as_str(), device.device.as_bytes(), package]).map(|_| ())
}

pub(super) fn find_last_resort(c: &Connection, device: &DeviceKey) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT package FROM last_resorts WHERE name = ?1 AND device = ?2";
    one(c, sql, params![device.name.as_str(), device.device.as_bytes()], |row| row.get(0))
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
        return find_last_resort(c, device);
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

fn tally_number(what: Tally) -> u8 {
    match what {
        Tally::ChannelTokens => TALLY_OF_CHANNEL_TOKENS,
        Tally::Reports => 1,
        Tally::Finds => 2,
        Tally::FoundEnvelopes => 3,
    }
}

pub(super) fn tally(c: &Connection, name: &AccountName, what: Tally, today: u32) -> Result<u32, StoreError> {
    let sql = "SELECT count FROM tallies WHERE name = ?1 AND what = ?2 AND day = ?3";
    Ok(one(c, sql, params![name.as_str(), tally_number(what), today], |row| row.get(0))?.unwrap_or(0))
}

pub(super) fn set_tally(
    c: &Connection,
    name: &AccountName,
    what: Tally,
    today: u32,
    count: u32,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO tallies (name, what, day, count) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![name.as_str(), tally_number(what), today, count]).map(|_| ())
}

pub(super) fn put_report(
    c: &Connection,
    name: &AccountName,
    id: &ReportId,
    report: &[u8],
    day: u32,
) -> Result<bool, StoreError> {
    let sql = "INSERT OR IGNORE INTO reports (reporter, id, day, report) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![name.as_str(), id.as_bytes(), day, report]).map(|rows| rows > 0)
}

/// What is swept, in order, each with the days that it is kept: `?1` is so many days ago, `?2` the most rows.
const SWEEPS: [(&str, u32); 6] = [
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
    (
        "DELETE FROM reports WHERE (reporter, id) IN
         (SELECT reporter, id FROM reports WHERE report IS NULL AND day <= ?1 LIMIT ?2)",
        CLOSED_REPORT_DAYS,
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

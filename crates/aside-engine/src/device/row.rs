//! The table of this account's devices, this one among them.

use crate::context::{Context, stored, to_store};
use crate::error::EngineError;
use crate::input::Change;
use aside_protocol::id::DeviceId;
use aside_protocol::identity::DeviceRecord;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// The longest name of a device, in characters.
pub(crate) const NAME_CHARS_MAX: usize = 64;

/// When a device was added that a restore found at the server, until it tells of itself.
pub(crate) const BEFORE_THIS_ONE: i64 = 0;

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub id: DeviceId,
    pub record: DeviceRecord,
    pub name: String,
    pub added_ms: i64,
    pub revoked_ms: Option<i64>,
    /// The oldest message that it is given when it is added to a conversation; absent: none.
    pub history_from_ms: Option<i64>,
    /// The device that linked it, and gives it the history; absent: not known, or it made the account.
    pub linked_by: Option<DeviceId>,
}

type Columns = ([u8; 16], Vec<u8>, String, i64, Option<i64>, Option<i64>, Option<[u8; 16]>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn parse((id, record, name, added_ms, revoked_ms, history_from_ms, linked_by): Columns) -> Result<Device, EngineError> {
    let record = stored(&record, "device record")?;
    let linked_by = linked_by.map(DeviceId);
    Ok(Device { id: DeviceId(id), record, name, added_ms, revoked_ms, history_from_ms, linked_by })
}

/// The name of a device of which the one that linked it has not told yet.
pub(crate) const UNNAMED: &str = "A new device";

const SELECT: &str = "SELECT device, record, name, added_ms, revoked_ms, history_from_ms, linked_by FROM devices";

/// All, the oldest first; revoked ones as well.
pub(crate) fn all(db: &Connection) -> Result<Vec<Device>, EngineError> {
    let mut statement = db.prepare_cached(&format!("{SELECT} ORDER BY added_ms, device"))?;
    let rows = statement.query_map([], columns)?;
    rows.map(|row| parse(row?)).collect()
}

/// Those that are not revoked.
pub(crate) fn standing(db: &Connection) -> Result<Vec<Device>, EngineError> {
    Ok(all(db)?.into_iter().filter(|device| device.revoked_ms.is_none()).collect())
}

/// Whether this device is the oldest of those that are not revoked: what one of them has to do for all, it does.
pub(crate) fn is_oldest(db: &Connection, own: Option<DeviceId>) -> Result<bool, EngineError> {
    Ok(standing(db)?.first().map(|device| device.id) == own)
}

/// Whether devices that a restore found at the server have not told of themselves yet.
pub(crate) fn waits_for_kept(db: &Connection) -> Result<bool, EngineError> {
    Ok(standing(db)?.iter().any(|device| device.added_ms == BEFORE_THIS_ONE))
}

/// Whether one of the account's devices is known to be revoked.
pub(crate) fn is_revoked(db: &Connection, id: &DeviceId) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached("SELECT 1 FROM devices WHERE device = ? AND revoked_ms IS NOT NULL")?;
    Ok(statement.exists(params![id.0])?)
}

/// One.
pub(crate) fn find(db: &Connection, id: &DeviceId) -> Result<Option<Device>, EngineError> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE device = ?"))?;
    statement.query_row(params![id.0], columns).optional()?.map(parse).transpose()
}

/// Writes one down, or changes the one that is there.
pub(crate) fn put(context: &mut Context<'_>, device: &Device) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO devices (device, record, name, added_ms, revoked_ms, history_from_ms, linked_by)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (device) DO UPDATE SET record = excluded.record, name = excluded.name,
             added_ms = excluded.added_ms, revoked_ms = excluded.revoked_ms, history_from_ms = excluded.history_from_ms,
             linked_by = excluded.linked_by",
        )?
        .execute(params![
            device.id.0,
            to_store(&device.record),
            device.name,
            device.added_ms,
            device.revoked_ms,
            device.history_from_ms,
            device.linked_by.map(|id| id.0)
        ])?;
    context.changed(Change::Devices);
    Ok(())
}

/// Takes one out that never became a device.
pub(crate) fn forget(context: &mut Context<'_>, id: &DeviceId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM devices WHERE device = ?")?.execute(params![id.0])?;
    context.changed(Change::Devices);
    Ok(())
}

/// A device's name as a person may give it: trimmed, not empty, not too long.
pub(crate) fn check_name(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty() && name.chars().count() <= NAME_CHARS_MAX).then_some(name)
}

/// Reads what [`to_hex`] wrote.
pub(crate) fn from_hex(text: &str) -> Option<DeviceId> {
    let padded = format!("{text:0>64}");
    let bytes = crate::id::from_hex(&padded).filter(|_| text.len() == 32)?;
    bytes.last_chunk::<16>().copied().map(DeviceId)
}

/// A device's id as calls name it: 32 hexadecimal digits.
pub(crate) fn to_hex(id: &DeviceId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

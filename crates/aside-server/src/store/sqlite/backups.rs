//! The statements about backups.

use super::int;
use super::statement::{all, one, run};
use crate::store::{BACKUP_PARTS_A_SWEEP_MAX, BackupState, StoreError, StoredBackup};
use aside_protocol::address::AccountName;
use aside_protocol::limit::BACKUP_UNFINISHED_DAYS;
use rusqlite::{Connection, Row, params};

const UNFINISHED: u8 = 0;
const WHOLE: u8 = 1;
const GIVEN_UP: u8 = 2;

fn number(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(index)?).unwrap_or(0))
}

pub(super) fn state(c: &Connection, name: &AccountName) -> Result<BackupState, StoreError> {
    let sql = "SELECT generation, parts, stored, bytes, standing FROM backups WHERE name = ?1 AND standing < ?2";
    let row = |row: &Row<'_>| {
        let (parts, stored) = (row.get(1)?, row.get(2)?);
        let backup = StoredBackup { generation: number(row, 0)?, parts, stored, bytes: number(row, 3)? };
        Ok((backup, row.get::<_, u8>(4)?))
    };
    let mut state = BackupState::default();
    for (backup, standing) in all(c, sql, params![name.as_str(), GIVEN_UP], row)? {
        match standing {
            WHOLE => state.whole = Some(backup),
            _ => state.unfinished = Some(backup),
        }
    }
    Ok(state)
}

pub(super) fn find_part(
    c: &Connection,
    name: &AccountName,
    generation: u64,
    part: u32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT bytes FROM backup_parts WHERE name = ?1 AND generation = ?2 AND part = ?3";
    one(c, sql, params![name.as_str(), int(generation), part], |row| row.get(0))
}

pub(super) fn put_part(
    c: &Connection,
    name: &AccountName,
    after: StoredBackup,
    bytes: &[u8],
    day: u32,
) -> Result<(), StoreError> {
    let (name, generation) = (name.as_str(), int(after.generation));
    if after.stored == 0 {
        run(c, "DELETE FROM backup_parts WHERE name = ?1 AND generation = ?2", params![name, generation])?;
    }
    let sql = "INSERT INTO backup_parts (name, generation, part, bytes) VALUES (?1, ?2, ?3, ?4)";
    run(c, sql, params![name, generation, after.stored, bytes])?;
    let stored = after.stored.saturating_add(1);
    let total = after.bytes.saturating_add(bytes.len() as u64);
    // A backup that is whole takes the place of every other, one that is not only of those that wait.
    let standing = if stored >= after.parts { WHOLE } else { UNFINISHED };
    let sql = "UPDATE backups SET standing = ?3 WHERE name = ?1 AND generation <> ?2 AND standing <= ?4";
    run(c, sql, params![name, generation, GIVEN_UP, standing])?;
    let sql = "INSERT OR REPLACE INTO backups (name, generation, parts, stored, bytes, day, standing)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    run(c, sql, params![name, generation, after.parts, stored, int(total), day, standing]).map(|_| ())
}

pub(super) fn sweep(c: &Connection, today: u32) -> Result<usize, StoreError> {
    let sql = "UPDATE backups SET standing = ?3 WHERE standing = ?2 AND day <= ?1";
    run(c, sql, params![today.saturating_sub(BACKUP_UNFINISHED_DAYS), UNFINISHED, GIVEN_UP])?;
    let sql = "SELECT name, generation FROM backups WHERE standing = ?1 LIMIT 1";
    let row = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?));
    let Some((name, generation)) = one(c, sql, [GIVEN_UP], row)? else { return Ok(0) };
    let sql = "DELETE FROM backup_parts WHERE (name, generation, part) IN
               (SELECT name, generation, part FROM backup_parts WHERE name = ?1 AND generation = ?2 LIMIT ?3)";
    let count = run(c, sql, params![name, generation, int(BACKUP_PARTS_A_SWEEP_MAX as u64)])?;
    if count < BACKUP_PARTS_A_SWEEP_MAX {
        run(c, "DELETE FROM backups WHERE name = ?1 AND generation = ?2", params![name, generation])?;
    }
    Ok(count.max(1))
}

/// Bytes that each account's backups take up, whole or not.
pub(super) fn bytes_by_account(c: &Connection) -> Result<Vec<(String, u64)>, StoreError> {
    let sql = "SELECT name, sum(bytes) FROM backups WHERE standing < ?1 GROUP BY name";
    all(c, sql, [GIVEN_UP], |row| Ok((row.get(0)?, number(row, 1)?)))
}

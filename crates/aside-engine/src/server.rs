//! The servers that this profile knows, by their pins.

use crate::context::{Context, stored, to_store};
use crate::error::EngineError;
use crate::input::ServerId;
use aside_protocol::link::ServerPin;
use rusqlite::{Connection, OptionalExtension, params};

/// The id of a server, known or new.
pub(crate) fn remember(context: &mut Context<'_>, pin: &ServerPin) -> Result<ServerId, EngineError> {
    let bytes = to_store(pin);
    if let Some(id) = find(context.db, &bytes)? {
        return Ok(id);
    }
    context.db.prepare_cached("INSERT INTO servers (pin) VALUES (?)")?.execute(params![bytes])?;
    context.wanted_changed();
    Ok(ServerId(context.db.last_insert_rowid()))
}

fn find(db: &Connection, pin: &[u8]) -> Result<Option<ServerId>, EngineError> {
    let id = db
        .prepare_cached("SELECT id FROM servers WHERE pin = ?")?
        .query_row(params![pin], |row| row.get(0))
        .optional()?;
    Ok(id.map(ServerId))
}

/// The pin of a known server.
pub(crate) fn pin(db: &Connection, id: ServerId) -> Result<ServerPin, EngineError> {
    let bytes: Vec<u8> =
        db.prepare_cached("SELECT pin FROM servers WHERE id = ?")?.query_row(params![id.0], |row| row.get(0))?;
    stored(&bytes, "server")
}

/// All known servers.
pub(crate) fn all(db: &Connection) -> Result<Vec<(ServerId, ServerPin)>, EngineError> {
    let mut statement = db.prepare_cached("SELECT id, pin FROM servers ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (id, bytes) = row?;
        Ok((ServerId(id), stored(&bytes, "server")?))
    })
    .collect()
}

/// The id of a server, if this profile knows it.
pub(crate) fn find_pin(db: &Connection, pin: &ServerPin) -> Result<Option<ServerId>, EngineError> {
    find(db, &to_store(pin))
}

//! Running one cached statement.

use super::failure;
use crate::store::StoreError;
use rusqlite::{Connection, OptionalExtension, Params, Row};

/// Runs a statement, and returns how many rows it changed.
pub(super) fn run<P: Params>(c: &Connection, sql: &str, params: P) -> Result<usize, StoreError> {
    c.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failure)
}

/// The first row of a query, if there is one.
pub(super) fn one<T, P: Params>(
    c: &Connection,
    sql: &str,
    params: P,
    row: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    c.prepare_cached(sql).and_then(|mut statement| statement.query_row(params, row).optional()).map_err(failure)
}

/// Every row of a query.
pub(super) fn all<T, P: Params>(
    c: &Connection,
    sql: &str,
    params: P,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = c.prepare_cached(sql).map_err(failure)?;
    let rows = statement.query_map(params, row).map_err(failure)?;
    rows.collect::<rusqlite::Result<_>>().map_err(failure)
}

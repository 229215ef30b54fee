//! Rows of the engine's tables as they travel between one person's devices: by column name, so that a device of an
//! earlier version passes over columns that it does not have.

use crate::error::EngineError;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Value {
    #[n(0)]
    Null,
    #[n(1)]
    Integer(#[n(0)] i64),
    #[n(2)]
    Text(#[n(0)] String),
    #[n(3)]
    Blob(#[n(0)] ByteVec),
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Value {
    fn of(value: ValueRef<'_>) -> Result<Self, EngineError> {
        let damaged = EngineError::Damaged { what: "row" };
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(|_| damaged)?.to_owned()),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec().into()),
            ValueRef::Real(_) => return Err(damaged),
        })
    }

    fn bytes(&self) -> usize {
        match self {
            Value::Null => 1,
            Value::Integer(_) => 9,
            Value::Text(text) => text.len().saturating_add(3),
            Value::Blob(bytes) => bytes.len().saturating_add(3),
        }
    }
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub(crate) struct Rows {
    #[n(0)]
    names: Vec<String>,
    #[n(1)]
    rows: Vec<Vec<Value>>,
}

impl Rows {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps so many rows that they stay below a size; at least one.
    pub fn cut(&mut self, bytes_max: usize) {
        let mut bytes = 0_usize;
        let fits = self.rows.iter().take_while(|row| {
            bytes = row.iter().map(Value::bytes).fold(bytes, usize::saturating_add);
            bytes <= bytes_max
        });
        let count = fits.count().max(1);
        self.rows.truncate(count);
    }

    /// A column's values, one for each row.
    pub fn column(&self, name: &str) -> Vec<Value> {
        let at = self.names.iter().position(|other| other == name);
        at.map(|at| self.rows.iter().filter_map(|row| row.get(at).cloned()).collect()).unwrap_or_default()
    }

    /// The one value of a column of the first row.
    pub fn first(&self, name: &str) -> Option<Value> {
        self.column(name).into_iter().next()
    }

    /// Keeps some of the rows.
    pub fn retain(&mut self, is_kept: &[bool]) {
        let mut kept = is_kept.iter();
        self.rows.retain(|_| kept.next().copied().unwrap_or(true));
    }

    /// Changes a column's integers.
    pub fn shift(&mut self, name: &str, by: i64) {
        let Some(at) = self.names.iter().position(|other| other == name) else { return };
        for value in self.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
            if let Value::Integer(number) = value {
                *number = number.saturating_add(by);
            }
        }
    }
}

/// The columns of a table, but for some.
fn columns(db: &Connection, table: &str, except: &[&str]) -> Result<Vec<String>, EngineError> {
    let mut statement = db.prepare_cached("SELECT name FROM pragma_table_info(?)")?;
    let names = statement.query_map(params![table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(names.into_iter().filter(|name| !except.contains(&name.as_str())).collect())
}

/// Reads rows. `table` and `condition` are the engine's own words.
pub(crate) fn read(
    db: &Connection,
    table: &'static str,
    except: &[&str],
    condition: &str,
    values: impl rusqlite::Params,
) -> Result<Rows, EngineError> {
    let names = columns(db, table, except)?;
    let mut statement = db.prepare_cached(&format!("SELECT {} FROM {table} WHERE {condition}", names.join(", ")))?;
    let mut found = statement.query(values)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push((0..names.len()).map(|at| Value::of(row.get_ref(at)?)).collect::<Result<Vec<_>, EngineError>>()?);
    }
    Ok(Rows { names, rows })
}

/// What to do with a row that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    /// It has this key.
    Replace(&'static str),
}

/// Writes rows, with further columns of the reader's own. A row that does not go with the table is left out: it was made
/// by another version, or by a device with ill will.
pub(crate) fn write(
    db: &Connection,
    table: &'static str,
    except: &[&str],
    rows: &Rows,
    own: &[(&'static str, Value)],
    existing: Existing,
) -> Result<usize, EngineError> {
    let known = columns(db, table, except)?;
    let is_own = |name: &str| own.iter().any(|(other, _)| *other == name);
    let taken: Vec<usize> = (0..rows.names.len())
        .filter(|at| rows.names.get(*at).is_some_and(|name| known.contains(name) && !is_own(name)))
        .collect();
    let mut names: Vec<&str> = taken.iter().filter_map(|at| rows.names.get(*at)).map(String::as_str).collect();
    names.extend(own.iter().map(|(name, _)| *name));
    let places = vec!["?"; names.len()].join(", ");
    let (verb, conflict) = match existing {
        Existing::Keep => ("INSERT OR IGNORE", String::new()),
        Existing::Replace(key) => {
            let sets: Vec<_> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
            ("INSERT", format!(" ON CONFLICT ({key}) DO UPDATE SET {}", sets.join(", ")))
        }
    };
    let sql = format!("{verb} INTO {table} ({}) VALUES ({places}){conflict}", names.join(", "));
    let mut written = 0_usize;
    for row in &rows.rows {
        let values = taken.iter().filter_map(|at| row.get(*at)).chain(own.iter().map(|(_, value)| value));
        let values: Vec<&Value> = values.collect();
        match db.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(values)) {
            Ok(count) => written = written.saturating_add(count),
            Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::ConstraintViolation => {
            }
            Err(rusqlite::Error::InvalidParameterCount(..)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(written)
}

//! openmls's tables in the caller's database, and their codec.

use crate::error::MlsError;
use openmls_sqlite_storage::{Codec, SqliteStorageProvider};
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};

/// openmls's state on a connection that the caller has a transaction open on.
pub(crate) type Storage<'a> = SqliteStorageProvider<Cbor, &'a Connection>;

/// CBOR (RFC 8949). A format that describes itself, because openmls reads some of its own older encodings untagged.
#[derive(Default)]
pub(crate) struct Cbor;

/// State that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CborError {
    #[error("encoding MLS state: {0}")]
    Encode(String),
    #[error("decoding MLS state: {0}")]
    Decode(#[from] minicbor_serde::error::DecodeError),
}

impl Codec for Cbor {
    type Error = CborError;

    fn to_vec<T: Serialize>(value: &T) -> Result<Vec<u8>, CborError> {
        minicbor_serde::to_vec(value).map_err(|error| CborError::Encode(error.to_string()))
    }

    fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
        Ok(minicbor_serde::from_slice(bytes)?)
    }
}

/// Creates or upgrades openmls's tables. Call it once on opening the database, outside a transaction.
///
/// # Errors
/// [`MlsError::Migration`]: the database is read-only, full, damaged, or of a newer version.
pub fn migrate(connection: &mut Connection) -> Result<(), MlsError> {
    SqliteStorageProvider::<Cbor, &mut Connection>::new(connection)
        .run_migrations()
        .map_err(|error| MlsError::Migration(Box::new(error)))
}

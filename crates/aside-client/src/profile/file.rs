//! Small private files, written whole or not at all.

use super::ProfileError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The largest such file that is read back, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Makes a directory that only its owner can enter, and its parents.
pub fn make_private_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Opens a file that only its owner can read, making it if need be.
pub fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes a file; one that is not there is removed already.
pub fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a file of this kind; `None` only when it does not exist.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ProfileError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ProfileError::file(path)(error)),
        Ok(found) if found.len() > FILE_BYTES_MAX => {
            return Err(ProfileError::file(path)(ErrorKind::FileTooLarge.into()));
        }
        Ok(_) => {}
    }
    match std::fs::read(path) {
        // Its owner may have gone between the two calls.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProfileError::file(path)(error)),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ProfileError::Damaged { path: path.display().to_string(), error }),
    }
}

/// Writes a file of this kind (0600): beside the old one first, then in its place, so that a reader sees a whole one.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ProfileError> {
    let bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| ProfileError::Damaged { path: path.display().to_string(), error })?;
    replace(path, &bytes).map_err(ProfileError::file(path))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    remove(&beside)?;
    let mut file = open_private(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

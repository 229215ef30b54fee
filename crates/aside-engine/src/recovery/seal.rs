//! The encryption of backups: the file format `age`, under a secret that is derived from the backup key. It is symmetric
//! through and through, so that no confidentiality rests on classical key agreement (`docs/decisions/backups.md`).
//!
//! The library draws its own file key and nonces, as the MLS library does: no branch depends on ciphertext.

use super::fault::BackupFault;
use super::phrase::BackupKey;
use crate::error::EngineError;
use age::secrecy::SecretString;
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use std::io::{Read, Write};

/// scrypt's work: the secret has 256 random bits, so that nobody can guess it however cheap a guess is.
const WORK_FACTOR: u8 = 2;
/// What a file may ask for before it is refused.
const WORK_FACTOR_MAX: u8 = 14;

fn secret(key: &BackupKey) -> Result<SecretString, EngineError> {
    Ok(SecretString::from(key.dangerous_file_secret()?.to_string()))
}

/// Encrypts what is written; [`StreamWriter::finish`] ends it.
///
/// # Errors
/// [`BackupFault`]: the writer's.
pub(super) fn seal<W: Write>(key: &BackupKey, out: W) -> Result<StreamWriter<W>, BackupFault> {
    let mut recipient = scrypt::Recipient::new(secret(key)?);
    recipient.set_work_factor(WORK_FACTOR);
    let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as _))
        .map_err(|_| EngineError::Damaged { what: "backup key" })?;
    Ok(encryptor.wrap_output(out)?)
}

/// Decrypts what is read. Every 64 KiB are authenticated before they are given out, and so is the end.
///
/// # Errors
/// [`BackupFault::OtherWords`] where the key does not fit, [`BackupFault::Damaged`] where it is no such file.
pub(super) fn open<R: Read>(key: &BackupKey, input: R) -> Result<StreamReader<R>, BackupFault> {
    let mut identity = scrypt::Identity::new(secret(key)?);
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let damaged_or = |error| match error {
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
            BackupFault::OtherWords
        }
        DecryptError::Io(error) => error.into(),
        _ => BackupFault::Damaged,
    };
    let decryptor = Decryptor::new(input).map_err(damaged_or)?;
    decryptor.decrypt(std::iter::once(&identity as _)).map_err(damaged_or)
}

//! Blobs: ciphertexts for whoever shows their capability (P-8.1 to P-8.4).

use super::append::{check_size, malformed};
use super::{Batch, Core, Fault};
use crate::store::Store;
use aside_protocol::blob::BlobCapability;
use aside_protocol::frame::anonymous::{Answer, NewBlob};
use aside_protocol::limit::{BLOB_BYTES_MAX, BLOB_DAYS_MAX};
use aside_protocol::refusal::Refusal;

impl<S: Store> Core<S> {
    /// Stores a blob; a repeat with the same bytes succeeds again, without another token.
    pub(super) fn put_blob(&mut self, batch: &Batch<'_>, new: &NewBlob) -> Result<Answer, Fault> {
        check_size(new.bytes.len(), BLOB_BYTES_MAX)?;
        if new.bytes.is_empty() {
            return Err(malformed("a blob without bytes"));
        }
        let today = batch.now.day();
        if let Some(bytes) = self.store.find_blob(&new.blob, today)? {
            return if bytes == new.bytes { Ok(Answer::Done) } else { Err(Refusal::BlobExists.into()) };
        }
        if new.expires_day <= today || new.expires_day > today.saturating_add(BLOB_DAYS_MAX) {
            return Err(Refusal::BadExpiry { days_max: BLOB_DAYS_MAX }.into());
        }
        if !self.store.take_channel_token(&new.token.hash(), today)? {
            return Err(Refusal::BadChannelToken.into());
        }
        self.store.put_blob(&new.blob, &new.bytes, new.expires_day)?;
        Ok(Answer::Done)
    }

    /// A blob's bytes.
    pub(super) fn get_blob(&mut self, batch: &Batch<'_>, capability: &BlobCapability) -> Result<Answer, Fault> {
        let bytes = self.store.find_blob(&capability.id(), batch.now.day())?;
        Ok(Answer::Blob(bytes.ok_or(Refusal::UnknownBlob)?))
    }
}

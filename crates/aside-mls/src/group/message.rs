//! Messages: encrypting our own, and decrypting and judging those of others.

use super::commit::library;
use super::{Group, StagedCommit};
use crate::credential::Member;
use crate::error::{MlsError, ProcessError, Undecryptable};
use crate::guard::guarded;
use crate::provider::{DeviceSigner, Session};
use openmls::framing::errors::MessageDecryptionError;
use openmls::group::{ProcessMessageError, ValidationError};
use openmls::prelude::{ContentType, MlsMessageBodyIn, MlsMessageIn, ProcessedMessageContent, ProtocolMessage, Sender};
use tls_codec::{Deserialize, Serialize};

/// What a message was.
#[derive(Debug)]
pub enum Processed {
    /// Something that a member said.
    Application {
        /// Who. MLS does not keep a member from replaying what another said: deduplicate by message id.
        sender: Member,
        /// What.
        plaintext: Vec<u8>,
    },
    /// A commit that its author was allowed to make. It is not merged: [`Group::merge_staged`].
    Commit(StagedCommit),
}

impl Group {
    /// Encrypts to the group: a PrivateMessage as MLSMessage, 161 bytes longer than the plaintext, which the caller has
    /// padded. Uses up one generation of our ratchet, so keep the bytes for a retry.
    ///
    /// # Errors
    /// [`MlsError`].
    pub fn encrypt(
        &mut self,
        session: &Session<'_>,
        signer: &DeviceSigner,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, MlsError> {
        if !self.is_active() {
            return Err(MlsError::NotAMember);
        }
        self.mls
            .create_message(&session.provider, signer, plaintext)
            .map_err(|error| library("encrypting", error))?
            .tls_serialize_detached()
            .map_err(|error| library("writing a message", error))
    }

    /// Decrypts and checks a message of this epoch.
    ///
    /// # Errors
    /// [`ProcessError`], naming whose fault it is. The group stays in its epoch, but its ratchets may have moved on in
    /// memory and on disk: roll back and load it again.
    pub fn process(&mut self, session: &Session<'_>, bytes: &[u8]) -> Result<Processed, ProcessError> {
        let message = self.parse(bytes)?;
        let mls = &mut self.mls;
        let processed = guarded("processing a message", || mls.process_message(&session.provider, message))?
            .map_err(to_process_error)?;
        let Sender::Member(leaf) = *processed.sender() else { return Err(ProcessError::UnexpectedKind) };
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => {
                Ok(Processed::Application { sender: self.member(leaf.u32())?, plaintext: message.into_bytes() })
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let author = self.member(leaf.u32())?;
                StagedCommit::judge(self, session, author, *staged).map(Processed::Commit)
            }
            ProcessedMessageContent::OwnPrivateMessage | ProcessedMessageContent::OwnPendingCommit => {
                Err(ProcessError::OwnMessage)
            }
            _ => Err(ProcessError::UnexpectedKind),
        }
    }

    /// Goes on to the epoch that another member's commit begins.
    ///
    /// # Errors
    /// [`MlsError::PendingCommit`] while one of ours is pending (clear it first), or storage.
    pub fn merge_staged(&mut self, session: &Session<'_>, staged: StagedCommit) -> Result<(), MlsError> {
        if self.has_pending() {
            return Err(MlsError::PendingCommit);
        }
        self.mls
            .merge_staged_commit(&session.provider, staged.into_mls())
            .map_err(|error| library("merging a commit", error))
    }

    /// Parses a message and checks what stands on it in clear: kind, group and epoch.
    fn parse(&self, bytes: &[u8]) -> Result<ProtocolMessage, ProcessError> {
        let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| ProcessError::Malformed)?;
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else {
            return Err(ProcessError::UnexpectedKind);
        };
        let message = ProtocolMessage::from(message);
        if message.group_id() != self.mls.group_id() {
            return Err(ProcessError::OtherGroup);
        }
        if !self.is_active() {
            return Err(ProcessError::NotAMember);
        }
        if message.epoch() != self.mls.epoch() {
            return Err(ProcessError::WrongEpoch { message: message.epoch().as_u64(), group: self.epoch() });
        }
        match message.content_type() {
            ContentType::Proposal => Err(ProcessError::UnexpectedKind),
            ContentType::Application | ContentType::Commit => Ok(message),
        }
    }
}

fn to_process_error(error: ProcessMessageError<rusqlite::Error>) -> ProcessError {
    let undecryptable = match error {
        ProcessMessageError::StorageError(error) => return ProcessError::Mls(error.into()),
        ProcessMessageError::InvalidCommit(error) => return ProcessError::InvalidCommit(Box::new(error)),
        ProcessMessageError::ValidationError(ValidationError::InvalidSignature) => Undecryptable::BadSignature,
        ProcessMessageError::ValidationError(ValidationError::UnableToDecrypt(error)) => match error {
            // The error's type is not exported, so its name is all that there is to tell by; tests hold it in place.
            MessageDecryptionError::SecretTreeError(error) => match format!("{error:?}").as_str() {
                "SecretReuseError" => Undecryptable::Replayed,
                "TooDistantInThePast" => Undecryptable::TooOld,
                "TooDistantInTheFuture" => Undecryptable::TooFarAhead,
                _ => Undecryptable::Damaged,
            },
            _ => Undecryptable::Damaged,
        },
        other => return ProcessError::InvalidCommit(Box::new(other)),
    };
    ProcessError::Undecryptable(undecryptable)
}

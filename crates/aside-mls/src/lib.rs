//! MLS (RFC 9420) as Aside uses it: groups, epochs, KeyPackages, the exporter. The only user of openmls.
//!
//! In a message's path it stands between `engine/outbox` or `engine/receive` and the wire: it turns plaintext into
//! PrivateMessages and back, says who sent them, and refuses what a member may not do. It must not know channels' logs,
//! message content, contacts or servers, and it has no clock and no socket.
//!
//! Nothing here opens a transaction. A [`Session`] works on a connection on which the caller has one open, so that MLS
//! state changes together with whatever the caller writes. **After a rollback, and after any error from a method that
//! takes `&mut self`, drop the [`Group`] and load it again**: in memory it may be ahead of the disk.

mod channel_keys;
mod commit_evidence;
mod credential;
mod envelope;
mod ephemeral;
mod error;
mod group;
mod guard;
mod key_package;
mod metadata;
mod provider;
mod role;
mod storage;

pub use channel_keys::ChannelKeys;
pub use commit_evidence::{CommitStatement, Evidence, KeyVerdict, OpenedCommit};
pub use credential::{CredentialFault, Member};
pub use envelope::InboxKeyPair;
pub use ephemeral::{open_blob, seal_blob};
pub use error::{
    JoinError, KeyPackageError, MetadataError, MlsError, ProcessError, SealedError, Source, Undecryptable,
};
pub use group::{
    CommitDraft, ForNewcomers, Group, GroupId, PendingAdd, PendingCommit, Processed, StagedCommit, StoredGroup,
    welcome_for,
};
pub use key_package::{CheckedKeyPackage, KEY_PACKAGE_SECONDS, KeyPackageKind};
pub use metadata::{ADMINS_MAX, Metadata, PICTURE_BYTES_MAX, Picture, PictureType, TITLE_CHARS_MAX};
pub use provider::{DeviceSigner, Mls, SUITE, Session};
pub use role::Forbidden;
pub use storage::migrate;

#[cfg(test)]
mod tests;

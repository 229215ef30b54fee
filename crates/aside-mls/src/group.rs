//! One group as this device sees it: who is in it, its epoch, and what the exporter gives.

mod commit;
mod message;
mod staged;
mod welcome;

pub use commit::{CommitDraft, ForNewcomers, PendingAdd, PendingCommit};
pub use message::Processed;
pub use staged::StagedCommit;
pub use welcome::welcome_for;

use crate::channel_keys::ChannelKeys;
use crate::credential::{self, CredentialFault, Member};
use crate::error::{MetadataError, MlsError};
use crate::key_package::{capabilities, endless_lifetime};
use crate::metadata::Metadata;
use crate::provider::{CIPHERSUITE, DeviceSigner, Session};
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::identity::MemberCredential;
use aside_protocol::key::PublicKey;
use openmls::group::{GroupContext, MlsGroup, MlsGroupJoinConfig, PURE_CIPHERTEXT_WIRE_FORMAT_POLICY};
use openmls::prelude::{Extensions, LeafNodeIndex, SenderRatchetConfiguration};
use openmls_traits::OpenMlsProvider;
use zeroize::Zeroizing;

/// Keys of skipped messages that are kept for each sender. The server's order is total, so nothing comes late; this is
/// slack, not a mechanism. It is small because openmls rewrites all kept keys with every message: a gap costs 130 bytes
/// for each, for each sender, until that many later messages of the sender have come.
const OUT_OF_ORDER_TOLERANCE: u32 = 32;
/// Messages of one sender that may be missing in a row, as when they expired before this device came back.
const FORWARD_DISTANCE_MAX: u32 = 100_000;

/// An MLS group id: random, and not the channel's id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; 32]);

impl GroupId {
    pub(crate) fn to_mls(self) -> openmls::group::GroupId {
        openmls::group::GroupId::from_slice(&self.0)
    }
}

impl std::fmt::Debug for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // As ids of the protocol print: a short prefix.
        write!(f, "Group{:?}", Hash(self.0))
    }
}

/// A group that this device is or was a member of. In memory; every change is also written through the [`Session`].
pub struct Group {
    pub(crate) mls: MlsGroup,
    id: GroupId,
}

/// What stands in the database of a group, as far as a glance tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredGroup {
    /// Nothing.
    Absent,
    /// Something is missing or is not what it should be.
    Incomplete,
    /// Everything, in this epoch.
    At(u64),
}

/// Kinds of rows that a whole group has in `openmls_group_data`.
const GROUP_DATA_KINDS: u32 = 10;

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group({:?}, epoch {})", self.id, self.epoch())
    }
}

impl Session<'_> {
    /// Founds a group with this device as its only member, in epoch 0.
    ///
    /// # Errors
    /// [`MlsError`]: metadata outside its limits, or [`MlsError::GroupExists`], also for an incomplete one.
    pub fn create_group(
        &self,
        signer: &DeviceSigner,
        credential: &MemberCredential,
        group: GroupId,
        metadata: &Metadata,
    ) -> Result<Group, MlsError> {
        let failed = |source| MlsError::Library { doing: "founding a group", source };
        if self.has_traces_of(&group)? {
            return Err(MlsError::GroupExists(group));
        }
        let extensions =
            Extensions::from_vec(metadata.to_extensions()?.into()).map_err(|error| failed(Box::new(error)))?;
        let config = join_config();
        let mls = MlsGroup::builder()
            .with_group_id(group.to_mls())
            .ciphersuite(CIPHERSUITE)
            .with_wire_format_policy(config.wire_format_policy())
            .sender_ratchet_configuration(*config.sender_ratchet_configuration())
            .max_past_epochs(0)
            .use_ratchet_tree_extension(false)
            .lifetime(endless_lifetime())
            .with_capabilities(capabilities())
            .with_group_context_extensions(extensions)
            .build(&self.provider, signer, credential::to_leaf(credential))
            .map_err(|error| failed(Box::new(error)))?;
        Ok(Group { mls, id: group })
    }

    /// Loads a group. `None` means that this device never had it, or deleted it.
    ///
    /// # Errors
    /// [`MlsError::Storage`] where it cannot be read, [`MlsError::Incomplete`] where part of it is missing or is no state
    /// of a group.
    pub fn load_group(&self, group: &GroupId) -> Result<Option<Group>, MlsError> {
        if let Some(mls) = unless_damaged(MlsGroup::load(self.provider.storage(), &group.to_mls()), group)? {
            return Ok(Some(Group { mls, id: *group }));
        }
        match self.has_traces_of(group)? {
            true => Err(MlsError::Incomplete(*group)),
            false => Ok(None),
        }
    }

    /// Looks at a group's rows without loading it: cheap enough to do for every group when a profile opens. It finds
    /// what is missing, not every bit that is wrong; [`Session::load_group`] finds more.
    ///
    /// # Errors
    /// [`MlsError::Storage`] where the rows cannot be read.
    pub fn stored_group(&self, group: &GroupId) -> Result<StoredGroup, MlsError> {
        use openmls_traits::storage::StorageProvider as _;
        let context = self.provider.storage().group_context::<openmls::group::GroupId, GroupContext>(&group.to_mls());
        let context = match unless_damaged(context, group) {
            Ok(context) => context,
            Err(MlsError::Incomplete(_)) => return Ok(StoredGroup::Incomplete),
            Err(error) => return Err(error),
        };
        let Some(context) = context else {
            return Ok(if self.has_traces_of(group)? { StoredGroup::Incomplete } else { StoredGroup::Absent });
        };
        let rows = "SELECT (SELECT COUNT(*) FROM openmls_group_data WHERE group_id = ?1 AND data_type IN
            ('join_group_config', 'tree', 'interim_transcript_hash', 'context', 'confirmation_tag', 'group_state',
            'message_secrets', 'resumption_psk_store', 'own_leaf_index', 'group_epoch_secrets')),
            EXISTS (SELECT 1 FROM openmls_epoch_keys_pairs WHERE group_id = ?1)";
        let key = self.storage_key(group)?;
        let (kinds, has_keys): (u32, bool) =
            self.provider.connection.prepare_cached(rows)?.query_row([&key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(match kinds == GROUP_DATA_KINDS && has_keys {
            true => StoredGroup::At(context.epoch().as_u64()),
            false => StoredGroup::Incomplete,
        })
    }

    /// Forgets a group, also an incomplete one. Deleting one that is not there is no error.
    ///
    /// # Errors
    /// [`MlsError::Storage`].
    pub fn delete_group(&self, group: &GroupId) -> Result<(), MlsError> {
        // By table, not through openmls: its deletion needs a group that loads, and skips earlier epochs' key pairs.
        let key = self.storage_key(group)?;
        for table in GROUP_TABLES {
            self.provider.connection.execute(&format!("DELETE FROM {table} WHERE group_id = ?1"), [&key])?;
        }
        Ok(())
    }

    fn has_traces_of(&self, group: &GroupId) -> Result<bool, MlsError> {
        let key = self.storage_key(group)?;
        for table in GROUP_TABLES {
            let query = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE group_id = ?1)");
            if self.provider.connection.query_row(&query, [&key], |row| row.get::<_, bool>(0))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The group's id as the storage provider writes it into `group_id` columns.
    fn storage_key(&self, group: &GroupId) -> Result<Vec<u8>, MlsError> {
        use openmls_sqlite_storage::Codec;
        crate::storage::Cbor::to_vec(&group.to_mls())
            .map_err(|error| MlsError::Library { doing: "encoding a group id", source: Box::new(error) })
    }
}

/// A row that does not decode is damage to that group, not a failure of the database.
fn unless_damaged<T>(loaded: Result<T, rusqlite::Error>, group: &GroupId) -> Result<T, MlsError> {
    use rusqlite::Error::{FromSqlConversionFailure, InvalidColumnType};
    loaded.map_err(|error| match error {
        FromSqlConversionFailure(..) | InvalidColumnType(..) => MlsError::Incomplete(*group),
        other => other.into(),
    })
}

/// The tables of openmls_sqlite_storage that have a column `group_id`. A test compares this with the schema.
pub(crate) const GROUP_TABLES: [&str; 4] =
    ["openmls_group_data", "openmls_own_leaf_nodes", "openmls_proposals", "openmls_epoch_keys_pairs"];

/// `max_past_epochs` is 0, always: a stale append is refused and encrypted anew, and openmls would otherwise rewrite
/// every kept epoch on every message.
pub(crate) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .sender_ratchet_configuration(SenderRatchetConfiguration::new(OUT_OF_ORDER_TOLERANCE, FORWARD_DISTANCE_MAX))
        .max_past_epochs(0)
        .use_ratchet_tree_extension(false)
        .build()
}

impl Group {
    pub(crate) fn new(mls: MlsGroup, id: GroupId) -> Self {
        Self { mls, id }
    }

    /// Its id.
    pub fn id(&self) -> GroupId {
        self.id
    }

    /// The epoch; 0 at the founding, one more with every commit.
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// Whether this device is still a member. Once it was removed, nothing else works.
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// This device's leaf.
    pub fn own_leaf(&self) -> u32 {
        self.mls.own_leaf_index().u32()
    }

    /// Title and admins.
    ///
    /// # Errors
    /// [`MetadataError`]; for a group that was joined or founded through this crate it cannot happen.
    pub fn metadata(&self) -> Result<Metadata, MetadataError> {
        Metadata::from_extensions(self.mls.extensions())
    }

    /// All members, by leaf. Their credentials were checked when they came in.
    ///
    /// # Errors
    /// [`CredentialFault`]; see [`Group::metadata`].
    pub fn members(&self) -> Result<Vec<Member>, CredentialFault> {
        self.mls
            .members()
            .map(|member| Ok(Member { leaf: member.index.u32(), credential: credential::read(&member.credential)? }))
            .collect()
    }

    /// The member at a leaf.
    ///
    /// # Errors
    /// [`MlsError::UnknownLeaf`].
    pub fn member(&self, leaf: u32) -> Result<Member, MlsError> {
        let found = self.mls.member(LeafNodeIndex::new(leaf)).ok_or(MlsError::UnknownLeaf(leaf))?;
        Ok(Member { leaf, credential: credential::read(found)? })
    }

    /// What members of one fork agree on, and of two forks do not (RFC 9420, section 8.7).
    ///
    /// # Errors
    /// [`MlsError::Crypto`] if the suite's hash were not 32 bytes long.
    pub fn epoch_authenticator(&self) -> Result<Hash, MlsError> {
        Hash::try_from(self.mls.epoch_authenticator().as_slice())
            .map_err(|_| MlsError::Crypto { doing: "reading the epoch authenticator" })
    }

    /// The ratchet tree of this epoch, which a joiner needs beside its Welcome. TLS-encoded; about 1.6 kB a member.
    ///
    /// # Errors
    /// [`MlsError::Library`].
    pub fn ratchet_tree(&self) -> Result<Vec<u8>, MlsError> {
        use tls_codec::Serialize;
        self.mls
            .export_ratchet_tree()
            .tls_serialize_detached()
            .map_err(|error| MlsError::Library { doing: "writing the ratchet tree", source: Box::new(error) })
    }

    /// This epoch's keys of the channel.
    ///
    /// # Errors
    /// [`MlsError::NotAMember`].
    pub fn channel_keys(&self, session: &Session<'_>, channel: &ChannelId) -> Result<ChannelKeys, MlsError> {
        ChannelKeys::derive(channel, |label, context| self.dangerous_export_secret(session, label, context))
    }

    /// 32 bytes from this epoch's exporter (RFC 9420, section 8.5). Members share it; it must not leave the device.
    ///
    /// # Errors
    /// [`MlsError::NotAMember`].
    pub fn dangerous_export_secret(
        &self,
        session: &Session<'_>,
        label: &str,
        context: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, MlsError> {
        if !self.is_active() {
            return Err(MlsError::NotAMember);
        }
        to_seed(self.mls.export_secret(session.provider.crypto(), label, context, 32))
    }

    /// The key that a leaf signs with.
    pub(crate) fn signature_key(&self, leaf: u32) -> Result<PublicKey, MlsError> {
        Ok(self.member(leaf)?.credential.certificate.signature_key)
    }
}

/// What an exporter gave, as a seed. The vector that openmls returns is wiped.
pub(crate) fn to_seed<E: std::error::Error + Send + Sync + 'static>(
    exported: Result<Vec<u8>, E>,
) -> Result<Zeroizing<[u8; 32]>, MlsError> {
    let exported = exported
        .map(Zeroizing::new)
        .map_err(|error| MlsError::Library { doing: "exporting a secret", source: Box::new(error) })?;
    let mut seed = Zeroizing::new([0; 32]);
    match exported.len() == seed.len() {
        true => seed.copy_from_slice(&exported),
        false => return Err(MlsError::Crypto { doing: "exporting a secret" }),
    }
    Ok(seed)
}

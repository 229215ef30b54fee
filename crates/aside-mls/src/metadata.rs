//! What a group says of itself: a GroupContext extension that every member holds and agrees on by MLS itself.

use crate::error::MetadataError;
use aside_protocol::address::AccountAddress;
use aside_protocol::codec::{decode, encode};
use minicbor::{Decode, Encode};
use openmls::group::GroupContext;
use openmls::prelude::{
    CredentialType, Extension, ExtensionType, Extensions, RequiredCapabilitiesExtension, UnknownExtension,
};

/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 128;
/// The most admins of one group.
pub const ADMINS_MAX: usize = 64;

/// The private-use extension type (RFC 9420, section 17.3) that holds [`Metadata`] in the GroupContext.
const METADATA_EXTENSION: u16 = 0xF0A5;
pub(crate) const METADATA_EXTENSION_TYPE: ExtensionType = ExtensionType::Unknown(METADATA_EXTENSION);
/// Every admin's address at its longest, and the title.
const METADATA_BYTES_MAX: usize = ADMINS_MAX * 320 + TITLE_CHARS_MAX * 4 + 64;

/// A group's title and admins. Both parties of a direct conversation are admins, and its title is empty.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Metadata {
    /// At most [`TITLE_CHARS_MAX`] characters.
    #[n(0)]
    pub title: String,
    /// Accounts that may add and remove others and change this. 1 to [`ADMINS_MAX`], each once.
    #[n(1)]
    pub admins: Vec<AccountAddress>,
}

impl Metadata {
    /// Whether the account is an admin.
    pub fn is_admin(&self, account: &AccountAddress) -> bool {
        self.admins.contains(account)
    }

    /// Checks the limits.
    ///
    /// # Errors
    /// [`MetadataError`], naming the limit.
    pub fn check(&self) -> Result<(), MetadataError> {
        let chars = self.title.chars().count();
        if chars > TITLE_CHARS_MAX {
            return Err(MetadataError::TitleTooLong { chars });
        }
        match self.admins.len() {
            0 => return Err(MetadataError::NoAdmin),
            1..=ADMINS_MAX => {}
            more => return Err(MetadataError::TooManyAdmins(more)),
        }
        let distinct: std::collections::BTreeSet<&AccountAddress> = self.admins.iter().collect();
        match distinct.len() == self.admins.len() {
            true => Ok(()),
            false => Err(MetadataError::DuplicateAdmin),
        }
    }

    pub(crate) fn to_extension(&self) -> Result<Extension, MetadataError> {
        self.check()?;
        Ok(Extension::Unknown(METADATA_EXTENSION, UnknownExtension(encode(self))))
    }

    /// The extensions of a group that has this metadata: itself, and that members must know it.
    pub(crate) fn to_extensions(&self) -> Result<[Extension; 2], MetadataError> {
        let required = RequiredCapabilitiesExtension::new(&[METADATA_EXTENSION_TYPE], &[], &[CredentialType::Basic]);
        Ok([Extension::RequiredCapabilities(required), self.to_extension()?])
    }

    pub(crate) fn from_extensions(extensions: &Extensions<GroupContext>) -> Result<Self, MetadataError> {
        let extension = extensions.unknown(METADATA_EXTENSION).ok_or(MetadataError::Missing)?;
        let metadata: Self = decode(&extension.0, METADATA_BYTES_MAX)?;
        metadata.check()?;
        Ok(metadata)
    }
}

/// Whether a GroupContext has nothing but metadata and what it requires: no external senders, above all.
pub(crate) fn has_expected_extensions(extensions: &Extensions<GroupContext>) -> bool {
    extensions.iter().all(|extension| {
        let kind = extension.extension_type();
        kind == METADATA_EXTENSION_TYPE || kind == ExtensionType::RequiredCapabilities
    })
}

/// Titles and names stay out of logs.
impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metadata({} admins)", self.admins.len())
    }
}

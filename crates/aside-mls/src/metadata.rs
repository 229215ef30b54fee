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

/// The largest picture, in bytes: it travels with every change of the metadata and in every Welcome.
pub const PICTURE_BYTES_MAX: usize = 16 * 1024;

/// The private-use extension type (RFC 9420, section 17.3) that holds [`Metadata`] in the GroupContext.
const METADATA_EXTENSION: u16 = 0xF0A5;
pub(crate) const METADATA_EXTENSION_TYPE: ExtensionType = ExtensionType::Unknown(METADATA_EXTENSION);
/// Every admin's address at its longest, the title and the picture.
const METADATA_BYTES_MAX: usize = ADMINS_MAX * 320 + TITLE_CHARS_MAX * 4 + PICTURE_BYTES_MAX + 64;

/// The kinds of pictures that a group may have, told by their first bytes. No other is shown: decoders of rare formats
/// are where pictures bite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureType {
    /// image/jpeg.
    Jpeg,
    /// image/png.
    Png,
    /// image/webp.
    Webp,
}

impl PictureType {
    /// As in HTTP's Content-Type.
    pub fn media_type(self) -> &'static str {
        match self {
            PictureType::Jpeg => "image/jpeg",
            PictureType::Png => "image/png",
            PictureType::Webp => "image/webp",
        }
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(PictureType::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(PictureType::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(PictureType::Webp),
            _ => None,
        }
    }
}

/// A picture: at most [`PICTURE_BYTES_MAX`] bytes of JPEG, PNG or WebP. The pixels are not looked at.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Picture(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl Picture {
    /// Checks size and kind.
    ///
    /// # Errors
    /// [`MetadataError::PictureTooLarge`], [`MetadataError::NotAPicture`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, MetadataError> {
        let picture = Self(bytes);
        picture.check().map(|_| picture)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Checks size and kind, and says which it is.
    ///
    /// # Errors
    /// As [`Picture::new`].
    pub fn check(&self) -> Result<PictureType, MetadataError> {
        match self.0.len() {
            bytes if bytes > PICTURE_BYTES_MAX => Err(MetadataError::PictureTooLarge { bytes }),
            _ => PictureType::of(&self.0).ok_or(MetadataError::NotAPicture),
        }
    }
}

/// A group's title, admins and picture. Both parties of a direct conversation are admins, and its title is empty.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Metadata {
    /// At most [`TITLE_CHARS_MAX`] characters.
    #[n(0)]
    pub title: String,
    /// Accounts that may add and remove others and change this. 1 to [`ADMINS_MAX`], each once.
    #[n(1)]
    pub admins: Vec<AccountAddress>,
    /// Shown beside the title.
    #[n(2)]
    pub picture: Option<Picture>,
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
        if let Some(picture) = &self.picture {
            picture.check()?;
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

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} bytes)", self.0.len())
    }
}

//! A channel's keys of one epoch (DESIGN 4a rule 4, P-4.2): every member derives them from the MLS exporter, and the
//! server, which has the public halves, sees "some member".

use crate::error::MlsError;
use aside_protocol::channel::{EpochKeys, Purpose};
use aside_protocol::id::ChannelId;
use aside_protocol::key::SigningKey;
use zeroize::Zeroizing;

/// The key pairs of one channel and epoch. Wiped on drop.
#[derive(Clone)]
pub struct ChannelKeys {
    read: SigningKey,
    append: SigningKey,
    commit: SigningKey,
    call: SigningKey,
}

impl ChannelKeys {
    /// What the server is given.
    pub fn public(&self) -> EpochKeys {
        EpochKeys {
            read: self.read.public_key(),
            append: self.append.public_key(),
            commit: self.commit.public_key(),
            call: self.call.public_key(),
        }
    }

    /// The key of one purpose.
    pub fn of(&self, purpose: Purpose) -> &SigningKey {
        match purpose {
            Purpose::Read => &self.read,
            Purpose::Append => &self.append,
            Purpose::Commit => &self.commit,
            Purpose::Call => &self.call,
        }
    }

    /// Derives all of them: exporter label `aside channel <purpose>`, context = the channel id, 32 bytes = the seed.
    pub(crate) fn derive(
        channel: &ChannelId,
        export: impl Fn(&str, &[u8]) -> Result<Zeroizing<[u8; 32]>, MlsError>,
    ) -> Result<Self, MlsError> {
        let key = |purpose: Purpose| -> Result<SigningKey, MlsError> {
            let seed = export(&format!("aside channel {}", purpose.label()), &channel.0)?;
            Ok(SigningKey::from_seed(&seed))
        };
        Ok(Self {
            read: key(Purpose::Read)?,
            append: key(Purpose::Append)?,
            commit: key(Purpose::Commit)?,
            call: key(Purpose::Call)?,
        })
    }
}

impl std::fmt::Debug for ChannelKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ChannelKeys(of {:?})", self.public())
    }
}

//! Reading the devices of this account, and how far a link has got.

use crate::Engine;
pub use crate::device::link::DeviceRequest;
use crate::device::{accept, link, revoke, row};
use crate::error::EngineError;
use aside_protocol::id::DeviceId;
use aside_protocol::link::DeviceLink;
use schemars::JsonSchema;
use serde::Serialize;

/// One device of this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Device {
    /// Names it in calls: 32 hexadecimal digits.
    pub id: String,
    /// As the person named it.
    pub name: String,
    /// Whether it is this one.
    pub is_this: bool,
    /// When it was added.
    pub added_at: i64,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
}

/// How far the link has got by which this profile becomes a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkingState {
    /// The other device is being asked.
    Asking,
    /// The person compares the codes and approves on the other device.
    Waiting,
    /// Approved: contacts and history are on their way.
    Receiving,
    /// It did not come through; the words say why and what to do.
    Failed,
}

/// The same, with what a person sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LinkingView {
    /// How far.
    pub state: LinkingState,
    /// Six digits, to be compared with the other device's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// With `Failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
}

/// Reads a device's id as calls name it.
pub fn parse_device_id(text: &str) -> Option<DeviceId> {
    row::from_hex(text)
}

impl Engine {
    /// The devices of this account, the oldest first; revoked ones as well.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn devices(&self) -> Result<Vec<Device>, EngineError> {
        let own = self.heart.identity.as_ref().map(crate::account::Identity::device);
        let devices = row::all(&self.db)?.into_iter().map(|device| Device {
            id: row::to_hex(&device.id),
            is_this: Some(device.id) == own,
            name: device.name,
            added_at: device.added_ms,
            revoked_at: device.revoked_ms,
        });
        Ok(devices.collect())
    }

    /// Why the last revocation was not carried out; `None` if it was, or is under way.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn revocation_trouble(&self) -> Result<Option<String>, EngineError> {
        revoke::trouble(&self.db)
    }

    /// The devices that ask to be linked.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn device_requests(&self) -> Result<Vec<DeviceRequest>, EngineError> {
        link::requests(&self.db)
    }

    /// Whether the home server knows a device link, so that it works.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn device_link_is_registered(&self, link: &DeviceLink) -> Result<bool, EngineError> {
        link::is_registered(&self.db, link)
    }

    /// How far a link that was accepted here has got; `None` when there is none, or everything has come.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn linking(&self) -> Result<Option<LinkingView>, EngineError> {
        Ok(accept::load(&self.db)?.map(|linking| LinkingView {
            state: match linking.state {
                accept::State::Asking => LinkingState::Asking,
                accept::State::Waiting => LinkingState::Waiting,
                accept::State::Receiving => LinkingState::Receiving,
                accept::State::Failed => LinkingState::Failed,
            },
            code: linking.code,
            words: linking.words,
        }))
    }
}

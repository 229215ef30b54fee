//! What an admin's device passes on to the group when somebody asks to be added by a link (P-5.14).

use aside_protocol::identity::{DeviceRecord, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use minicbor::{Decode, Encode};

/// What the admins need to know of whoever asks: who they are, and how they are added or told that they are not.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct JoinRequest {
    /// Who asks, on which device.
    #[n(0)]
    pub credential: MemberCredential,
    /// Their home server.
    #[n(1)]
    pub server: ServerPin,
    /// Lets admins fetch KeyPackages, and write.
    #[n(2)]
    pub token: DeliveryToken,
    /// The device that hears the answer.
    #[n(3)]
    pub record: DeviceRecord,
    /// Whoever declines names it, so that nobody else can.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl JoinRequest {
    /// Whether its parts belong together and are signed.
    pub fn is_whole(&self) -> bool {
        self.credential.verify().is_ok()
            && self.record.verify().is_ok()
            && self.record.certificate == self.credential.certificate
            && self.server.address == self.credential.address.server
    }
}

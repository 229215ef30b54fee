//! The letter by which a new device asks to be linked, and the code that both devices show (P-7.2, P-7.3).

use crate::content::wrapper::{pad, unpad};
use crate::error::EngineError;
use aside_mls::Session;
use aside_protocol::codec::{self, labelled_hash};
use aside_protocol::id::{DeviceId, Hash};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord};
use aside_protocol::key::{PublicKey, Signature, SigningKey};
use aside_protocol::limit::{ENVELOPE_BYTES_MAX, INBOX_KEY_BYTES_MAX};
use aside_protocol::link::DeviceLink;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// HPKE's info and the label of mac and signature.
const LABEL: &str = "aside device request v1";

/// The new device's keys and name.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Request {
    #[n(0)]
    pub device: DeviceId,
    #[n(1)]
    pub signature_key: PublicKey,
    #[n(2)]
    pub inbox_key: ByteVec,
    /// As in a [`DeviceRecord`].
    #[n(3)]
    pub record_signature: Signature,
    #[n(4)]
    pub name: String,
}

#[derive(Encode, Decode)]
struct Letter {
    #[n(0)]
    request: ByteVec,
    #[n(1)]
    mac: Hash,
    #[n(2)]
    signature: Signature,
}

/// A request that opened, with the bytes that its mac and the short code cover.
pub(crate) struct Opened {
    pub request: Request,
    pub bytes: Vec<u8>,
    mac: Hash,
}

impl Opened {
    /// Whether whoever made it was given this link.
    pub fn is_for(&self, secret: &[u8; 32]) -> bool {
        mac(secret, &self.bytes) == self.mac
    }
}

impl Request {
    /// The device's record once the account key has certified it.
    pub fn record(&self, certificate: DeviceCertificate) -> DeviceRecord {
        DeviceRecord { certificate, inbox_key: self.inbox_key.to_vec(), signature: self.record_signature }
    }
}

fn mac(secret: &[u8; 32], request: &[u8]) -> Hash {
    Hash(labelled_hash(LABEL, &[secret, request]))
}

/// Seals a request to the linking device's inbox.
pub(crate) fn seal(
    mls: &Session<'_>,
    link: &DeviceLink,
    inbox_key: &[u8],
    request: &Request,
    device_key: &SigningKey,
) -> Result<Vec<u8>, EngineError> {
    let request = codec::encode(request);
    let mac = mac(&link.secret.0, &request);
    let signature = device_key.sign(LABEL, &[inbox_key, &request]);
    let letter = Letter { request: request.into(), mac, signature };
    Ok(mls.seal(inbox_key, LABEL.as_bytes(), &pad(&codec::encode(&letter)))?)
}

/// Opens a request, and checks its signatures. `None`: it is none.
pub(crate) fn open(mls: &Session<'_>, private: &[u8], inbox_key: &[u8], sealed: &[u8]) -> Option<Opened> {
    let padded = mls.open(private, LABEL.as_bytes(), sealed).ok()?;
    let letter: Letter = codec::decode(unpad(&padded).ok()?, ENVELOPE_BYTES_MAX).ok()?;
    let request: Request = codec::decode(&letter.request, ENVELOPE_BYTES_MAX).ok()?;
    request.signature_key.verify(LABEL, &[inbox_key, &letter.request], &letter.signature).ok()?;
    // The certificate plays no part in what a record's signature covers.
    let certificate = DeviceCertificate {
        device: request.device,
        key_set: 0,
        signature_key: request.signature_key,
        signature: letter.signature,
    };
    request.record(certificate).verify().ok()?;
    let is_sound = request.inbox_key.len() <= INBOX_KEY_BYTES_MAX && super::row::check_name(&request.name).is_some();
    is_sound.then(|| Opened { request, bytes: letter.request.to_vec(), mac: letter.mac })
}

/// Six digits over everything that the two devices have told each other.
pub(crate) fn short_code(link: &DeviceLink, linking: &DeviceRecord, request: &[u8]) -> String {
    let hash = labelled_hash(
        "aside device code v1",
        &[
            &link.secret.0,
            link.address.to_string().as_bytes(),
            &link.root_key.0,
            &link.device.0,
            &linking.certificate.signature_key.0,
            &linking.inbox_key,
            request,
        ],
    );
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("{:06}", number % 1_000_000)
}

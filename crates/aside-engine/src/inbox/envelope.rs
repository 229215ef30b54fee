//! What is inside an envelope: who wrote it, a letter, and the device's signature over it for this very inbox.

use super::welcome::WelcomeLetter;
use crate::Heart;
use crate::account::Identity;
use crate::content::ConsistencyReport;
use crate::content::wrapper::{pad, unpad};
use crate::context::Context;
use crate::error::EngineError;
use crate::inbox::welcome::Recipient;
use crate::job::{self, Job};
use aside_protocol::codec;
use aside_protocol::frame::anonymous::Delivery;
use aside_protocol::id::DeliveryId;
use aside_protocol::identity::MemberCredential;
use aside_protocol::key::Signature;
use aside_protocol::limit::ENVELOPE_BYTES_MAX;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// HPKE's info: an envelope cannot be taken for something else that was sealed to the same key.
const INFO: &[u8] = b"aside envelope v1";
const SIGNATURE_LABEL: &str = "aside envelope v1";

/// What a letter can be.
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) enum Letter {
    /// Into a conversation.
    #[n(0)]
    Welcome(#[n(0)] Box<WelcomeLetter>),
    /// How a member sees a channel.
    #[n(1)]
    Report(#[n(0)] ConsistencyReport),
}

#[derive(Debug, Clone, Encode, Decode)]
struct Envelope {
    #[n(0)]
    sender: MemberCredential,
    /// An encoded [`Letter`].
    #[n(1)]
    letter: ByteVec,
    /// By the sender's device, over the inbox's key and the letter.
    #[n(2)]
    signature: Signature,
}

/// Seals a letter and queues its delivery. The bytes are written down, so a retry is identical.
pub(crate) fn send(
    heart: &Heart,
    context: &mut Context<'_>,
    identity: &Identity,
    recipient: &Recipient,
    letter: &Letter,
) -> Result<(), EngineError> {
    let letter = codec::encode(letter);
    let signature = identity.device_key.sign(SIGNATURE_LABEL, &[&recipient.inbox_key, &letter]);
    let envelope = Envelope { sender: identity.credential(), letter: letter.into(), signature };
    let sealed = heart.mls.on(context.db).seal(&recipient.inbox_key, INFO, &pad(&codec::encode(&envelope)))?;
    let delivery = Delivery {
        id: DeliveryId(context.random()),
        account: recipient.address.name.clone(),
        device: recipient.device,
        token: recipient.token,
        envelope: sealed,
    };
    job::add(context, recipient.server, &Job::Deliver(delivery))
}

/// Opens an envelope, and checks its sender's credential and signature. `None`: it is not worth anything.
pub(crate) fn open(
    heart: &Heart,
    context: &Context<'_>,
    sealed: &[u8],
) -> Result<Option<(MemberCredential, Letter)>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(None) };
    let Ok(padded) = heart.mls.on(context.db).open(&identity.inbox_private, INFO, sealed) else { return Ok(None) };
    let envelope = unpad(&padded).and_then(|bytes| codec::decode::<Envelope>(bytes, ENVELOPE_BYTES_MAX));
    let Ok(Envelope { sender, letter, signature }) = envelope else { return Ok(None) };
    let key = sender.certificate.signature_key;
    let is_signed = key.verify(SIGNATURE_LABEL, &[&identity.record.inbox_key, &letter], &signature).is_ok();
    if sender.verify().is_err() || !is_signed {
        return Ok(None);
    }
    Ok(codec::decode(&letter, ENVELOPE_BYTES_MAX).ok().map(|letter| (sender, letter)))
}

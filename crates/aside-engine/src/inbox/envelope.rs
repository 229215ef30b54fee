//! What is inside an envelope: who wrote it, a letter, and the device's signature over it for this very inbox.

use super::welcome::WelcomeLetter;
use crate::Heart;
use crate::account::Identity;
use crate::content::wrapper::{pad, unpad};
use crate::content::{ConsistencyReport, JoinRequest};
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::device::{self, DeviceLetter};
use crate::error::EngineError;
use crate::heal::letter::HealLetter;
use crate::inbox::welcome::Recipient;
use crate::job::{self, Job, Posted};
use aside_mls::Session;
use aside_protocol::codec;
use aside_protocol::frame::anonymous::Delivery;
use aside_protocol::id::{DeliveryId, Hash};
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
    /// Something is to be healed.
    #[n(10)]
    Heal(#[n(0)] Box<HealLetter>),
    /// To the admin who gave a link: please add me. The group, and the proof that the link was given.
    #[n(11)]
    AskToJoin(#[n(0)] ConversationId, #[n(1)] Hash, #[n(2)] Box<JoinRequest>),
    /// From an admin: no. The group, and the request's nonce.
    #[n(12)]
    Declined(
        #[n(0)] ConversationId,
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        [u8; 16],
    ),
    /// Between devices of one account.
    #[n(20)]
    Device(#[n(0)] Box<DeviceLetter>),
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
    if recipient.address == identity.address && !device::is_written_to(context.db, identity, &recipient.device)? {
        return Ok(());
    }
    let posted = seal(heart, context, identity, recipient, letter)?;
    post(context, posted)
}

/// Queues the delivery of a sealed letter.
pub(crate) fn post(context: &mut Context<'_>, posted: Posted) -> Result<(), EngineError> {
    job::add(context, posted.server, &Job::Deliver(posted.delivery))
}

/// Seals a letter, to be delivered later.
pub(super) fn seal(
    heart: &Heart,
    context: &mut Context<'_>,
    identity: &Identity,
    recipient: &Recipient,
    letter: &Letter,
) -> Result<Posted, EngineError> {
    let letter = codec::encode(letter);
    let signature = identity.device_key.sign(SIGNATURE_LABEL, &[&recipient.inbox_key, &letter]);
    let envelope = Envelope { sender: identity.credential(), letter: letter.into(), signature };
    let sealed = heart.mls.on(context.db).seal(&recipient.inbox_key, INFO, &pad(&codec::encode(&envelope)))?;
    let delivery = Delivery {
        id: DeliveryId(context.random()),
        account: recipient.address.name.clone(),
        device: recipient.device,
        // The own token changes with every revocation, wherever the old one is written down.
        token: if recipient.address == identity.address { identity.own_token } else { recipient.token },
        envelope: sealed,
    };
    Ok(Posted { server: recipient.server, delivery })
}

/// Writes to another device of this account.
pub(crate) fn send_to_device(
    heart: &Heart,
    context: &mut Context<'_>,
    identity: &Identity,
    recipient: &Recipient,
    letter: DeviceLetter,
) -> Result<(), EngineError> {
    send(heart, context, identity, recipient, &Letter::Device(Box::new(letter)))
}

/// Opens a letter between devices of one account, where there is no account here yet.
pub(crate) fn open_device_letter(
    mls: &Session<'_>,
    inbox: (&[u8], &[u8]),
    sealed: &[u8],
) -> Option<(MemberCredential, DeviceLetter)> {
    match open_with(mls, inbox, sealed) {
        Some((sender, Letter::Device(letter))) => Some((sender, *letter)),
        _ => None,
    }
}

/// Opens an envelope, and checks its sender's credential and signature. `None`: it is not worth anything.
pub(crate) fn open(
    heart: &Heart,
    context: &Context<'_>,
    sealed: &[u8],
) -> Result<Option<(MemberCredential, Letter)>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(None) };
    let inbox = (identity.inbox_private.as_slice(), identity.record.inbox_key.as_slice());
    Ok(open_with(&heart.mls.on(context.db), inbox, sealed))
}

fn open_with(
    mls: &Session<'_>,
    (private, inbox_key): (&[u8], &[u8]),
    sealed: &[u8],
) -> Option<(MemberCredential, Letter)> {
    let padded = mls.open(private, INFO, sealed).ok()?;
    let Envelope { sender, letter, signature } = codec::decode(unpad(&padded).ok()?, ENVELOPE_BYTES_MAX).ok()?;
    sender.verify().ok()?;
    sender.certificate.signature_key.verify(SIGNATURE_LABEL, &[inbox_key, &letter], &signature).ok()?;
    let letter = codec::decode(&letter, ENVELOPE_BYTES_MAX).ok()?;
    Some((sender, letter))
}

//! The inbox: sealed envelopes for this device, from senders whom the server does not know.

pub(crate) mod again;
pub(crate) mod arrival;
pub(crate) mod early;
pub(crate) mod envelope;
pub(crate) mod join;
pub(crate) mod report;
pub(crate) mod tree;
pub(crate) mod welcome;

use crate::Heart;
use crate::account;
use crate::contact::{self, keys::Seen};
use crate::context::Context;
use crate::device;
use crate::error::EngineError;
use crate::group::{ask, link};
use crate::heal;
use aside_protocol::inbox::InboxEntry;
use envelope::Letter;
pub(crate) use envelope::{open_device_letter, send_to_device};

/// Takes one envelope. What does not open, or is not signed by whom it names, is dropped: anybody with a token can put
/// anything into an inbox.
pub(crate) fn take(heart: &mut Heart, context: &mut Context<'_>, entry: &InboxEntry) -> Result<(), EngineError> {
    if heart.identity.is_none() {
        return device::accept::take(heart, context, entry);
    }
    if entry.seq <= account::inbox_seq(context.db)? {
        return Ok(());
    }
    account::set_inbox_seq(context.db, entry.seq)?;
    let Some((sender, letter)) = envelope::open(heart, context, &entry.envelope)? else {
        return device::link::take_request(heart, context, &entry.envelope);
    };
    if contact::block::is_blocked(context.db, &sender.address)? {
        return Ok(());
    }
    match contact::keys::saw(context, &sender)? {
        Seen::OtherRoot => return welcome::keep_of_other_root(context, &sender, letter),
        seen if !seen.is_believed() => return Ok(()),
        _ => {}
    }
    match letter {
        Letter::Welcome(letter) => welcome::take(heart, context, &sender, *letter),
        Letter::AskToJoin(id, proof, ask) => link::asked(heart, context, &sender, (id, &proof), *ask),
        Letter::Declined(id, nonce) => ask::declined(context, &sender.address, (id, &nonce)),
        Letter::Device(letter) => device::take(heart, context, &sender, *letter),
        Letter::Report(report) => report::take(heart, context, &sender, &report),
        Letter::Heal(letter) => heal::take(heart, context, &sender, &letter),
    }
}

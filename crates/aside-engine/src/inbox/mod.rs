//! The inbox: sealed envelopes for this device, from senders whom the server does not know.

mod envelope;
pub(crate) mod report;
pub(crate) mod welcome;

use crate::Heart;
use crate::account;
use crate::context::Context;
use crate::error::EngineError;
use aside_protocol::inbox::InboxEntry;
use envelope::Letter;

/// Takes one envelope. What does not open, or is not signed by whom it names, is dropped: anybody with a token can put
/// anything into an inbox.
pub(crate) fn take(heart: &mut Heart, context: &mut Context<'_>, entry: &InboxEntry) -> Result<(), EngineError> {
    if entry.seq <= account::inbox_seq(context.db)? {
        return Ok(());
    }
    account::set_inbox_seq(context.db, entry.seq)?;
    let Some((sender, letter)) = envelope::open(heart, context, &entry.envelope)? else { return Ok(()) };
    match letter {
        Letter::Welcome(letter) => welcome::take(heart, context, &sender, *letter),
        Letter::Report(report) => report::take(heart, context, &sender, &report),
    }
}

//! What a device says first in a conversation that it has joined. Whatever comes after it is the person's.

use crate::Heart;
use crate::channel::outbox;
use crate::contact;
use crate::content::{Arrival, Content};
use crate::context::Context;
use crate::conversation::{self, ConversationId, State};
use crate::error::EngineError;
use crate::view::ConversationKind;
use aside_protocol::address::AccountAddress;

/// The joiner's first words: how the members reach this device's inbox.
pub(crate) fn announce(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    adder: &AccountAddress,
) -> Result<(), EngineError> {
    let conversation = conversation::find(context.db, &id)?;
    // It may go on in another channel than the one that was joined.
    heart.stirred.extend(conversation.as_ref().and_then(|row| row.channel));
    // Whoever is leaving says nothing more: it would sound as if they were back.
    if conversation.as_ref().is_some_and(|row| row.state == State::Leaving) {
        return Ok(());
    }
    let is_group = conversation.as_ref().is_some_and(|row| row.kind == ConversationKind::Group);
    // Where another device of one's own was the adder, the token is for the other person all the same.
    let peer = conversation.and_then(|row| row.peer);
    let token = match is_group {
        true => contact::own_token::of_group(heart, context, id)?,
        false => contact::own_token::of_person(heart, context, peer.as_ref().unwrap_or(adder))?,
    };
    let Some(identity) = &heart.identity else { return Ok(()) };
    let arrival = Arrival { server: identity.pin.clone(), token, record: identity.record.clone() };
    outbox::queue(context, id, &Content::Arrival(Box::new(arrival)), |_| None)
}

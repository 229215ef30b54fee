//! Ephemeral entries: typing. Sealed under a key of the epoch, handed on by the server, stored by nobody.

use super::subscribe::{link_to, prove};
use super::{Channel, take_group};
use crate::Heart;
use crate::contact;
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::input::{Change, Link};
use crate::network::{Flight, Subscription};
use aside_mls::SealedError;
use aside_protocol::channel::Purpose;
use aside_protocol::codec;
use aside_protocol::frame::anonymous::Request;
use aside_protocol::id::ChannelId;
use minicbor::{Decode, Encode};

/// How long a typing mark stands without another one.
const TYPING_MS: i64 = 6_000;

/// What an ephemeral entry says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
enum Ephemeral {
    #[n(0)]
    Typing,
}

/// Tells the others that this person types, if a connection stands; otherwise nothing is lost.
pub(crate) fn send_typing(heart: &mut Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let link = link_to(channel.server);
    let is_live = heart
        .links
        .get(&link)
        .is_some_and(|state| state.subscriptions.get(&channel.id) == Some(&Subscription::Live(channel.epoch)));
    if !is_live || !prove(heart, context, channel, Purpose::Append)? {
        return Ok(());
    }
    let Some(signer) = heart.identity.as_ref().map(|identity| identity.signer.clone()) else { return Ok(()) };
    let Some(group) = take_group(heart, context, &channel.id)? else { return Ok(()) };
    let nonce = context.random();
    let plaintext = codec::encode(&Ephemeral::Typing);
    let body = group.seal_ephemeral(&heart.mls.on(context.db), &signer, &channel.id, &plaintext, nonce)?;
    heart.groups.insert(channel.id, group);
    if let Some(state) = heart.links.get_mut(&link) {
        let request = Request::Ephemeral { channel: channel.id, epoch: channel.epoch, body };
        state.ask_anonymous(context, link, request, Flight::Ephemeral);
    }
    Ok(())
}

/// Somebody sent one. What does not open is dropped: nothing depends on it.
pub(crate) fn received(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: Link,
    id: ChannelId,
    epoch: u64,
    body: &[u8],
) -> Result<(), EngineError> {
    let Some(channel) = super::find(context.db, &id)? else { return Ok(()) };
    let subscription = heart.links.get(&link).and_then(|state| state.subscriptions.get(&id));
    if epoch != channel.epoch || subscription != Some(&Subscription::Live(epoch)) {
        return Ok(());
    }
    let Some(group) = take_group(heart, context, &id)? else { return Ok(()) };
    let opened = group.open_ephemeral(&heart.mls.on(context.db), &id, body);
    heart.groups.insert(id, group);
    let (sender, plaintext) = match opened {
        Ok(opened) => opened,
        Err(SealedError::Mls(error)) => return Err(error.into()),
        Err(_) => return Ok(()),
    };
    let row = conversation::find(context.db, &channel.conversation)?;
    let is_open = row.is_some_and(|row| row.state == conversation::State::Active);
    if !is_open || contact::block::is_blocked(context.db, &sender.credential.address)? {
        return Ok(());
    }
    let settings = crate::view::settings(context.db)?;
    let is_self = heart.identity.as_ref().is_some_and(|identity| identity.address == sender.credential.address);
    if codec::decode(&plaintext, 64) == Ok(Ephemeral::Typing) && settings.typing_indicators && !is_self {
        context.changed(Change::Typing {
            conversation: channel.conversation,
            person: sender.credential.address,
            until_unix_ms: context.now.unix_ms.saturating_add(TYPING_MS),
        });
    }
    Ok(())
}

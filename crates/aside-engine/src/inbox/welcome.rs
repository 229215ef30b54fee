//! Welcomes: into a group that somebody founded or that somebody was added to.

use super::envelope::{self, Letter};
use crate::Heart;
use crate::channel::{self, Channel, Live, outbox};
use crate::contact::{self, Contact};
use crate::content::{Arrival, Content};
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, IsAdmin, State};
use crate::error::EngineError;
use crate::input::ServerId;
use crate::job::NewChannel;
use crate::view::ConversationKind;
use crate::{server, timeline};
use aside_mls::{Group, JoinError, SUITE};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::{ChannelId, DeviceId, Hash};
use aside_protocol::identity::{DeviceRecord, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::params;

/// Somebody's inbox.
#[derive(Debug, Clone)]
pub(crate) struct Recipient {
    pub address: AccountAddress,
    pub device: DeviceId,
    pub server: ServerId,
    pub inbox_key: Vec<u8>,
    pub token: DeliveryToken,
}

/// What an added device needs (DESIGN 4a rule 5; P-5.5).
#[derive(Debug, Clone, Encode, Decode)]
pub(crate) struct WelcomeLetter {
    /// Where the channel is.
    #[n(0)]
    channel_server: ServerPin,
    /// Where the adder's inbox is, and what lets the joiner write to it.
    #[n(1)]
    adder_server: ServerPin,
    #[n(2)]
    adder_token: DeliveryToken,
    #[n(3)]
    adder_record: DeviceRecord,
    /// Proof that the adder was given a link of the joiner's, and which one.
    #[n(4)]
    introduction: Option<(Hash, Hash)>,
    /// Absent in a direct conversation, where each side has its own.
    #[n(5)]
    conversation: Option<ConversationId>,
    #[n(6)]
    channel: ChannelId,
    #[n(7)]
    epoch: u64,
    /// The joiner reads from here on.
    #[n(8)]
    anchor: Position,
    #[n(9)]
    suite: u16,
    #[n(10)]
    welcome: ByteVec,
    #[n(11)]
    ratchet_tree: ByteVec,
}

/// Tells one device of a new channel.
pub(crate) fn send(
    heart: &Heart,
    context: &mut Context<'_>,
    conversation: &conversation::Conversation,
    row: &Channel,
    new: &NewChannel,
    recipient: &Recipient,
) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let letter = WelcomeLetter {
        channel_server: server::pin(context.db, row.server)?,
        adder_server: identity.pin.clone(),
        adder_token: contact::own_token_for(heart, context, &recipient.address)?,
        adder_record: identity.record.clone(),
        introduction: contact::find(context.db, &recipient.address)?.and_then(|contact| contact.introduction),
        conversation: (conversation.kind == ConversationKind::Group).then_some(conversation.id),
        channel: row.id,
        epoch: new.epoch,
        anchor: row.position,
        suite: SUITE,
        welcome: new.welcome.clone(),
        ratchet_tree: new.ratchet_tree.clone(),
    };
    envelope::send(heart, context, identity, recipient, &Letter::Welcome(Box::new(letter)))
}

/// A Welcome came: from a contact or somebody with a link of ours it is followed, from a stranger it is a request.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: WelcomeLetter,
) -> Result<(), EngineError> {
    let hash = labelled_hash("aside welcome v1", &[&letter.channel.0, &letter.welcome]);
    let is_first = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO welcomes (hash, day) VALUES (?, ?)")?
        .execute(params![hash, context.now.day()])?
        == 1;
    let is_own_inbox = letter.adder_server.address == sender.address.server
        && letter.adder_record.verify().is_ok()
        && letter.adder_record.certificate == sender.certificate;
    if !is_first || !is_own_inbox || letter.suite != SUITE || channel::find(context.db, &letter.channel)?.is_some() {
        return Ok(());
    }
    let known = contact::find(context.db, &sender.address)?;
    if let Some(contact) = &known
        && sender.verify_known(&contact.root_key, &contact.key_sets).is_err()
    {
        // Somebody with the same address and other keys: nothing of it is followed, and the person is told.
        let words = format!("Somebody with other keys wrote as {}. Nothing of it was taken.", sender.address);
        return timeline::note(context, contact.conversation, &sender.address, &words);
    }
    let is_introduced = match &letter.introduction {
        Some((proof, link)) => contact::is_introduced(context, &sender.root_key, (proof, link))?,
        None => false,
    };
    let is_trusted = is_introduced || known.as_ref().is_some_and(|contact| contact.state != contact::State::Stranger);
    let id = match letter.conversation {
        None => known.as_ref().map(|contact| contact.conversation),
        Some(id) => Some(id),
    };
    let id = id.unwrap_or_else(|| ConversationId(context.random()));
    if letter.conversation.is_some() && conversation::find(context.db, &id)?.is_some() {
        return Ok(());
    }
    if letter.conversation.is_none() {
        meet(context, sender, &letter, known, id, is_trusted)?;
    }
    match is_trusted {
        true => follow(heart, context, sender, &letter, id),
        false => request(context, sender, &letter, id),
    }
}

/// Writes down who began a direct conversation, and how to reach them.
fn meet(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    known: Option<Contact>,
    id: ConversationId,
    is_trusted: bool,
) -> Result<(), EngineError> {
    let server = match is_trusted {
        true => Some(server::remember(context, &letter.adder_server)?),
        false => server::find_pin(context.db, &letter.adder_server)?,
    };
    let contact = Contact {
        address: sender.address.clone(),
        server,
        root_key: sender.root_key,
        key_sets: sender.key_sets.clone(),
        token: letter.adder_token,
        introduction: None,
        conversation: id,
        state: if is_trusted { contact::State::Active } else { contact::State::Stranger },
        failure: None,
        verified: known.is_some_and(|contact| contact.verified),
    };
    contact::put(context, &contact)
}

/// Keeps a stranger's Welcome until the person accepts it. No server is contacted for it.
fn request(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    let peer = letter.conversation.is_none().then_some(&sender.address);
    if conversation::find(context.db, &id)?.is_none() {
        let title = if peer.is_some() { sender.address.name.as_str() } else { "A group" };
        conversation::insert(context, id, title, peer, State::Request)?;
        conversation::add_member(context, id, &sender.address, IsAdmin::Yes)?;
    }
    let kept = to_store(&(sender, letter));
    context.db.prepare_cached("UPDATE conversations SET request = ? WHERE id = ?")?.execute(params![kept, id])?;
    Ok(())
}

/// The person accepts a stranger's conversation.
pub(crate) fn accept(heart: &mut Heart, context: &mut Context<'_>, kept: &[u8]) -> Result<(), EngineError> {
    let (sender, letter): (MemberCredential, WelcomeLetter) = stored(kept, "request")?;
    let known = contact::find(context.db, &sender.address)?;
    let id = match (letter.conversation, &known) {
        (Some(id), _) => id,
        (None, Some(contact)) => contact.conversation,
        (None, None) => return Ok(()),
    };
    if letter.conversation.is_none() {
        meet(context, &sender, &letter, known, id, true)?;
    }
    context.db.prepare_cached("UPDATE conversations SET request = NULL WHERE id = ?")?.execute(params![id])?;
    follow(heart, context, &sender, &letter, id)
}

/// Joins the group and writes its channel down; reading begins at the anchor.
fn follow(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    let is_direct = letter.conversation.is_none();
    let peer = is_direct.then_some(&sender.address);
    if conversation::find(context.db, &id)?.is_none() {
        conversation::insert(context, id, sender.address.name.as_str(), peer, State::Pending)?;
    }
    let joined = heart.mls.on(context.db).join(&letter.welcome, &letter.ratchet_tree);
    let group = match joined {
        Ok(group) => group,
        Err(JoinError::Mls(error)) => return Err(error.into()),
        Err(_) => return not_joined(context, sender, id),
    };
    if !is_as_announced(heart, &group, sender, letter)? {
        heart.mls.on(context.db).delete_group(&group.id())?;
        return not_joined(context, sender, id);
    }
    let server = server::remember(context, &letter.channel_server)?;
    channel::insert(context, letter.channel, id, server, letter.epoch, letter.anchor, Live::Yes)?;
    channel::note_epoch(context, letter.channel, &group)?;
    let adder_server = server::find_pin(context.db, &letter.adder_server)?;
    let roster = (&letter.adder_record, &letter.adder_token);
    channel::add_to_roster(context, letter.channel, &sender.address, adder_server, roster.0, roster.1)?;
    let metadata = group.metadata()?;
    for member in group.members()? {
        let address = &member.credential.address;
        let is_admin = if metadata.is_admin(address) { IsAdmin::Yes } else { IsAdmin::No };
        conversation::add_member(context, id, address, is_admin)?;
    }
    if !is_direct {
        conversation::set_title(context, id, &metadata.title)?;
        let words = format!("{} added you to the group", sender.address.name);
        timeline::note(context, id, &sender.address, &words)?;
    }
    heart.groups.insert(letter.channel, group);
    conversation::set_state(context, id, State::Active)?;
    channel::choose_current(context, id)?;
    let rotate_at = context.now.unix_ms.saturating_add(heart.options.rotate_after_join_ms);
    let jitter = context.random_ms(heart.options.rotate_after_join_ms.max(1));
    channel::set_rotation(context, letter.channel, Some(rotate_at.saturating_add(jitter)))?;
    announce(heart, context, id, &sender.address)?;
    conversation::touch(context, id)?;
    heart.stirred.insert(letter.channel);
    Ok(())
}

/// The group must be what the letter says: in that epoch, of the sender and this device, and direct only with two people.
fn is_as_announced(
    heart: &Heart,
    group: &Group,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
) -> Result<bool, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(false) };
    let members = group.members()?;
    let has_sender = members.iter().any(|member| member.credential.certificate == sender.certificate);
    let is_of_two = members
        .iter()
        .all(|member| member.credential.address == sender.address || member.credential.address == identity.address);
    let is_right_group = group.id().0 == letter.channel.0 && group.epoch() == letter.epoch;
    Ok(has_sender && is_right_group && (letter.conversation.is_some() || is_of_two))
}

fn not_joined(context: &mut Context<'_>, sender: &MemberCredential, id: ConversationId) -> Result<(), EngineError> {
    let words = format!(
        "{} began a conversation that this device could not join. Ask them to begin it again.",
        sender.address.name
    );
    timeline::note(context, id, &sender.address, &words)
}

/// The joiner's first words: how the members reach this device's inbox.
fn announce(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    adder: &AccountAddress,
) -> Result<(), EngineError> {
    let token = contact::own_token_for(heart, context, adder)?;
    let Some(identity) = &heart.identity else { return Ok(()) };
    let arrival = Arrival { server: identity.pin.clone(), token, record: identity.record.clone() };
    outbox::queue(context, id, &Content::Arrival(Box::new(arrival)), |_| None)
}

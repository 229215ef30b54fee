//! Entering a group by its Welcome: the group is as the letter says, its channel is written down, reading begins at the
//! anchor.

use super::arrival;
use super::welcome::{WelcomeLetter, show_pending, stays_leaving};
use crate::Heart;
use crate::channel::{self, Live, unheard};
use crate::contact::{self};
use crate::context::Context;
use crate::conversation::{self, ConversationId, IsAdmin, State, replace};
use crate::error::EngineError;
use crate::group::ask;
use crate::heal::refound::{self, Predecessor};
use crate::heal::{self, Fault, follow, gap, joins};
use crate::view::ConversationKind;
use crate::{device, server, timeline};
use aside_mls::{Group, JoinError, Member};
use aside_protocol::identity::MemberCredential;

/// Entries that a device asks back for at most, whatever its adder says: it keeps room for them.
const ASKED_BACK_MAX: u64 = 1 << 20;

/// The epoch in which a founder's Welcomes let everybody in.
const FOUNDED_IN: u64 = 1;

/// Joins the group and writes its channel down; reading begins at the anchor.
pub(super) fn join(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
    ratchet_tree: &[u8],
) -> Result<(), EngineError> {
    if channel::find(context.db, &letter.channel)?.is_some() {
        return Ok(());
    }
    show_pending(context, sender, letter, id)?;
    let is_group = letter.conversation.is_some();
    let joined = heart.mls.on(context.db).join(&letter.welcome, ratchet_tree);
    let group = match joined {
        Ok(group) => group,
        Err(JoinError::Mls(error)) => return Err(error.into()),
        Err(JoinError::NoMatchingKeyPackage) if may_ask_anew(context, letter, id)? => {
            return without_keys(heart, context, sender, letter, id);
        }
        Err(_) => return not_joined(context, sender, id),
    };
    let known = letter.leads_from(context.db)?;
    let is_of_inviter = match ask::pending(context.db, id)? {
        Some((link, _)) => group.members()?.iter().any(|member| member.credential.root_key == link.root_key),
        None => true,
    };
    let is_agreed = match known {
        // One's own device has seen for itself whether it was to be followed.
        Some(predecessor) if letter.own.is_none() => {
            follow::is_agreed(heart, context, id, (predecessor, &sender.address), &group)?
        }
        Some(_) | None => true,
    };
    if !is_of_inviter || !is_agreed || !is_as_announced(heart, &group, sender, letter)? {
        heart.mls.on(context.db).delete_group(&group.id())?;
        return turned_down(context, sender, id, known);
    }
    ask::over(context, id)?;
    let members = group.members()?;
    begin(heart, context, sender, letter, id, (&group, &members))?;
    let is_leaving = conversation::find(context.db, &id)?.is_some_and(|row| stays_leaving(&row, letter));
    conversation::show_group(context, id, &members, &group.metadata()?)?;
    if is_group && known.is_none() && letter.own.is_none() {
        let words = format!("{} added you to the group", sender.address.name);
        timeline::note(context, id, &sender.address, &words)?;
    }
    heart.groups.insert(letter.channel, group);
    ask_for_earlier(heart, context, letter)?;
    if !is_leaving {
        conversation::set_state(context, id, State::Active)?;
        let rotate_at = first_rotation(heart, context, members.len());
        channel::set_rotation(context, letter.channel, Some(rotate_at))?;
    }
    choose_channel(heart, context, (id, letter), known)?;
    if !conversation::is_current(context.db, id, &letter.channel)? {
        conversation::show_current(heart, context, id)?;
    }
    arrival::announce(heart, context, id, &sender.address)?;
    if letter.own.is_none() {
        conversation::touch(context, id)?;
    }
    heart.stirred.insert(letter.channel);
    replace::find_lost(context, (id, &letter.channel), &members)?;
    device::attend::one(heart, context, letter.channel, device::attend::Haste::OthersFirst)
}

/// Whether nothing has to be judged of a group before this device enters it but who let it in: of two people, who founded
/// their conversation anew may.
fn may_ask_anew(context: &Context<'_>, letter: &WelcomeLetter, id: ConversationId) -> Result<bool, EngineError> {
    let is_new = letter.conversation.is_none() || letter.leads_from(context.db)?.is_none();
    Ok(is_new && ask::pending(context.db, id)?.is_none())
}

/// The keys that a Welcome is for are not here, as on a device that was set back to an older copy of itself. It has a leaf
/// without its state, and asks whoever let it in for a fresh one.
fn without_keys(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    let server = server::remember(context, &letter.channel_server)?;
    channel::insert(context, letter.channel, id, server, letter.epoch, letter.anchor, Live::Yes)?;
    let adder_server = server::find_pin(context.db, &letter.adder_server)?;
    let roster = (&letter.adder_record, &letter.adder_token);
    channel::add_to_roster(context, letter.channel, &sender.address, adder_server, roster.0, roster.1)?;
    conversation::add_member(context, id, &sender.address, IsAdmin::Yes)?;
    if letter.conversation.is_some() && letter.own.is_none() {
        let words = format!("{} added you to the group", sender.address.name);
        timeline::note(context, id, &sender.address, &words)?;
    }
    ask_for_earlier(heart, context, letter)?;
    choose_channel(heart, context, (id, letter), letter.leads_from(context.db)?)?;
    let Some(row) = channel::find(context.db, &letter.channel)? else { return Ok(()) };
    heal::stop(heart, context, &row, Fault::MissingState)
}

/// What was said since this device has a leaf, of which it had not heard.
fn ask_for_earlier(heart: &mut Heart, context: &mut Context<'_>, letter: &WelcomeLetter) -> Result<(), EngineError> {
    let (Some(since), Some(row)) = (letter.since, channel::find(context.db, &letter.channel)?) else { return Ok(()) };
    let from = since.saturating_add(1).max(letter.anchor.seq.saturating_sub(ASKED_BACK_MAX));
    gap::open(heart, context, &row, from, letter.anchor.seq)
}

/// A group that is not as it has to be is not entered. Where the conversation goes on in another channel already, whoever
/// founded this one comes there.
fn turned_down(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    id: ConversationId,
    known: Option<&Predecessor>,
) -> Result<(), EngineError> {
    let old = known.map(|known| channel::find(context.db, &known.channel)).transpose()?.flatten();
    let goes_on = match old {
        Some(old) => refound::successor_of(context.db, &old)?.is_some(),
        None => false,
    };
    if goes_on { Ok(()) } else { not_joined(context, sender, id) }
}

/// Writes the channel down, and who is in it.
fn begin(
    heart: &Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
    (group, members): (&Group, &[Member]),
) -> Result<(), EngineError> {
    let server = server::remember(context, &letter.channel_server)?;
    channel::insert(context, letter.channel, id, server, letter.epoch, letter.anchor, Live::Yes)?;
    channel::note_epoch(context, letter.channel, group)?;
    let adder_server = server::find_pin(context.db, &letter.adder_server)?;
    let roster = (&letter.adder_record, &letter.adder_token);
    if letter.epoch == FOUNDED_IN {
        let place = (&letter.channel, letter.anchor.seq);
        unheard::by_founder(context, place, &sender.certificate.device, members)?;
    }
    channel::add_to_roster(context, letter.channel, &sender.address, adder_server, roster.0, roster.1)?;
    unheard::told(context, &letter.channel, letter.unheard.as_deref().unwrap_or_default(), members)?;
    if let (Some(identity), Some(joined)) = (&heart.identity, letter.joined) {
        joins::note(context, &letter.channel, &identity.address, joined.min(letter.anchor.seq))?;
    }
    if let Some(row) = channel::find(context.db, &letter.channel)? {
        let devices = members.iter().map(|member| member.credential.certificate.device);
        device::bundle::owe_promised(heart, context, &row, letter.anchor.seq, devices)?;
    }
    contact::keys::saw_members(context, id, members.iter().map(|member| &member.credential))?;
    Ok(())
}

/// Which of its channels a conversation is in, now that it has one more.
fn choose_channel(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, letter): (ConversationId, &WelcomeLetter),
    known: Option<&Predecessor>,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &letter.channel)? else { return Ok(()) };
    match known {
        Some(predecessor) => {
            channel::choose_current(heart, context, id)?;
            follow::adopt(heart, context, &row, predecessor)
        }
        // It may come after the conversation was founded anew.
        None => {
            // One's own device is believed that this one came in the place of another, which may be entered later; and so
            // is the other one of two, who may found it anew. The other devices know it.
            let is_believed = letter.own.is_some() || letter.conversation.is_none();
            if let Some(predecessor) = letter.predecessor.as_ref().filter(|_| is_believed) {
                follow::set_predecessor(context, &letter.channel, predecessor)?;
            }
            follow::settle(heart, context, id, &[])?;
            channel::choose_current(heart, context, id)
        }
    }
}

/// When a joiner gives its leaf fresh keys for the first time. In a large group many have joined at once, and each of
/// these commits is large while the tree is blank: the more there are, the longer they are spread over.
fn first_rotation(heart: &Heart, context: &mut Context<'_>, leaves: usize) -> i64 {
    let least = heart.options.rotate_after_join_ms;
    let spread = least.saturating_mul(i64::try_from(leaves.div_ceil(2)).unwrap_or(i64::MAX));
    context.now.unix_ms.saturating_add(least).saturating_add(context.random_ms(spread.max(1)))
}

/// The group must be what the letter says: in that epoch, of the sender and this device, and direct only with two people.
pub(super) fn is_as_announced(
    heart: &Heart,
    group: &Group,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
) -> Result<bool, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(false) };
    let members = group.members()?;
    // Not the same certificate: after a revocation the letter bears a new one, and the leaf is renewed a little later.
    let is_sender = |member: &MemberCredential| {
        member.root_key == sender.root_key && member.certificate.is_of_same_device(&sender.certificate)
    };
    let has_sender = members.iter().any(|member| is_sender(&member.credential));
    // A peer only where an own device says that there is one: the devices' own conversation has none.
    let other = letter.own.as_ref().map_or(Some(&sender.address), |own| own.peer.as_ref());
    let is_of_two = members.iter().all(|member| {
        let address = &member.credential.address;
        Some(address) == other || *address == identity.address
    });
    let is_right_group = group.id().0 == letter.channel.0 && group.epoch() == letter.epoch;
    Ok(has_sender && is_right_group && (letter.conversation.is_some() || is_of_two))
}

/// Says that a conversation could not be joined, where one is shown for it.
pub(super) fn not_joined(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    id: ConversationId,
) -> Result<(), EngineError> {
    let words = format!(
        "{} began a conversation that this device could not join. Ask them to begin it again.",
        sender.address.name
    );
    // So that somebody can add this device again.
    let is_pending_group = conversation::find(context.db, &id)?
        .is_some_and(|row| row.kind == ConversationKind::Group && row.state == State::Pending);
    if is_pending_group {
        let why = "this device could not join the group; ask to be added again";
        conversation::set_out(context, id, State::Removed, why)?;
    }
    timeline::note(context, id, &sender.address, &words)
}

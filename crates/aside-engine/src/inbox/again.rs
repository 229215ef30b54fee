//! Welcomes into conversations that this device has already: the answer to its request for a fresh leaf (P-9.4), and the
//! way into a channel that the conversation was founded anew in (P-9.9).

use super::arrival;
use super::join;
use super::tree::{self, Tree};
use super::welcome::{self, WelcomeLetter};
use crate::Heart;
use crate::channel::{self, Channel};
use crate::context::{Context, stored, to_store};
use crate::error::EngineError;
use crate::heal::follow::{self, Claim};
use crate::heal::refound::Predecessor;
use crate::heal::rejoin::{self, Expected};
use crate::heal::{self, Fault};
use crate::{device, server};
use aside_mls::JoinError;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::MemberCredential;
use rusqlite::{OptionalExtension, params};

/// A Welcome into a channel that this device has.
pub(super) fn into_known(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    row: &Channel,
) -> Result<(), EngineError> {
    match rejoin::expects(context, row, &sender.address, (letter.epoch, letter.anchor))? {
        // Of an epoch to come, and not asked for: somebody took this person out meanwhile, and in again.
        Expected::No if letter.epoch > row.epoch => keep(context, &row.id, sender, letter),
        Expected::No => Ok(()),
        Expected::Yes => rejoin(heart, context, sender, letter, row),
        Expected::Later => keep(context, &row.id, sender, letter),
    }
}

/// Replaces the old group. What does not hold changes nothing.
fn rejoin(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    row: &Channel,
) -> Result<(), EngineError> {
    let ratchet_tree = match &letter.tree {
        Tree::Inline(ratchet_tree) => ratchet_tree,
        Tree::Blobs(parts) => return tree::fetch(context, sender, letter, row.conversation, parts).map(|_| ()),
    };
    context.db.execute_batch("SAVEPOINT welcome_is_followed")?;
    let joined = heart.mls.on(context.db).rejoin(&letter.welcome, ratchet_tree);
    let group = match joined {
        Err(JoinError::Mls(error)) => return Err(error.into()),
        Ok(group)
            if join::is_as_announced(heart, &group, sender, letter)?
                && rejoin::is_as_it_was(context, row, &sender.address, &group)? =>
        {
            group
        }
        Ok(_) | Err(_) => {
            context.db.execute_batch("ROLLBACK TO welcome_is_followed; RELEASE welcome_is_followed")?;
            return Ok(());
        }
    };
    context.db.execute_batch("RELEASE welcome_is_followed")?;
    let adder_server = server::find_pin(context.db, &letter.adder_server)?;
    let roster = (&letter.adder_record, &letter.adder_token);
    channel::add_to_roster(context, row.id, &sender.address, adder_server, roster.0, roster.1)?;
    let told = (letter.unheard.as_deref().unwrap_or_default(), letter.joins.as_deref().unwrap_or_default());
    rejoin::done(heart, context, row, group, letter.anchor, told)?;
    // A history that another device gave may have come first.
    device::bundle::into_kept_places(context, row.conversation)?;
    arrival::announce(heart, context, row.conversation, &sender.address)?;
    // A device that was linked meanwhile was not put in from here.
    device::attend::one(heart, context, row.id, device::attend::Haste::OthersFirst)
}

fn keep(
    context: &Context<'_>,
    id: &ChannelId,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO kept_welcomes (channel, body) VALUES (?, ?)")?
        .execute(params![id.0, to_store(&(sender, letter))])?;
    Ok(())
}

fn take_kept(context: &Context<'_>, id: &ChannelId) -> Result<Option<(MemberCredential, WelcomeLetter)>, EngineError> {
    let kept: Option<Vec<u8>> = context
        .db
        .prepare_cached("DELETE FROM kept_welcomes WHERE channel = ? RETURNING body")?
        .query_row(params![id.0], |row| row.get(0))
        .optional()?;
    kept.map(|body| stored(&body, "Welcome")).transpose()
}

/// The log says that this person was removed. `end` forgets the channel with everything of it, and then a Welcome that
/// came before that was read is followed like any other.
pub(crate) fn removed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ChannelId,
    end: impl FnOnce(&mut Heart, &mut Context<'_>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let kept = take_kept(context, &id)?;
    end(heart, context)?;
    match kept {
        Some((sender, letter)) => welcome::consider(heart, context, &sender, letter),
        None => Ok(()),
    }
}

/// The log says that this device's leaf was replaced, as it had asked. The Welcome may be here already.
pub(crate) fn swapped(heart: &mut Heart, context: &mut Context<'_>, id: ChannelId) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &id)? else { return Ok(()) };
    heal::stop(heart, context, &row, Fault::Swapped)?;
    match take_kept(context, &id)? {
        Some((sender, letter)) => into_known(heart, context, &sender, &letter, &row),
        None => Ok(()),
    }
}

/// A Welcome that names the channel that its own was founded in place of. `false`: it is one like others.
pub(super) fn into_successor(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    predecessor: &Predecessor,
) -> Result<bool, EngineError> {
    match follow::judge(heart, context, &sender.address, predecessor)? {
        Claim::Plain => return Ok(false),
        Claim::Refused => {}
        Claim::Later => keep(context, &predecessor.channel, sender, letter)?,
        Claim::Follow(id) => welcome::follow(heart, context, sender, letter, id)?,
    }
    Ok(true)
}

/// The person goes on: what waited for that is followed.
pub(crate) fn follow_kept(heart: &mut Heart, context: &mut Context<'_>, old: ChannelId) -> Result<(), EngineError> {
    let Some((sender, letter)) = take_kept(context, &old)? else { return Ok(()) };
    match &letter.predecessor {
        Some(predecessor) => into_successor(heart, context, &sender, &letter, predecessor).map(|_| ()),
        None => Ok(()),
    }
}

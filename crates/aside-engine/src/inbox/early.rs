//! Welcomes that wait: for the person, or until this device hears who their author is.
//!
//! The latter are of somebody of whom this device has not heard yet, in a conversation that it knows of: its own other
//! devices are about to tell it who that is. Until they have, nobody but servers vouches for the keys. So are those into a
//! group of which it has only heard: until its own devices name the channel, anybody could say that it is this one.

use super::welcome::{self, WelcomeLetter};
use crate::Heart;
use crate::contact;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, State};
use crate::error::EngineError;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::MemberCredential;
use rusqlite::params;

/// The most that are kept; the newest are.
const KEPT_MAX: i64 = 64;

/// Keeps one.
pub(super) fn keep(
    context: &Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT INTO early_welcomes (address, welcome) VALUES (?, ?)")?
        .execute(params![sender.address.to_string(), to_store(&(sender, letter))])?;
    context
        .db
        .prepare_cached(
            "DELETE FROM early_welcomes WHERE place NOT IN (SELECT place FROM early_welcomes ORDER BY place DESC LIMIT ?)",
        )?
        .execute(params![KEPT_MAX])?;
    Ok(())
}

/// Another device of this account put this one into a conversation whose Welcome waits for the person here: they have accepted
/// it there. It may be into another log of the conversation, and waits for who its author is. Returns who sent it.
pub(super) fn keep_request(
    context: &Context<'_>,
    row: &conversation::Conversation,
) -> Result<Option<AccountAddress>, EngineError> {
    let Some(request) = &row.request else { return Ok(None) };
    let (sender, letter): (MemberCredential, WelcomeLetter) = stored(request, "request")?;
    keep(context, &sender, &letter)?;
    context.db.prepare_cached("UPDATE conversations SET request = NULL WHERE id = ?")?.execute(params![row.id])?;
    Ok(Some(sender.address))
}

/// Who sent a Welcome that waits as a request.
pub(crate) fn request_is_from(kept: &[u8]) -> Result<AccountAddress, EngineError> {
    let (sender, _): (MemberCredential, WelcomeLetter) = stored(kept, "request")?;
    Ok(sender.address)
}

/// Somebody is known now: what came of them before is looked at again.
pub(crate) fn look_again(
    heart: &mut Heart,
    context: &mut Context<'_>,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    let Some(contact) = contact::find(context.db, address)?.filter(|contact| contact.state.is_accepted()) else {
        return Ok(());
    };
    let mut statement =
        context.db.prepare_cached("DELETE FROM early_welcomes WHERE address = ? RETURNING place, welcome")?;
    let rows = statement.query_map(params![address.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut kept = rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()?;
    drop(statement);
    kept.sort();
    for (_, bytes) in kept {
        let (sender, letter): (MemberCredential, WelcomeLetter) = stored(&bytes, "early Welcome")?;
        if contact.root_key == Some(sender.root_key) {
            welcome::consider(heart, context, &sender, letter)?;
        }
    }
    Ok(())
}

/// Whether one of this account's devices has said that a conversation is in this channel.
pub(super) fn is_named(context: &Context<'_>, channel: &ChannelId, id: ConversationId) -> Result<bool, EngineError> {
    let sql = "SELECT 1 FROM named_channels WHERE conversation = ? AND channel = ?";
    Ok(context.db.prepare_cached(sql)?.exists(params![id, channel.0])?)
}

/// One of this account's devices named the channel that a conversation is in: whoever put this device into it is followed.
pub(crate) fn channel_is_named(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &ChannelId,
    id: ConversationId,
) -> Result<(), EngineError> {
    // This device may have come in, or have heard that its person is out, in the meantime.
    let row = conversation::find(context.db, &id)?;
    if row.is_none_or(|row| row.state != State::Pending || row.channel.is_some()) {
        return Ok(());
    }
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO named_channels (conversation, channel) VALUES (?, ?)")?
        .execute(params![id, channel.0])?;
    let mut statement = context.db.prepare_cached("SELECT place, welcome FROM early_welcomes ORDER BY place")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let kept = rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()?;
    drop(statement);
    for (place, bytes) in kept {
        let (sender, letter): (MemberCredential, WelcomeLetter) = stored(&bytes, "early Welcome")?;
        if letter.channel == *channel && letter.conversation == Some(id) {
            context.db.prepare_cached("DELETE FROM early_welcomes WHERE place = ?")?.execute(params![place])?;
            welcome::follow(heart, context, &sender, &letter, id)?;
        }
    }
    Ok(())
}

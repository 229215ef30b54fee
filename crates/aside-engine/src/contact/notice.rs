//! What a person has to look at before a conversation goes on, as far as it is about somebody's keys; and what happens
//! when they have looked.

use super::{Contact, State, Voucher, display_name, find, keys, words};
use crate::Heart;
use crate::channel;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::inbox::welcome;
use crate::timeline;
use crate::view::{Notice, NoticeAction, NoticeKind};
use aside_protocol::key::PublicKey;
use rusqlite::{Connection, params};

/// The notice of a conversation about its members' keys, if there is one.
pub(crate) fn of(db: &Connection, row: &conversation::Conversation) -> Result<Option<Notice>, EngineError> {
    let text = match (keys::to_look_at(db, &row.id)?.first(), &row.peer) {
        (Some(address), _) => words::look(&display_name(db, address)?),
        (None, Some(peer)) if keys::other_keys(db, peer)?.is_some() => {
            words::other_keys(&display_name(db, peer)?, peer)
        }
        _ => return Ok(None),
    };
    let actions = vec![NoticeAction::AcceptKeys, NoticeAction::Compare];
    Ok(Some(Notice { kind: NoticeKind::KeyChanged, text, actions }))
}

/// The person has looked, and goes on with the keys as they are now.
pub(crate) fn accept_keys(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
) -> Result<(), CommandError> {
    let row = conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
    let people = keys::to_look_at(context.db, &id)?;
    if !people.is_empty() {
        people.iter().try_for_each(|address| keys::looked(context, address))?;
        heart.stirred.extend(row.channel);
        return Ok(());
    }
    let contact = row.peer.as_ref().map(|peer| find(context.db, peer)).transpose()?.flatten();
    let other = row.peer.as_ref().map(|peer| keys::other_keys(context.db, peer)).transpose()?.flatten();
    let (Some(contact), Some(other)) = (contact, other) else { return Err(CommandError::NothingToAccept) };
    begin_anew(heart, context, &contact, other.root_key, Voucher::Server)?;
    match other.welcome {
        Some(welcome) => Ok(welcome::accept(heart, context, &welcome)?),
        None => {
            let why = "ask them for a new link, and add them with it";
            context.db.execute(
                "UPDATE contacts SET state = ?, failure = ? WHERE address = ?",
                params![State::Failed as i64, why, contact.address.to_string()],
            )?;
            Ok(())
        }
    }
}

/// Gives a contact another root key, by the person's word. What was compared is not compared any more, and the old
/// account's channels are left: whoever holds its keys is heard no longer.
pub(super) fn begin_anew(
    heart: &mut Heart,
    context: &mut Context<'_>,
    contact: &Contact,
    root_key: PublicKey,
    voucher: Voucher,
) -> Result<(), EngineError> {
    let id = contact.conversation;
    super::own_token::revoke(heart, context, &contact.address)?;
    context.db.execute(
        "UPDATE contacts SET root_key = ?, by_name = ?, verified = 0, state = ?, other = NULL WHERE address = ?",
        params![root_key.0, voucher == Voucher::Server, State::Failed as i64, contact.address.to_string()],
    )?;
    channel::forget_all(heart, context, id)?;
    if conversation::find(context.db, &id)?.is_some() {
        context.db.execute("UPDATE conversations SET channel = NULL WHERE id = ?", params![id])?;
        conversation::set_state(context, id, conversation::State::Pending)?;
        let words = format!("You accepted new keys of {}. They are not compared yet.", contact.address.name);
        timeline::note(context, id, &contact.address, &words)?;
    }
    context.changed(crate::input::Change::Contact(contact.address.clone()));
    Ok(())
}

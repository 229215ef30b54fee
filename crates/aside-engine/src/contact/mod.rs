//! Contacts: people with their root keys, and the tokens by which each side reaches the other's inbox.
//!
//! Whatever meets somebody's keys asks [`keys`] whether to believe them. Links of one's own are in [`links`], strangers
//! who ask in [`requests`], and those of whom nothing is wanted in [`block`].

pub(crate) mod block;
pub(crate) mod by_name;
pub(crate) mod command;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod notice;
pub(crate) mod own_token;
pub(crate) mod report;
pub(crate) mod requests;
pub(crate) mod round;
mod row;
pub(crate) mod tokens;
mod words;

pub use links::{LinkId, OwnLink};
pub use requests::REQUESTS_MAX;
pub(crate) use row::{Contact, State, Voucher, all, display_name, find, put, set_active, set_failed};
pub(crate) use words::by_name as words_by_name;

use crate::Heart;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::input::Change;
use crate::job::{self, Job};
use crate::server;
use aside_protocol::address::AccountAddress;
use aside_protocol::link::ContactLink;
use rusqlite::{Connection, params};

/// The longest name that a person can give to somebody.
pub const NAME_CHARS_MAX: usize = 64;

/// What a person says of a link that shows other keys than are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherKeys {
    /// Nothing: such a link is refused.
    Refused,
    /// They have asked, and the link is right.
    Accepted,
}

/// Adds somebody by link and begins the conversation with them; with somebody known it goes on.
pub(crate) fn add(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: &ContactLink,
    other_keys: OtherKeys,
) -> Result<ConversationId, CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let own_root = identity.root_key;
    if link.address == identity.address {
        return Err(CommandError::OwnLink);
    }
    let introduction = link.secret.introduction(&identity.root_key);
    let mut known = find(context.db, &link.address)?;
    if let Some(contact) = known.take_if(|contact| contact.root_key.is_some_and(|key| key != link.root_key)) {
        match other_keys {
            OtherKeys::Refused => {
                return Err(CommandError::OtherKeys {
                    address: link.address.to_string(),
                    voucher: if contact.voucher == Voucher::Link { "you know them by" } else { "their server gave" },
                });
            }
            OtherKeys::Accepted => notice::begin_anew(heart, context, &contact, link.root_key, Voucher::Link)?,
        }
        known = find(context.db, &link.address)?;
    }
    if let Some(id) = goes_on(heart, context, known.as_ref())? {
        let sql = "UPDATE contacts SET by_name = 0 WHERE address = ?";
        context.db.prepare_cached(sql)?.execute(params![link.address.to_string()])?;
        return Ok(id);
    }
    let server = server::remember(context, &link.server)?;
    let id =
        known.as_ref().map_or_else(|| ConversationId::direct(&own_root, &link.address), |contact| contact.conversation);
    let contact = Contact {
        address: link.address.clone(),
        server: Some(server),
        root_key: Some(link.root_key),
        voucher: Voucher::Link,
        token: link.secret.delivery_token(),
        introduction: Some((introduction, link.secret.delivery_token().hash())),
        conversation: id,
        state: State::Adding,
        failure: None,
        verified: false,
        name: None,
    };
    // A log that they were never told of stands: they get in with what was said there.
    if conversation::replace::find_unheard(context, id, &link.address)? {
        put(context, &Contact { state: State::Active, ..contact })?;
        conversation::replace::look_up(context, id, &link.address)?;
        return Ok(id);
    }
    put(context, &contact)?;
    begin(context, id, &link.address, &Job::FetchKeyPackages(id, link.address.clone()), server)?;
    Ok(id)
}

/// With somebody who is known there may be nothing to begin.
fn goes_on(
    heart: &mut Heart,
    context: &mut Context<'_>,
    known: Option<&Contact>,
) -> Result<Option<ConversationId>, CommandError> {
    let Some(contact) = known else { return Ok(None) };
    let id = contact.conversation;
    let row = conversation::find(context.db, &id)?;
    match contact.state {
        State::Active | State::Adding => conversation::touch(context, id)?,
        // They have asked already.
        State::Stranger if row.is_some_and(|row| row.request.is_some()) => requests::accept(heart, context, id)?,
        State::Removed => requests::take_back(heart, context, contact)?,
        State::Stranger | State::Failed => return Ok(None),
    }
    Ok(Some(id))
}

/// Asks for somebody's keys, and founds the direct conversation when they come.
fn begin(
    context: &mut Context<'_>,
    id: ConversationId,
    peer: &AccountAddress,
    job: &Job,
    server: crate::input::ServerId,
) -> Result<(), EngineError> {
    if conversation::find(context.db, &id)?.is_none() {
        conversation::insert(context, id, peer.name.as_str(), Some(peer), conversation::State::Pending)?;
    }
    conversation::add_member(context, id, peer, conversation::IsAdmin::No)?;
    context.db.execute("DELETE FROM founding WHERE conversation = ?", params![id])?;
    context.db.execute(
        "INSERT INTO founding (conversation, address, at_ms) VALUES (?, ?, ?)",
        params![id, peer.to_string(), context.now.unix_ms],
    )?;
    job::add(context, server, job)
}

/// Why nothing may be sent in a conversation that is otherwise open, in words.
pub(crate) fn why_not_to_send(
    db: &Connection,
    conversation: &conversation::Conversation,
) -> Result<Option<String>, EngineError> {
    if let Some(peer) = &conversation.peer
        && block::is_blocked(db, peer)?
    {
        return Ok(Some(format!("you blocked {}: unblock them first", display_name(db, peer)?)));
    }
    let to_look_at = keys::to_look_at(db, &conversation.id)?;
    match to_look_at.first() {
        Some(address) => Ok(Some(words::look(&display_name(db, address)?))),
        None => Ok(None),
    }
}

/// Calls somebody by another name on this device; an empty one is the name in their address again.
pub(crate) fn rename(context: &mut Context<'_>, address: &AccountAddress, name: &str) -> Result<(), CommandError> {
    let name = name.trim();
    if name.chars().count() > NAME_CHARS_MAX {
        return Err(CommandError::Name { chars_max: NAME_CHARS_MAX });
    }
    let rows = context
        .db
        .prepare_cached("UPDATE contacts SET name = ? WHERE address = ? AND state < 3")?
        .execute(params![(!name.is_empty()).then_some(name), address.to_string()])?;
    if rows == 0 {
        return Err(CommandError::UnknownContact { address: address.to_string() });
    }
    context.changed(Change::Contact(address.clone()));
    for id in keys::conversations_with(context.db, address)? {
        context.changed(Change::Conversation(id));
    }
    Ok(())
}

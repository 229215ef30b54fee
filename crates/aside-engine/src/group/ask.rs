//! Joining by link, the side of whoever asks (P-5.14). The link names the admin who gave it, not the group: what the group
//! is shows once an admin has added this person.

use crate::Heart;
use crate::content::JoinRequest;
use crate::context::Context;
use crate::conversation::{self, ConversationId, State};
use crate::error::{CommandError, EngineError};
use crate::inbox::envelope::{self, Letter};
use crate::inbox::welcome::Recipient;
use crate::input::Answer;
use crate::job::{self, Job};
use crate::server;
use crate::timeline;
use aside_protocol::address::AccountAddress;
use aside_protocol::identity::{DeviceRecord, DirectoryAccount, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::GroupLink;
use rusqlite::{Connection, OptionalExtension, params};

/// For how long the admins can add whoever asks.
const TOKEN_DAYS: u32 = 90;

impl Heart {
    /// Asks to be added to the group of a link.
    pub(crate) fn join_by_link(&mut self, context: &mut Context<'_>, link: &GroupLink) -> Result<Answer, CommandError> {
        let identity = self.identity.as_ref().ok_or(CommandError::NotJoined)?;
        if link.address == identity.address {
            return Err(CommandError::OwnLink);
        }
        let id = ConversationId(link.group.0);
        match conversation::find(context.db, &id)? {
            None => {
                let title = format!("A group of {}", link.address.name);
                conversation::insert(context, id, &title, None, State::Pending)?;
            }
            Some(row) if row.state.is_out() && row.state != State::Leaving => {
                conversation::set_state(context, id, State::Pending)?;
            }
            Some(_) => return Ok(Answer::Conversation(id)),
        }
        context
            .db
            .prepare_cached("INSERT OR REPLACE INTO joining (conversation, link, nonce) VALUES (?, ?, ?)")?
            .execute(params![id, link.to_string(), context.random::<16>()])?;
        let server = server::remember(context, &link.server)?;
        job::add(context, server, &Job::AskToJoin(id))?;
        timeline::note(context, id, &link.address, &format!("You asked {} to join", link.address.name))?;
        Ok(Answer::Conversation(id))
    }
}

/// The link by which this person asked to join, and the number that its refusal names.
pub(crate) fn pending(db: &Connection, id: ConversationId) -> Result<Option<(GroupLink, [u8; 16])>, EngineError> {
    let mut statement = db.prepare_cached("SELECT link, nonce FROM joining WHERE conversation = ?")?;
    let row: Option<(String, [u8; 16])> =
        statement.query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    row.map(|(link, nonce)| Ok((link.parse().map_err(|_| EngineError::Damaged { what: "group link" })?, nonce)))
        .transpose()
}

/// This person is in, or will not be.
pub(crate) fn over(context: &Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM joining WHERE conversation = ?")?.execute(params![id])?;
    Ok(())
}

/// The inviting admin's account, as their server shows it: a letter goes to each of their devices.
pub(crate) fn account_is_here(
    heart: &Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    account: &DirectoryAccount,
) -> Result<(), EngineError> {
    let (Some((link, nonce)), Some(identity)) = (pending(context.db, id)?, &heart.identity) else { return Ok(()) };
    let devices = match known_devices(&link, account) {
        Some(devices) => devices,
        None => return failed(context, id, "the server names other keys for the inviter than the link does"),
    };
    // Everybody in the group learns it, so it is none that anybody else has.
    let token = DeliveryToken(context.random());
    let expires_day = context.now.day().saturating_add(TOKEN_DAYS);
    job::add(context, identity.server, &Job::PutDeliveryToken(token.hash(), Some(expires_day)))?;
    let ask = JoinRequest {
        credential: identity.credential(),
        server: identity.pin.clone(),
        token,
        record: identity.record.clone(),
        nonce,
    };
    let proof = link.secret.proof(&identity.root_key);
    let server = server::remember(context, &link.server)?;
    for record in devices {
        let recipient = Recipient {
            address: link.address.clone(),
            device: record.certificate.device,
            server,
            inbox_key: record.inbox_key.clone().into(),
            token: link.secret.delivery_token(),
        };
        let letter = Letter::AskToJoin(id, proof, Box::new(ask.clone()));
        envelope::send(heart, context, identity, &recipient, &letter)?;
    }
    Ok(())
}

/// The devices of the account that the link names, each with a record that holds; `None` if it is another account.
fn known_devices<'a>(link: &GroupLink, account: &'a DirectoryAccount) -> Option<Vec<&'a DeviceRecord>> {
    if account.root_key != link.root_key {
        return None;
    }
    let is_theirs = |record: &&DeviceRecord| {
        let credential = MemberCredential {
            address: link.address.clone(),
            root_key: account.root_key,
            key_sets: account.key_sets.clone(),
            certificate: record.certificate.clone(),
        };
        credential.verify().is_ok() && record.verify().is_ok()
    };
    Some(account.devices.iter().filter(is_theirs).collect())
}

/// Asking came to nothing.
pub(crate) fn failed(context: &mut Context<'_>, id: ConversationId, why: &str) -> Result<(), EngineError> {
    if pending(context.db, id)?.is_none() {
        return Ok(());
    }
    over(context, id)?;
    conversation::set_out(context, id, State::Removed, why)
}

/// An admin declined.
pub(crate) fn declined(
    context: &mut Context<'_>,
    sender: &AccountAddress,
    (id, nonce): (ConversationId, &[u8; 16]),
) -> Result<(), EngineError> {
    match pending(context.db, id)? {
        Some((_, asked)) if asked == *nonce => {
            failed(context, id, &format!("{} declined your request to join", sender.name))
        }
        _ => Ok(()),
    }
}

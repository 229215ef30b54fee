//! People on one's own server, by name alone: adding them, and being found oneself (P-5.11, P-5.17). Only the server says then
//! whose keys are whose, which a person is told until they have compared.

use super::{Contact, State, Voucher, begin, find, goes_on, keys, put};
use crate::Heart;
use crate::context::Context;
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::job::{self, Job};
use crate::timeline;
use crate::view;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::frame::anonymous::DeviceKeyPackage;
use aside_protocol::identity::DirectoryAccount;
use aside_protocol::inbox::DeliveryToken;
use rusqlite::{OptionalExtension, params};

/// Adds somebody who lives on the same server.
pub(crate) fn add(
    heart: &mut Heart,
    context: &mut Context<'_>,
    name: AccountName,
) -> Result<ConversationId, CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let (server, address) = (identity.server, AccountAddress { name, server: identity.address.server.clone() });
    if address == identity.address {
        return Err(CommandError::OwnLink);
    }
    let known = find(context.db, &address)?;
    if let Some(id) = goes_on(heart, context, known.as_ref())? {
        return Ok(id);
    }
    let id = known.as_ref().map_or_else(|| ConversationId(context.random()), |contact| contact.conversation);
    let contact = Contact {
        server: Some(server),
        voucher: known.as_ref().map_or(Voucher::Server, |contact| contact.voucher),
        root_key: known.as_ref().and_then(|contact| contact.root_key),
        // The answer brings one; until then nothing is asked or sent with it.
        token: known.map_or(DeliveryToken([0; 32]), |contact| contact.token),
        address: address.clone(),
        introduction: None,
        conversation: id,
        state: State::Adding,
        failure: None,
        verified: false,
        name: None,
    };
    put(context, &contact)?;
    begin(context, id, &address, &Job::FindByName(id, address.clone()), server)?;
    Ok(id)
}

/// The server found somebody: the conversation is founded with the keys that it named, as far as they hold together.
pub(crate) fn found(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (id, address): (ConversationId, &AccountAddress),
    account: DirectoryAccount,
    token: DeliveryToken,
    key_packages: Vec<DeviceKeyPackage>,
) -> Result<(), EngineError> {
    let Some(contact) = find(context.db, address)? else { return Ok(()) };
    let fails = |heart: &mut Heart, context: &mut Context<'_>, why: &str| {
        conversation::fetch_failed(heart, context, (id, address), why)
    };
    if contact.root_key.is_some_and(|known| known != account.root_key) {
        keys::saw_account(context, address, &account)?;
        return fails(heart, context, "the server names other keys for them than are known; ask them for a link");
    }
    if !keys::saw_account(context, address, &account)?.is_believed() {
        return fails(heart, context, "the server named keys for them that do not check out; ask them for a link");
    }
    put(context, &Contact { root_key: Some(account.root_key), token, ..contact.clone() })?;
    if contact.root_key.is_none() {
        timeline::note(context, id, address, &super::words_by_name(address.name.as_str()))?;
    }
    conversation::fetched(heart, context, (id, address), account, key_packages)
}

/// Lets the home server know whether this person can be found by name, where it does not know it yet.
pub(crate) fn tell(heart: &Heart, context: &mut Context<'_>) -> Result<(), EngineError> {
    let Some(identity) = heart.identity.as_ref().filter(|identity| identity.registered) else { return Ok(()) };
    let told: Option<i64> =
        context.db.prepare_cached("SELECT only_row FROM findable")?.query_row([], |row| row.get(0)).optional()?;
    match (view::settings(context.db)?.findable, told) {
        (true, None) => {
            let token = DeliveryToken(context.random());
            let sql = "INSERT INTO findable (only_row, token) VALUES (1, ?)";
            context.db.prepare_cached(sql)?.execute(params![token.0])?;
            job::add(context, identity.server, &Job::SetFindable(Some(token)))
        }
        (false, Some(_)) => {
            context.db.execute("DELETE FROM findable", [])?;
            job::add(context, identity.server, &Job::SetFindable(None))
        }
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

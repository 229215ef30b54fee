//! Contacts: people with their root keys, and the tokens by which each side reaches the other's inbox.

use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId};
use crate::error::{CommandError, EngineError};
use crate::input::{Change, ServerId};
use crate::job::{self, Job};
use crate::{Heart, server};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::Hash;
use aside_protocol::identity::KeySet;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::PublicKey;
use aside_protocol::link::{ContactLink, LinkSecret};
use rusqlite::{Connection, OptionalExtension, params};

/// How long a contact link works.
const LINK_DAYS: u32 = 30;
/// A link is handed out again while it has at least so many days left.
const LINK_DAYS_LEFT_MIN: u32 = 14;

/// Whether somebody can be written to, as it stands in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Adding = 0,
    Active = 1,
    Failed = 2,
    /// A stranger who has written; not shown among the contacts until accepted.
    Stranger = 3,
}

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub address: AccountAddress,
    pub server: Option<ServerId>,
    pub root_key: PublicKey,
    pub key_sets: Vec<KeySet>,
    pub token: DeliveryToken,
    /// From the link by which they were added: its proof, and which link it is.
    pub introduction: Option<(Hash, Hash)>,
    pub conversation: ConversationId,
    pub state: State,
    pub failure: Option<String>,
    pub verified: bool,
}

const COLUMNS: &str =
    "address, server, root_key, key_sets, token, introduction, introduction_token, conversation, state,
    failure, verified";

type Columns = (
    String,
    Option<i64>,
    [u8; 32],
    Vec<u8>,
    [u8; 32],
    Option<[u8; 32]>,
    Option<[u8; 32]>,
    ConversationId,
    i64,
    Option<String>,
    bool,
);

fn columns(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
        row.get(6)?,
        row.get(7)?,
        row.get(8)?,
        row.get(9)?,
        row.get(10)?,
    ))
}

fn parse(columns: Columns) -> Result<Contact, EngineError> {
    let (address, server, root_key, key_sets, token, introduction, link, conversation, state, failure, verified) =
        columns;
    Ok(Contact {
        address: address.parse().map_err(|_| EngineError::Damaged { what: "contact's address" })?,
        server: server.map(ServerId),
        root_key: PublicKey(root_key),
        key_sets: stored(&key_sets, "key sets")?,
        token: DeliveryToken(token),
        introduction: introduction.zip(link).map(|(proof, link)| (Hash(proof), Hash(link))),
        conversation,
        state: match state {
            0 => State::Adding,
            1 => State::Active,
            2 => State::Failed,
            3 => State::Stranger,
            _ => return Err(EngineError::Damaged { what: "contact state" }),
        },
        failure,
        verified,
    })
}

/// One contact.
pub(crate) fn find(db: &Connection, address: &AccountAddress) -> Result<Option<Contact>, EngineError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM contacts WHERE address = ?"))?;
    statement.query_row(params![address.to_string()], columns).optional()?.map(parse).transpose()
}

/// All that are shown, by address.
pub(crate) fn all(db: &Connection) -> Result<Vec<Contact>, EngineError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM contacts WHERE state <> 3 ORDER BY address"))?;
    let rows = statement.query_map([], columns)?;
    rows.map(|row| parse(row?)).collect()
}

/// Writes a contact down, or changes the one that is there.
pub(crate) fn put(context: &mut Context<'_>, contact: &Contact) -> Result<(), EngineError> {
    let (proof, link) = contact.introduction.unzip();
    context
        .db
        .prepare_cached(
            "INSERT INTO contacts (address, server, root_key, key_sets, token, introduction, introduction_token,
             conversation, state, failure, verified) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (address) DO UPDATE SET server = excluded.server, key_sets = excluded.key_sets,
             token = excluded.token, introduction = excluded.introduction,
             introduction_token = excluded.introduction_token, state = excluded.state, failure = excluded.failure",
        )?
        .execute(params![
            contact.address.to_string(),
            contact.server.map(|server| server.0),
            contact.root_key.0,
            to_store(&contact.key_sets),
            contact.token.0,
            proof.map(|hash| hash.0),
            link.map(|hash| hash.0),
            contact.conversation,
            contact.state as i64,
            contact.failure,
            contact.verified,
        ])?;
    context.changed(Change::Contact(contact.address.clone()));
    Ok(())
}

/// They can be written to.
pub(crate) fn set_active(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE contacts SET state = 1, failure = NULL WHERE address = ?")?
        .execute(params![address.to_string()])?;
    context.changed(Change::Contact(address.clone()));
    Ok(())
}

/// They cannot, for this reason.
pub(crate) fn set_failed(context: &mut Context<'_>, address: &AccountAddress, why: &str) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE contacts SET state = 2, failure = ? WHERE address = ? AND state <> 1")?
        .execute(params![why, address.to_string()])?;
    context.changed(Change::Contact(address.clone()));
    Ok(())
}

/// Keeps the longest chain of key sets that was seen; the caller has verified that it continues the known one.
pub(crate) fn continue_chain(
    context: &Context<'_>,
    address: &AccountAddress,
    key_sets: &Vec<KeySet>,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE contacts SET key_sets = ? WHERE address = ?")?
        .execute(params![to_store(key_sets), address.to_string()])?;
    Ok(())
}

/// A delivery token of one's own for one person: made once, registered with the home server.
pub(crate) fn own_token_for(
    heart: &Heart,
    context: &mut Context<'_>,
    address: &AccountAddress,
) -> Result<DeliveryToken, EngineError> {
    let known: Option<Option<[u8; 32]>> = context
        .db
        .prepare_cached("SELECT own_token FROM contacts WHERE address = ?")?
        .query_row(params![address.to_string()], |row| row.get(0))
        .optional()?;
    if let Some(Some(token)) = known {
        return Ok(DeliveryToken(token));
    }
    let token = DeliveryToken(context.random());
    if let Some(identity) = &heart.identity {
        job::add(context, identity.server, &Job::PutDeliveryToken(token.hash(), None))?;
    }
    context
        .db
        .prepare_cached("UPDATE contacts SET own_token = ? WHERE address = ?")?
        .execute(params![token.0, address.to_string()])?;
    Ok(token)
}

/// Adds somebody by link and begins the conversation with them; with somebody known it goes on.
pub(crate) fn add(
    heart: &mut Heart,
    context: &mut Context<'_>,
    link: &ContactLink,
) -> Result<ConversationId, CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    if link.address == identity.address {
        return Err(CommandError::OwnLink);
    }
    let known = find(context.db, &link.address)?;
    if let Some(contact) = &known {
        if contact.root_key != link.root_key {
            return Err(CommandError::OtherKeys { address: link.address.to_string() });
        }
        if matches!(contact.state, State::Active | State::Adding) {
            conversation::touch(context, contact.conversation)?;
            return Ok(contact.conversation);
        }
    }
    let server = server::remember(context, &link.server)?;
    let id = known.as_ref().map_or_else(|| ConversationId(context.random()), |contact| contact.conversation);
    let contact = Contact {
        address: link.address.clone(),
        server: Some(server),
        root_key: link.root_key,
        key_sets: known.map(|contact| contact.key_sets).unwrap_or_default(),
        token: link.secret.delivery_token(),
        introduction: Some((link.secret.introduction(&identity.root_key), link.secret.delivery_token().hash())),
        conversation: id,
        state: State::Adding,
        failure: None,
        verified: false,
    };
    put(context, &contact)?;
    context.db.execute("DELETE FROM founding WHERE conversation = ?", params![id]).map_err(EngineError::from)?;
    if conversation::find(context.db, &id)?.is_some() {
        job::add(context, server, &Job::FetchKeyPackages(id, link.address.clone()))?;
        context
            .db
            .execute(
                "INSERT INTO founding (conversation, address) VALUES (?, ?)",
                params![id, link.address.to_string()],
            )
            .map_err(EngineError::from)?;
    } else {
        conversation::begin_direct(context, id, &link.address, server)?;
    }
    Ok(id)
}

/// The newest link that nobody has used, or a new one; with the day on which it ends.
pub(crate) fn link(heart: &Heart, context: &mut Context<'_>) -> Result<(ContactLink, u32), CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let today = context.now.day();
    let known: Option<([u8; 32], u32)> = context
        .db
        .prepare_cached(
            "SELECT secret, expires_day FROM contact_links WHERE used = 0 AND expires_day >= ?
             ORDER BY expires_day DESC LIMIT 1",
        )?
        .query_row(params![today.saturating_add(LINK_DAYS_LEFT_MIN)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (secret, expires_day) = match known {
        Some((secret, day)) => (LinkSecret(secret), day),
        None => {
            let secret = LinkSecret(context.random());
            let expires_day = today.saturating_add(LINK_DAYS);
            let token = secret.delivery_token().hash();
            context
                .db
                .prepare_cached(
                    "INSERT INTO contact_links (secret, token_hash, expires_day, registered, used) VALUES (?, ?, ?, 0, 0)",
                )?
                .execute(params![secret.0, token.0, expires_day])?;
            job::add(context, identity.server, &Job::PutDeliveryToken(token, Some(expires_day)))?;
            (secret, expires_day)
        }
    };
    let link = ContactLink {
        server: identity.pin.clone(),
        address: identity.address.clone(),
        root_key: identity.root_key,
        secret,
    };
    Ok((link, expires_day))
}

/// Notes that the home server knows a token; it may be a link's.
pub(crate) fn token_is_registered(context: &mut Context<'_>, token: &Hash) -> Result<(), EngineError> {
    let links = context
        .db
        .prepare_cached("UPDATE contact_links SET registered = 1 WHERE token_hash = ?")?
        .execute(params![token.0])?;
    if links > 0 {
        context.changed(Change::State);
    }
    Ok(())
}

/// Whether a link works already.
pub(crate) fn link_is_registered(db: &Connection, link: &ContactLink) -> Result<bool, EngineError> {
    let mut statement = db.prepare_cached("SELECT registered FROM contact_links WHERE secret = ?")?;
    Ok(statement.query_row(params![link.secret.0], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Whether somebody proves that they were given a link of ours that has not ended; it counts as used from then on.
pub(crate) fn is_introduced(
    context: &Context<'_>,
    introducer: &PublicKey,
    (proof, token): (&Hash, &Hash),
) -> Result<bool, EngineError> {
    let found: Option<[u8; 32]> = context
        .db
        .prepare_cached("SELECT secret FROM contact_links WHERE token_hash = ? AND expires_day > ?")?
        .query_row(params![token.0, context.now.day()], |row| row.get(0))
        .optional()?;
    let Some(secret) = found else { return Ok(false) };
    if LinkSecret(secret).introduction(introducer) != *proof {
        return Ok(false);
    }
    context.db.prepare_cached("UPDATE contact_links SET used = 1 WHERE token_hash = ?")?.execute(params![token.0])?;
    Ok(true)
}

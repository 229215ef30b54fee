//! A contact's row: who they are by name and root key, and the token by which this device reaches their inboxes.

use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::input::{Change, ServerId};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::Hash;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::PublicKey;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Whether somebody can be written to, as it stands in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Adding = 0,
    Active = 1,
    Failed = 2,
    /// A stranger who has written; not shown among the contacts until accepted.
    Stranger = 3,
    /// The person removed them; their conversation's keys stay, and what they write asks to be accepted again.
    Removed = 4,
}

impl State {
    /// Whether the person wants to hear from them without being asked again.
    pub fn is_accepted(self) -> bool {
        matches!(self, State::Adding | State::Active | State::Failed)
    }
}

/// Who says that the root key is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// They themselves: by their link, or by an introduction through one of ours.
    Link,
    /// Only their server, which was asked by name.
    Server,
}

/// The row.
#[derive(Debug, Clone)]
pub(crate) struct Contact {
    pub address: AccountAddress,
    pub server: Option<ServerId>,
    /// Absent until their server has answered, where they were added by name.
    pub root_key: Option<PublicKey>,
    pub voucher: Voucher,
    pub token: DeliveryToken,
    /// From the link by which they were added: its proof, and which link it is.
    pub introduction: Option<(Hash, Hash)>,
    pub conversation: ConversationId,
    pub state: State,
    pub failure: Option<String>,
    pub verified: bool,
    /// What this person calls them.
    pub name: Option<String>,
}

const SELECT: &str = "SELECT c.address, c.server, c.root_key, c.by_name, c.token, c.introduction, c.introduction_token,
    c.conversation, c.state, c.failure, c.verified, c.name
    FROM contacts c";

struct Columns {
    address: String,
    server: Option<i64>,
    root_key: Option<[u8; 32]>,
    by_name: bool,
    token: [u8; 32],
    introduction: (Option<[u8; 32]>, Option<[u8; 32]>),
    conversation: ConversationId,
    state: i64,
    failure: Option<String>,
    verified: bool,
    name: Option<String>,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns {
        address: row.get(0)?,
        server: row.get(1)?,
        root_key: row.get(2)?,
        by_name: row.get(3)?,
        token: row.get(4)?,
        introduction: (row.get(5)?, row.get(6)?),
        conversation: row.get(7)?,
        state: row.get(8)?,
        failure: row.get(9)?,
        verified: row.get(10)?,
        name: row.get(11)?,
    })
}

fn parse(row: Columns) -> Result<Contact, EngineError> {
    let (proof, link) = row.introduction;
    Ok(Contact {
        address: row.address.parse().map_err(|_| EngineError::Damaged { what: "contact's address" })?,
        server: row.server.map(ServerId),
        root_key: row.root_key.map(PublicKey),
        voucher: if row.by_name { Voucher::Server } else { Voucher::Link },
        token: DeliveryToken(row.token),
        introduction: proof.zip(link).map(|(proof, link)| (Hash(proof), Hash(link))),
        conversation: row.conversation,
        state: match row.state {
            0 => State::Adding,
            1 => State::Active,
            2 => State::Failed,
            3 => State::Stranger,
            4 => State::Removed,
            _ => return Err(EngineError::Damaged { what: "contact state" }),
        },
        failure: row.failure,
        verified: row.verified,
        name: row.name,
    })
}

/// One contact.
pub(crate) fn find(db: &Connection, address: &AccountAddress) -> Result<Option<Contact>, EngineError> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE c.address = ?"))?;
    statement.query_row(params![address.to_string()], columns).optional()?.map(parse).transpose()
}

/// All that are shown, by address.
pub(crate) fn all(db: &Connection) -> Result<Vec<Contact>, EngineError> {
    let mut statement = db.prepare_cached(&format!("{SELECT} WHERE c.state < 3 ORDER BY c.address"))?;
    let rows = statement.query_map([], columns)?;
    rows.map(|row| parse(row?)).collect()
}

/// Writes a contact down, or changes the one that is there. What the person decided (verified, their name) stays as it
/// is in the row; the chain of key sets is changed by [`super::keys`] only.
pub(crate) fn put(context: &mut Context<'_>, contact: &Contact) -> Result<(), EngineError> {
    let (proof, link) = contact.introduction.unzip();
    context
        .db
        .prepare_cached(
            "INSERT INTO contacts (address, server, root_key, by_name, token, introduction, introduction_token,
             conversation, state, failure, verified, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (address) DO UPDATE SET server = excluded.server,
             root_key = COALESCE(contacts.root_key, excluded.root_key), by_name = excluded.by_name,
             token = excluded.token, introduction = excluded.introduction,
             introduction_token = excluded.introduction_token, state = excluded.state, failure = excluded.failure",
        )?
        .execute(params![
            contact.address.to_string(),
            contact.server.map(|server| server.0),
            contact.root_key.map(|key| key.0),
            contact.voucher == Voucher::Server,
            contact.token.0,
            proof.map(|hash| hash.0),
            link.map(|hash| hash.0),
            contact.conversation,
            contact.state as i64,
            contact.failure,
            contact.verified,
            contact.name,
        ])?;
    context.changed(Change::Contact(contact.address.clone()));
    Ok(())
}

/// They can be written to.
pub(crate) fn set_active(context: &mut Context<'_>, address: &AccountAddress) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE contacts SET state = 1, failure = NULL WHERE address = ? AND state <> 4")?
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

/// What this person calls somebody: the name that they gave them, else the name in the address.
pub(crate) fn display_name(db: &Connection, address: &AccountAddress) -> Result<String, EngineError> {
    let given: Option<Option<String>> = db
        .prepare_cached("SELECT name FROM contacts WHERE address = ?")?
        .query_row(params![address.to_string()], |row| row.get(0))
        .optional()?;
    Ok(given.flatten().unwrap_or_else(|| address.name.as_str().to_owned()))
}

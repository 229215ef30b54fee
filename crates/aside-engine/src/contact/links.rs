//! This person's own links: made, listed, withdrawn; and who came by them.

use crate::Heart;
use crate::account::Identity;
use crate::context::{Context, sql};
use crate::error::{CommandError, EngineError};
use crate::id::row_id;
use crate::input::Change;
use crate::job::{self, Job};
use aside_protocol::id::Hash;
use aside_protocol::key::PublicKey;
use aside_protocol::link::{ContactLink, LinkSecret};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// How long a contact link works: what was begun with it gets through though either side is off for weeks meanwhile. The
/// server keeps no token with an end for more than 90 days, by its own clock.
const LINK_DAYS: u32 = 85;
/// A link is handed out again while it has at least so many days left.
const LINK_DAYS_LEFT_MIN: u32 = 60;
/// Links that work at the same time.
const LINKS_MAX: u32 = 100;

row_id!(
    /// Names a link of one's own in calls. It is the hash of the link's token, and gives nobody anything.
    LinkId
);

/// A link with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLink {
    /// Names it.
    pub id: LinkId,
    /// To hand to people.
    pub link: ContactLink,
    /// When it ends.
    pub expires_unix_ms: i64,
    /// How many conversations were begun with it.
    pub used: u32,
}

struct Columns {
    secret: [u8; 32],
    expires_day: u32,
    used: u32,
}

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok(Columns { secret: row.get(0)?, expires_day: row.get(1)?, used: row.get(2)? })
}

fn own_link(identity: &Identity, row: &Columns) -> OwnLink {
    let secret = LinkSecret(row.secret);
    let link = ContactLink {
        server: identity.pin.clone(),
        address: identity.address.clone(),
        root_key: identity.root_key,
        secret,
    };
    OwnLink {
        id: LinkId(secret.delivery_token().hash().0),
        link,
        expires_unix_ms: i64::from(row.expires_day).saturating_mul(86_400_000),
        used: row.used,
    }
}

/// The newest link that nobody has used, or another one.
pub(crate) fn unused(heart: &Heart, context: &mut Context<'_>) -> Result<OwnLink, CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let today = context.now.day();
    let known = context
        .db
        .prepare_cached(
            "SELECT secret, expires_day, used FROM contact_links WHERE used = 0 AND expires_day >= ?
             ORDER BY made_ms DESC, secret LIMIT 1",
        )?
        .query_row(params![today.saturating_add(LINK_DAYS_LEFT_MIN)], columns)
        .optional()?;
    match known {
        Some(row) => Ok(own_link(identity, &row)),
        None => fresh(heart, context),
    }
}

/// Another link, whatever there is already.
pub(crate) fn fresh(heart: &Heart, context: &mut Context<'_>) -> Result<OwnLink, CommandError> {
    let identity = heart.identity.as_ref().ok_or(CommandError::NotJoined)?;
    let today = context.now.day();
    let count: u32 = context
        .db
        .prepare_cached("SELECT COUNT(*) FROM contact_links WHERE expires_day > ?")?
        .query_row(params![today], |row| row.get(0))?;
    if count >= LINKS_MAX {
        return Err(CommandError::TooManyLinks { max: LINKS_MAX });
    }
    let secret = LinkSecret(context.random());
    let row = Columns { secret: secret.0, expires_day: today.saturating_add(LINK_DAYS), used: 0 };
    let token = secret.delivery_token().hash();
    context
        .db
        .prepare_cached(
            "INSERT INTO contact_links (secret, token_hash, made_ms, expires_day, registered, used)
             VALUES (?, ?, ?, ?, 0, 0)",
        )?
        .execute(params![secret.0, token.0, context.now.unix_ms, row.expires_day])?;
    job::add(context, identity.server, &Job::PutDeliveryToken(token, Some(row.expires_day)))?;
    Ok(own_link(identity, &row))
}

/// All that are kept, the newest first.
pub(crate) fn all(heart: &Heart, db: &Connection) -> Result<Vec<OwnLink>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(Vec::new()) };
    let sql = "SELECT secret, expires_day, used FROM contact_links ORDER BY made_ms DESC, secret";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], columns)?.collect::<Result<Vec<_>, _>>()?;
    Ok(rows.iter().map(|row| own_link(identity, row)).collect())
}

/// Forgets those that have ended.
pub(crate) fn sweep(context: &mut Context<'_>) -> Result<(), EngineError> {
    let sql = "DELETE FROM contact_links WHERE expires_day <= ?";
    let rows = context.db.prepare_cached(sql)?.execute(params![context.now.day()])?;
    if rows > 0 {
        context.changed(Change::State);
    }
    Ok(())
}

/// Ends a link before its time. Those who came by it have tokens of their own.
pub(crate) fn withdraw(heart: &Heart, context: &mut Context<'_>, id: &LinkId) -> Result<(), CommandError> {
    let server = heart.identity.as_ref().ok_or(CommandError::NotJoined)?.server;
    let rows = context.db.prepare_cached("DELETE FROM contact_links WHERE token_hash = ?")?.execute(params![id.0])?;
    if rows == 0 {
        return Err(CommandError::UnknownLink);
    }
    job::add(context, server, &Job::RevokeDeliveryToken(Hash(id.0)))?;
    context.changed(Change::State);
    Ok(())
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
pub(crate) fn is_registered(db: &Connection, link: &ContactLink) -> Result<bool, EngineError> {
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
        .query_row(params![token.0, sql(u64::from(context.now.day()))], |row| row.get(0))
        .optional()?;
    let Some(secret) = found else { return Ok(false) };
    if LinkSecret(secret).introduction(introducer) != *proof {
        return Ok(false);
    }
    let sql = "UPDATE contact_links SET used = used + 1 WHERE token_hash = ?";
    context.db.prepare_cached(sql)?.execute(params![token.0])?;
    Ok(true)
}

//! Joining by link, the side of the group (P-5.14). An admin's link lets people ask; the admin's device passes what they
//! ask on to the group, and whichever admin approves adds them.

use crate::Heart;
use crate::channel::outbox;
use crate::content::{Content, JoinRequest};
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, State, grow};
use crate::error::{CommandError, EngineError};
use crate::inbox::envelope::{self, Letter};
use crate::inbox::welcome::Recipient;
use crate::input::{Answer, Change, Decision};
use crate::job::{self, Job};
use crate::server;
use crate::view::GroupInvite;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::Hash;
use aside_protocol::identity::MemberCredential;
use aside_protocol::link::{GroupLink, GroupLinkSecret, GroupName};
use rusqlite::{Connection, OptionalExtension, params};

/// How long a group's link works.
const LINK_DAYS: u32 = 30;
/// People who may wait for an answer at once, in one group.
const REQUESTS_MAX: i64 = 100;

impl Heart {
    /// The group's link of this person: the one that there is, or a new one.
    pub(crate) fn make_group_link(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
    ) -> Result<Answer, CommandError> {
        self.group(context, id)?.admin()?;
        let Some(identity) = &self.identity else { return Err(CommandError::NotJoined) };
        let today = context.now.day();
        if find(context.db, id)?.is_none_or(|(_, expires_day, ..)| expires_day <= today) {
            let secret = GroupLinkSecret(context.random());
            let expires_day = today.saturating_add(LINK_DAYS);
            context
                .db
                .prepare_cached(
                    "INSERT OR REPLACE INTO group_links (conversation, secret, expires_day, registered, uses)
                     VALUES (?, ?, ?, 0, 0)",
                )?
                .execute(params![id, secret.0, expires_day])?;
            let token = secret.delivery_token().hash();
            job::add(context, identity.server, &Job::PutDeliveryToken(token, Some(expires_day)))?;
        }
        Ok(Answer::Done)
    }

    /// Withdraws the link: whoever has it can ask no more.
    pub(crate) fn withdraw_group_link(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
    ) -> Result<Answer, CommandError> {
        if let (Some((secret, ..)), Some(identity)) = (find(context.db, id)?, &self.identity) {
            let token = secret.delivery_token().hash();
            job::add(context, identity.server, &Job::RevokeDeliveryToken(token))?;
            context.db.prepare_cached("DELETE FROM group_links WHERE conversation = ?")?.execute(params![id])?;
        }
        Ok(Answer::Done)
    }

    /// An admin answers somebody who asked.
    pub(crate) fn answer_join_request(
        &mut self,
        context: &mut Context<'_>,
        (id, address): (ConversationId, AccountAddress),
        decision: Decision,
    ) -> Result<Answer, CommandError> {
        let group = self.group(context, id)?;
        group.admin()?;
        let ask = request(context.db, id, &address)?
            .ok_or_else(|| CommandError::NoRequest { address: address.to_string() })?;
        match decision {
            Decision::Accept => {
                group.has_room_for(1)?;
                context
                    .db
                    .prepare_cached("UPDATE join_requests SET approved = 1 WHERE conversation = ? AND address = ?")?
                    .execute(params![id, address.to_string()])?;
                let server = server::remember(context, &ask.server)?;
                grow::begin(context, id, &address, server)?;
            }
            Decision::Decline => {
                forget(context, id, &address)?;
                outbox::queue(context, id, &Content::JoinDeclined(address), |_| None)?;
                self.tell_declined(context, id, &ask)?;
            }
        }
        self.stirred.insert(group.channel.id);
        Ok(Answer::Conversation(id))
    }

    fn tell_declined(
        &self,
        context: &mut Context<'_>,
        id: ConversationId,
        ask: &JoinRequest,
    ) -> Result<(), EngineError> {
        let Some(identity) = &self.identity else { return Ok(()) };
        let recipient = Recipient {
            address: ask.credential.address.clone(),
            device: ask.record.certificate.device,
            server: server::remember(context, &ask.server)?,
            inbox_key: ask.record.inbox_key.clone().into(),
            token: ask.token,
        };
        envelope::send(self, context, identity, &recipient, &Letter::Declined(id, ask.nonce))
    }
}

type Row = (GroupLinkSecret, u32, u32, bool);

fn find(db: &Connection, id: ConversationId) -> Result<Option<Row>, EngineError> {
    let mut statement =
        db.prepare_cached("SELECT secret, expires_day, uses, registered FROM group_links WHERE conversation = ?")?;
    let row = statement
        .query_row(params![id], |row| Ok((GroupLinkSecret(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?)));
    Ok(row.optional()?)
}

/// The group's link of this person, if there is one that works or will.
pub(crate) fn invite(heart: &Heart, db: &Connection, id: ConversationId) -> Result<Option<GroupInvite>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(None) };
    let link = find(db, id)?.map(|(secret, expires_day, uses, is_registered)| GroupInvite {
        link: GroupLink {
            server: identity.pin.clone(),
            address: identity.address.clone(),
            root_key: identity.root_key,
            group: GroupName(id.0),
            secret,
        },
        expires_unix_ms: i64::from(expires_day).saturating_mul(86_400_000),
        uses,
        is_registered,
    });
    Ok(link)
}

/// The home server knows a token; it may be a link's.
pub(crate) fn token_is_registered(context: &mut Context<'_>, token: &Hash) -> Result<(), EngineError> {
    let mut statement =
        context.db.prepare_cached("SELECT conversation, secret FROM group_links WHERE registered = 0")?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, ConversationId>(0)?, row.get(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, secret) in rows {
        if GroupLinkSecret(secret).delivery_token().hash() == *token {
            let sql = "UPDATE group_links SET registered = 1 WHERE conversation = ?";
            context.db.prepare_cached(sql)?.execute(params![id])?;
            context.changed(Change::Conversation(id));
        }
    }
    Ok(())
}

/// Somebody with the link asks: the group hears of it from this device.
pub(crate) fn asked(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    (id, proof): (ConversationId, &Hash),
    ask: JoinRequest,
) -> Result<(), EngineError> {
    let Some((secret, expires_day, ..)) = find(context.db, id)? else { return Ok(()) };
    let conversation = conversation::find(context.db, &id)?.filter(|row| row.state == State::Active);
    let Some(channel) = conversation.and_then(|row| row.channel) else { return Ok(()) };
    let is_shown = secret.proof(&sender.root_key) == *proof && expires_day > context.now.day();
    let is_theirs = ask.credential == *sender && ask.is_whole();
    let members = conversation::members(context.db, id)?;
    let is_known = members.iter().any(|member| member.address == sender.address);
    if !is_shown || !is_theirs || is_known || request(context.db, id, &sender.address)?.is_some() {
        return Ok(());
    }
    let sql = "UPDATE group_links SET uses = uses + 1 WHERE conversation = ?";
    context.db.prepare_cached(sql)?.execute(params![id])?;
    note(context, id, &ask)?;
    outbox::queue(context, id, &Content::JoinRequest(Box::new(ask)), |_| None)?;
    heart.stirred.insert(channel);
    Ok(())
}

/// Keeps what somebody asks, for admins to answer. Every member's device does: it may become an admin's.
pub(crate) fn note(context: &mut Context<'_>, id: ConversationId, ask: &JoinRequest) -> Result<(), EngineError> {
    let waiting: i64 = context
        .db
        .prepare_cached("SELECT COUNT(*) FROM join_requests WHERE conversation = ?")?
        .query_row(params![id], |row| row.get(0))?;
    if waiting >= REQUESTS_MAX {
        return Ok(());
    }
    context
        .db
        .prepare_cached("INSERT OR IGNORE INTO join_requests (conversation, address, ask, at_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![id, ask.credential.address.to_string(), to_store(ask), context.now.unix_ms])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

/// Somebody's request is answered, or they are in.
pub(crate) fn forget(
    context: &mut Context<'_>,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("DELETE FROM join_requests WHERE conversation = ? AND address = ?")?
        .execute(params![id, address.to_string()])?;
    context.changed(Change::Conversation(id));
    Ok(())
}

fn request(db: &Connection, id: ConversationId, address: &AccountAddress) -> Result<Option<JoinRequest>, EngineError> {
    let mut statement = db.prepare_cached("SELECT ask FROM join_requests WHERE conversation = ? AND address = ?")?;
    let ask: Option<Vec<u8>> = statement.query_row(params![id, address.to_string()], |row| row.get(0)).optional()?;
    ask.map(|ask| stored(&ask, "join request")).transpose()
}

/// What somebody asked whom an admin at this device has approved.
pub(crate) fn approved(
    db: &Connection,
    id: ConversationId,
    address: &AccountAddress,
) -> Result<Option<JoinRequest>, EngineError> {
    let mut statement =
        db.prepare_cached("SELECT ask FROM join_requests WHERE conversation = ? AND address = ? AND approved = 1")?;
    let ask: Option<Vec<u8>> = statement.query_row(params![id, address.to_string()], |row| row.get(0)).optional()?;
    ask.map(|ask| stored(&ask, "join request")).transpose()
}

/// Who waits for an answer, and since when, the first first.
pub(crate) fn requests(db: &Connection, id: ConversationId) -> Result<Vec<(AccountAddress, i64)>, EngineError> {
    let mut statement = db.prepare_cached(
        "SELECT address, at_ms FROM join_requests WHERE conversation = ? AND approved = 0 ORDER BY at_ms, address",
    )?;
    let rows = statement.query_map(params![id], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (address, at_ms) = row?;
        Ok((address.parse().map_err(|_| EngineError::Damaged { what: "address" })?, at_ms))
    })
    .collect()
}

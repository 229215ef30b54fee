//! Reading conversations, contacts and the account.

use super::{
    Account, Contact, ContactState, Conversation, ConversationKind, ConversationState, JoinState, Member, Person, Role,
    SafetyNumber,
};
use crate::account::Identity;
use crate::context::{stored, unsql};
use crate::conversation::{self, ConversationId, State};
use crate::error::EngineError;
use crate::settings::Settings;
use crate::{Engine, contact, pump, safety};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::{ChainHead, ChannelId};
use aside_protocol::link::ContactLink;
use rusqlite::{Connection, OptionalExtension, params};

/// The settings, or the defaults.
pub(crate) fn settings(db: &Connection) -> Result<Settings, EngineError> {
    let body: Option<Vec<u8>> =
        db.prepare_cached("SELECT body FROM settings")?.query_row([], |row| row.get(0)).optional()?;
    body.map_or_else(|| Ok(Settings::default()), |body| stored(&body, "settings"))
}

/// Somebody, as shown.
pub(super) fn person(identity: Option<&Identity>, address: AccountAddress) -> Person {
    let is_self = identity.is_some_and(|identity| identity.address == address);
    Person { display_name: address.name.as_str().to_owned(), address, is_self }
}

impl Engine {
    /// How far a join has got.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn join_state(&self) -> Result<JoinState, EngineError> {
        Ok(match &self.heart.identity {
            None => JoinState::NotJoined,
            Some(Identity { registered: false, refusal: Some(refusal), .. }) => {
                JoinState::Refused { refusal: refusal.clone() }
            }
            Some(Identity { registered: false, refusal: None, .. }) => JoinState::Registering,
            Some(identity) => JoinState::Joined(Account {
                address: identity.address.clone(),
                name: identity.name().as_str().to_owned(),
                server: identity.address.server.to_string(),
            }),
        })
    }

    /// What the home server said when it last refused to sign this device in; a suspended account, for instance.
    pub fn sign_in_refusal(&self) -> Option<&aside_protocol::refusal::Refusal> {
        self.heart.identity.as_ref().and_then(|identity| identity.refusal.as_ref())
    }

    /// The settings.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn settings(&self) -> Result<Settings, EngineError> {
        settings(&self.db)
    }

    /// All conversations, the newest first.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn conversations(&self) -> Result<Vec<Conversation>, EngineError> {
        conversation::all(&self.db)?.into_iter().map(|row| self.show_conversation(row)).collect()
    }

    /// One conversation.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn conversation(&self, id: &ConversationId) -> Result<Option<Conversation>, EngineError> {
        conversation::find(&self.db, id)?.map(|row| self.show_conversation(row)).transpose()
    }

    fn show_conversation(&self, row: conversation::Conversation) -> Result<Conversation, EngineError> {
        let unread_count = self
            .db
            .prepare_cached(
                "SELECT COUNT(*) FROM messages WHERE conversation = ? AND own = 0 AND kind = 0 AND position > ?",
            )?
            .query_row(params![row.id, row.read_position], |row| row.get(0))?;
        Ok(Conversation {
            id: row.id,
            kind: row.kind,
            title: row.title,
            peer: row.peer,
            members: self.members(&row.id)?,
            last_message: self.preview(&row.id)?,
            updated_at: row.updated_ms,
            unread_count,
            draft: row.draft,
            state: match row.state {
                State::Active => ConversationState::Active,
                State::Pending => ConversationState::Pending,
                State::Request => ConversationState::Request,
                State::Paused => ConversationState::Paused,
            },
            paused_reason: row.paused,
        })
    }

    fn members(&self, id: &ConversationId) -> Result<Vec<Member>, EngineError> {
        let mut statement =
            self.db.prepare_cached("SELECT address, admin FROM members WHERE conversation = ? ORDER BY address")?;
        let rows = statement.query_map(params![id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
        let mut members = Vec::new();
        for row in rows {
            let (address, is_admin) = row?;
            let address = address.parse().map_err(|_| EngineError::Damaged { what: "member's address" })?;
            let role = if is_admin { Role::Admin } else { Role::Member };
            members.push(Member { person: person(self.heart.identity.as_ref(), address), role });
        }
        members.sort_by_key(|member| !member.person.is_self);
        Ok(members)
    }

    /// All contacts, by address.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn contacts(&self) -> Result<Vec<Contact>, EngineError> {
        Ok(contact::all(&self.db)?.into_iter().map(show_contact).collect())
    }

    /// One contact; strangers are none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn contact(&self, address: &AccountAddress) -> Result<Option<Contact>, EngineError> {
        let row = contact::find(&self.db, address)?.filter(|row| row.state != contact::State::Stranger);
        Ok(row.map(show_contact))
    }

    /// The safety number of a direct conversation.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn safety_number(&self, id: &ConversationId) -> Result<Option<SafetyNumber>, EngineError> {
        let Some(conversation::Conversation { peer: Some(peer), kind: ConversationKind::Direct, .. }) =
            conversation::find(&self.db, id)?
        else {
            return Ok(None);
        };
        let (Some(identity), Some(contact)) = (&self.heart.identity, contact::find(&self.db, &peer)?) else {
            return Ok(None);
        };
        let digits = safety::digits((&identity.address, &identity.root_key), (&peer, &contact.root_key));
        Ok(Some(SafetyNumber { digits, verified: contact.verified }))
    }

    /// Unread messages of all conversations.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn unread_total(&self) -> Result<u32, EngineError> {
        let mut statement = self.db.prepare_cached(
            "SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation
             WHERE m.own = 0 AND m.kind = 0 AND m.position > c.read_position",
        )?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Whether the home server knows a contact link, so that it works.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn link_is_registered(&self, link: &ContactLink) -> Result<bool, EngineError> {
        contact::link_is_registered(&self.db, link)
    }

    /// How far each channel was read, with the head of its chain there: what two people can compare by hand.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn log_positions(&self) -> Result<Vec<(ChannelId, Position)>, EngineError> {
        let mut statement = self.db.prepare_cached("SELECT id, seq, head FROM channels ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            let position = Position { seq: unsql(row.get(1)?), head: ChainHead(row.get(2)?) };
            Ok((ChannelId(row.get(0)?), position))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether nothing is left that a working connection would still move.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn is_settled(&self) -> Result<bool, EngineError> {
        pump::is_settled(&self.heart, &self.db)
    }
}

fn show_contact(row: contact::Contact) -> Contact {
    Contact {
        display_name: row.address.name.as_str().to_owned(),
        address: row.address,
        conversation_id: row.conversation,
        state: match row.state {
            contact::State::Adding => ContactState::Adding,
            contact::State::Active | contact::State::Stranger => ContactState::Active,
            contact::State::Failed => ContactState::Failed,
        },
        failure: row.failure,
        verified: row.verified,
    }
}

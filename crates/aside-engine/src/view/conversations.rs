//! Reading conversations, contacts and the account.

use super::{
    Account, Contact, ContactState, Conversation, ConversationKind, ConversationState, GroupInvite, GroupPicture,
    JoinRequest, JoinState, Member, MemberState, NoticeKind, Person, Role, SafetyNumber,
};
use crate::account::Identity;
use crate::contact::OwnLink;
use crate::context::{stored, unsql};
use crate::conversation::{self, ConversationId, MemberRow, Standing, State};
use crate::error::EngineError;
use crate::group::link;
use crate::heal;
use crate::settings::Settings;
use crate::{Engine, contact, pump, safety};
use aside_mls::Picture;
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

impl Engine {
    /// Somebody, as shown.
    pub(super) fn person(&self, address: AccountAddress) -> Result<Person, EngineError> {
        let is_self = self.heart.identity.as_ref().is_some_and(|identity| identity.address == address);
        Ok(Person { display_name: contact::display_name(&self.db, &address)?, address, is_self })
    }

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

    /// One conversation, whether it stands in the list or not. The devices' own is none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn conversation(&self, id: &ConversationId) -> Result<Option<Conversation>, EngineError> {
        let found = conversation::find(&self.db, id)?.filter(|row| row.kind != ConversationKind::Own);
        found.map(|row| self.show_conversation(row)).transpose()
    }

    /// The same, if it stands in the list.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn listed_conversation(&self, id: &ConversationId) -> Result<Option<Conversation>, EngineError> {
        let is_hidden = conversation::find(&self.db, id)?.is_none_or(|row| row.is_hidden);
        if is_hidden { Ok(None) } else { self.conversation(id) }
    }

    fn show_conversation(&self, row: conversation::Conversation) -> Result<Conversation, EngineError> {
        let unread_count = self
            .db
            .prepare_cached(
                "SELECT COUNT(*) FROM messages m WHERE conversation = ? AND own = 0 AND kind = 0 AND position > ?
                 AND sender NOT IN (SELECT address FROM blocked) AND NOT EXISTS
                 (SELECT 1 FROM read_cursors r WHERE r.channel = m.channel AND r.seen_seq >= m.seq)",
            )?
            .query_row(params![row.id, row.read_position], |row| row.get(0))?;
        let members = self.members(&row.id)?;
        let my_role = self.my_role(&row, &members);
        let notice = match heal::notice::of(&self.db, &row)? {
            None => contact::notice::of(&self.db, &row)?,
            notice => notice,
        };
        let (title, blocked) = match &row.peer {
            Some(peer) => (contact::display_name(&self.db, peer)?, contact::block::is_blocked(&self.db, peer)?),
            None => (row.title, false),
        };
        let join_requests = match my_role {
            Some(Role::Admin) => Some(link::requests(&self.db, row.id)?.len()),
            _ => None,
        };
        let join_requests = join_requests.filter(|count| *count > 0).and_then(|count| u32::try_from(count).ok());
        Ok(Conversation {
            id: row.id,
            kind: row.kind,
            title,
            peer: row.peer,
            my_role,
            members,
            picture: row.picture.map(|name| format!("/api/conversations/{}/picture?v={name}", row.id)),
            join_requests,
            left: row.state.is_out(),
            blocked,
            notice,
            last_message: self.preview(&row.id)?,
            updated_at: row.updated_ms,
            unread_count,
            draft: row.draft,
            state: match row.state {
                State::Active => ConversationState::Active,
                State::Pending | State::Healing => ConversationState::Pending,
                State::Request => ConversationState::Request,
                State::Paused | State::Left | State::Removed | State::Leaving => ConversationState::Paused,
            },
            paused_reason: row.paused,
        })
    }

    fn members(&self, id: &ConversationId) -> Result<Vec<Member>, EngineError> {
        let show = |row: MemberRow| -> Result<Member, EngineError> {
            Ok(Member {
                verified: row.verified,
                person: self.person(row.address)?,
                role: if row.is_admin { Role::Admin } else { Role::Member },
                state: match row.standing {
                    Standing::Member => MemberState::Member,
                    Standing::Adding => MemberState::Adding,
                    Standing::Leaving => MemberState::Leaving,
                },
                devices: if row.standing == Standing::Adding { 0 } else { row.devices },
            })
        };
        let mut members: Vec<Member> =
            conversation::members(&self.db, *id)?.into_iter().map(show).collect::<Result<_, _>>()?;
        members.sort_by_key(|member| !member.person.is_self);
        Ok(members)
    }

    fn my_role(&self, row: &conversation::Conversation, members: &[Member]) -> Option<Role> {
        let is_in = row.kind == ConversationKind::Group && !row.state.is_out();
        members.first().filter(|first| is_in && first.person.is_self).map(|first| first.role)
    }

    /// The link of this person by which others can ask to be added to a group.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn group_invite(&self, id: &ConversationId) -> Result<Option<GroupInvite>, EngineError> {
        link::invite(&self.heart, &self.db, *id)
    }

    /// Who asks to be added to a group, the first first. Nobody, where this person is no admin.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn join_requests(&self, id: &ConversationId) -> Result<Vec<JoinRequest>, EngineError> {
        if self.conversation(id)?.is_none_or(|row| row.my_role != Some(Role::Admin)) {
            return Ok(Vec::new());
        }
        let show = |(address, at): (AccountAddress, i64)| {
            let Person { address, display_name, .. } = self.person(address)?;
            Ok(JoinRequest { address, display_name, at })
        };
        link::requests(&self.db, *id)?.into_iter().map(show).collect()
    }

    /// A group's picture.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn picture(&self, id: &ConversationId) -> Result<Option<GroupPicture>, EngineError> {
        let row: Option<(Option<String>, Option<Vec<u8>>)> = self
            .db
            .prepare_cached("SELECT picture_name, picture FROM conversations WHERE id = ?")?
            .query_row(params![id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((Some(name), Some(bytes))) = row else { return Ok(None) };
        let picture = Picture::new(bytes).map_err(|_| EngineError::Damaged { what: "picture" })?;
        let media_type = picture.check().map_err(|_| EngineError::Damaged { what: "picture" })?.media_type();
        Ok(Some(GroupPicture { name, media_type, bytes: picture.bytes().to_vec() }))
    }

    /// All contacts, by address; behind them those who are blocked and are none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn contacts(&self) -> Result<Vec<Contact>, EngineError> {
        let rows = contact::all(&self.db)?;
        let mut contacts = rows.into_iter().map(|row| self.show_contact(row)).collect::<Result<Vec<_>, _>>()?;
        for address in contact::block::all(&self.db)? {
            if contacts.iter().all(|contact| contact.address != address) {
                contacts.push(self.show_blocked(address)?);
            }
        }
        Ok(contacts)
    }

    /// One contact; strangers are none, unless they are blocked.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn contact(&self, address: &AccountAddress) -> Result<Option<Contact>, EngineError> {
        match contact::find(&self.db, address)?.filter(|row| row.state.is_accepted()) {
            Some(row) => self.show_contact(row).map(Some),
            None if contact::block::is_blocked(&self.db, address)? => self.show_blocked(address.clone()).map(Some),
            None => Ok(None),
        }
    }

    fn show_blocked(&self, address: AccountAddress) -> Result<Contact, EngineError> {
        Ok(Contact {
            display_name: contact::display_name(&self.db, &address)?,
            address,
            conversation_id: None,
            state: ContactState::Active,
            failure: None,
            verified: false,
            blocked: true,
            key_changed: false,
            unvouched: None,
        })
    }

    fn show_contact(&self, row: contact::Contact) -> Result<Contact, EngineError> {
        let conversation = conversation::find(&self.db, &row.conversation)?;
        let notice = conversation.map(|row| contact::notice::of(&self.db, &row)).transpose()?.flatten();
        let display_name = row.name.unwrap_or_else(|| row.address.name.as_str().to_owned());
        let is_unvouched = row.voucher == contact::Voucher::Server && !row.verified && row.root_key.is_some();
        Ok(Contact {
            blocked: contact::block::is_blocked(&self.db, &row.address)?,
            key_changed: notice.is_some_and(|notice| notice.kind == NoticeKind::KeyChanged),
            unvouched: is_unvouched.then(|| contact::words_by_name(&display_name)),
            display_name,
            address: row.address,
            conversation_id: Some(row.conversation),
            state: match row.state {
                contact::State::Adding => ContactState::Adding,
                contact::State::Failed => ContactState::Failed,
                contact::State::Active | contact::State::Stranger | contact::State::Removed => ContactState::Active,
            },
            failure: row.failure,
            verified: row.verified,
        })
    }

    /// This person's links, the newest first; those that have ended are among them for a day at most.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn contact_links(&self) -> Result<Vec<OwnLink>, EngineError> {
        contact::links::all(&self.heart, &self.db)
    }

    /// How many requests wait.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn requests_total(&self) -> Result<u32, EngineError> {
        contact::requests::count(&self.db)
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
        let Some(root_key) = contact.root_key else { return Ok(None) };
        let (own, theirs) = ((&identity.address, &identity.root_key), (&peer, &root_key));
        let (digits, code) = (safety::digits(own, theirs), safety::code(own, theirs));
        Ok(Some(SafetyNumber { digits, code, verified: contact.verified }))
    }

    /// Unread messages of all conversations.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn unread_total(&self) -> Result<u32, EngineError> {
        let mut statement = self.db.prepare_cached(
            "SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation
             WHERE m.own = 0 AND m.kind = 0 AND m.position > c.read_position
             AND m.sender NOT IN (SELECT address FROM blocked) AND NOT EXISTS
             (SELECT 1 FROM read_cursors r WHERE r.channel = m.channel AND r.seen_seq >= m.seq)",
        )?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Whether the home server knows a contact link, so that it works.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn link_is_registered(&self, link: &ContactLink) -> Result<bool, EngineError> {
        contact::links::is_registered(&self.db, link)
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

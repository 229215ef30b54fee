//! Commands: what a person wants, checked and written down; the network follows.

use crate::Heart;
use crate::account;
use crate::channel::{self, ephemeral, outbox};
use crate::contact;
use crate::content::wrapper::message_id;
use crate::content::{Content, EMOJI_BYTES_MAX, MessageId, TEXT_BYTES_MAX};
use crate::context::{Context, to_store};
use crate::conversation::{self, ConversationId, GROUP_OTHERS_MAX, State};
use crate::error::{CommandError, EngineError};
use crate::inbox::welcome;
use crate::input::{Answer, Change, Command, Presence, Verification};
use crate::settings::Settings;
use crate::timeline;
use aside_mls::TITLE_CHARS_MAX;
use aside_protocol::address::AccountAddress;
use rusqlite::{OptionalExtension, params};

impl Heart {
    /// Carries one out.
    pub(crate) fn command(&mut self, context: &mut Context<'_>, command: Command) -> Result<Answer, CommandError> {
        match command {
            Command::Join { invite, name } => {
                if let Some(identity) = &self.identity {
                    // The server may have made the account and its answer be lost: the same join goes on with its keys.
                    let goes_on = !identity.registered && identity.refusal.is_none();
                    let is_same = identity.invite == invite.token && identity.pin == invite.server;
                    return match goes_on && is_same && *identity.name() == name {
                        true => Ok(Answer::Done),
                        false => Err(CommandError::AlreadyJoined { address: identity.address.to_string() }),
                    };
                }
                account::create(context, &self.mls.on(context.db), &invite, name)?;
                self.identity = account::load(context.db)?;
                context.changed(Change::State);
                Ok(Answer::Done)
            }
            Command::ForgetJoin => self.forget_join(context),
            Command::MakeContactLink => {
                let (link, expires_day) = contact::link(self, context)?;
                let expires_unix_ms = i64::from(expires_day).saturating_mul(86_400_000);
                Ok(Answer::ContactLink { link, expires_unix_ms })
            }
            Command::AddContact { link } => contact::add(self, context, &link).map(Answer::Conversation),
            Command::CreateGroup { title, members } => self.create_group(context, &title, &members),
            Command::SendText { conversation, text, reply_to } => {
                self.send_text(context, conversation, &text, reply_to)
            }
            Command::EditText { message, text } => self.edit_text(context, message, text),
            Command::DeleteMessage { message } => self.delete_message(context, message),
            Command::React { message, emoji, presence } => self.react(context, message, emoji, presence),
            Command::Retry { message } => self.retry(context, message),
            Command::MarkRead { conversation, through } => {
                known(context, conversation)?;
                timeline::mark_seen(self, context, conversation, through)?;
                Ok(Answer::Done)
            }
            Command::MarkListened { conversation, through } => {
                let sql = "UPDATE conversations SET listened_position = MAX(listened_position, ?) WHERE id = ?";
                context.db.prepare_cached(sql)?.execute(params![through, conversation])?;
                Ok(Answer::Done)
            }
            Command::SetDraft { conversation, text } => set_draft(context, conversation, &text),
            Command::Typing { conversation } => self.typing(context, conversation),
            Command::Accept { conversation } => self.accept(context, conversation),
            Command::RemoveConversation { conversation } => self.remove_conversation(context, conversation),
            Command::SetVerified { conversation, verified } => set_verified(context, conversation, verified),
            Command::PutSettings(settings) => put_settings(context, &settings),
            Command::RotateKeys { conversation } => {
                let channel = known(context, conversation)?.channel;
                if let Some(id) = channel {
                    channel::set_rotation(context, id, Some(context.now.unix_ms))?;
                }
                Ok(Answer::Done)
            }
        }
    }

    fn author(&self) -> Result<AccountAddress, CommandError> {
        self.identity.as_ref().map(|identity| identity.address.clone()).ok_or(CommandError::NotJoined)
    }

    fn forget_join(&mut self, context: &mut Context<'_>) -> Result<Answer, CommandError> {
        if self.identity.as_ref().is_some_and(|identity| !identity.registered) {
            context.db.execute("DELETE FROM account", [])?;
            context.db.execute("DELETE FROM servers", [])?;
            self.identity = None;
            context.wanted_changed();
            context.changed(Change::State);
        }
        Ok(Answer::Done)
    }

    fn create_group(
        &mut self,
        context: &mut Context<'_>,
        title: &str,
        members: &[AccountAddress],
    ) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let title = title.trim();
        if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX {
            return Err(CommandError::Title { chars_max: TITLE_CHARS_MAX });
        }
        let mut others: Vec<_> = members.iter().filter(|member| **member != author).collect();
        others.sort();
        others.dedup();
        if others.is_empty() || others.len() > GROUP_OTHERS_MAX {
            return Err(CommandError::GroupSize { max: GROUP_OTHERS_MAX });
        }
        let mut reachable = Vec::new();
        for member in others {
            match contact::find(context.db, member)? {
                Some(contact::Contact { server: Some(server), state, .. }) if state != contact::State::Stranger => {
                    reachable.push((member.clone(), server));
                }
                _ => return Err(CommandError::UnknownContact { address: member.to_string() }),
            }
        }
        let id = ConversationId(context.random());
        conversation::begin_group(context, id, title, &reachable)?;
        let words = format!("You made the group “{title}”");
        timeline::note(context, id, &author, &words)?;
        Ok(Answer::Conversation(id))
    }

    fn send_text(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
        text: &str,
        reply_to: Option<MessageId>,
    ) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let conversation = known(context, id)?;
        check_text(text)?;
        may_send(&conversation)?;
        let content = Content::Text { text: text.to_owned(), reply_to };
        let mut message = MessageId([0; 32]);
        outbox::queue(context, id, &content, |bytes| {
            message = message_id(&author, bytes);
            Some(message)
        })?;
        timeline::insert_own(context, id, &author, (message, text, reply_to))?;
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn stir(&mut self, conversation: &conversation::Conversation) {
        self.stirred.extend(conversation.channel);
    }

    /// The row of an own message that stands, with its conversation.
    fn own(
        &self,
        context: &Context<'_>,
        message: &MessageId,
    ) -> Result<(timeline::Owned, conversation::Conversation), CommandError> {
        let owned = timeline::find(context.db, message)?.ok_or(CommandError::UnknownMessage)?;
        match owned.is_own && !owned.is_deleted {
            true => Ok((owned.clone(), known(context, owned.conversation)?)),
            false => Err(CommandError::NotOwn),
        }
    }

    fn edit_text(
        &mut self,
        context: &mut Context<'_>,
        message: MessageId,
        text: String,
    ) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let (_, conversation) = self.own(context, &message)?;
        check_text(&text)?;
        may_send(&conversation)?;
        timeline::edit(context, &author, &message, &text)?;
        outbox::queue(context, conversation.id, &Content::Edit { target: message, text }, |_| None)?;
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn delete_message(&mut self, context: &mut Context<'_>, message: MessageId) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let (owned, conversation) = self.own(context, &message)?;
        timeline::delete(context, &author, &message)?;
        if owned.failure.is_none() {
            outbox::queue(context, conversation.id, &Content::Delete { target: message }, |_| None)?;
            self.stir(&conversation);
        }
        Ok(Answer::Done)
    }

    fn react(
        &mut self,
        context: &mut Context<'_>,
        message: MessageId,
        emoji: String,
        presence: Presence,
    ) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let owned = timeline::find(context.db, &message)?.ok_or(CommandError::UnknownMessage)?;
        let conversation = known(context, owned.conversation)?;
        may_send(&conversation)?;
        if emoji.is_empty()
            || emoji.len() > EMOJI_BYTES_MAX
            || emoji.chars().any(|c| c.is_alphanumeric() && c.is_ascii_alphabetic())
        {
            return Err(CommandError::NotAnEmoji);
        }
        let standing: Option<MessageId> = context
            .db
            .prepare_cached("SELECT id FROM reactions WHERE message = ? AND sender = ? AND emoji = ?")?
            .query_row(params![message, author.to_string(), emoji], |row| row.get(0))
            .optional()?;
        match (presence, standing) {
            (Presence::Present, None) => {
                let content = Content::Reaction { target: message, emoji: emoji.clone() };
                let mut id = message;
                outbox::queue(context, conversation.id, &content, |bytes| {
                    id = message_id(&author, bytes);
                    None
                })?;
                timeline::react(context, &author, &message, &emoji, &id)?;
            }
            (Presence::Absent, Some(id)) => {
                timeline::delete(context, &author, &id)?;
                outbox::queue(context, conversation.id, &Content::Delete { target: id }, |_| None)?;
            }
            (Presence::Present, Some(_)) | (Presence::Absent, None) => {}
        }
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn retry(&mut self, context: &mut Context<'_>, message: MessageId) -> Result<Answer, CommandError> {
        let (owned, conversation) = self.own(context, &message)?;
        if owned.failure.is_none() {
            return Err(CommandError::NotFailed);
        }
        may_send(&conversation)?;
        let content = Content::Text { text: owned.text, reply_to: owned.reply_to };
        outbox::queue(context, conversation.id, &content, |_| Some(message))?;
        timeline::requeue(context, conversation.id, message)?;
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn typing(&mut self, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
        let conversation = known(context, id)?;
        let tells = crate::view::settings(context.db)?.typing_indicators;
        if let Some(channel) = conversation.channel.filter(|_| tells && conversation.state == State::Active)
            && let Some(row) = channel::find(context.db, &channel)?
        {
            ephemeral::send_typing(self, context, &row)?;
        }
        Ok(Answer::Done)
    }

    fn accept(&mut self, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
        let conversation = known(context, id)?;
        if let Some(kept) = &conversation.request {
            welcome::accept(self, context, kept)?;
        }
        Ok(Answer::Conversation(id))
    }

    fn remove_conversation(&mut self, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
        let conversation = known(context, id)?;
        context.changed(Change::ConversationRemoved(id));
        if conversation.channel.is_some() && conversation.state != State::Request {
            return empty(context, id);
        }
        let mut statement = context.db.prepare_cached("SELECT id FROM channels WHERE conversation = ?")?;
        let channels = statement
            .query_map(params![id], |row| Ok(aside_protocol::id::ChannelId(row.get(0)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        for channel in channels {
            self.groups.remove(&channel);
            self.mls.on(context.db).delete_group(&aside_mls::GroupId(channel.0))?;
            for table in ["chain", "epochs", "roster", "pending_commits"] {
                context.db.execute(&format!("DELETE FROM {table} WHERE channel = ?"), params![channel.0])?;
            }
        }
        context.db.execute(
            "DELETE FROM reactions WHERE message IN (SELECT id FROM messages WHERE conversation = ?)",
            params![id],
        )?;
        for table in ["channels", "messages", "outbox", "members", "founding", "contacts"] {
            context.db.execute(&format!("DELETE FROM {table} WHERE conversation = ?"), params![id])?;
        }
        context.db.execute("DELETE FROM conversations WHERE id = ?", params![id])?;
        Ok(Answer::Done)
    }
}

fn known(context: &Context<'_>, id: ConversationId) -> Result<conversation::Conversation, CommandError> {
    conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)
}

fn check_text(text: &str) -> Result<(), CommandError> {
    match text.len() {
        bytes if bytes > TEXT_BYTES_MAX => Err(CommandError::TooLong { bytes, bytes_max: TEXT_BYTES_MAX }),
        _ if text.trim().is_empty() => Err(CommandError::Empty),
        _ => Ok(()),
    }
}

fn may_send(conversation: &conversation::Conversation) -> Result<(), CommandError> {
    let why = match conversation.state {
        State::Active | State::Pending => return Ok(()),
        State::Request => "accept the conversation first".to_owned(),
        State::Paused => conversation.paused.clone().unwrap_or_else(|| "the conversation is paused".to_owned()),
    };
    Err(CommandError::CannotSend { why })
}

/// Deletes what was said from this device and hides the conversation. Its keys stay: the others do not know that it was
/// deleted, and what they write brings it back.
fn empty(context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
    let said = "SELECT id FROM messages WHERE conversation = ?";
    context.db.execute(&format!("DELETE FROM reactions WHERE message IN ({said})"), params![id])?;
    context.db.execute("DELETE FROM messages WHERE conversation = ?", params![id])?;
    context.db.execute("UPDATE conversations SET hidden = 1, draft = '' WHERE id = ?", params![id])?;
    Ok(Answer::Done)
}

fn set_draft(context: &mut Context<'_>, id: ConversationId, text: &str) -> Result<Answer, CommandError> {
    known(context, id)?;
    if text.len() > TEXT_BYTES_MAX {
        return Err(CommandError::TooLong { bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
    }
    context.db.prepare_cached("UPDATE conversations SET draft = ? WHERE id = ?")?.execute(params![text, id])?;
    context.changed(Change::Conversation(id));
    Ok(Answer::Done)
}

fn set_verified(context: &mut Context<'_>, id: ConversationId, verified: Verification) -> Result<Answer, CommandError> {
    let peer = known(context, id)?.peer.ok_or(CommandError::UnknownConversation)?;
    context
        .db
        .prepare_cached("UPDATE contacts SET verified = ? WHERE address = ?")?
        .execute(params![verified == Verification::Verified, peer.to_string()])?;
    context.changed(Change::Contact(peer));
    Ok(Answer::Done)
}

fn put_settings(context: &mut Context<'_>, settings: &Settings) -> Result<Answer, CommandError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO settings (only_row, body) VALUES (1, ?)")?
        .execute(params![to_store(settings)])
        .map_err(EngineError::from)?;
    context.changed(Change::State);
    Ok(Answer::Done)
}

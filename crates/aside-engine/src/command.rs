//! Commands: what a person wants, checked and written down; the network follows.

use crate::Heart;
use crate::account;
use crate::channel::{self, ephemeral, outbox};
use crate::contact;
use crate::content::wrapper::message_id;
use crate::content::{Content, EMOJI_BYTES_MAX, MessageId, TEXT_BYTES_MAX};
use crate::context::{Context, to_store};
use crate::conversation::{self, ConversationId, GROUP_MEMBERS_MAX, State};
use crate::device;
use crate::error::CommandError;
use crate::group;
use crate::heal;
use crate::input::{Answer, Change, Command, Presence, Verification};
use crate::recovery;
use crate::safety::{self, Scanned};
use crate::settings::Settings;
use crate::timeline;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::link::InviteLink;
use rusqlite::params;

impl Heart {
    /// Carries one out.
    pub(crate) fn command(&mut self, context: &mut Context<'_>, command: Command) -> Result<Answer, CommandError> {
        match command {
            Command::Join { invite, name } => self.join(context, &invite, name),
            Command::ForgetJoin => self.forget_join(context),
            Command::MakeContactLink
            | Command::MakeFreshContactLink
            | Command::WithdrawContactLink { .. }
            | Command::AddContact { .. }
            | Command::AddContactWithOtherKeys { .. }
            | Command::AddByName { .. }
            | Command::Report { .. }
            | Command::ReportRequest { .. }
            | Command::RenameContact { .. }
            | Command::SetBlocked { .. }
            | Command::RemoveContact { .. }
            | Command::ActOnNotice { .. }
            | Command::Decline { .. } => {
                self.recovery.is_changed = true;
                contact::command::run(self, context, command)
            }
            Command::CreateGroup { title, members } => self.create_group(context, &title, &members),
            Command::MakeGroupLink { conversation } => self.make_group_link(context, conversation),
            Command::WithdrawGroupLink { conversation } => self.withdraw_group_link(context, conversation),
            Command::JoinByLink { link } => self.join_by_link(context, &link),
            Command::AnswerJoinRequest { conversation, address, decision } => {
                self.answer_join_request(context, (conversation, address), decision)
            }
            Command::ChangeGroup { conversation, change } => self.change_group(context, conversation, change),
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
            Command::ScanSafety { conversation, code } => self.scan_safety(context, conversation, &code),
            Command::PutSettings(settings) => self.put_settings(context, &settings),
            Command::BackUp
            | Command::MakeBackupFile
            | Command::DropBackupFile
            | Command::TakeBackupFile { .. }
            | Command::Restore { .. }
            | Command::UseBackup { .. }
            | Command::ForgetRestore
            | Command::ConfirmPhrase { .. } => recovery::command(self, context, command),
            Command::Device(command) => device::command(self, context, command),
            Command::RotateKeys { conversation } => {
                let channel = known(context, conversation)?.channel;
                if let Some(id) = channel {
                    channel::set_rotation(context, id, Some(context.now.unix_ms))?;
                }
                Ok(Answer::Done)
            }
        }
    }

    fn join(
        &mut self,
        context: &mut Context<'_>,
        invite: &InviteLink,
        name: AccountName,
    ) -> Result<Answer, CommandError> {
        if let Some(identity) = &self.identity {
            // The server may have made the account and its answer be lost: the same join goes on with its keys.
            let goes_on = !identity.registered && identity.refusal.is_none();
            let is_same = identity.invite == invite.token && identity.pin == invite.server;
            return match goes_on && is_same && *identity.name() == name {
                true => Ok(Answer::Done),
                false => Err(CommandError::AlreadyJoined { address: identity.address.to_string() }),
            };
        }
        account::create(context, &self.mls.on(context.db), invite, name)?;
        self.identity = account::load(context.db)?;
        context.changed(Change::State);
        Ok(Answer::Done)
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
        let title = group::checked_title(title)?;
        let others = group::reachable(context, &author, members)?;
        if others.is_empty() || others.len() >= GROUP_MEMBERS_MAX {
            return Err(CommandError::GroupSize { max: GROUP_MEMBERS_MAX.saturating_sub(1) });
        }
        let id = ConversationId(context.random());
        conversation::begin_group(context, id, &title, &others)?;
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
        may_send(context, &conversation)?;
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
        may_send(context, &conversation)?;
        timeline::edit(context, (&author, context.now.unix_ms), &message, &text)?;
        outbox::queue(context, conversation.id, &Content::Edit { target: message, text }, |_| None)?;
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn delete_message(&mut self, context: &mut Context<'_>, message: MessageId) -> Result<Answer, CommandError> {
        let author = self.author()?;
        let (owned, conversation) = self.own(context, &message)?;
        // What was never sent goes; what others have read is taken back, where this person still has a voice.
        if owned.failure.is_none() {
            may_send(context, &conversation)?;
        }
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
        may_send(context, &conversation)?;
        if emoji.is_empty()
            || emoji.len() > EMOJI_BYTES_MAX
            || emoji.chars().any(|c| c.is_alphanumeric() && c.is_ascii_alphabetic())
        {
            return Err(CommandError::NotAnEmoji);
        }
        // Several where more than one device of this person added it.
        let standing: Vec<MessageId> = context
            .db
            .prepare_cached("SELECT id FROM reactions WHERE message = ? AND sender = ? AND emoji = ?")?
            .query_map(params![message, author.to_string(), emoji], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        match presence {
            Presence::Present if standing.is_empty() => {
                let content = Content::Reaction { target: message, emoji: emoji.clone() };
                let mut id = message;
                outbox::queue(context, conversation.id, &content, |bytes| {
                    id = message_id(&author, bytes);
                    None
                })?;
                timeline::react(context, &author, &message, &emoji, &id)?;
            }
            Presence::Absent => {
                for id in standing {
                    timeline::delete(context, &author, &id)?;
                    outbox::queue(context, conversation.id, &Content::Delete { target: id }, |_| None)?;
                }
            }
            Presence::Present => {}
        }
        self.stir(&conversation);
        Ok(Answer::Message(message))
    }

    fn retry(&mut self, context: &mut Context<'_>, message: MessageId) -> Result<Answer, CommandError> {
        let (owned, conversation) = self.own(context, &message)?;
        if owned.failure.is_none() {
            return Err(CommandError::NotFailed);
        }
        may_send(context, &conversation)?;
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
            && contact::why_not_to_send(context.db, &conversation)?.is_none()
            && let Some(row) = channel::find(context.db, &channel)?
        {
            ephemeral::send_typing(self, context, &row)?;
        }
        Ok(Answer::Done)
    }

    fn accept(&mut self, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
        contact::requests::accept(self, context, id)?;
        Ok(Answer::Conversation(id))
    }

    fn remove_conversation(&mut self, context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
        let conversation = known(context, id)?;
        context.changed(Change::ConversationRemoved(id));
        if conversation.channel.is_some() {
            return empty(context, id);
        }
        channel::forget_all(self, context, id)?;
        context.db.execute(
            "DELETE FROM reactions WHERE message IN (SELECT id FROM messages WHERE conversation = ?)",
            params![id],
        )?;
        for table in
            ["group_links", "join_requests", "joining", "messages", "outbox", "members", "founding", "contacts"]
        {
            context.db.execute(&format!("DELETE FROM {table} WHERE conversation = ?"), params![id])?;
        }
        context.db.execute("DELETE FROM conversations WHERE id = ?", params![id])?;
        Ok(Answer::Done)
    }
}

impl Heart {
    fn scan_safety(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
        code: &str,
    ) -> Result<Answer, CommandError> {
        let peer = known(context, id)?.peer.ok_or(CommandError::UnknownConversation)?;
        let identity = self.identity.as_ref().ok_or(CommandError::NotJoined)?;
        let root_key = contact::find(context.db, &peer)?.and_then(|contact| contact.root_key);
        let root_key = root_key.ok_or(CommandError::UnknownConversation)?;
        let verified = match safety::scan(code, (&identity.address, &identity.root_key), (&peer, &root_key)) {
            Scanned::Matches => Verification::Verified,
            Scanned::Differs => Verification::Unverified,
            Scanned::NoCode => return Err(CommandError::NotASafetyCode),
        };
        set_verified(context, id, verified)?;
        Ok(Answer::Compared(verified))
    }

    fn put_settings(&mut self, context: &mut Context<'_>, settings: &Settings) -> Result<Answer, CommandError> {
        self.recovery.is_changed = true;
        let sql = "INSERT OR REPLACE INTO settings (only_row, body) VALUES (1, ?)";
        context.db.prepare_cached(sql)?.execute(params![to_store(settings)])?;
        context.changed(Change::State);
        contact::by_name::tell(self, context)?;
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

fn may_send(context: &Context<'_>, conversation: &conversation::Conversation) -> Result<(), CommandError> {
    let why = match conversation.state {
        State::Active | State::Pending | State::Healing => match contact::why_not_to_send(context.db, conversation)? {
            Some(why) => why,
            None => return Ok(()),
        },
        State::Request => "accept the conversation first".to_owned(),
        State::Left | State::Leaving => "you left the group".to_owned(),
        State::Removed | State::Paused => {
            conversation.paused.clone().unwrap_or_else(|| "the conversation is paused".to_owned())
        }
    };
    Err(CommandError::CannotSend { why })
}

/// Deletes what was said from this device and hides the conversation. Its keys stay: the others do not know that it was
/// deleted, and what they write brings it back.
fn empty(context: &mut Context<'_>, id: ConversationId) -> Result<Answer, CommandError> {
    let said = "SELECT id FROM messages WHERE conversation = ?";
    context.db.execute(&format!("DELETE FROM reactions WHERE message IN ({said})"), params![id])?;
    context.db.execute("DELETE FROM messages WHERE conversation = ?", params![id])?;
    heal::content::forget_conversation(context, id)?;
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

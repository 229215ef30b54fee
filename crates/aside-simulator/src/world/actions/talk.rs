//! Writing, editing, deleting, reacting, reading.

use super::World;
use aside_engine::content::MessageId;
use aside_engine::input::{Answer, Command, Presence};
use aside_engine::view::{Message, MessageKind};

const EMOJIS: [&str; 3] = ["👍", "❤", "🎉"];

impl World {
    pub(super) fn write(&mut self, who: usize) -> Option<MessageId> {
        let conversation = self.some_conversation(who)?.id;
        let text = format!("{} of {}", self.number(), self.devices.get(who)?.name());
        let came = self.command(who, Command::SendText { conversation, text, reply_to: None });
        let Some(Answer::Message(id)) = came.answer() else { return None };
        self.ledger.written.push((who, id));
        Some(id)
    }

    /// A member with ill will sends the same content twice, as two entries.
    pub(super) fn write_twice(&mut self, who: usize) -> Option<()> {
        let message = self.write(who)?;
        let device = self.devices.get_mut(who)?;
        device.client.send_again(&message);
        let line = format!("{} sends that again, as another entry", device.name());
        self.note(|| line);
        Some(())
    }

    fn some_own_message(&mut self, who: usize) -> Option<MessageId> {
        let own: Vec<MessageId> =
            self.ledger.written.iter().filter(|(by, _)| *by == who).map(|(_, message)| *message).collect();
        own.get(self.dice.below(own.len())).copied()
    }

    pub(super) fn edit(&mut self, who: usize) -> Option<()> {
        let message = self.some_own_message(who)?;
        let text = format!("{} of {}, edited", self.number(), self.devices.get(who)?.name());
        self.command(who, Command::EditText { message, text });
        Some(())
    }

    pub(super) fn delete(&mut self, who: usize) -> Option<()> {
        let message = self.some_own_message(who)?;
        self.command(who, Command::DeleteMessage { message });
        Some(())
    }

    /// One of the newest messages of some conversation.
    fn some_message(&mut self, who: usize) -> Option<Message> {
        let conversation = self.some_conversation(who)?.id;
        let engine = self.devices.get(who)?.client.engine()?;
        let mut newest = engine.messages(&conversation, None, 20).ok()?.messages;
        newest.retain(|message| message.kind == MessageKind::Text && !message.deleted);
        let chosen = self.dice.below(newest.len());
        (chosen < newest.len()).then(|| newest.swap_remove(chosen))
    }

    pub(super) fn react(&mut self, who: usize) -> Option<()> {
        let message = self.some_message(who)?;
        let emoji = EMOJIS.get(self.dice.below(EMOJIS.len()))?.to_string();
        let stands = message.reactions.iter().any(|reaction| reaction.own && reaction.emoji == emoji);
        let presence = if stands { Presence::Absent } else { Presence::Present };
        self.command(who, Command::React { message: message.id, emoji, presence });
        Some(())
    }

    pub(super) fn read(&mut self, who: usize) -> Option<()> {
        let message = self.some_message(who)?;
        self.command(who, Command::MarkRead { conversation: message.conversation_id, through: message.position });
        Some(())
    }
}

//! What goes into the engine and what comes out: closed enums, so that the shell is one loop.

use crate::content::MessageId;
use crate::conversation::ConversationId;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::id::Binding;
use aside_protocol::link::{ContactLink, InviteLink, ServerPin};

/// Milliseconds since 1970-01-01 UTC, as the shell's clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// The time.
    pub unix_ms: i64,
}

impl Now {
    /// Days since 1970-01-01 UTC.
    pub fn day(self) -> u32 {
        u32::try_from(self.unix_ms / 86_400_000).unwrap_or(0)
    }

    /// Seconds since 1970-01-01 UTC.
    pub fn unix_s(self) -> u64 {
        u64::try_from(self.unix_ms / 1000).unwrap_or(0)
    }
}

/// A server as this profile knows it; the pin is in [`Wanted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

/// The two kinds of connection. They must never share a TLS session, and never name each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionKind {
    /// Speaks for the account; only to the home server.
    Account,
    /// Never names the account.
    Anonymous,
}

/// One connection of this profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// To which server.
    pub server: ServerId,
    /// Of which kind.
    pub kind: ConnectionKind,
}

/// A connection that the engine wants open; the shell opens it, and opens it again when it breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Names it in inputs and outputs.
    pub link: Link,
    /// Where and who.
    pub server: ServerPin,
}

/// What reaches the engine from the network and the clock.
#[derive(Debug, Clone)]
pub enum Input {
    /// The hellos are exchanged and the server is the pinned one.
    Connected {
        /// Which.
        link: Link,
        /// Of this very connection.
        binding: Binding,
    },
    /// One WebSocket message, whole.
    Frame {
        /// On which.
        link: Link,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// The connection is gone.
    Disconnected {
        /// Which.
        link: Link,
    },
    /// Time has passed; see [`Output::WakeAt`].
    Tick,
}

/// What a person, the CLI or a bot wants.
#[derive(Debug, Clone)]
pub enum Command {
    /// Makes the keys of a new account and registers it when the connection stands. [`Answer::Done`]. The same join
    /// again, while the server has not answered, goes on with the keys that were made.
    Join {
        /// From the administrator.
        invite: InviteLink,
        /// The person's choice.
        name: AccountName,
    },
    /// Gives up a join that the server refused, so that it can be tried with another name or invite. [`Answer::Done`].
    ForgetJoin,
    /// A link that lets others write to this person: the newest that is unused, or a new one. [`Answer::ContactLink`].
    MakeContactLink,
    /// Adds somebody and begins the conversation. [`Answer::Conversation`].
    AddContact {
        /// As it was given.
        link: ContactLink,
    },
    /// Founds a group with contacts. [`Answer::Conversation`].
    CreateGroup {
        /// 1 to 128 characters.
        title: String,
        /// Contacts, without oneself.
        members: Vec<AccountAddress>,
    },
    /// Writes. [`Answer::Message`].
    SendText {
        /// Where.
        conversation: ConversationId,
        /// 1 to [`crate::content::TEXT_BYTES_MAX`] bytes.
        text: String,
        /// The message that this one answers.
        reply_to: Option<MessageId>,
    },
    /// Replaces the text of an own message. [`Answer::Message`] with the id of the message that was edited.
    EditText {
        /// Which.
        message: MessageId,
        /// As for `SendText`.
        text: String,
    },
    /// Deletes an own message for everyone. [`Answer::Done`].
    DeleteMessage {
        /// Which.
        message: MessageId,
    },
    /// Adds or takes back an own reaction. [`Answer::Message`].
    React {
        /// To which.
        message: MessageId,
        /// One emoji.
        emoji: String,
        /// Whether it shall stand.
        presence: Presence,
    },
    /// Puts a failed message at the end of the queue again. [`Answer::Message`].
    Retry {
        /// Which.
        message: MessageId,
    },
    /// The person has seen the conversation up to a position. [`Answer::Done`].
    MarkRead {
        /// Which.
        conversation: ConversationId,
        /// The position of the last message seen.
        through: i64,
    },
    /// `listen` has printed up to a position. [`Answer::Done`].
    MarkListened {
        /// Which.
        conversation: ConversationId,
        /// The position of the last message printed.
        through: i64,
    },
    /// Keeps what is being written. [`Answer::Done`].
    SetDraft {
        /// Where.
        conversation: ConversationId,
        /// Empty: none.
        text: String,
    },
    /// The person is typing. [`Answer::Done`].
    Typing {
        /// Where.
        conversation: ConversationId,
    },
    /// Accepts a stranger's conversation. [`Answer::Conversation`].
    Accept {
        /// Which.
        conversation: ConversationId,
    },
    /// Removes a conversation from this device. [`Answer::Done`].
    RemoveConversation {
        /// Which.
        conversation: ConversationId,
    },
    /// The person has compared the safety number (or takes that back). [`Answer::Done`].
    SetVerified {
        /// Which direct conversation.
        conversation: ConversationId,
        /// What the person says.
        verified: Verification,
    },
    /// Changes settings. [`Answer::Done`].
    PutSettings(crate::settings::Settings),
    /// Commits fresh key material of this device's leaf. [`Answer::Done`].
    RotateKeys {
        /// Which.
        conversation: ConversationId,
    },
}

/// Whether something shall stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It shall.
    Present,
    /// It shall not.
    Absent,
}

/// Whether a person has compared a safety number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// Compared, and it matched.
    Verified,
    /// Not compared.
    Unverified,
}

/// What a command gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is on disk.
    Done,
    /// The link. It works once [`crate::Engine::link_is_registered`] says so.
    ContactLink {
        /// To hand to people.
        link: ContactLink,
        /// When it ends.
        expires_unix_ms: i64,
    },
    /// The conversation.
    Conversation(ConversationId),
    /// The message.
    Message(MessageId),
}

/// What the shell does next, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// [`crate::Engine::wanted`] gives another list than before.
    WantedChanged,
    /// Send one WebSocket message.
    Send {
        /// On which.
        link: Link,
        /// Encoded.
        bytes: Vec<u8>,
    },
    /// Close the connection (the server broke the protocol, or the engine lost track) and open it again with backoff.
    Close {
        /// Which.
        link: Link,
        /// For the log and the connection state: fixed words, no content.
        reason: &'static str,
    },
    /// Something that a person sees is different.
    Changed(Change),
    /// Send [`Input::Tick`] at this time, if none comes before.
    WakeAt {
        /// When.
        unix_ms: i64,
    },
}

/// What is different; the shell reads it again through the views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Account, settings or sign-in.
    State,
    /// A conversation's row.
    Conversation(ConversationId),
    /// A conversation is gone.
    ConversationRemoved(ConversationId),
    /// A message.
    Message(MessageId),
    /// A contact.
    Contact(AccountAddress),
    /// Somebody types.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        person: AccountAddress,
        /// Until when to show it.
        until_unix_ms: i64,
    },
}

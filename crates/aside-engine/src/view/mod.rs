//! What a person sees, read from the database: the shapes of the loopback API (`ui/src/api/types.ts`).
//!
//! Views read; they never change anything.

mod conversations;
mod messages;

pub(crate) use conversations::settings;

use crate::content::MessageId;
use crate::conversation::ConversationId;
use aside_protocol::address::AccountAddress;
use serde::Serialize;

/// Somebody, as shown beside what they wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// `name@host[:port]`.
    #[serde(serialize_with = "as_text")]
    pub address: AccountAddress,
    /// The name to show.
    pub display_name: String,
    /// Whether this is the person at this device.
    pub is_self: bool,
}

/// May a member change the group?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Yes.
    Admin,
    /// No.
    Member,
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// What they may do.
    pub role: Role,
}

/// Where an own message has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// On this device's disk.
    Queued,
    /// On the server's disk.
    Sent,
    /// On the other person's device (direct conversations).
    Delivered,
    /// Seen by the other person.
    Read,
    /// Not sent, and not going to be: [`Message::failure`] says why.
    Failed,
}

/// The last line of a conversation in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessagePreview {
    /// Who wrote.
    pub sender: Person,
    /// One line.
    pub text: String,
    /// When, by the sender's clock.
    pub sent_at: i64,
    /// Own messages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

/// Two people, or several under a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Two people.
    Direct,
    /// Several.
    Group,
}

/// Whether a conversation can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationState {
    /// Yes.
    Active,
    /// Being set up; what is written is queued.
    Pending,
    /// A stranger's: to be accepted first.
    Request,
    /// Stopped for safety.
    Paused,
}

/// A conversation as the list and the header show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conversation {
    /// Names it in calls.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The group's title, or the other person's name.
    pub title: String,
    /// The other person, in direct conversations.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
    pub peer: Option<AccountAddress>,
    /// Everybody, oneself first.
    pub members: Vec<Member>,
    /// The newest message.
    pub last_message: Option<MessagePreview>,
    /// For sorting the list.
    pub updated_at: i64,
    /// Messages of others behind the read mark.
    pub unread_count: u32,
    /// What is being written.
    pub draft: String,
    /// Whether it can be used.
    pub state: ConversationState,
    /// With `Paused`: why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReplyReference {
    /// Which.
    pub id: MessageId,
    /// By whom.
    pub sender: Person,
    /// Its text.
    pub text: String,
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reaction {
    /// Which.
    pub emoji: String,
    /// From how many people.
    pub count: u32,
    /// Whether oneself is among them.
    pub own: bool,
}

/// Written by somebody, or a note of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Written.
    Text,
    /// A note.
    Event,
}

/// A row of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Names it in calls.
    pub id: MessageId,
    /// Where it stands.
    pub conversation_id: ConversationId,
    /// Who wrote it.
    pub sender: Person,
    /// Written, or a note.
    pub kind: MessageKind,
    /// The words.
    pub text: String,
    /// When, by the sender's clock.
    pub sent_at: i64,
    /// The order of the timeline.
    pub position: i64,
    /// Own messages only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// With `Failed`: what went wrong and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether its text was replaced.
    pub edited: bool,
    /// Whether its sender deleted it.
    pub deleted: bool,
    /// What it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyReference>,
    /// What others think of it.
    pub reactions: Vec<Reaction>,
}

/// Some rows of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessagePage {
    /// Ascending.
    pub messages: Vec<Message>,
    /// Whether there are earlier ones.
    pub has_more: bool,
}

/// Whether somebody can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactState {
    /// Their keys are being fetched.
    Adding,
    /// Yes.
    Active,
    /// The server refused.
    Failed,
}

/// Somebody whom this person has added, or who has added them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// Who.
    #[serde(serialize_with = "as_text")]
    pub address: AccountAddress,
    /// The name to show.
    pub display_name: String,
    /// The direct conversation.
    pub conversation_id: ConversationId,
    /// Whether they can be written to.
    pub state: ContactState,
    /// With `Failed`: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether the safety number was compared.
    pub verified: bool,
}

/// What two people compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SafetyNumber {
    /// Twelve groups of five digits.
    pub digits: Vec<String>,
    /// Whether this person has compared it.
    pub verified: bool,
}

/// This person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// `name@host[:port]`.
    #[serde(serialize_with = "as_text")]
    pub address: AccountAddress,
    /// The local part.
    pub name: String,
    /// The home server.
    pub server: String,
}

/// How far a join has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinState {
    /// None was begun.
    NotJoined,
    /// The keys are made; the server has not answered.
    Registering,
    /// The server refused; the sentence says why and what to do. `ForgetJoin`, then try again.
    Refused {
        /// The refusal.
        refusal: aside_protocol::refusal::Refusal,
    },
    /// The account stands.
    Joined(Account),
}

/// A message of somebody else's, for `listen`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// The other person's address, or the group's title.
    pub conversation: String,
    /// Names the conversation in calls.
    pub conversation_id: ConversationId,
    /// Who wrote.
    #[serde(serialize_with = "as_text")]
    pub sender: AccountAddress,
    /// The words.
    pub text: String,
    /// When, by the sender's clock.
    pub sent_at: i64,
    /// For [`crate::input::Command::MarkListened`].
    #[serde(skip)]
    pub position: i64,
}

fn as_text<S: serde::Serializer>(address: &AccountAddress, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

fn as_text_if_any<S: serde::Serializer>(address: &Option<AccountAddress>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.collect_str(address),
        None => serializer.serialize_none(),
    }
}

//! What a person sees, read from the database: the shapes of the loopback API (`ui/src/api/types.ts`).
//!
//! Views read; they never change anything.

mod conversations;
mod devices;
#[cfg(feature = "planted-defects")]
pub mod inspect;
mod messages;

pub(crate) use conversations::settings;
pub use devices::{Device, DeviceRequest, LinkingState, LinkingView, parse_device_id};

use crate::content::MessageId;
use crate::conversation::ConversationId;
use aside_protocol::address::AccountAddress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Somebody, as shown beside what they wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Person {
    /// `name@host[:port]`.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub address: AccountAddress,
    /// The name to show.
    pub display_name: String,
    /// Whether this is the person at this device.
    pub is_self: bool,
}

/// May a member change the group?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Yes.
    Admin,
    /// No.
    Member,
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Member {
    /// Who.
    #[serde(flatten)]
    pub person: Person,
    /// What they may do.
    pub role: Role,
    /// How far they are in or out.
    pub state: MemberState,
    /// How many of their devices are in the group; 0 while they are being added.
    pub devices: u32,
    /// Whether the safety number was compared with them.
    pub verified: bool,
}

/// How far somebody is in a group or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// In it.
    Member,
    /// Being added by this device.
    Adding,
    /// They said that they leave.
    Leaving,
}

/// Where an own message has got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Two people.
    Direct,
    /// Several.
    Group,
    /// One person's devices; no list shows it.
    #[schemars(skip)]
    Own,
}

/// Whether a conversation can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Somebody's keys changed in a way that a person has to look at.
    KeyChanged,
    /// The server showed different histories.
    Fork,
    /// Something is being repaired.
    Healing,
    /// This person is out of it.
    Removed,
    /// It cannot be repaired from here.
    Lost,
}

/// What a person can do about a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeAction {
    /// Goes on with the keys as they are now.
    AcceptKeys,
    /// Shows the safety number.
    Compare,
    /// Goes on in spite of it.
    Continue,
    /// Leaves the group.
    Leave,
}

/// Something that a person has to look at before a conversation goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Notice {
    /// What it is about.
    pub kind: NoticeKind,
    /// In words.
    pub text: String,
    /// What can be done.
    pub actions: Vec<NoticeAction>,
}

/// A conversation as the list and the header show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conversation {
    /// Names it in calls.
    pub id: ConversationId,
    /// Direct or group.
    pub kind: ConversationKind,
    /// The group's title, or the other person's name.
    pub title: String,
    /// The other person, in direct conversations.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text_if_any")]
    #[schemars(with = "Option<String>")]
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
    /// In groups that this person is in: what this person may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub my_role: Option<Role>,
    /// Where the loopback API has the group's picture; another picture is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// For admins: how many people ask to be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_requests: Option<u32>,
    /// Whether this person left the group or was removed from it: `paused_reason` says which.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
    /// With `Paused`: why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
    /// Whether the other person of a direct conversation is blocked.
    #[serde(skip_serializing_if = "is_false")]
    pub blocked: bool,
    /// What has to be looked at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

/// The link by which people can ask to be added to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupInvite {
    /// To hand to people.
    pub link: aside_protocol::link::GroupLink,
    /// When it ends.
    pub expires_unix_ms: i64,
    /// How many have asked by it.
    pub uses: u32,
    /// Whether the home server knows it, so that it works.
    pub is_registered: bool,
}

/// Somebody who asks to be added to a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct JoinRequest {
    /// Who.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub address: AccountAddress,
    /// The name to show.
    pub display_name: String,
    /// Since when.
    pub at: i64,
}

/// A group's picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPicture {
    /// Another picture has another name.
    pub name: String,
    /// As in HTTP's Content-Type; one of three.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyReference {
    /// Which.
    pub id: MessageId,
    /// By whom.
    pub sender: Person,
    /// Its text.
    pub text: String,
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reaction {
    /// Which.
    pub emoji: String,
    /// From how many people.
    pub count: u32,
    /// Whether oneself is among them.
    pub own: bool,
}

/// Written by somebody, or a note of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Written.
    Text,
    /// A note.
    Event,
}

/// A row of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// Whether its sender is blocked: it is shown collapsed, and nobody is notified of it.
    #[serde(skip_serializing_if = "is_false")]
    pub from_blocked: bool,
}

/// Some rows of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MessagePage {
    /// Ascending.
    pub messages: Vec<Message>,
    /// Whether there are earlier ones.
    pub has_more: bool,
    /// Whether there are later ones.
    pub has_newer: bool,
}

/// Whether somebody can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Contact {
    /// Who.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub address: AccountAddress,
    /// The name to show.
    pub display_name: String,
    /// The direct conversation; absent where somebody is only blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    /// Whether they can be written to.
    pub state: ContactState,
    /// With `Failed`: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Whether the safety number was compared.
    pub verified: bool,
    /// Whether they are blocked.
    pub blocked: bool,
    /// Whether a notice about their keys waits in a conversation.
    pub key_changed: bool,
    /// Where only their server vouches for their keys: what that means and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unvouched: Option<String>,
}

/// What two people compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SafetyNumber {
    /// Twelve groups of five digits.
    pub digits: Vec<String>,
    /// What the other person scans.
    pub code: String,
    /// Whether this person has compared it.
    pub verified: bool,
}

/// This person's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Account {
    /// `name@host[:port]`.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Heard {
    /// The other person's address, or the group's title.
    pub conversation: String,
    /// Names the conversation in calls.
    pub conversation_id: ConversationId,
    /// Who wrote.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub sender: AccountAddress,
    /// The words.
    pub text: String,
    /// When, by the sender's clock.
    pub sent_at: i64,
    /// For [`crate::input::Command::MarkListened`].
    #[serde(skip)]
    pub position: i64,
}

fn is_false(value: &bool) -> bool {
    !value
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

//! What goes into the engine and what comes out: closed enums, so that the shell is one loop.

use crate::contact::{LinkId, OwnLink};
use crate::content::MessageId;
use crate::conversation::ConversationId;
use crate::view::NoticeAction;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::id::{Binding, DeviceId};
use aside_protocol::link::{ContactLink, DeviceLink, GroupLink, InviteLink, ServerPin};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct ServerId(#[n(0)] pub i64);

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
    /// Another such link, whatever there is already. [`Answer::ContactLink`].
    MakeFreshContactLink,
    /// Ends a link of one's own before its time. [`Answer::Done`].
    WithdrawContactLink {
        /// Which.
        link: LinkId,
    },
    /// Adds somebody and begins the conversation. [`Answer::Conversation`].
    AddContact {
        /// As it was given.
        link: ContactLink,
    },
    /// Likewise, and accepts that the link shows other keys than those they were known by. [`Answer::Conversation`].
    AddContactWithOtherKeys {
        /// As it was given.
        link: ContactLink,
    },
    /// Adds somebody on the home server by name. [`Answer::Conversation`].
    AddByName {
        /// Their name there.
        name: AccountName,
    },
    /// Shows the home server's administrator what the person chose. [`Answer::Done`].
    Report {
        /// Where.
        conversation: ConversationId,
        /// Which messages; all of one person, one's own apart.
        messages: Vec<MessageId>,
        /// The person's own words.
        note: String,
    },
    /// Shows the home server's administrator who asks in a request, and what they wrote in it. [`Answer::Done`].
    ReportRequest {
        /// Which.
        conversation: ConversationId,
    },
    /// Calls a contact by another name on this device. [`Answer::Done`].
    RenameContact {
        /// Whom.
        address: AccountAddress,
        /// Empty: as their address says.
        name: String,
    },
    /// Blocks somebody, contact or not, or takes that back. [`Answer::Done`].
    SetBlocked {
        /// Whom.
        address: AccountAddress,
        /// Whether they shall be blocked.
        blocked: Presence,
    },
    /// Removes a contact and puts the conversation with them away. [`Answer::Done`].
    RemoveContact {
        /// Whom.
        address: AccountAddress,
    },
    /// Founds a group with contacts. [`Answer::Conversation`].
    CreateGroup {
        /// 1 to 128 characters.
        title: String,
        /// Contacts, without oneself.
        members: Vec<AccountAddress>,
    },
    /// Changes a group, or leaves it. [`Answer::Conversation`].
    ChangeGroup {
        /// Which.
        conversation: ConversationId,
        /// How.
        change: GroupChange,
    },
    /// Makes the link by which people can ask to be added to a group, or keeps the one that there is. For admins.
    /// [`Answer::Done`]; [`crate::Engine::group_invite`] has it.
    MakeGroupLink {
        /// Which.
        conversation: ConversationId,
    },
    /// Withdraws that link. [`Answer::Done`].
    WithdrawGroupLink {
        /// Which.
        conversation: ConversationId,
    },
    /// Asks to be added to the group of a link. [`Answer::Conversation`], pending until an admin has answered.
    JoinByLink {
        /// As it was given.
        link: GroupLink,
    },
    /// Answers somebody who asked. For admins. [`Answer::Conversation`].
    AnswerJoinRequest {
        /// Which group.
        conversation: ConversationId,
        /// Who asked.
        address: AccountAddress,
        /// The answer.
        decision: Decision,
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
    /// Declines a stranger's conversation; they are not told. [`Answer::Asker`].
    Decline {
        /// Which.
        conversation: ConversationId,
    },
    /// Does what a conversation's notice offers. [`Answer::Conversation`].
    ActOnNotice {
        /// Which.
        conversation: ConversationId,
        /// One of the notice's actions.
        action: NoticeAction,
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
    /// Compares what the other person shows to be scanned. [`Answer::Compared`].
    ScanSafety {
        /// Which direct conversation.
        conversation: ConversationId,
        /// The scanned text.
        code: String,
    },
    /// Changes settings. [`Answer::Done`].
    PutSettings(crate::settings::Settings),
    /// Backs the account up to its server, now. [`Answer::Done`]; [`crate::Engine::recovery_state`] says when it is there.
    BackUp,
    /// Makes a backup for a file. [`Answer::Done`]; then [`crate::Engine::backup_file_part`], and `DropBackupFile`.
    MakeBackupFile,
    /// The file is written. [`Answer::Done`].
    DropBackupFile,
    /// A part of a file that is to be restored, in order. [`Answer::Done`].
    TakeBackupFile {
        /// Counts from 0; 0 begins anew.
        part: u32,
        /// 1 to [`aside_protocol::limit::BACKUP_PART_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// Brings an account back to a profile that has none. [`Answer::Done`]; then [`crate::Engine::restore_state`].
    Restore {
        /// As typed.
        phrase: crate::recovery::TypedPhrase,
        /// Where the backup is.
        from: RestoreFrom,
        /// What becomes of the devices that the account had.
        lost: LostDevices,
        /// Whether the person sees the backup's date first.
        look: Look,
    },
    /// The person has seen which backup was found, and wants it. [`Answer::Done`].
    UseBackup {
        /// What becomes of the devices; absent: as the restore was begun.
        lost: Option<LostDevices>,
    },
    /// Gives a restore up. [`Answer::Done`].
    ForgetRestore,
    /// The person has written the recovery phrase down and typed it back: it is erased here. [`Answer::Done`].
    ConfirmPhrase {
        /// As typed.
        phrase: crate::recovery::TypedPhrase,
    },
    /// About the devices of this account.
    Device(DeviceCommand),
    /// Commits fresh key material of this device's leaf. [`Answer::Done`].
    RotateKeys {
        /// Which.
        conversation: ConversationId,
    },
}

/// What a person changes about a group. All but leaving is for admins.
#[derive(Debug, Clone)]
pub enum GroupChange {
    /// 1 to 128 characters.
    Title(String),
    /// At most 16 KiB of JPEG, PNG or WebP; `None` takes the picture away.
    Picture(Option<Vec<u8>>),
    /// Contacts to be added. They see what is written from then on.
    Add(Vec<AccountAddress>),
    /// A member to be removed, with all devices.
    Remove(AccountAddress),
    /// What a member may do.
    Role(AccountAddress, crate::view::Role),
    /// This person leaves, with all devices. The last admin appoints another one first.
    Leave,
}

/// What somebody who asks is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Accept,
    /// No.
    Decline,
}

/// What a person wants of the devices of this account.
#[derive(Debug, Clone)]
pub enum DeviceCommand {
    /// A link by which a further device of this account can be linked, for minutes. [`Answer::DeviceLink`].
    MakeLink,
    /// What the person says to a device that asks to be linked, after comparing the codes. [`Answer::Done`].
    Answer {
        /// Which.
        device: DeviceId,
        /// What it is given of what was said; `None` declines it.
        given: Option<History>,
    },
    /// Makes this profile a further device of an account. [`Answer::Done`]; the same link again goes on.
    AcceptLink {
        /// As the other device shows it.
        link: DeviceLink,
        /// What this device is called in the list of devices.
        name: String,
    },
    /// Gives up a link that was accepted and did not come through. [`Answer::Done`].
    ForgetLink,
    /// Names a device. [`Answer::Done`].
    Rename {
        /// Which.
        device: DeviceId,
        /// 1 to 64 characters.
        name: String,
    },
    /// Takes another device out of the account and of every conversation. [`Answer::Done`].
    Revoke {
        /// Which.
        device: DeviceId,
        /// The recovery phrase, where it is not on this device any more: with it, the others see a quiet change.
        phrase: Option<crate::recovery::TypedPhrase>,
    },
}

/// What a device that is linked is given of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// Everything that the linking device holds.
    All,
    /// Thirty days.
    Month,
    /// Nothing.
    #[serde(rename = "none")]
    Nothing,
}

/// Where the backup of a restore is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreFrom {
    /// On the account's server.
    Server {
        /// The account.
        address: AccountAddress,
        /// The server.
        server: ServerPin,
        /// Whether whoever answered at the address said this, and nobody else: it has to show a backup that says so too.
        is_claimed: bool,
    },
    /// In the file that `TakeBackupFile` brought.
    File,
}

/// What becomes of the devices that an account had before it was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostDevices {
    /// They are no longer of the account: somebody else may have them.
    Revoke,
    /// They stay: one of them may be found again.
    Keep,
}

/// Whether a backup is used as soon as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// It stops at [`crate::recovery::RestoreState::Found`], before anything of the account is changed, until
    /// [`Command::UseBackup`].
    First,
    /// It goes on by itself.
    UseAtOnce,
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
        /// Names it.
        id: LinkId,
        /// To hand to people.
        link: ContactLink,
        /// When it ends.
        expires_unix_ms: i64,
        /// How many conversations were begun with it.
        used: u32,
    },
    /// What a scan says; it is remembered.
    Compared(Verification),
    /// Who had asked to talk.
    Asker(AccountAddress),
    /// The link. It works once [`crate::Engine::device_link_is_registered`] says so.
    DeviceLink(DeviceLink),
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
    /// The list of devices.
    Devices,
    /// The devices that ask to be linked.
    DeviceRequests,
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

impl From<OwnLink> for Answer {
    fn from(OwnLink { id, link, expires_unix_ms, used }: OwnLink) -> Self {
        Answer::ContactLink { id, link, expires_unix_ms, used }
    }
}

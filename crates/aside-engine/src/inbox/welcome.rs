//! Welcomes: into a group that somebody founded or that somebody was added to.

use super::again;
use super::early;
use super::envelope::{self, Letter};
use super::join;
use super::tree::{self, Tree};
use crate::Heart;
use crate::channel::unheard::{self, Unheard};
use crate::channel::{self, Channel};
use crate::contact::{self, Contact, Voucher};
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, IsAdmin, State};
use crate::error::EngineError;
use crate::group::ask;
use crate::heal::joins;
use crate::heal::refound::{self, Predecessor};
use crate::input::{Change, ServerId};
use crate::job::{self, Job};
use crate::view::ConversationKind;
use crate::{device, server};
use aside_mls::{ForNewcomers, MlsError, SUITE};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::{ChannelId, DeviceId, Hash};
use aside_protocol::identity::{DeviceRecord, MemberCredential};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};
use rusqlite::{Connection, params};

/// A device's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Recipient {
    #[n(0)]
    pub address: AccountAddress,
    #[n(1)]
    pub device: DeviceId,
    #[n(2)]
    pub server: ServerId,
    #[n(3)]
    pub inbox_key: ByteVec,
    #[n(4)]
    pub token: DeliveryToken,
}

/// The Welcomes of one commit, not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Welcomes {
    /// The epoch that the commit begins.
    #[n(0)]
    pub epoch: u64,
    #[n(1)]
    pub ratchet_tree: ByteVec,
    #[n(2)]
    pub slices: Vec<Slice>,
}

/// What one new device needs of a Welcome for many.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Slice {
    #[n(0)]
    pub recipient: Recipient,
    #[n(1)]
    pub welcome: ByteVec,
}

impl Welcomes {
    /// Cuts a commit's Welcome for each new device, named by the reference of its KeyPackage.
    pub fn cut(
        epoch: u64,
        newcomers: &ForNewcomers,
        devices: impl IntoIterator<Item = (Recipient, Hash)>,
    ) -> Result<Self, EngineError> {
        let slices = devices.into_iter().map(|(recipient, reference)| {
            let slice = aside_mls::welcome_for(&newcomers.welcome, &reference);
            let welcome = slice.map_err(|_| MlsError::Crypto { doing: "cutting a Welcome" })?.into();
            Ok(Slice { recipient, welcome })
        });
        let slices = slices.collect::<Result<_, EngineError>>()?;
        Ok(Self { epoch, ratchet_tree: newcomers.ratchet_tree.clone().into(), slices })
    }
}

/// What an added device needs (DESIGN 4a rule 5; P-5.5).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WelcomeLetter {
    /// Where the channel is.
    #[n(0)]
    pub(super) channel_server: ServerPin,
    /// Where the adder's inbox is, and what lets the joiner write to it.
    #[n(1)]
    pub(super) adder_server: ServerPin,
    #[n(2)]
    pub(super) adder_token: DeliveryToken,
    #[n(3)]
    pub(super) adder_record: DeviceRecord,
    /// Proof that the adder was given a link of the joiner's, and which one.
    #[n(4)]
    pub(super) introduction: Option<(Hash, Hash)>,
    /// Absent in a direct conversation, where each side has its own.
    #[n(5)]
    pub(super) conversation: Option<ConversationId>,
    #[n(6)]
    pub(super) channel: ChannelId,
    #[n(7)]
    pub(super) epoch: u64,
    /// The joiner reads from here on.
    #[n(8)]
    pub(super) anchor: Position,
    #[n(9)]
    pub(super) suite: u16,
    #[n(10)]
    pub(super) welcome: ByteVec,
    #[n(11)]
    pub(super) tree: Tree,
    /// What the channel was founded in place of.
    #[n(12)]
    pub(super) predecessor: Option<Predecessor>,
    /// The entry by which the joiner's account became a member, where that was before this one: the joiner may have had a
    /// leaf that it never heard of, and asks for what was said since.
    #[n(13)]
    pub(super) since: Option<u64>,
    /// The entry by which the joiner's account became a member, as far as the adder knows: what was said before is not for
    /// it, and what was said since its other devices may have.
    #[n(14)]
    pub(super) joined: Option<u64>,
    /// Devices in the group that have not said a word there, and may not know that they are in (P-7.10), where there are any.
    #[n(15)]
    pub(super) unheard: Option<Vec<Unheard>>,
    /// The accounts that became members last, each with the entry by which it did: whoever was not there for a while learns
    /// what is not for whom.
    #[n(16)]
    pub(super) joins: Option<Vec<(AccountAddress, u64)>>,
    /// To a device of the adder's own account: which conversation it is.
    #[n(20)]
    pub(super) own: Option<OwnWelcome>,
}

impl WelcomeLetter {
    /// What the channel was founded in place of, if this device knows that one.
    pub(super) fn leads_from(&self, db: &Connection) -> Result<Option<&Predecessor>, EngineError> {
        match &self.predecessor {
            Some(predecessor) if channel::find(db, &predecessor.channel)?.is_some() => Ok(Some(predecessor)),
            Some(_) | None => Ok(None),
        }
    }
}

/// What one device of an account tells another of a conversation that it puts it into.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct OwnWelcome {
    #[n(0)]
    pub(super) conversation: ConversationId,
    #[n(1)]
    pub(super) peer: Option<AccountAddress>,
    /// Whether it is the devices' own.
    #[n(2)]
    pub(super) is_own: bool,
}

/// Sends the Welcomes of a commit that the server has taken; `row` stands behind it. Where the tree is too large for
/// letters, it is stored first.
pub(crate) fn release(
    heart: &Heart,
    context: &mut Context<'_>,
    row: &Channel,
    welcomes: Welcomes,
) -> Result<(), EngineError> {
    let Some(conversation) = conversation::find(context.db, &row.conversation)? else { return Ok(()) };
    let Some(identity) = &heart.identity else { return Ok(()) };
    let Welcomes { epoch, ratchet_tree, slices } = welcomes;
    let (tree, blobs) = Tree::pack(context, ratchet_tree)?;
    let joins = Some(joins::last(context, &row.id)?).filter(|joins| !joins.is_empty());
    let mut letters = Vec::new();
    for Slice { recipient, welcome } in slices {
        let letter = WelcomeLetter {
            channel_server: server::pin(context.db, row.server)?,
            adder_server: identity.pin.clone(),
            adder_token: contact::own_token::of_person(heart, context, &recipient.address)?,
            adder_record: identity.record.clone(),
            introduction: contact::find(context.db, &recipient.address)?.and_then(|contact| contact.introduction),
            conversation: (conversation.kind == ConversationKind::Group).then_some(conversation.id),
            channel: row.id,
            epoch,
            anchor: row.position,
            suite: SUITE,
            welcome,
            tree: tree.clone(),
            predecessor: refound::predecessor_of(context.db, &row.id)?,
            joined: Some(joins::at(context, &row.id, &recipient.address)?).filter(|joined| *joined > 0),
            // One's own are told by letters what they missed.
            since: Some(joins::lacks_since(context, row, &recipient)?)
                .filter(|since| recipient.address != identity.address && *since < row.position.seq),
            unheard: Some(unheard::all(context.db, &row.id, &recipient.device)?).filter(|unheard| !unheard.is_empty()),
            joins: joins.clone(),
            own: (recipient.address == identity.address).then(|| OwnWelcome {
                conversation: conversation.id,
                peer: conversation.peer.clone(),
                is_own: conversation.kind == ConversationKind::Own,
            }),
        };
        let is_own_log = conversation.kind == ConversationKind::Own;
        let is_giver = is_own_log || device::bundle::is_giver(context.db, identity, &recipient.device)?;
        if letter.own.is_some() && is_giver {
            device::bundle::owe(context, &recipient.device, conversation.id, (row.id, row.position.seq))?;
        }
        letters.push(envelope::seal(heart, context, identity, &recipient, &Letter::Welcome(Box::new(letter)))?);
    }
    match blobs.is_empty() {
        true => letters.into_iter().try_for_each(|posted| envelope::post(context, posted)),
        false => job::add(context, identity.server, &Job::PutBlobs(blobs, letters)),
    }
}

/// A Welcome came: from a contact or somebody with a link of ours it is followed, from a stranger it is a request.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: WelcomeLetter,
) -> Result<(), EngineError> {
    let hash = labelled_hash("aside welcome v1", &[&letter.channel.0, &letter.welcome]);
    let is_first = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO welcomes (hash, day) VALUES (?, ?)")?
        .execute(params![hash, context.now.day()])?
        == 1;
    if !is_first || !is_of_own_inbox(sender, &letter) || letter.suite != SUITE {
        return Ok(());
    }
    consider(heart, context, sender, letter)
}

/// Decides about a Welcome that is new and of its author.
pub(super) fn consider(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: WelcomeLetter,
) -> Result<(), EngineError> {
    if let Some(row) = channel::find(context.db, &letter.channel)? {
        return again::into_known(heart, context, sender, &letter, &row);
    }
    // What this device had asked for, and has been out of since.
    if channel::end::ended(context.db, &letter.channel)?.is_some_and(|(_, epoch)| letter.epoch <= epoch) {
        return Ok(());
    }
    if let Some(identity) = heart.identity.as_ref().filter(|identity| identity.address == sender.address) {
        // From a revoked one it would be a way to lead what this device says astray.
        return match device::is_own(identity, sender) {
            true => follow_own(heart, context, sender, &letter),
            false => Ok(()),
        };
    }
    if let Some(predecessor) = &letter.predecessor
        && again::into_successor(heart, context, sender, &letter, predecessor)?
    {
        return Ok(());
    }
    let known = contact::find(context.db, &sender.address)?;
    let is_introduced = match &letter.introduction {
        Some((proof, link)) => contact::links::is_introduced(context, &sender.root_key, (proof, link))?,
        None => false,
    };
    let is_asked_for = match letter.conversation {
        Some(id) => ask::pending(context.db, id)?.is_some(),
        None => false,
    };
    let is_trusted = is_introduced || is_asked_for || known.as_ref().is_some_and(|contact| contact.state.is_accepted());
    let id = match letter.conversation {
        None => known.as_ref().map(|contact| contact.conversation),
        Some(id) => Some(id),
    };
    let Some(identity) = &heart.identity else { return Ok(()) };
    let id = id.unwrap_or_else(|| ConversationId::direct(&identity.root_key, &sender.address));
    // Into a group that is known only where this person was out of it.
    let known_group = conversation::find(context.db, &id)?.filter(|_| letter.conversation.is_some());
    match known_group.filter(|row| !row.state.is_out() && !is_asked_for) {
        // One's own devices have told of it, and are about to say which channel it is in.
        Some(row) if row.state == State::Pending && row.channel.is_none() => {
            return match early::is_named(context, &letter.channel, id)? {
                true => follow(heart, context, sender, &letter, id),
                false => early::keep(context, sender, &letter),
            };
        }
        Some(_) => return Ok(()),
        None => {}
    }
    // A conversation that one's own devices know, with somebody of whom they have not told yet.
    // A group that this person is out of they tell nothing of any more: somebody asks to add them again.
    let is_over =
        |row: &conversation::Conversation| row.state.is_out() && row.state != State::Leaving && row.peer.is_none();
    let standing = conversation::find(context.db, &id)?.filter(|row| !is_over(row));
    if !is_trusted && standing.is_some_and(|row| row.state != State::Request || row.request.is_some()) {
        return early::keep(context, sender, &letter);
    }
    if letter.conversation.is_none() {
        meet(context, sender, &letter, known, id, is_trusted)?;
    }
    match is_trusted {
        true => follow(heart, context, sender, &letter, id),
        false => request(context, sender, &letter, id),
    }
}

/// Whether the inbox that the letter names is its author's.
fn is_of_own_inbox(sender: &MemberCredential, letter: &WelcomeLetter) -> bool {
    letter.adder_server.address == sender.address.server
        && letter.adder_record.verify().is_ok()
        && letter.adder_record.certificate == sender.certificate
}

/// Somebody with other keys than the contact of that name: a Welcome is kept, for the case that the person accepts them.
pub(super) fn keep_of_other_root(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: Letter,
) -> Result<(), EngineError> {
    match letter {
        Letter::Welcome(letter) if letter.conversation.is_none() && is_of_own_inbox(sender, &letter) => {
            contact::keys::keep_welcome(context, &sender.address, to_store(&(sender, letter)))
        }
        _ => Ok(()),
    }
}

/// Another device of this account put this one into a conversation: that is followed, but for one that this person has
/// left or was taken out of and that only goes on in another channel.
fn follow_own(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
) -> Result<(), EngineError> {
    let Some(own) = &letter.own else { return Ok(()) };
    if own.is_own {
        let id = device::own_log::join(context, own.conversation)?;
        return follow(heart, context, sender, letter, id);
    }
    let standing = conversation::find(context.db, &own.conversation)?;
    let asked = standing.as_ref().and_then(|row| row.request.clone());
    match standing {
        None => {
            let title = own.peer.as_ref().map_or("", |peer| peer.name.as_str());
            conversation::insert(context, own.conversation, title, own.peer.as_ref(), State::Pending)?;
        }
        Some(row) if row.state.is_out() && row.state != State::Leaving && letter.leads_from(context.db)?.is_some() => {
            return Ok(());
        }
        Some(_) => {}
    }
    follow(heart, context, sender, letter, own.conversation)?;
    match asked {
        Some(asked) => no_request(heart, context, own.conversation, &asked),
        None => Ok(()),
    }
}

/// What waited as a request is a conversation of this account: the Welcome that began the request may lead to where it goes
/// on, once this device has heard from another one who its author is.
fn no_request(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: ConversationId,
    asked: &[u8],
) -> Result<(), EngineError> {
    let (author, letter): (MemberCredential, WelcomeLetter) = stored(asked, "request")?;
    context.db.prepare_cached("UPDATE conversations SET request = NULL WHERE id = ?")?.execute(params![id])?;
    early::keep(context, &author, &letter)?;
    early::look_again(heart, context, &author.address)
}

/// Writes down who began a direct conversation, and how to reach them.
fn meet(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    known: Option<Contact>,
    id: ConversationId,
    is_trusted: bool,
) -> Result<(), EngineError> {
    let server = match is_trusted {
        true => Some(server::remember(context, &letter.adder_server)?),
        false => server::find_pin(context.db, &letter.adder_server)?,
    };
    // A stranger's keys are vouched for by nobody but the servers on the way.
    let voucher = if is_trusted { Voucher::Link } else { Voucher::Server };
    let contact = Contact {
        address: sender.address.clone(),
        server,
        root_key: Some(sender.root_key),
        voucher: known.as_ref().map_or(voucher, |contact| contact.voucher),
        token: letter.adder_token,
        introduction: None,
        conversation: id,
        state: if is_trusted { contact::State::Active } else { contact::State::Stranger },
        failure: None,
        verified: false,
        name: None,
    };
    contact::put(context, &contact)
}

/// Keeps a stranger's Welcome until the person accepts it. No server is contacted for it.
fn request(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    let peer = letter.conversation.is_none().then_some(&sender.address);
    if conversation::find(context.db, &id)?.is_none() {
        contact::requests::make_room(context)?;
        let title = if peer.is_some() { sender.address.name.as_str() } else { "A group" };
        conversation::insert(context, id, title, peer, State::Request)?;
        conversation::add_member(context, id, &sender.address, IsAdmin::Yes)?;
    }
    let kept = to_store(&(sender, letter));
    let sql = "UPDATE conversations SET request = ?, state = ? WHERE id = ?";
    context.db.prepare_cached(sql)?.execute(params![kept, State::Request as i64, id])?;
    context.changed(Change::State);
    conversation::touch(context, id)
}

/// The person accepts a stranger's conversation.
pub(crate) fn accept(heart: &mut Heart, context: &mut Context<'_>, kept: &[u8]) -> Result<(), EngineError> {
    let (sender, letter): (MemberCredential, WelcomeLetter) = stored(kept, "request")?;
    context.changed(Change::State);
    let known = contact::find(context.db, &sender.address)?;
    let id = match (letter.conversation, &known) {
        (Some(id), _) => id,
        (None, Some(contact)) => contact.conversation,
        (None, None) => return Ok(()),
    };
    if letter.conversation.is_none() {
        meet(context, &sender, &letter, known, id, true)?;
    }
    context.db.prepare_cached("UPDATE conversations SET request = NULL WHERE id = ?")?.execute(params![id])?;
    follow(heart, context, &sender, &letter, id)?;
    early::look_again(heart, context, &sender.address)
}

/// The tree of a letter is here: the device joins, or joins again.
pub(super) fn is_whole(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    match channel::find(context.db, &letter.channel)? {
        Some(row) => again::into_known(heart, context, sender, letter, &row),
        None => follow(heart, context, sender, letter, id),
    }
}

/// Joins the group, once its tree is here.
pub(super) fn follow(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    show_pending(context, sender, letter, id)?;
    match &letter.tree {
        Tree::Inline(tree) => join::join(heart, context, sender, letter, id, tree),
        Tree::Blobs(parts) => match tree::fetch(context, sender, letter, id, parts)? {
            true => Ok(()),
            false => join::not_joined(context, sender, id),
        },
    }
}

/// A conversation that is about to be joined.
pub(super) fn show_pending(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    id: ConversationId,
) -> Result<(), EngineError> {
    let peer = letter.conversation.is_none().then_some(&sender.address);
    match conversation::find(context.db, &id)? {
        None => conversation::insert(context, id, sender.address.name.as_str(), peer, State::Pending),
        Some(row) if stays_leaving(&row, letter) => Ok(()),
        Some(row) if row.state.is_out() || row.state == State::Request => {
            // Who was on the way in or out when this person was last here need not be any more.
            conversation::forget_standings(context, id)?;
            conversation::set_state(context, id, State::Pending)
        }
        Some(_) => Ok(()),
    }
}

/// Whoever was leaving when the others went on in a new channel goes there to say so.
pub(super) fn stays_leaving(row: &conversation::Conversation, letter: &WelcomeLetter) -> bool {
    row.state == State::Leaving && letter.predecessor.is_some()
}

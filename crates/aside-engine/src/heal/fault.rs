//! What can be wrong with a conversation: a typed cause, since when, how often something was tried, and the words that a
//! person reads. The first cause stays until it is healed; only a fork of the server's outranks another.

use super::letter::StuckAt;
use crate::Heart;
use crate::channel::Channel;
use crate::context::{Context, stored, to_store};
use crate::conversation::{self, ConversationId, State};
use crate::error::EngineError;
use crate::input::Change;
use aside_mls::CommitStatement;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::{ChannelId, Hash};
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Why a conversation does not simply go on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Fault {
    /// This device has no group state, as after a restore of an account.
    #[n(0)]
    MissingState,
    /// Part of the group state is missing or is not what it should be.
    #[n(1)]
    DamagedState,
    /// The log has an entry of this very device that it does not know: its state is an older copy.
    #[n(2)]
    OldState,
    /// What was missed is no longer on the server.
    #[n(3)]
    Expired,
    /// A member gave this device a fresh leaf, as it had asked; the Welcome is on its way.
    #[n(4)]
    Swapped,
    /// The server does not have the channel any more.
    #[n(6)]
    Gone,
    /// A commit that this device cannot process. Who signed it, if anybody did, may have made it in good faith.
    #[n(7)]
    GarbageCommit(#[n(0)] StuckAt, #[n(1)] Option<AccountAddress>),
    /// A commit whose author announced keys that it does not lead to, and signed them.
    #[n(8)]
    WrongKeys(#[n(0)] StuckAt, #[n(1)] Option<(AccountAddress, CommitStatement)>),
    /// A commit that its author was not allowed to make.
    #[n(9)]
    ForbiddenCommit(#[n(0)] StuckAt, #[n(1)] AccountAddress),
    /// The server shows members, or this device at two times, different histories.
    #[n(10)]
    Fork(#[n(0)] Fork),
    /// Bytes that are no commit of this epoch for anybody, which their author signed as one.
    #[n(11)]
    NoCommit(#[n(0)] StuckAt, #[n(1)] AccountAddress, #[n(2)] CommitStatement),
}

/// What showed a fork, with both sides of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Fork {
    #[n(0)]
    pub sign: ForkSign,
    #[n(1)]
    pub epoch: u64,
    /// As this device sees the log.
    #[n(2)]
    pub ours: Option<Position>,
    /// As it was told.
    #[n(3)]
    pub theirs: Option<Position>,
    /// The epoch's authenticators, where these were compared.
    #[n(4)]
    pub authenticators: Option<(Hash, Hash)>,
    /// Who told it; nobody: the server itself.
    #[n(5)]
    pub told_by: Option<AccountAddress>,
}

/// How a fork was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum ForkSign {
    /// A member computed another head of the chain.
    #[n(0)]
    ChainMismatch,
    /// A member is in the same epoch of another group.
    #[n(1)]
    AuthenticatorMismatch,
    /// The server shows another history than before.
    #[n(2)]
    HistoryChanged,
    /// The server left entries out.
    #[n(3)]
    LeftOut,
    /// Entries of one epoch among those of another.
    #[n(4)]
    WrongOrder,
    /// What was acknowledged is not in the log.
    #[n(5)]
    TakenBack,
    /// What was acknowledged stands elsewhere.
    #[n(6)]
    Moved,
}

impl ForkSign {
    pub fn words(self) -> &'static str {
        match self {
            ForkSign::ChainMismatch | ForkSign::AuthenticatorMismatch => {
                "the server shows the members different histories of this conversation"
            }
            ForkSign::HistoryChanged => "the server shows this device another history than it had shown before",
            ForkSign::LeftOut => "the server left messages out",
            ForkSign::WrongOrder => "the server put messages of different times in a wrong order",
            ForkSign::TakenBack => "the server took back a message that it had acknowledged",
            ForkSign::Moved => "the server acknowledged a message at another place than it shows it",
        }
    }
}

impl Fork {
    /// A fork that the server itself shows this device.
    pub fn by_server(sign: ForkSign, channel: &Channel, theirs: Option<Position>) -> Fault {
        let ours = Some(channel.position);
        Fault::Fork(Fork { sign, epoch: channel.epoch, ours, theirs, authenticators: None, told_by: None })
    }
}

/// What is done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Ask for a fresh leaf.
    ReAdd,
    /// Ask for a fresh leaf; where nobody can give one, the conversation is founded anew.
    ReAddOrReFound,
    /// A person decides.
    Person,
}

impl Fault {
    pub fn remedy(&self) -> Remedy {
        match self {
            Fault::MissingState | Fault::DamagedState | Fault::OldState | Fault::Expired | Fault::Swapped => {
                Remedy::ReAdd
            }
            Fault::Gone
            | Fault::GarbageCommit(..)
            | Fault::WrongKeys(..)
            | Fault::ForbiddenCommit(..)
            | Fault::NoCommit(..) => Remedy::ReAddOrReFound,
            Fault::Fork(_) => Remedy::Person,
        }
    }

    /// The state of the conversation meanwhile.
    pub fn state(&self) -> State {
        match self.remedy() {
            Remedy::ReAdd | Remedy::ReAddOrReFound => State::Healing,
            Remedy::Person => State::Paused,
        }
    }

    /// Where in the log this device is stuck, if it is.
    pub fn stuck_at(&self) -> Option<StuckAt> {
        match self {
            Fault::GarbageCommit(at, _)
            | Fault::WrongKeys(at, _)
            | Fault::ForbiddenCommit(at, _)
            | Fault::NoCommit(at, ..) => Some(*at),
            _ => None,
        }
    }

    /// Who did it, where that can be shown.
    pub fn culprit(&self) -> Option<&AccountAddress> {
        match self {
            Fault::WrongKeys(_, Some((author, _)))
            | Fault::ForbiddenCommit(_, author)
            | Fault::NoCommit(_, author, _) => Some(author),
            _ => None,
        }
    }

    /// Who signed what stops this device, whether or not it shows ill will.
    pub fn signer(&self) -> Option<&AccountAddress> {
        match self {
            Fault::GarbageCommit(_, signer) => signer.as_ref(),
            fault => fault.culprit(),
        }
    }

    /// The culprit's signed statement (P-4.8).
    pub fn statement(&self) -> Option<&CommitStatement> {
        match self {
            Fault::WrongKeys(_, Some((_, statement))) | Fault::NoCommit(_, _, statement) => Some(statement),
            _ => None,
        }
    }

    /// What happened, as half a sentence.
    pub fn words(&self) -> String {
        match self {
            Fault::MissingState => "this device has no keys of the conversation".into(),
            Fault::DamagedState => "this device has lost the keys of the conversation".into(),
            Fault::OldState => "this device was set back to an older copy of itself".into(),
            Fault::Expired => "this device was away for so long that the server has forgotten what it missed".into(),
            Fault::Swapped => "this device is getting fresh keys of the conversation".into(),
            Fault::Gone => "the server no longer has this conversation".into(),
            Fault::GarbageCommit(..) | Fault::WrongKeys(_, None) => {
                "a change to the members or keys of this conversation cannot be read by this device".into()
            }
            Fault::WrongKeys(_, Some((author, _))) => {
                format!("a device of {} announced wrong keys for this conversation", author.name)
            }
            Fault::ForbiddenCommit(_, author) => {
                format!("{} changed the group without being allowed to", author.name)
            }
            Fault::NoCommit(_, author, _) => {
                format!("a device of {} wrote something unreadable in the place of a change", author.name)
            }
            Fault::Fork(fork) => fork.sign.words().into(),
        }
    }
}

/// A fault as it stands in its row.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub conversation: ConversationId,
    pub channel: ChannelId,
    pub fault: Fault,
    pub since_ms: i64,
    /// Requests for help so far.
    pub requests: u32,
    /// Whether the person chose to go on in spite of it.
    pub is_chosen: bool,
}

const COLUMNS: &str = "conversation, channel, fault, since_ms, requests, chosen";

fn standing(row: &Row<'_>) -> rusqlite::Result<(Standing, Vec<u8>)> {
    let standing = Standing {
        conversation: row.get(0)?,
        channel: ChannelId(row.get(1)?),
        fault: Fault::MissingState,
        since_ms: row.get(3)?,
        requests: row.get(4)?,
        is_chosen: row.get(5)?,
    };
    Ok((standing, row.get(2)?))
}

fn parse((standing, fault): (Standing, Vec<u8>)) -> Result<Standing, EngineError> {
    Ok(Standing { fault: stored(&fault, "fault")?, ..standing })
}

/// The fault of a channel.
pub(crate) fn of_channel(db: &Connection, id: &ChannelId) -> Result<Option<Standing>, EngineError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM faults WHERE channel = ?"))?;
    statement.query_row(params![id.0], standing).optional()?.map(parse).transpose()
}

/// What a person is told of a conversation: a fork of any of its channels that waits for their decision, or else the fault
/// of the channel that it is in. Of another one, where both people had founded it, nobody needs to hear.
pub(crate) fn find(db: &Connection, id: &ConversationId) -> Result<Option<Standing>, EngineError> {
    let mut statement =
        db.prepare_cached(&format!("SELECT {COLUMNS} FROM faults WHERE conversation = ? ORDER BY since_ms, channel"))?;
    let rows = statement.query_map(params![id], standing)?.collect::<Result<Vec<_>, _>>()?;
    let mut all = rows.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let current = conversation::find(db, id)?.and_then(|row| row.channel);
    let fork = all.iter().position(|one| one.fault.remedy() == Remedy::Person && !one.is_chosen);
    let own = || all.iter().position(|one| current.is_none_or(|current| current == one.channel));
    Ok(fork.or_else(own).map(|place| all.swap_remove(place)))
}

/// Lets the state of a conversation say what is wrong with it, or that nothing is. Whoever left or is
/// leaving stays so, and so does a request that nobody has accepted.
pub(crate) fn show(context: &mut Context<'_>, id: ConversationId) -> Result<(), EngineError> {
    let Some(row) = conversation::find(context.db, &id)? else { return Ok(()) };
    if row.state.is_out() || matches!(row.state, State::Leaving | State::Request) {
        return Ok(());
    }
    match find(context.db, &id)? {
        Some(standing) if standing.is_chosen => {
            conversation::stop(context, id, State::Healing, &standing.fault.words())
        }
        Some(standing) => conversation::stop(context, id, standing.fault.state(), &standing.fault.words()),
        None if row.state == State::Healing => conversation::set_state(context, id, State::Active),
        None => Ok(()),
    }
}

/// Faults about which something is due.
pub(super) fn due(context: &Context<'_>) -> Result<Vec<Standing>, EngineError> {
    let mut statement = context
        .db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM faults WHERE next_ms <= ? ORDER BY next_ms LIMIT 32"))?;
    let rows = statement.query_map(params![context.now.unix_ms], standing)?.collect::<Result<Vec<_>, _>>()?;
    rows.into_iter().map(parse).collect()
}

/// When the next one is.
pub(super) fn next_due(context: &Context<'_>) -> Result<Option<i64>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT MIN(next_ms) FROM faults WHERE next_ms > ?")?;
    Ok(statement.query_row(params![context.now.unix_ms], |row| row.get(0))?)
}

/// Writes a fault of a channel down and stops the conversation for it. The first one stays, unless the new one is a fork
/// or follows from the old one.
pub(crate) fn put(
    heart: &mut Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    fault: Fault,
) -> Result<(), EngineError> {
    let known = of_channel(context.db, &channel.id)?;
    let outranks = match (&known, &fault) {
        (None, _) => true,
        (Some(known), Fault::Fork(_)) => !matches!(known.fault, Fault::Fork(_)),
        (Some(known), Fault::Swapped) => known.fault.remedy() != Remedy::Person,
        (Some(_), _) => false,
    };
    if !outranks {
        return Ok(());
    }
    super::evidence::keep(context, channel, &fault)?;
    let next_ms = match fault.remedy() {
        Remedy::Person => None,
        _ => Some(context.now.unix_ms.saturating_add(super::first_wait(heart, context, &fault))),
    };
    context
        .db
        .prepare_cached(
            "INSERT INTO faults (conversation, channel, fault, since_ms, next_ms) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (channel) DO UPDATE SET fault = ?3, next_ms = ?5",
        )?
        .execute(params![channel.conversation, channel.id.0, to_store(&fault), context.now.unix_ms, next_ms])?;
    show(context, channel.conversation)
}

/// Something was tried; the next attempt is due then.
pub(super) fn tried(context: &mut Context<'_>, standing: &Standing, next_ms: Option<i64>) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE faults SET requests = requests + 1, next_ms = ? WHERE channel = ?")?
        .execute(params![next_ms, standing.channel.0])?;
    context.changed(Change::Conversation(standing.conversation));
    Ok(())
}

/// The next attempt is due then, if not before.
pub(super) fn no_later(context: &Context<'_>, id: &ChannelId, next_ms: i64) -> Result<(), EngineError> {
    let sql = "UPDATE faults SET next_ms = MIN(next_ms, ?) WHERE channel = ?";
    context.db.prepare_cached(sql)?.execute(params![next_ms, id.0])?;
    Ok(())
}

/// The person wants to go on.
pub(super) fn choose(context: &mut Context<'_>, standing: &Standing) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("UPDATE faults SET chosen = 1, next_ms = ?, requests = 0 WHERE channel = ?")?
        .execute(params![context.now.unix_ms, standing.channel.0])?;
    show(context, standing.conversation)
}

/// It is healed: the conversation goes on, unless something else is wrong with it.
pub(crate) fn clear(context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM faults WHERE channel = ?")?.execute(params![channel.id.0])?;
    let row = conversation::find(context.db, &channel.conversation)?;
    if row.is_some_and(|row| row.state == State::Paused) && find(context.db, &channel.conversation)?.is_none() {
        return conversation::set_state(context, channel.conversation, State::Active);
    }
    show(context, channel.conversation)
}

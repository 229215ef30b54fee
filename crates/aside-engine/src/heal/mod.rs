//! Healing: whatever breaks heals by itself, and what is gone for good is said in one plain line (chapter 9 of the
//! protocol). Nothing is judged before what was missed has been fetched, and nothing is repaired while this device is
//! ahead of the server.
//!
//! [`fault`] names what is wrong. [`request`] asks for a fresh leaf, [`answer`] gives one, [`rejoin`] follows the Welcome.
//! [`gap`] and [`recover`] get back what was said meanwhile, [`give`] is the other side of it. Where nobody can go on,
//! [`refound`] moves the conversation to a new channel; [`founder`] says who may. [`evidence`] keeps what shows a fork.

pub(crate) mod answer;
pub(crate) mod check;
pub(crate) mod content;
mod count;
pub(crate) mod evidence;
pub(crate) mod fault;
pub(crate) mod follow;
mod founder;
pub(crate) mod gap;
mod give;
pub(crate) mod joins;
pub(crate) mod letter;
mod line;
pub(crate) mod notice;
mod recover;
pub(crate) mod refound;
pub(crate) mod rejoin;
mod request;

pub use count::HealCounts;
pub use evidence::{EVIDENCE_KEPT_MAX, Evidence, SeenPosition};
pub(crate) use fault::{Fault, Fork, ForkSign, show};
pub use notice::Healing;
pub(crate) use recover::given_up;
pub(crate) use request::{first_wait, forget_group, forget_key_packages, stop};

use crate::Heart;
use crate::channel::{self, Channel, head_at};
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::ChainHead;
use aside_protocol::identity::MemberCredential;
use letter::HealLetter;

/// How fast things heal; a simulation makes it faster. In milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct HealPace {
    /// The wait between two members who could answer the same request.
    pub answer_step_ms: i64,
    /// How long own devices are asked alone.
    pub own_first_ms: i64,
    /// The first wait for an answer; it doubles with each round.
    pub ask_again_ms: i64,
    /// After so long without a fresh leaf, an admin founds a conversation anew that nobody can go on with.
    pub refound_after_ms: i64,
    /// After so long without an answer of the other person, a conversation of two is founded anew by whoever lost it.
    pub refound_alone_after_ms: i64,
    /// After so long what nobody gave back is said to be gone.
    pub gap_patience_ms: i64,
}

impl Default for HealPace {
    fn default() -> Self {
        Self {
            answer_step_ms: 2_000,
            own_first_ms: 10_000,
            ask_again_ms: 30_000,
            refound_after_ms: 300_000,
            refound_alone_after_ms: 1_800_000,
            gap_patience_ms: 3 * 86_400_000,
        }
    }
}

/// Takes a letter that heals.
pub(crate) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &HealLetter,
) -> Result<(), EngineError> {
    match letter {
        HealLetter::ReAdd(request) => answer::take(heart, context, sender, request),
        HealLetter::Ask(ask) => give::take(heart, context, sender, ask),
        HealLetter::PassedOn(passed) => give::take_passed_on(heart, context, sender, passed),
        HealLetter::Give(give) => recover::take(heart, context, sender, give),
        HealLetter::HasLeft(channel, others) => request::has_left(heart, context, sender, (channel, others)),
        HealLetter::NotIn(answer) => request::not_in(heart, context, sender, answer),
    }
}

/// Does what is due. Returns when the next thing is.
pub(crate) fn due(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    if heart.identity.is_none() {
        return Ok(None);
    }
    check::all_once(heart, context)?;
    for standing in fault::due(context)? {
        match refound::due_ms(heart, context, &standing)? {
            Some(due_ms) if due_ms <= context.now.unix_ms => refound::begin(heart, context, &standing)?,
            due_ms => request::ask(heart, context, &standing, due_ms)?,
        }
    }
    let answers = answer::due(heart, context)?;
    let gaps = recover::due(heart, context)?;
    Ok([fault::next_due(context)?, answers, gaps].into_iter().flatten().min())
}

/// Whether nothing of a channel is read for now: something is wrong with it. An old copy of the state reads on.
pub(crate) fn is_stopped(context: &Context<'_>, row: &Channel) -> Result<bool, EngineError> {
    Ok(fault::of_channel(context.db, &row.id)?.is_some_and(|standing| standing.fault != Fault::OldState))
}

/// Whether this device may encrypt in a channel: not while anything is wrong with it, nor while a person has to decide.
pub(crate) fn may_encrypt(context: &Context<'_>, row: &Channel) -> Result<bool, EngineError> {
    Ok(fault::of_channel(context.db, &row.id)?.is_none())
}

/// Whether somebody's account is a member of the conversation by the group state of this device.
fn is_member(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    sender: &MemberCredential,
) -> Result<bool, EngineError> {
    let current = conversation::find(context.db, &row.conversation)?.and_then(|row| row.channel);
    for id in [Some(row.id), current.filter(|id| *id != row.id)].into_iter().flatten() {
        let Some(group) = channel::take_group(heart, context, &id)? else { continue };
        let members = group.members()?;
        heart.groups.insert(id, group);
        let is_of_account = members.iter().any(|member| {
            member.credential.address == sender.address
                && sender.verify_known(&member.credential.root_key, &member.credential.key_sets).is_ok()
        });
        if is_of_account {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compares heads that a member computed with those of this device.
fn compare_heads(
    context: &Context<'_>,
    row: &Channel,
    told_by: &AccountAddress,
    heads: &[(u64, ChainHead)],
) -> Result<Option<Fault>, EngineError> {
    for (seq, theirs) in heads {
        if let Some(ours) = head_at(context.db, &row.id, *seq)?.filter(|ours| ours != theirs) {
            return Ok(Some(Fault::Fork(Fork {
                sign: ForkSign::ChainMismatch,
                epoch: row.epoch,
                ours: Some(Position { seq: *seq, head: ours }),
                theirs: Some(Position { seq: *seq, head: *theirs }),
                authenticators: None,
                told_by: Some(told_by.clone()),
            })));
        }
    }
    Ok(None)
}

//! Getting back what was said in gaps: asking the members (P-9.6), taking what they give (P-9.7), and saying in one line
//! what is gone for good.

use super::gap::{self, Gap};
use super::give::UNREACHED_MAX;
use super::letter::{Ask, Give, HealLetter, Named, Reach};
use super::{content, count, fault, joins, line, refound, request};
use crate::Heart;
use crate::channel::{self, Channel, outbox, receive::take_once};
use crate::contact;
use crate::content::mimi::MimiContent;
use crate::content::wrapper::message_id;
use crate::content::{Content, MessageId};
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::inbox::envelope::{self, Letter};
use crate::inbox::welcome::Recipient;
use crate::server;
use crate::timeline::{self, Taken};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::Position;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::MemberCredential;
use aside_protocol::limit::COMMIT_DAYS;
use std::collections::{BTreeMap, BTreeSet};

/// Spans in one letter.
const SPANS_MAX: usize = 32;
/// Accounts that are asked in one round.
const ACCOUNTS_ASKED: usize = 6;
/// So many members' word that nothing is missing is enough.
const WITNESSES: usize = 3;
/// Rounds after which a member who has not answered may be taken for somebody who will not.
const ROUNDS_MIN: u32 = 3;
/// The longest wait between two rounds, in milliseconds. What is said to be gone is asked for as often, while it is kept.
const WAIT_MS_MAX: i64 = 86_400_000;

/// Looks at the gaps that are due. Returns when the next one is.
pub(super) fn due(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let gaps = gap::due(context)?;
    let mut of_channel: BTreeMap<ChannelId, Vec<Gap>> = BTreeMap::new();
    for gap in gaps {
        of_channel.entry(gap.channel).or_default().push(gap);
    }
    for (id, gaps) in of_channel {
        let Some(row) = channel::find(context.db, &id)? else {
            gaps.iter().try_for_each(|gap| gap::close(context, gap.id))?;
            continue;
        };
        // Without keys nobody knows yet how far the gap goes.
        let is_lost = fault::of_channel(context.db, &id)?.is_some();
        match is_lost {
            true => {
                let next = context.now.unix_ms.saturating_add(heart.options.heal.ask_again_ms);
                gaps.iter().try_for_each(|gap| gap::postpone(context, gap.id, next))?;
            }
            false => look(heart, context, &row, gaps)?,
        }
    }
    // Looking at a gap puts it off.
    gap::next_due(context)
}

/// This device is out of the channel: nobody gives it back anything any more, and what it lacks is said to be gone.
pub(crate) fn given_up(context: &mut Context<'_>, row: &Channel) -> Result<(), EngineError> {
    let mut gaps = gap::of_channel(context.db, &row.id)?;
    gaps.retain(|gap| gap.line.is_none());
    match gaps.is_empty() {
        true => Ok(()),
        false => line::write(context, row, &gaps),
    }
}

/// What is to be done about a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing of it is missing.
    Whole,
    /// What is missing nobody has.
    Gone,
    /// Nobody has answered for so long that it is said to be gone; it is asked for all the same.
    Unanswered,
    Ask,
}

fn look(heart: &mut Heart, context: &mut Context<'_>, row: &Channel, gaps: Vec<Gap>) -> Result<(), EngineError> {
    let accounts = request::accounts(heart, context, &row.id)?;
    let (mut gone, mut to_ask, mut whole) = (Vec::new(), Vec::new(), 0_u32);
    for gap in gaps {
        match judge(heart, context, row, &gap, &accounts)? {
            Verdict::Whole => {
                line::strike(context, &gap)?;
                gap::close(context, gap.id)?;
                whole = whole.saturating_add(1);
            }
            // Nothing that a person would have read.
            Verdict::Gone if is_wordless(context, &gap)? => gap::close(context, gap.id)?,
            Verdict::Gone => gone.push(gap),
            Verdict::Unanswered => {
                gone.push(gap.clone());
                if is_kept(context, &gap) {
                    to_ask.push(gap);
                }
            }
            Verdict::Ask => to_ask.push(gap),
        }
    }
    if whole > 0 {
        count::add(context, count::Heal::Messages)?;
    }
    if !gone.is_empty() {
        line::write(context, row, &gone)?;
    }
    match to_ask.is_empty() {
        true => Ok(()),
        false => ask(heart, context, row, &to_ask),
    }
}

/// Whether members may still have what was said then.
fn is_kept(context: &Context<'_>, gap: &Gap) -> bool {
    context.now.unix_ms < gap.since_ms.saturating_add(i64::from(COMMIT_DAYS).saturating_mul(WAIT_MS_MAX))
}

fn is_wordless(context: &Context<'_>, gap: &Gap) -> Result<bool, EngineError> {
    Ok(gap::is_missing(context.db, gap.id)? && gap::missing(context.db, &[gap.id])?.is_empty())
}

/// Whether somebody who said what is missing may still give it: a member who has not answered, or, for a while, somebody who
/// is out and whose device is known.
fn may_come(
    heart: &Heart,
    context: &Context<'_>,
    row: &Channel,
    gap: &Gap,
    told: &BTreeSet<&String>,
    is_late: bool,
) -> Result<bool, EngineError> {
    let own = heart.identity.as_ref().map(|identity| identity.address.to_string());
    let authors = gap::missing_authors(context.db, gap.id)?;
    let members = conversation::members(context.db, row.conversation)?;
    let reachable = channel::reachable(context.db, row)?;
    let is_asked = |author: &String| {
        let is_member = members.iter().any(|member| member.address.to_string() == *author);
        is_member || (!is_late && reachable.iter().any(|one| one.address.to_string() == *author))
    };
    Ok(authors.iter().any(|author| Some(author) != own.as_ref() && !told.contains(author) && is_asked(author)))
}

fn judge(
    heart: &Heart,
    context: &Context<'_>,
    row: &Channel,
    gap: &Gap,
    accounts: &BTreeSet<AccountAddress>,
) -> Result<Verdict, EngineError> {
    let answers = gap::answers(context.db, gap.id)?;
    let told: BTreeSet<&String> =
        answers.iter().filter(|(_, through)| *through >= gap.to).map(|(account, _)| account).collect();
    // Whoever became a member later cannot know that nothing is missing.
    let knowing = there_since(context, row, gap.from, accounts)?;
    let told_by = |accounts: &BTreeSet<AccountAddress>| {
        accounts.iter().filter(|account| told.contains(&account.to_string())).count()
    };
    let (of_members, of_knowing) = (told_by(accounts), told_by(&knowing));
    let is_missing = gap::is_missing(context.db, gap.id)?;
    let witnesses = knowing.len().min(WITNESSES);
    let is_late = gap.asks >= ROUNDS_MIN
        && context.now.unix_ms >= gap.since_ms.saturating_add(heart.options.heal.gap_patience_ms);
    let have_all_told = of_members >= accounts.len() && !accounts.is_empty();
    let may_come = is_missing && have_all_told && may_come(heart, context, row, gap, &told, is_late)?;
    Ok(match is_missing {
        false if of_knowing >= witnesses.max(1) => Verdict::Whole,
        // Whoever wrote it has answered, and has it no more; or what is awaited was nothing to read.
        true if have_all_told && (!may_come || (is_late && is_wordless(context, gap)?)) => Verdict::Gone,
        false if is_late && (of_knowing > 0 || gap.is_seen_to_end) => Verdict::Whole,
        _ if is_late => Verdict::Unanswered,
        _ => Verdict::Ask,
    })
}

/// The accounts that were members before an entry, as far as this device knows.
fn there_since(
    context: &Context<'_>,
    row: &Channel,
    seq: u64,
    accounts: &BTreeSet<AccountAddress>,
) -> Result<BTreeSet<AccountAddress>, EngineError> {
    let mut there = BTreeSet::new();
    for account in accounts {
        if joins::at(context, &row.id, account)? <= seq {
            there.insert(account.clone());
        }
    }
    Ok(there)
}

fn ask(heart: &mut Heart, context: &mut Context<'_>, row: &Channel, gaps: &[Gap]) -> Result<(), EngineError> {
    let Some(first) = gaps.first() else { return Ok(()) };
    let mut spans = Vec::new();
    for gap in gaps.iter().take(SPANS_MAX) {
        spans.push((gap.from, gap.to));
    }
    let unreached = unreached(heart, context, row, gaps)?;
    let mut recipients = whom(heart, context, row, first)?;
    if recipients.is_empty() && !unreached.is_empty() {
        recipients.extend(carrier(heart, context, row, first)?);
    }
    let reach = request::reach(heart, context, row)?;
    for recipient in recipients {
        let (spans, reach, unreached) = (spans.clone(), reach.clone(), unreached.clone());
        let ask = Ask { channel: row.id, nonce: context.random(), spans, reach, unreached };
        send(heart, context, &recipient, HealLetter::Ask(Box::new(ask)))?;
    }
    for gap in gaps {
        let pace = heart.options.heal;
        let wait = pace.ask_again_ms.saturating_mul(1_i64.checked_shl(gap.asks.min(16)).unwrap_or(i64::MAX));
        let wait = wait.clamp(1, WAIT_MS_MAX).saturating_add(context.random_ms(pace.answer_step_ms.max(1)));
        let late = gap.since_ms.saturating_add(pace.gap_patience_ms);
        let next = context.now.unix_ms.saturating_add(wait);
        let next = if late > context.now.unix_ms { next.min(late) } else { next };
        gap::asked(context, gap.id, Some(next))?;
    }
    Ok(())
}

/// Members who said what is missing and of whom this device knows no inbox, or none on a server that it knows.
fn unreached(
    heart: &Heart,
    context: &Context<'_>,
    row: &Channel,
    gaps: &[Gap],
) -> Result<Vec<AccountAddress>, EngineError> {
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    let mut authors = BTreeSet::new();
    for gap in gaps {
        authors.append(&mut gap::missing_authors(context.db, gap.id)?);
    }
    let reachable = channel::reachable(context.db, row)?;
    let members = conversation::members(context.db, row.conversation)?.into_iter().map(|member| member.address);
    let mut unreached: Vec<AccountAddress> = members
        .filter(|one| Some(one) != own && authors.contains(&one.to_string()))
        .filter(|one| !reachable.iter().any(|other| other.address == *one))
        .collect();
    unreached.truncate(UNREACHED_MAX);
    Ok(unreached)
}

/// A member who passes on what is asked, another one in each round.
fn carrier(heart: &Heart, context: &Context<'_>, row: &Channel, gap: &Gap) -> Result<Option<Recipient>, EngineError> {
    let members = request::accounts(heart, context, &row.id)?;
    let mut others = channel::roster(context.db, &row.id)?;
    others.retain(|one| members.contains(&one.address));
    let turn = usize::try_from(gap.asks).unwrap_or(0).checked_rem(others.len());
    Ok(turn.map(|turn| others.swap_remove(turn)))
}

/// One device of some accounts: of those whose words are known to be missing, own ones, and others who have not answered.
fn whom(heart: &Heart, context: &Context<'_>, row: &Channel, gap: &Gap) -> Result<Vec<Recipient>, EngineError> {
    let Some(identity) = &heart.identity else { return Ok(Vec::new()) };
    let mut devices: BTreeMap<String, Vec<Recipient>> = BTreeMap::new();
    for recipient in channel::reachable(context.db, row)? {
        if recipient.device != identity.device() {
            devices.entry(recipient.address.to_string()).or_default().push(recipient);
        }
    }
    let authors: BTreeSet<String> =
        gap::missing(context.db, &[gap.id])?.into_iter().map(|missing| missing.author).collect();
    let told: BTreeSet<String> = gap::answers(context.db, gap.id)?
        .into_iter()
        .filter(|(_, through)| *through >= gap.to)
        .map(|(account, _)| account)
        .collect();
    let own = identity.address.to_string();
    let mut accounts: Vec<String> = devices.keys().cloned().collect();
    // An author may have answered before it was known that something of theirs is missing; but not twice.
    accounts.retain(|account| !told.contains(account) || (authors.contains(account) && gap.line.is_none()));
    accounts.sort_by_key(|account| (!authors.contains(account), *account != own));
    let round = usize::try_from(gap.asks).unwrap_or(0);
    let known = accounts.iter().filter(|account| authors.contains(*account)).count();
    if let Some(rest) = accounts.get_mut(known..)
        && !rest.is_empty()
    {
        let turn = round.saturating_mul(ACCOUNTS_ASKED).checked_rem(rest.len()).unwrap_or(0);
        rest.rotate_left(turn);
    }
    accounts.truncate(ACCOUNTS_ASKED);
    let of = |account: &String| {
        let of_account = devices.get(account)?;
        of_account.get(round.checked_rem(of_account.len())?).cloned()
    };
    Ok(accounts.iter().filter_map(of).collect())
}

pub(super) fn send(
    heart: &Heart,
    context: &mut Context<'_>,
    recipient: &Recipient,
    letter: HealLetter,
) -> Result<(), EngineError> {
    match &heart.identity {
        Some(identity) => envelope::send(heart, context, identity, recipient, &Letter::Heal(Box::new(letter))),
        None => Ok(()),
    }
}

/// A member tells what they know of a span.
pub(super) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    give: &Give,
) -> Result<(), EngineError> {
    let Some(row) = channel::find(context.db, &give.channel)? else { return Ok(()) };
    let gaps = gap::of_channel(context.db, &row.id)?;
    let concerned: Vec<&Gap> = gaps.iter().filter(|gap| gap.from <= give.span.1 && gap.to >= give.span.0).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    if !is_believed(heart, context, &row, sender)? {
        return take_from_outside(heart, context, (&row, &concerned), sender, give);
    }
    // Of a channel that was given up for a fork, the heads are known to differ.
    let is_given_up = refound::successor_of(context.db, &row)?.is_some();
    if let Some(fork) = super::compare_heads(context, &row, &sender.address, &give.heads)?.filter(|_| !is_given_up) {
        return super::stop(heart, context, &row, fork);
    }
    let known = knowledge(context, &row, &concerned)?;
    learn_ways(heart, context, &row, &give.ways)?;
    for named in give.named.iter().filter(|named| (give.span.0..=give.span.1).contains(&named.seq)) {
        let Some(gap) = concerned.iter().find(|gap| gap.has(named.seq)) else { continue };
        accept(heart, context, (&row, gap), &sender.address, named)?;
    }
    let account = sender.address.to_string();
    let mut is_news = knowledge(context, &row, &concerned)? != known;
    for gap in &concerned {
        let told = gap::answers(context.db, gap.id)?.into_iter().find(|(other, _)| *other == account);
        let told = told.map(|(_, through)| through);
        let reached = told.map_or(gap.from, |through| through.saturating_add(1));
        if give.span.0 <= reached && !give.is_partial {
            // Nothing comes behind the end of a channel that is given up.
            let is_all = give.is_ended && !give.has_more;
            let through = if is_all { gap.to } else { give.span.1 };
            gap::note_answer(context, gap.id, &account, through)?;
            is_news |= told.is_none_or(|told| told < through);
        }
    }
    // Whoever says once more what they said, as they lack the rest themselves, is asked again in their turn.
    if is_news {
        concerned.iter().try_for_each(|gap| gap::soon(context, gap.id))?;
    }
    if give.has_more {
        ask_for_more(heart, context, &row, sender, give)?;
    }
    Ok(())
}

/// Somebody who is out gives what they said: it is taken where members have named it.
fn take_from_outside(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (row, gaps): (&Channel, &[&Gap]),
    sender: &MemberCredential,
    give: &Give,
) -> Result<(), EngineError> {
    for gap in gaps {
        let awaited = |context: &Context<'_>| -> Result<Vec<Named>, EngineError> {
            let missing = gap::named_missing(context.db, gap.id)?;
            Ok(missing.into_iter().filter(|one| one.author == sender.address).collect())
        };
        let before = awaited(context)?;
        if before.is_empty() || !contact::keys::saw(context, sender)?.is_believed() {
            continue;
        }
        let is_same =
            |one: &Named, named: &Named| one.seq == named.seq && one.id == named.id && one.author == named.author;
        for named in give.named.iter().filter(|named| before.iter().any(|one| is_same(one, named))) {
            accept(heart, context, (row, gap), &sender.address, named)?;
        }
        if awaited(context)?.len() < before.len() {
            gap::soon(context, gap.id)?;
        }
    }
    Ok(())
}

/// What is known of some gaps, and of how the members are reached: more than before is a reason to ask again.
fn knowledge(context: &Context<'_>, row: &Channel, gaps: &[&Gap]) -> Result<(usize, Vec<(u32, u32)>), EngineError> {
    let of_gaps = gaps.iter().map(|gap| gap::knowledge(context.db, gap.id)).collect::<Result<_, _>>()?;
    Ok((channel::roster(context.db, &row.id)?.len(), of_gaps))
}

/// Notes how devices are reached that this one has never heard itself. Only of leaves of the group, by their own records, and
/// only on servers that this profile knows (P-6.7).
fn learn_ways(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    ways: &[(AccountAddress, Reach)],
) -> Result<(), EngineError> {
    let known: BTreeSet<DeviceId> =
        channel::roster(context.db, &row.id)?.into_iter().map(|recipient| recipient.device).collect();
    let mut new = ways.iter().filter(|(_, reach)| !known.contains(&reach.record.certificate.device)).peekable();
    if new.peek().is_none() {
        return Ok(());
    }
    let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(()) };
    let members = group.members();
    heart.groups.insert(row.id, group);
    let members = members?;
    for (address, reach) in new {
        let is_leaf = members.iter().any(|member| {
            member.credential.address == *address
                && member.credential.certificate.is_of_same_device(&reach.record.certificate)
        });
        let is_theirs = reach.server.address == address.server && reach.record.verify().is_ok();
        if let (true, true, Some(server)) = (is_leaf, is_theirs, server::find_pin(context.db, &reach.server)?) {
            channel::add_to_roster(context, row.id, address, Some(server), &reach.record, &reach.token)?;
        }
    }
    Ok(())
}

/// Whether somebody is a member, by the group or, while this device has no state of it, by the last that it knew: what they
/// give is checked for itself.
fn is_believed(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    sender: &MemberCredential,
) -> Result<bool, EngineError> {
    if super::is_member(heart, context, row, sender)? {
        return Ok(true);
    }
    let has_no_state = fault::of_channel(context.db, &row.id)?.is_some();
    let was_member = || -> Result<bool, EngineError> {
        let members = conversation::members(context.db, row.conversation)?;
        Ok(members.iter().any(|member| member.address == sender.address))
    };
    Ok(has_no_state && was_member()? && contact::keys::saw(context, sender)?.is_believed())
}

/// There was more than went into one letter: the rest is asked for at once.
fn ask_for_more(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    sender: &MemberCredential,
    give: &Give,
) -> Result<(), EngineError> {
    let roster = channel::roster(context.db, &row.id)?;
    let Some(recipient) = roster.into_iter().find(|one| one.device == sender.certificate.device) else {
        return Ok(());
    };
    let from = give.span.1.saturating_add(1);
    let gaps = gap::of_channel(context.db, &row.id)?;
    let Some(gap) = gaps.iter().find(|gap| gap.has(from)) else { return Ok(()) };
    let reach = request::reach(heart, context, row)?;
    let spans = vec![(from, gap.to)];
    let ask = Ask { channel: row.id, nonce: context.random(), spans, reach, unreached: Vec::new() };
    send(heart, context, &recipient, HealLetter::Ask(Box::new(ask)))
}

/// One content that a member names, and perhaps gives.
fn accept(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (row, gap): (&Channel, &Gap),
    giver: &AccountAddress,
    named: &Named,
) -> Result<(), EngineError> {
    let position = gap.position_of(named.seq);
    let place = Position { seq: named.seq, head: row.position.head };
    if timeline::place_again(context, &named.id, row, place.seq, position)? {
        return content::move_to(context, &named.id, &row.id, named.seq);
    }
    let own = heart.identity.as_ref().map(|identity| identity.address.clone());
    let is_own = own.as_ref() == Some(&named.author);
    if named.is_deleted && (is_own || named.author == *giver) {
        return match take_once(context, &named.id.0)? {
            true => timeline::insert_deleted(context, row, &named.id, &named.author, (named.seq, position), is_own),
            false => Ok(()),
        };
    }
    let Some(body) = &named.content else { return gap::note_named(context, gap.id, named) };
    let (Ok(mimi), true) = (MimiContent::decode(body), message_id(&named.author, body) == named.id) else {
        return Ok(());
    };
    // What others wrote, only they can give; what this person wrote, anybody, and it is known again.
    let is_believed = match is_own {
        true => content::is_own(context.db, &mimi)?,
        false => named.author == *giver,
    };
    let (true, Ok(content)) = (is_believed, Content::from_mimi(&mimi)) else { return Ok(()) };
    if is_own {
        outbox::was_sent(context, row.conversation, (&named.author, &named.id))?;
    }
    if !take_once(context, &named.id.0)? {
        return Ok(());
    }
    let sent_ms = named.sent_ms;
    content::keep(context, (row.id, named.seq), (&named.id, &named.author), sent_ms, body)?;
    let taken = Taken {
        id: named.id,
        channel: row.id,
        seq: named.seq,
        author: named.author.clone(),
        sent_ms,
        position: Some(position),
    };
    timeline::take(heart, context, row, &taken, content)?;
    let changed = content::target_of(body).unwrap_or(named.id);
    replay(heart, context, row, &changed)
}

/// Does again, in the order of the log, whatever acts on a message: some of it may have come before the message.
fn replay(heart: &mut Heart, context: &mut Context<'_>, row: &Channel, target: &MessageId) -> Result<(), EngineError> {
    for (id, author, body) in content::acting_on(context.db, target)? {
        act(heart, context, row, (id, &author), &body)?;
        for (id, author, body) in content::acting_on(context.db, &id)? {
            act(heart, context, row, (id, &author), &body)?;
        }
    }
    Ok(())
}

fn act(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
    (id, author): (MessageId, &AccountAddress),
    body: &[u8],
) -> Result<(), EngineError> {
    let Ok(content) = MimiContent::decode(body).and_then(|mimi| Content::from_mimi(&mimi)) else { return Ok(()) };
    let taken = Taken { id, channel: row.id, seq: 0, author: author.clone(), sent_ms: 0, position: None };
    timeline::take(heart, context, row, &taken, content)
}

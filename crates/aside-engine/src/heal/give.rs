//! Giving back what was said to a member who could not get it (P-9.7): one's own contents, and the asker's own. Of what
//! others said only the names are told, so that the asker knows whom to ask.

use super::letter::{Ask, Give, HealLetter, Named, PassedOn, Reach};
use super::{content, gap, joins, recover, refound};
use crate::Heart;
use crate::channel::{self, Channel, Live, end};
use crate::contact;
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::inbox::welcome::Recipient;
use crate::server;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use aside_protocol::identity::MemberCredential;
use rusqlite::params;
use std::collections::BTreeSet;

/// Bytes of contents in one letter.
const LETTER_BYTES_MAX: usize = 96 * 1024;
/// Contents in one letter.
const NAMED_MAX: u32 = 512;
/// Devices that one letter says how to reach.
const WAYS_MAX: usize = 24;
/// Spans that are answered in one letter's answer.
const SPANS_MAX: usize = 32;
/// Members to whom one letter is passed on.
pub(super) const UNREACHED_MAX: usize = 8;
/// Letters that one device is answered in a day.
const ASKS_A_DAY: i64 = 1_000;

/// Somebody asks what was said.
pub(super) fn take(
    heart: &mut Heart,
    context: &mut Context<'_>,
    sender: &MemberCredential,
    ask: &Ask,
) -> Result<(), EngineError> {
    asked(heart, context, (sender, sender), ask)
}

/// A member passes on what another one asks. It goes to that one's inbox alone, whoever brought it.
pub(super) fn take_passed_on(
    heart: &mut Heart,
    context: &mut Context<'_>,
    by: &MemberCredential,
    PassedOn { asker, ask }: &PassedOn,
) -> Result<(), EngineError> {
    match asker.verify().is_ok() && ask.unreached.is_empty() && may_ask(heart, context, &ask.channel, by)? {
        true => asked(heart, context, (asker, by), ask),
        false => Ok(()),
    }
}

/// Whether somebody is, or was, in a conversation with this person.
fn may_ask(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: &ChannelId,
    sender: &MemberCredential,
) -> Result<bool, EngineError> {
    match channel::find(context.db, id)? {
        Some(row) => super::is_member(heart, context, &row, sender),
        None => is_of_ended(context, id, sender),
    }
}

fn asked(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (sender, brought_by): (&MemberCredential, &MemberCredential),
    ask: &Ask,
) -> Result<(), EngineError> {
    let is_first = context
        .db
        .prepare_cached("INSERT OR IGNORE INTO heal_nonces (nonce, day) VALUES (?, ?)")?
        .execute(params![ask.nonce, context.now.day()])?
        == 1;
    let row = channel::find(context.db, &ask.channel)?;
    let is_own_inbox = ask.reach.record.verify().is_ok()
        && ask.reach.record.certificate == sender.certificate
        && ask.reach.server.address == sender.address.server;
    let server = server::find_pin(context.db, &ask.reach.server)?;
    let (true, true, Some(server)) = (is_first, is_own_inbox, server) else { return Ok(()) };
    if !may_ask(heart, context, &ask.channel, sender)? || is_rate_limited(context, brought_by)? {
        return Ok(());
    }
    let recipient = Recipient {
        address: sender.address.clone(),
        device: sender.certificate.device,
        server,
        inbox_key: ask.reach.record.inbox_key.clone().into(),
        token: ask.reach.token,
    };
    let spans = ask.spans.iter().take(SPANS_MAX);
    let Some(row) = row else {
        for span in spans {
            let give = said_before_end(heart, context, &ask.channel, &sender.address, *span)?;
            recover::send(heart, context, &recipient, HealLetter::Give(Box::new(give)))?;
        }
        return Ok(());
    };
    pass_on(heart, context, &row, sender, ask)?;
    for span in spans {
        for piece in known_pieces(context, &row, *span)? {
            if let Some(give) = answer(heart, context, &row, &sender.address, piece)? {
                recover::send(heart, context, &recipient, HealLetter::Give(Box::new(give)))?;
            }
        }
    }
    Ok(())
}

/// Whom the asker cannot reach hears of it from here: not every member's server is known to every other.
fn pass_on(
    heart: &Heart,
    context: &mut Context<'_>,
    row: &Channel,
    asker: &MemberCredential,
    ask: &Ask,
) -> Result<(), EngineError> {
    let roster = channel::roster(context.db, &row.id)?;
    for address in ask.unreached.iter().take(UNREACHED_MAX) {
        let Some(recipient) = roster.iter().find(|one| one.address == *address) else { continue };
        let ask = Ask { unreached: Vec::new(), ..ask.clone() };
        let passed = HealLetter::PassedOn(Box::new(PassedOn { asker: asker.clone(), ask }));
        recover::send(heart, context, recipient, passed)?;
    }
    Ok(())
}

/// Whether somebody was in a conversation with this device, as it last knew, that it is out of now.
fn is_of_ended(context: &mut Context<'_>, id: &ChannelId, sender: &MemberCredential) -> Result<bool, EngineError> {
    let Some((conversation, _)) = end::ended(context.db, id)? else { return Ok(false) };
    let members = conversation::members(context.db, conversation)?;
    let was_member = members.iter().any(|member| member.address == sender.address);
    Ok(was_member && contact::keys::saw(context, sender)?.is_believed())
}

/// Of a conversation that this person is out of: what they said themselves, that they left above all, and nothing of what
/// others did.
fn said_before_end(
    heart: &Heart,
    context: &Context<'_>,
    id: &ChannelId,
    asker: &AccountAddress,
    span: (u64, u64),
) -> Result<Give, EngineError> {
    let own = heart.identity.as_ref().map(|identity| &identity.address);
    let first = span.0.max(joins::at(context, id, asker)?.saturating_add(1));
    let mut rows = content::span(context.db, id, (first, span.1), NAMED_MAX)?;
    rows.retain(|(named, _)| Some(&named.author) == own);
    let named = rows.into_iter().map(|(named, body)| Named { content: body.map(Into::into), ..named }).collect();
    Ok(Give {
        channel: *id,
        span,
        named,
        heads: Vec::new(),
        is_ended: false,
        has_more: false,
        ways: Vec::new(),
        is_partial: true,
    })
}

/// A span without the gaps of this device's own that may still be filled. What was said before this device entered is a piece
/// of its own.
fn known_pieces(context: &Context<'_>, row: &Channel, (from, to): (u64, u64)) -> Result<Vec<(u64, u64)>, EngineError> {
    let (mut pieces, mut start) = (Vec::new(), from);
    // This device was not in yet, whether or not its account was: it is no witness that nothing was said.
    let unread = channel::entered_at(context.db, &row.id)?;
    if from <= unread {
        pieces.push((from, to.min(unread)));
        start = unread.saturating_add(1);
    }
    for gap in gap::of_channel(context.db, &row.id)? {
        if gap.line.is_some() || gap.is_open() || gap.to < start || gap.from > to {
            continue;
        }
        if gap.from > start {
            pieces.push((start, gap.from.saturating_sub(1)));
        }
        start = gap.to.saturating_add(1);
    }
    if start <= to {
        pieces.push((start, to));
    }
    Ok(pieces)
}

fn is_rate_limited(context: &Context<'_>, sender: &MemberCredential) -> Result<bool, EngineError> {
    let asks: i64 = context
        .db
        .prepare_cached(
            "INSERT INTO heal_asks (device, day, count) VALUES (?1, ?2, 1)
             ON CONFLICT (device) DO UPDATE SET count = CASE day WHEN ?2 THEN count + 1 ELSE 1 END, day = ?2
             RETURNING count",
        )?
        .query_row(params![sender.certificate.device.0, context.now.day()], |row| row.get(0))?;
    Ok(asks > ASKS_A_DAY)
}

/// What this device knows of one span; `None`: nothing yet.
fn answer(
    heart: &Heart,
    context: &Context<'_>,
    row: &Channel,
    asker: &AccountAddress,
    (from, to): (u64, u64),
) -> Result<Option<Give>, EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| &identity.address) else { return Ok(None) };
    // Of a channel that is given up, this is all that there will be.
    let link = channel::subscribe::link_to(row.server);
    let is_at_end = || heart.links.get(&link).is_some_and(|state| state.is_live(&row.id, row.epoch));
    let is_given_up = refound::successor_of(context.db, row)?.is_some();
    let is_ended = is_given_up && to > row.position.seq && (row.live == Live::No || is_at_end());
    let known = row.position.seq.min(to);
    if known < from && !is_ended {
        return Ok(None);
    }
    let first = from.max(joins::at(context, &row.id, asker)?.saturating_add(1));
    let rows = content::span(context.db, &row.id, (first, known), NAMED_MAX)?;
    let mut has_more = rows.len() >= NAMED_MAX as usize;
    let (mut bytes, mut through, mut named) = (0_usize, known, Vec::new());
    for (one, body) in rows {
        let is_given = one.author == *own || one.author == *asker;
        bytes = bytes.saturating_add(if is_given { body.as_ref().map_or(0, Vec::len) } else { 0 });
        if bytes > LETTER_BYTES_MAX && !named.is_empty() {
            has_more = true;
            break;
        }
        through = one.seq;
        named.push(Named { content: body.filter(|_| is_given).map(Into::into), ..one });
    }
    let through = match (has_more, is_ended) {
        (true, _) => through,
        (false, true) => to,
        (false, false) => known,
    };
    let mut heads = Vec::new();
    for seq in [from.saturating_sub(1), through] {
        if let Some(head) = channel::head_at(context.db, &row.id, seq)? {
            heads.push((seq, head));
        }
    }
    let own_gaps =
        gap::of_channel(context.db, &row.id)?.into_iter().filter(|gap| gap.from <= through && gap.to >= from);
    let mut is_partial = from <= channel::entered_at(context.db, &row.id)?;
    for gap in own_gaps {
        is_partial |= gap.is_unknown;
        named.extend(
            gap::named_missing(context.db, gap.id)?.into_iter().filter(|one| (first..=through).contains(&one.seq)),
        );
    }
    named.sort_by_key(|one| one.seq);
    let ways = ways(context, row, (own, asker), &named)?;
    Ok(Some(Give { channel: row.id, span: (from, through), named, heads, is_ended, has_more, ways, is_partial }))
}

/// How to reach those whom the asker has to ask next.
fn ways(
    context: &Context<'_>,
    row: &Channel,
    (own, asker): (&AccountAddress, &AccountAddress),
    named: &[Named],
) -> Result<Vec<(AccountAddress, Reach)>, EngineError> {
    let authors: BTreeSet<&AccountAddress> =
        named.iter().map(|one| &one.author).filter(|author| *author != own && *author != asker).collect();
    let mut ways = Vec::new();
    for author in authors {
        for (server, token, record) in channel::ways_to(context.db, &row.id, author)? {
            ways.push((author.clone(), Reach { server: server::pin(context.db, server)?, token, record }));
        }
    }
    ways.truncate(WAYS_MAX);
    Ok(ways)
}

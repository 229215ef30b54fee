//! What the timeline says of a commit. Only of groups: a direct conversation has no members to speak of.

use super::plan::Changes;
use crate::channel::Channel;
use crate::context::Context;
use crate::conversation;
use crate::error::EngineError;
use crate::timeline;
use crate::view::ConversationKind;
use aside_mls::Metadata;
use aside_protocol::address::AccountAddress;

/// Names that one note spells out.
const NAMED_MAX: usize = 5;

/// Writes a note for everything that a commit changed. `own` is this person.
pub(super) fn write(
    context: &mut Context<'_>,
    channel: &Channel,
    (author, own): (&AccountAddress, Option<&AccountAddress>),
    changes: &Changes,
    (before, after): (&Metadata, &Metadata),
) -> Result<(), EngineError> {
    let conversation = conversation::find(context.db, &channel.conversation)?;
    if conversation.is_none_or(|row| row.kind != ConversationKind::Group) {
        return Ok(());
    }
    let leavers = conversation::leavers(context, channel.conversation)?;
    let who = if own == Some(author) { "You" } else { author.name.as_str() };
    let mut write =
        |about: &AccountAddress, words: String| timeline::note(context, channel.conversation, about, &words);
    if let [first, ..] = changes.added.as_slice() {
        write(first, format!("{who} added {}", names(&changes.added, own)))?;
    }
    // Of those who left, a note stands where they said so.
    let removed: Vec<_> = changes.removed.iter().filter(|address| !leavers.contains(address)).cloned().collect();
    if let [first, ..] = removed.as_slice() {
        write(first, format!("{who} removed {}", names(&removed, own)))?;
    }
    if before.title != after.title {
        write(author, format!("{who} named the group “{}”", after.title))?;
    }
    match (&before.picture, &after.picture) {
        (old, new) if old == new => {}
        (_, Some(_)) => write(author, format!("{who} changed the group's picture"))?,
        (_, None) => write(author, format!("{who} took the group's picture away"))?,
    }
    for address in after.admins.iter().filter(|address| !before.is_admin(address)) {
        write(address, format!("{who} made {} an admin", name(address, own)))?;
    }
    let withdrawn =
        before.admins.iter().filter(|address| !after.is_admin(address) && !changes.removed.contains(address));
    for address in withdrawn {
        let words = match own == Some(address) {
            true => "You are no longer an admin".to_owned(),
            false => format!("{} is no longer an admin", address.name),
        };
        write(address, words)?;
    }
    Ok(())
}

fn name<'a>(address: &'a AccountAddress, own: Option<&AccountAddress>) -> &'a str {
    if own == Some(address) { "you" } else { address.name.as_str() }
}

/// “bob”, “bob and carol”, “bob, carol and 48 others”.
fn names(addresses: &[AccountAddress], own: Option<&AccountAddress>) -> String {
    let named: Vec<&str> = addresses.iter().take(NAMED_MAX).map(|address| name(address, own)).collect();
    let more = addresses.len().saturating_sub(named.len());
    match (named.as_slice(), more) {
        ([], _) => String::new(),
        ([one], 0) => (*one).to_owned(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (all, 1) => format!("{} and one other", all.join(", ")),
        (all, more) => format!("{} and {more} others", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_become_a_number() {
        let people: Vec<AccountAddress> = (0..9).map(|n| format!("p{n}@h.example").parse().unwrap()).collect();
        assert_eq!(names(&people[..1], Some(&people[0])), "you");
        assert_eq!(names(&people[..3], None), "p0, p1 and p2");
        assert_eq!(names(&people[..6], None), "p0, p1, p2, p3, p4 and one other");
        assert_eq!(names(&people, None), "p0, p1, p2, p3, p4 and 4 others");
    }
}

//! Whether people got what they wished of their groups, where nobody wished the contrary and nothing was said against it.

use super::seen::{Seen, Side};
use crate::world::World;
use crate::world::ledger::{Place, Wish, Wished};
use aside_engine::view::{MessageKind, Role};
use aside_protocol::address::AccountAddress;

pub(super) fn check(world: &World, seen: &Seen) -> Result<(), String> {
    for wished in world.ledger.wishes.iter().filter(|wished| wished.is_sure && is_owed(world, wished)) {
        let Some(sides) = seen.sides.get(&Place::Group(wished.group)) else {
            return Err(format!("nobody has the group of {wished:?}"));
        };
        let Some(wisher) = sides.iter().find(|side| side.who == wished.by) else { continue };
        // Of a group that was founded a second time by an older copy, everybody has their wishes in their own half.
        let is_of_half = |side: &&Side| side.is_in() && is_with(side, wisher);
        let Some(inside) = sides.iter().find(is_of_half) else { continue };
        let is_of_group = |other: &&Wished| other.group == wished.group;
        let others: Vec<&Wish> = world.ledger.wishes.iter().filter(is_of_group).map(|other| &other.wish).collect();
        if !has_come(&wished.wish, &others, wisher, inside) && !was_told(wisher) {
            return Err(format!("{}'s wish was forgotten: {wished:?}", wisher.name));
        }
    }
    Ok(())
}

fn is_with(side: &Side, other: &Side) -> bool {
    side.channels.iter().any(|it| other.channels.iter().any(|there| there.channel == it.channel))
}

/// Whoever does ill is owed nothing, and whether they are in is for the healing to decide.
fn is_owed(world: &World, wished: &Wished) -> bool {
    let about = match &wished.wish {
        Wish::In(address) | Wish::Out(address) | Wish::Admin(address) | Wish::NoAdmin(address) => Some(address),
        Wish::Title(_) => None,
    };
    !world.is_hostile(wished.by) && (about.is_none() || about != world.hostile_address())
}

/// Whoever is or was out, or reads that they were not allowed to, cannot expect anything.
fn was_told(wisher: &Side) -> bool {
    const WORDS: [&str; 4] = ["only admins", "is no member", "removed you from the group", "You left the group"];
    let is_refusal = |text: &str| WORDS.iter().any(|words| text.contains(words));
    !wisher.is_in() || wisher.rows.iter().any(|row| row.kind == MessageKind::Event && is_refusal(&row.text))
}

/// Whether a wish is so, or somebody else wished the contrary.
fn has_come(wish: &Wish, others: &[&Wish], wisher: &Side, inside: &Side) -> bool {
    let wished = |contrary: Wish| others.contains(&&contrary);
    let role = |address: &AccountAddress| {
        inside.shown.members.iter().find(|it| it.person.address == *address).map(|it| it.role)
    };
    match wish {
        Wish::In(address) => role(address).is_some() || wished(Wish::Out(address.clone())),
        Wish::Out(address) => role(address).is_none() || wished(Wish::In(address.clone())),
        Wish::Admin(address) => {
            role(address) == Some(Role::Admin)
                || wished(Wish::NoAdmin(address.clone()))
                || wished(Wish::Out(address.clone()))
        }
        Wish::NoAdmin(address) => role(address) != Some(Role::Admin) || wished(Wish::Admin(address.clone())),
        // Each title stands for a while, unless its own wisher thought better of it before.
        Wish::Title(title) => {
            let later = others.iter().skip_while(|other| **other != wish).skip(1);
            let is_replaced = later.into_iter().any(|other| matches!(other, Wish::Title(_)));
            is_replaced
                || wisher.rows.iter().any(|row| row.text.contains(title.as_str()))
                || inside.shown.title == *title
        }
    }
}

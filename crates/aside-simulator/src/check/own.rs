//! The devices of one person: they know the same people, have read the same, and are set the same.

use super::seen::{Seen, Side};
use crate::world::World;
use crate::world::ledger::{Given, Place};
use crate::world::people::Device;
use aside_engine::Engine;
use aside_engine::error::EngineError;
use aside_engine::view::MessageKind;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let mut firsts: BTreeMap<usize, (&str, String)> = BTreeMap::new();
    for (who, device) in
        world.devices.iter().enumerate().filter(|(who, _)| !world.is_revoked(*who) && !world.is_hostile(*who))
    {
        if device.id.is_none() {
            return Err(format!("{} was never linked", device.name()));
        }
        check_given(world, seen, who)?;
        check_own_log(world, seen, who)?;
        // It cannot be told what it has not heard of.
        if world.has_forgotten_its_own(who) {
            continue;
        }
        let Some(engine) = device.client.engine() else { continue };
        let known = known(engine).map_err(|error| error.to_string())?;
        let (name, first) = firsts.entry(device.person).or_insert_with(|| (device.name(), known.clone()));
        if *first != known {
            return Err(format!("{name} and {} differ: {first} against {known}", device.name()));
        }
    }
    check_revocations(world)?;
    check_unread(world, seen)
}

/// Devices that hold the same messages have read the same.
fn check_unread(world: &World, seen: &Seen) -> Result<(), String> {
    for (place, sides) in &seen.sides {
        let mut unread: BTreeMap<_, (&str, u32)> = BTreeMap::new();
        for side in sides.iter().filter(|side| side.is_in()) {
            let Some(device) = world.devices.get(side.who) else { continue };
            let texts: BTreeSet<_> =
                side.rows.iter().filter(|row| row.kind == MessageKind::Text).map(|row| row.id).collect();
            let other = side.shown.unread_count;
            let (name, first) = unread.entry((device.person, texts)).or_insert((side.name.as_str(), other));
            if *first != other {
                return Err(format!("{name} has {first} unread in {place:?}, and {} has {other}", side.name));
            }
        }
    }
    Ok(())
}

fn known(engine: &Engine) -> Result<String, EngineError> {
    let contacts = engine.contacts()?.into_iter();
    let contacts: Vec<String> =
        contacts.map(|it| format!("{} {:?} verified: {}", it.address, it.state, it.verified)).collect();
    let devices = engine.devices()?.into_iter();
    let mut devices: Vec<_> = devices.map(|it| (it.id, it.name, it.revoked_at.is_some())).collect();
    devices.sort();
    Ok(format!("{contacts:?}, {:?}, {devices:?}", engine.settings()?))
}

/// What the devices of a person tell each other was read to its end by each.
fn check_own_log(world: &World, seen: &Seen, who: usize) -> Result<(), String> {
    let Some(device) = world.devices.get(who) else { return Ok(()) };
    let channels = device.client.engine().and_then(|engine| engine.channels_seen().ok()).unwrap_or_default();
    for reads in channels.into_iter().filter(|it| it.successor.is_none()) {
        let is_own = matches!(world.ledger.places.get(&reads.channel), Some(Place::Own(_)));
        let end = seen.logs.get(&reads.channel).map(|log| (log.epoch, log.end));
        if is_own && end != Some((reads.epoch, reads.seq)) {
            return Err(format!(
                "{} stopped among its own devices at {reads:?}; the log ends at {end:?}",
                device.name()
            ));
        }
    }
    Ok(())
}

/// A device has what it was promised, where whoever promised it was not taken out meanwhile.
fn check_given(world: &World, seen: &Seen, who: usize) -> Result<(), String> {
    let Some(device) = world.devices.get(who) else { return Ok(()) };
    let given = device.id.as_ref().and_then(|(_, id)| world.ledger.given.get(id));
    // What came by letter since its older copy was made is not sent a second time.
    let is_whole = |given: &&Given| !world.is_revoked(given.by) && !world.ledger.restored.contains(&who);
    let Some(given) = given.filter(is_whole) else { return Ok(()) };
    let sides = seen.sides.values().flatten().filter(|side| side.who == who);
    let has: BTreeSet<_> = sides.flat_map(|side| &side.rows).map(|row| row.id).collect();
    // What was never sent is nobody's but its author's.
    let failed = seen.sides.values().flatten().filter(|side| side.who == given.by).flat_map(|side| &side.rows);
    let failed: BTreeSet<_> = failed.filter(|row| row.failure.is_some()).map(|row| row.id).collect();
    // Nor is what whoever promised it forgot as an older copy of itself, before it was given and before anybody else had it.
    let is_forgotten = world.ledger.restored.contains(&given.by);
    for message in given.messages.iter().filter(|message| !has.contains(message) && !failed.contains(message)) {
        let has_it = |sides: &[Side]| sides.iter().any(|side| side.rows.iter().any(|row| row.id == *message));
        let place = seen.sides.iter().find(|(_, sides)| has_it(sides)).map(|(place, _)| place);
        if place.is_some() || !is_forgotten {
            return Err(format!("{} was promised {message:?} of {place:?} and never got it", device.name()));
        }
    }
    Ok(())
}

/// Devices that somebody wished to be out are out, unless it was said why not, or the wisher itself was taken out.
fn check_revocations(world: &World) -> Result<(), String> {
    for revocation in
        world.ledger.revocations.iter().filter(|it| it.is_sure && !world.is_revoked(it.by) && !world.is_hostile(it.by))
    {
        let named = |device: &Device| device.id.as_ref().is_some_and(|(_, id)| *id == revocation.device);
        let Some(target) = world.devices.iter().position(named) else { continue };
        let Some(by) = world.devices.get(revocation.by) else { continue };
        let trouble = by.client.engine().and_then(|engine| engine.revocation_trouble().ok().flatten());
        if !world.is_revoked(target) && trouble.is_none() {
            return Err(format!("{}'s wish that a device be out was forgotten", by.name()));
        }
    }
    Ok(())
}

//! The devices of one person: they know the same people, have read the same, and are set the same.

use super::seen::Seen;
use crate::world::World;
use aside_engine::Engine;
use aside_engine::error::EngineError;
use std::collections::BTreeMap;

pub(super) fn check(world: &World, seen: &Seen) -> Result<(), String> {
    let mut firsts: BTreeMap<usize, (&str, String)> = BTreeMap::new();
    for device in &world.devices {
        let Some(engine) = device.client.engine() else { continue };
        let known = known(engine).map_err(|error| error.to_string())?;
        let (name, first) = firsts.entry(device.person).or_insert_with(|| (device.name(), known.clone()));
        if *first != known {
            return Err(format!("{name} and {} differ: {first} against {known}", device.name()));
        }
    }
    let mut unread: BTreeMap<_, (&str, u32)> = BTreeMap::new();
    for (place, sides) in &seen.sides {
        for side in sides.iter().filter(|side| side.is_in()) {
            let Some(device) = world.devices.get(side.who) else { continue };
            let (name, first) =
                unread.entry((place, device.person)).or_insert((side.name.as_str(), side.shown.unread_count));
            if *first != side.shown.unread_count {
                let other = side.shown.unread_count;
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
    Ok(format!("{contacts:?}, {:?}", engine.settings()?))
}

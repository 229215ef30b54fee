//! Who is in: what members show of each other, what the groups' own state says, and who reads on are the same.

use super::seen::{Seen, Side};
use crate::world::World;
use crate::world::ledger::Place;
use aside_engine::view::{ConversationKind, MemberState, Role};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId};
use std::collections::{BTreeMap, BTreeSet};

/// What all members must show alike.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    title: Option<String>,
    picture: Option<String>,
    members: BTreeMap<AccountAddress, (Option<Role>, u32)>,
}

pub(super) fn check(world: &World, seen: &Seen) -> Result<(), String> {
    for (place, sides) in &seen.sides {
        let inside: Vec<&Side> = sides.iter().filter(|side| side.is_in()).collect();
        check_shown(place, &inside)?;
        check_group_state(world, seen, place, &inside)?;
    }
    Ok(())
}

fn check_shown(place: &Place, inside: &[&Side]) -> Result<(), String> {
    let mut first: Option<(&str, Shown)> = None;
    for side in inside {
        let shown = shown(side)?;
        match &first {
            None => first = Some((&side.name, shown)),
            Some((name, other)) if *other != shown => {
                return Err(format!("{name} and {} see {place:?} differently: {other:?} against {shown:?}", side.name));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn shown(side: &Side) -> Result<Shown, String> {
    let is_group = side.shown.kind == ConversationKind::Group;
    let mut members = BTreeMap::new();
    for member in &side.shown.members {
        if member.state != MemberState::Member {
            return Err(format!("{} sees {} as {:?} for ever", side.name, member.person.address, member.state));
        }
        members.insert(member.person.address.clone(), (is_group.then_some(member.role), member.devices));
    }
    let title = is_group.then(|| side.shown.title.clone());
    Ok(Shown { title, picture: side.shown.picture.clone(), members })
}

/// Everybody who is in reads the same epoch to the same end, and the group's own state names exactly them.
fn check_group_state(world: &World, seen: &Seen, place: &Place, inside: &[&Side]) -> Result<(), String> {
    let channels: BTreeSet<ChannelId> =
        inside.iter().flat_map(|side| &side.channels).map(|seen| seen.channel).collect();
    if channels.is_empty() && !inside.is_empty() {
        return Err(format!("{place:?} has members and no log"));
    }
    for channel in channels {
        let Some(log) = seen.logs.get(&channel) else { return Err(format!("no server has {channel:?}")) };
        let mut readers: BTreeSet<(AccountAddress, DeviceId)> = BTreeSet::new();
        for side in inside {
            let Some(reads) = side.channels.iter().find(|seen| seen.channel == channel) else { continue };
            if (reads.epoch, reads.seq) != (log.epoch, log.end) {
                let (epoch, end) = (log.epoch, log.end);
                let name = &side.name;
                return Err(format!("{name} stopped in {place:?} at {reads:?}; the log is at {end} in epoch {epoch}"));
            }
            readers.extend(world.devices.get(side.who).and_then(|device| device.id.clone()));
        }
        let Some(group) = world.ledger.groups.get(&(channel, log.epoch)) else {
            return Err(format!("nobody was ever in epoch {} of {channel:?} in {place:?}", log.epoch));
        };
        if group.devices.iter().cloned().collect::<BTreeSet<_>>() != readers {
            let (members, readers) = (world.names_of(&group.devices), world.names_of(&readers));
            return Err(format!("the members of {place:?} are {members:?}, and those who read it are {readers:?}"));
        }
        for side in inside {
            for member in &side.shown.members {
                let has = group.devices.iter().filter(|(address, _)| *address == member.person.address).count();
                if has != member.devices as usize {
                    let address = &member.person.address;
                    return Err(format!(
                        "{} sees {} devices of {address} in {place:?}: {has}",
                        side.name, member.devices
                    ));
                }
            }
        }
    }
    Ok(())
}

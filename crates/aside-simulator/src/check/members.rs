//! Who is in: what members show of each other, what the groups' own state says, and who reads on are the same.

use super::seen::{Seen, Side, was_told_to_begin_again};
use crate::plan::HostileEnd;
use crate::world::World;
use crate::world::ledger::Place;
use aside_engine::view::{ConversationKind, MemberState, Role};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId};
use std::collections::{BTreeMap, BTreeSet};

/// What all members must show alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    title: Option<String>,
    picture: Option<String>,
    members: BTreeMap<AccountAddress, (Option<Role>, u32)>,
}

pub(super) fn check(world: &World, seen: &Seen) -> Result<(), String> {
    for (place, sides) in &seen.sides {
        let inside: Vec<&Side> = sides.iter().filter(|side| side.is_in()).collect();
        check_shown(world, place, &inside)?;
        let excused = excused(world, (place, sides), &inside);
        check_group_state(world, seen, (place, &excused), &inside)?;
    }
    Ok(())
}

fn check_shown(world: &World, place: &Place, inside: &[&Side]) -> Result<(), String> {
    let is_one = is_one(world, place, inside.iter().copied());
    let mut firsts: BTreeMap<Option<ChannelId>, (&str, Shown)> = BTreeMap::new();
    for side in inside {
        let shown = shown(world, place, side)?;
        let channel = side.channels.first().map(|seen| seen.channel).filter(|_| !is_one);
        let (name, first) = firsts.entry(channel).or_insert_with(|| (&side.name, shown.clone()));
        if *first != shown {
            return Err(format!("{name} and {} see {place:?} differently: {first:?} against {shown:?}", side.name));
        }
    }
    Ok(())
}

/// Whether a group is one: whoever has forgotten that they founded it founds it a second time, and nobody can put the two
/// together.
pub(super) fn is_one<'a>(world: &World, place: &Place, inside: impl IntoIterator<Item = &'a Side>) -> bool {
    !inside.into_iter().any(|side| world.ledger.has_forgotten(side.who, place))
}

fn shown(world: &World, place: &Place, side: &Side) -> Result<Shown, String> {
    let is_group = side.shown.kind == ConversationKind::Group;
    let mut members = BTreeMap::new();
    for member in &side.shown.members {
        if member.state != MemberState::Member && is_anybody_left_to_act(world, side, &member.person.address) {
            return Err(format!("{} sees {} as {:?} for ever", side.name, member.person.address, member.state));
        }
        // An admin goes on trying to add whoever did ill and answers nothing any more; nobody else knows of that.
        if member.state == MemberState::Adding && world.hostile_address() == Some(&member.person.address) {
            continue;
        }
        // Whoever has forgotten one of two logs puts no further devices into it: how many they are differs between the two.
        let is_in_one = world.has_forgotten_log_of(&member.person.address, place);
        let devices = if is_in_one { 1 } else { member.devices };
        members.insert(member.person.address.clone(), (is_group.then_some(member.role), devices));
    }
    let title = is_group.then(|| side.shown.title.clone());
    Ok(Shown { title, picture: side.shown.picture.clone(), members })
}

/// Devices that a group may name though they don't read it: an older copy that was told in words that it could not join,
/// and those for whom only somebody with ill will could do anything, since these lured them elsewhere, their commit added
/// them and they never heard of it, or they left where nobody else is an admin.
fn excused(world: &World, (place, sides): (&Place, &[Side]), inside: &[&Side]) -> BTreeSet<DeviceId> {
    let hostile = world.plan.hostile.filter(|_| world.ledger.hostile.is_some());
    let is_one = is_one(world, place, inside.iter().copied());
    let is_excused = |who: usize, address: &AccountAddress| match sides.iter().find(|side| side.who == who) {
        Some(_) if !is_one => true,
        Some(side) if side.is_astray || was_told_to_begin_again(world, who, &side.rows) => true,
        Some(side) if side.shown.left => !inside.iter().any(|other| is_anybody_left_to_act(world, other, address)),
        Some(_) => false,
        None => hostile.is_some_and(|hostile| hostile.end == HostileEnd::Vanishes),
    };
    let ids = world.devices.iter().enumerate().filter_map(|(who, device)| Some((who, device.id.as_ref()?)));
    ids.filter(|(who, (address, _))| is_excused(*who, address)).map(|(_, (_, device))| *device).collect()
}

/// Whether there is an admin who could take somebody out or let them in: of whoever does ill nothing is expected, nor of
/// whose devices are older copies that know nothing of this log, though they may have founded the group a second time.
fn is_anybody_left_to_act(world: &World, side: &Side, about: &AccountAddress) -> bool {
    let hostile = world.hostile_address();
    let logs: BTreeSet<ChannelId> = side.channels.iter().map(|it| it.channel).collect();
    let cannot_act = |address: &AccountAddress| Some(address) == hostile || world.have_forgotten(address, &logs);
    let mut admins = side.shown.members.iter().filter(|member| member.role == Role::Admin);
    let can_act = |address: &AccountAddress| address != about && !cannot_act(address);
    let is_usual = hostile.is_none() && !admins.clone().any(|member| cannot_act(&member.person.address));
    is_usual || (Some(about) != hostile && admins.any(|member| can_act(&member.person.address)))
}

/// Everybody who is in reads the same epoch to the same end, and the group's own state names exactly them.
fn check_group_state(
    world: &World,
    seen: &Seen,
    (place, excused): (&Place, &BTreeSet<DeviceId>),
    inside: &[&Side],
) -> Result<(), String> {
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
        let has_forgotten = |id: &DeviceId| {
            let who = world.devices.iter().position(|it| it.id.as_ref().is_some_and(|(_, own)| own == id));
            who.is_some_and(|who| world.ledger.forgotten.contains(&(who, channel)))
        };
        let is_owed = |device: &&(AccountAddress, DeviceId)| {
            let (address, id) = *device;
            let is_excused = world.hostile_address() == Some(address) || excused.contains(id) || has_forgotten(id);
            readers.contains(*device) || !is_excused
        };
        if group.devices.iter().filter(is_owed).cloned().collect::<BTreeSet<_>>() != readers {
            let (members, readers) = (world.names_of(&group.devices), world.names_of(&readers));
            return Err(format!("the members of {place:?} are {members:?}, and those who read it are {readers:?}"));
        }
        let is_its = |side: &&&Side| side.channels.iter().any(|seen| seen.channel == channel);
        for side in inside.iter().filter(is_its) {
            // Nobody of theirs is left to put the devices of who did ill alike into several logs, of which one is shown.
            let is_owed =
                |address: &AccountAddress| world.hostile_address() != Some(address) || side.channels.len() == 1;
            for member in side.shown.members.iter().filter(|member| is_owed(&member.person.address)) {
                if world.has_forgotten_log_of(&member.person.address, place) {
                    continue;
                }
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

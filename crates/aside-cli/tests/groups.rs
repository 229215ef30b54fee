//! Groups by script, with real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
mod world;

use world::World;

fn members(world: &World, profile: &str, title: &str) -> Vec<String> {
    let group: serde_json::Value =
        serde_json::from_str(&world.ok(profile, &["group", "members", title, "--json"])).unwrap();
    let name = |member: &serde_json::Value| {
        let address = member["address"].as_str().unwrap().split('@').next().unwrap().to_owned();
        format!("{address} {}", member["role"].as_str().unwrap())
    };
    group["members"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn a_group_is_made_changed_and_left_by_scripts() {
    let world = World::new();
    ["alice", "bob", "carol"].iter().for_each(|name| world.join(name));
    world.befriend("alice", "bob");
    world.befriend("alice", "carol");
    world.ok("alice", &["group", "create", "Hikers", "bob"]);
    world.ok("alice", &["send", "Hikers", "before carol"]);
    world.ok("alice", &["group", "add", "Hikers", "carol"]);
    world.ok("alice", &["send", "Hikers", "with carol"]);
    assert_eq!(world.listen("bob").texts(2), ["before carol", "with carol"]);
    assert_eq!(world.listen("carol").texts(1), ["with carol"]);
    world.ok("alice", &["group", "rename", "Hikers", "Climbers"]);
    world.ok("alice", &["group", "promote", "Climbers", "bob"]);
    assert_eq!(members(&world, "bob", "Climbers"), ["bob admin", "alice admin", "carol member"]);
    let refused = world.aside("carol", &["group", "remove", "Climbers", "alice"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Only the group's admins"), "{refused:?}");
    world.ok("bob", &["group", "remove", "Climbers", "carol"]);
    world.ok("bob", &["send", "Climbers", "without carol"]);
    assert_eq!(world.listen("alice").texts(1), ["without carol"]);
    let refused = world.aside("carol", &["send", "Climbers", "am I in?"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("removed you from the group"), "{refused:?}");
    world.ok("alice", &["group", "leave", "Climbers"]);
    assert_eq!(members(&world, "bob", "Climbers"), ["bob admin"]);
    world.ok("bob", &["group", "leave", "Climbers"]);
}

#[test]
fn a_stranger_with_the_link_is_let_in_by_an_admin() {
    let world = World::new();
    ["alice", "bob", "dave"].iter().for_each(|name| world.join(name));
    world.befriend("alice", "bob");
    world.ok("alice", &["group", "create", "Hikers", "bob"]);
    let link = world.ok("alice", &["group", "invite", "Hikers"]);
    world.ok("dave", &["group", "join", link.trim()]);
    assert_eq!(world.ok("alice", &["group", "requests", "Hikers"]).trim(), world.person("dave"));
    world.ok("alice", &["group", "approve", "Hikers", "dave"]);
    world.ok("alice", &["send", "Hikers", "welcome, dave"]);
    assert_eq!(world.listen("dave").texts(1), ["welcome, dave"]);
    assert_eq!(members(&world, "bob", "Hikers"), ["bob member", "alice admin", "dave member"]);
}

//! One person with two profiles: linking, sharing, revoking, by the exact forms that scripts use, with real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use world::World;

/// `device accept`, and the code that it shows.
fn accept(world: &World, profile: &str, link: &str) -> (Child, String) {
    let mut child = world
        .command(profile, &["device", "accept", link, "--name", "Laptop"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let errors = BufReader::new(child.stderr.take().unwrap());
    let line = errors.lines().map(|line| line.unwrap()).find(|line| line.contains("compare this code")).unwrap();
    (child, line.rsplit(' ').next().unwrap().to_owned())
}

fn linked() -> World {
    let world = World::new();
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world.ok("bob", &["send", "alice", "before"]);
    assert_eq!(world.listen("alice").texts(1), ["before"]);
    let link = world.ok("alice", &["device", "link"]);
    let (child, code) = accept(&world, "laptop", link.trim());
    world.ok("alice", &["device", "approve", "--code", &code]);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), world.person("alice"));
    world
}

fn devices(world: &World, profile: &str) -> Vec<Value> {
    serde_json::from_str(&world.ok(profile, &["device", "list", "--json"])).unwrap()
}

#[test]
fn a_linked_profile_talks_as_the_same_person_and_a_revoked_one_hears_nothing_later() {
    let world = linked();
    assert_eq!(devices(&world, "alice").len(), 2);
    let of_laptop = devices(&world, "laptop");
    let laptop = of_laptop.iter().find(|device| device["is_this"] == true).unwrap();
    assert_eq!(laptop["name"], "Laptop");
    let chats = world.ok("laptop", &["chats"]);
    assert!(chats.contains("bob"), "{chats}");
    let bob = world.listen("bob");
    world.ok("laptop", &["send", "bob", "from the laptop"]);
    assert_eq!(bob.texts(1), ["from the laptop"]);
    world.ok("alice", &["send", "bob", "from the old one"]);
    assert_eq!(bob.texts(1), ["from the old one"]);
    bob.kill();
    let heard = world.listen("laptop");
    world.ok("bob", &["send", "alice", "to both"]);
    assert_eq!(heard.texts(1), ["to both"]);
    heard.kill();
    world.ok("alice", &["device", "revoke", laptop["id"].as_str().unwrap()]);
    world.ok("bob", &["send", "alice", "after"]);
    let revoked = devices(&world, "alice");
    assert!(revoked.iter().any(|device| device["name"] == "Laptop" && device["revoked_at"].is_i64()), "{revoked:?}");
    // Killed between a line and its mark, a listener may hear that line again.
    let listener = world.listen("alice");
    while listener.texts(1) != ["after"] {}
    drop(listener);
    let output = world.aside("laptop", &["send", "bob", "nobody hears this", "--timeout", "5"]);
    assert!(!output.status.success(), "{output:?}");
    let chats = world.ok("laptop", &["chats"]);
    assert!(!chats.contains("after"), "{chats}");
    // It says what it is, and refuses at once what it cannot do.
    assert!(world.ok("laptop", &["status"]).contains("removed from the account"));
    assert!(world.ok("laptop", &["device", "list"]).contains("this device, revoked"));
    for command in [&["device", "link"][..], &["backup"]] {
        let output = world.aside("laptop", command);
        assert!(String::from_utf8_lossy(&output.stderr).contains("link a fresh profile"), "{output:?}");
    }
}

#[test]
fn a_device_whose_code_differs_is_not_let_in() {
    let world = World::new();
    world.join("alice");
    let link = world.ok("alice", &["device", "link"]);
    let (mut child, code) = accept(&world, "thief", link.trim());
    let other = if code == "000000" { "111111" } else { "000000" };
    let output = world.aside("alice", &["device", "approve", "--code", other]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    world.ok("alice", &["device", "decline"]);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(devices(&world, "alice").len(), 1);
}

//! Contacts from the command line: strangers by name, blocking, links, scanning, names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
mod world;

use serde_json::Value;
use world::World;

fn two_accounts() -> World {
    let world = World::new();
    world.join("alice");
    world.join("bob");
    world
}

fn json(world: &World, profile: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&world.ok(profile, &[arguments, &["--json"]].concat())).unwrap()
}

/// What is there and was not listened to; a listener that ends by itself has marked all that it printed.
fn heard(world: &World, profile: &str) -> Vec<String> {
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].as_str().unwrap().to_owned();
    world.ok(profile, &["listen", "--no-follow", "--json"]).lines().map(text).collect()
}

fn words(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_stranger_found_by_name_waits_until_accepted() {
    let world = two_accounts();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    let added = world.aside("bob", &["contacts", "by-name", "alice"]);
    assert!(added.status.success(), "{added:?}");
    assert_eq!(String::from_utf8_lossy(&added.stdout).trim(), alice);
    assert!(words(&added).contains("Only the server says"), "{added:?}");
    world.ok("bob", &["send", "alice", "it is me"]);
    assert_eq!(world.ok("alice", &["requests", "list"]).trim(), bob);
    assert_eq!(json(&world, "alice", &["requests", "list"])[0]["peer"], bob.as_str());
    assert_eq!(world.ok("alice", &["contacts", "list"]), "");
    world.ok("alice", &["requests", "accept", "bob"]);
    assert_eq!(world.listen("alice").texts(1), ["it is me"]);
    assert_eq!(world.ok("alice", &["requests", "list"]), "");
    let code = json(&world, "alice", &["safety", "bob"])["code"].as_str().unwrap().to_owned();
    assert!(world.ok("bob", &["safety", "alice", "--scan", &code]).ends_with("\ncompared\n"));
    let own = json(&world, "bob", &["safety", "alice"])["code"].as_str().unwrap().to_owned();
    let differs = world.aside("bob", &["safety", "alice", "--scan", &own]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(words(&differs).contains("The codes differ"), "{differs:?}");
}

#[test]
fn a_declined_and_blocked_stranger_is_reported_and_gone() {
    let world = two_accounts();
    world.ok("bob", &["contacts", "by-name", "alice"]);
    world.ok("alice", &["requests", "list"]);
    world.ok("alice", &["requests", "decline", "bob", "--block", "--report"]);
    assert_eq!(world.ok("alice", &["requests", "list"]), "");
    assert_eq!(world.ok("alice", &["contacts", "list"]).trim(), format!("{}  blocked", world.person("bob")));
    world.ok("alice", &["contacts", "unblock", &world.person("bob")]);
    assert_eq!(world.ok("alice", &["contacts", "list"]), "");
    let nobody = world.aside("alice", &["requests", "accept", "bob"]);
    assert_eq!(nobody.status.code(), Some(4), "{nobody:?}");
}

#[test]
fn links_are_made_afresh_listed_and_withdrawn() {
    let world = two_accounts();
    let first = world.ok("alice", &["contacts", "link"]);
    assert_eq!(first, world.ok("alice", &["contacts", "link"]));
    let second = world.ok("alice", &["contacts", "link", "--fresh"]);
    assert_ne!(first, second);
    let links = json(&world, "alice", &["contacts", "links"]);
    let find = |link: &str| links.as_array().unwrap().iter().find(|row| row["link"] == link.trim()).unwrap().clone();
    assert_eq!(find(&first)["used"], 0);
    let id = find(&first)["id"].as_str().unwrap().to_owned();
    world.ok("alice", &["contacts", "links", "--withdraw", &id]);
    let refused = world.aside("bob", &["contacts", "add", first.trim()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(words(&refused).contains("withdrawn"), "{refused:?}");
    world.ok("bob", &["contacts", "add", second.trim()]);
    assert!(!world.aside("alice", &["contacts", "links", "--withdraw", &id]).status.success());
}

#[test]
fn contacts_are_named_blocked_and_removed() {
    let world = two_accounts();
    world.befriend("alice", "bob");
    world.ok("bob", &["contacts", "rename", "alice", "The Boss"]);
    world.ok("bob", &["send", "the boss", "hello"]);
    assert_eq!(heard(&world, "alice"), ["hello"]);
    assert!(world.ok("bob", &["contacts", "list"]).contains("(The Boss)"));
    world.ok("alice", &["contacts", "block", "bob"]);
    world.ok("bob", &["send", "alice", "unheard"]);
    assert!(heard(&world, "alice").is_empty());
    let refused = world.aside("alice", &["send", "bob", "x"]);
    assert!(words(&refused).contains("unblock them first"), "{refused:?}");
    world.ok("alice", &["contacts", "unblock", "bob"]);
    world.ok("bob", &["send", "alice", "heard"]);
    assert_eq!(heard(&world, "alice"), ["heard"]);
    world.ok("alice", &["contacts", "remove", "bob"]);
    assert_eq!(world.ok("alice", &["contacts", "list"]), "");
    world.ok("bob", &["send", "alice", "asks again"]);
    assert_eq!(world.ok("alice", &["requests", "list"]).trim(), world.person("bob"));
}

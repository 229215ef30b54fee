//! Two people, a server, and scripts: the exact forms that the command line promises, with real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod world;

use std::time::{Duration, Instant};
use world::World;

fn two_friends() -> World {
    let world = World::new();
    world.join("alice");
    world.join("bob");
    world.befriend("alice", "bob");
    world
}

#[test]
fn what_one_sends_the_other_hears_with_conversation_sender_text_and_time() {
    let world = two_friends();
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.ok("bob", &["send", &alice, "hello alice"]);
    let listener = world.listen("alice");
    let heard = listener.next();
    assert_eq!(heard["conversation"], bob);
    assert_eq!(heard["sender"], bob);
    assert_eq!(heard["text"], "hello alice");
    let age_ms = now_unix_ms() - heard["sent_at"].as_i64().unwrap();
    assert!((0..600_000).contains(&age_ms), "{heard}");
    // The listener owns the profile: sending goes through it, in the other direction of the same conversation.
    world.ok("alice", &["send", "bob", "hello bob"]);
    let answer = world.listen("bob");
    assert_eq!(answer.texts(1), ["hello bob"]);
    world.ok("bob", &["send", "alice", "live"]);
    assert_eq!(listener.texts(1), ["live"]);
}

#[test]
fn nothing_is_heard_twice_and_nothing_is_missed_by_who_was_away() {
    let world = two_friends();
    let alice = world.person("alice");
    let listener = world.listen("alice");
    world.ok("bob", &["send", &alice, "one"]);
    assert_eq!(listener.texts(1), ["one"]);
    // The mark follows the line: give it its moment.
    std::thread::sleep(Duration::from_millis(500));
    assert!(listener.interrupt().is_empty());
    for text in ["two", "three", "four"] {
        world.ok("bob", &["send", &alice, text]);
    }
    let listener = world.listen("alice");
    assert_eq!(listener.texts(3), ["two", "three", "four"]);
    listener.kill();
    world.ok("bob", &["send", &alice, "five"]);
    let listener = world.listen("alice");
    // Killed between a line and its mark, a listener may hear that line again, and nothing before it.
    let mut heard = listener.texts(1);
    while heard.last().unwrap() != "five" {
        heard.extend(listener.texts(1));
    }
    assert!(["two", "three", "four", "five"].ends_with(&heard.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn standard_input_is_sent_without_its_last_line_break() {
    let world = two_friends();
    world.send_from_stdin("bob", "alice", "first line\nsecond line\n");
    assert_eq!(world.listen("alice").texts(1), ["first line\nsecond line"]);
}

#[test]
fn what_the_server_did_not_acknowledge_is_reported_and_goes_out_later() {
    let mut world = two_friends();
    let alice = world.person("alice");
    world.ok("bob", &["send", &alice, "before"]);
    world.stop_server();
    let begun = Instant::now();
    let output = world.aside("bob", &["send", &alice, "during", "--timeout", "3"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("stays queued"), "{words}");
    assert!(output.stdout.is_empty());
    world.start_server();
    world.ok("bob", &["send", &alice, "after"]);
    assert_eq!(world.listen("alice").texts(3), ["before", "during", "after"]);
}

#[test]
fn both_restart_with_the_server_and_go_on() {
    let mut world = two_friends();
    world.ok("bob", &["send", "alice", "one"]);
    let (alice, bob) = (world.listen("alice"), world.listen("bob"));
    assert_eq!(alice.texts(1), ["one"]);
    world.stop_server();
    world.start_server();
    world.ok("alice", &["send", "bob", "two"]);
    assert_eq!(bob.texts(1), ["two"]);
    alice.kill();
    bob.kill();
    world.ok("bob", &["send", "alice", "three"]);
    world.ok("alice", &["send", "bob", "four"]);
    let heard = world.listen("bob").texts(1);
    assert!(heard == ["four"] || heard == ["two"], "{heard:?}");
}

#[test]
fn a_group_reaches_everybody_in_it() {
    let world = two_friends();
    world.join("carol");
    world.befriend("alice", "carol");
    world.ok("bob", &["send", "alice", "hi"]);
    world.ok("alice", &["contacts", "list"]);
    world.ok("alice", &["group", "create", "Friends of old", "bob", "carol"]);
    world.ok("alice", &["send", "Friends of old", "welcome"]);
    for name in ["bob", "carol"] {
        let heard = world.listen(name).next();
        assert_eq!(heard["conversation"], "Friends of old");
        assert_eq!(heard["sender"], world.person("alice"));
        assert_eq!(heard["text"], "welcome");
    }
}

#[test]
fn both_see_the_same_safety_number() {
    let world = two_friends();
    world.ok("bob", &["send", "alice", "hi"]);
    assert_eq!(world.listen("alice").texts(1), ["hi"]);
    let of_bob = world.ok("alice", &["safety", "bob"]);
    assert_eq!(of_bob, world.ok("bob", &["safety", "alice"]));
    assert!(world.ok("alice", &["safety", "bob", "--compared"]).ends_with("\ncompared\n"));
    assert_eq!(of_bob.split_ascii_whitespace().filter(|group| group.len() == 5).count(), 12);
}

#[test]
fn a_running_app_prints_its_address_and_serves_every_other_command() {
    use std::io::{BufRead, BufReader};
    let world = two_friends();
    let mut app =
        world.command("alice", &["app", "--no-browser"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(app.stdout.take().unwrap()).read_line(&mut address).unwrap();
    assert!(address.starts_with("http://127.0.0.1:") && address.contains("/open?secret="), "{address}");
    assert_eq!(world.ok("alice", &["app", "--no-browser"]), address);
    world.ok("bob", &["send", "alice", "to the app"]);
    assert_eq!(world.listen("alice").texts(1), ["to the app"]);
    assert!(world.ok("alice", &["chats"]).contains("to the app"));
    world.ok("alice", &["quit"]);
    assert!(app.wait().unwrap().success());
}

#[test]
fn a_used_invite_a_taken_name_and_a_wrong_passphrase_are_said_in_words() {
    let world = World::new();
    let invite = world.invite();
    world.ok("alice", &["join", &invite, "--name", "alice"]);
    let words = |output: std::process::Output| {
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(words(world.aside("bob", &["join", &invite, "--name", "bob"])).contains("invite"));
    let another = world.invite();
    assert!(words(world.aside("bob", &["join", &another, "--name", "alice"])).contains("taken"));
    // The invite was not spent on the refused name.
    world.ok("bob", &["join", &another, "--name", "bob"]);
    let wrong = world.command("bob", &["chats"]).env("ASIDE_PASSPHRASE", "wrong").output().unwrap();
    assert_eq!(wrong.status.code(), Some(5));
    let wrong = words(wrong);
    assert_eq!(wrong.lines().count(), 1, "{wrong}");
    assert!(wrong.contains("passphrase is wrong"), "{wrong}");
}

#[test]
fn commands_on_one_profile_at_once_wait_for_each_other() {
    let world = two_friends();
    let senders: Vec<_> =
        (0..6).map(|n| world.command("bob", &["send", "alice", &format!("text {n}")]).spawn().unwrap()).collect();
    for mut sender in senders {
        assert!(sender.wait().unwrap().success());
    }
    let mut heard = world.listen("alice").texts(6);
    heard.sort();
    assert_eq!(heard, (0..6).map(|n| format!("text {n}")).collect::<Vec<_>>());
}

#[test]
fn a_listener_takes_over_when_the_app_that_it_listened_through_ends() {
    let world = two_friends();
    let mut app = world.command("alice", &["app", "--no-browser"]).spawn().unwrap();
    world.wait_until_running("alice");
    let listener = world.listen("alice");
    world.ok("bob", &["send", "alice", "through the app"]);
    assert_eq!(listener.texts(1), ["through the app"]);
    app.kill().unwrap();
    app.wait().unwrap();
    world.ok("bob", &["send", "alice", "without the app"]);
    let mut heard = listener.texts(1);
    if heard == ["through the app"] {
        // The app was killed before the mark.
        heard = listener.texts(1);
    }
    assert_eq!(heard, ["without the app"]);
}

#[test]
fn a_server_with_another_key_is_refused_at_once_and_in_words() {
    let mut world = World::new();
    let invite = world.invite();
    world.replace_server();
    let begun = Instant::now();
    let output = world.aside("alice", &["join", &invite, "--name", "alice"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another key"), "{output:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn an_unknown_name_sends_nothing() {
    let world = two_friends();
    let output = world.aside("bob", &["send", "eve", "hello"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn no_disk_holds_what_was_said() {
    let world = two_friends();
    world.ok("bob", &["send", "alice", "canary-in-the-mine"]);
    let listener = world.listen("alice");
    assert_eq!(listener.texts(1), ["canary-in-the-mine"]);
    for (path, bytes) in world.disk() {
        let found = bytes.windows(18).any(|window| window == b"canary-in-the-mine");
        assert!(!found, "{}", path.display());
    }
}

fn now_unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

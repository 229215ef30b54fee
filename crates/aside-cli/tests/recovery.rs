//! Losing every device and coming back, with the real programs: by address and words, and by a file and the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
mod world;

use std::process::Output;
use world::World;

const SAID: &str = "canary that only the two of them may read";

fn restore(world: &World, profile: &str, arguments: &[&str], words: &str) -> Output {
    world.command(profile, arguments).env("ASIDE_PHRASE", words).output().unwrap()
}

fn words_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_server_holds_nothing(world: &World, secrets: &[&str]) {
    let disk: Vec<_> = world.disk().into_iter().filter(|(path, _)| !path.ends_with("words.txt")).collect();
    assert!(disk.iter().any(|(path, _)| path.components().any(|part| part.as_os_str() == "server")));
    for (path, bytes) in disk {
        for secret in secrets {
            let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!holds, "{} holds a secret", path.display());
        }
    }
}

#[test]
fn all_devices_lost_and_brought_back_by_words_and_by_file() {
    let world = World::new();
    world.join("alice");
    world.join("bob");
    world.befriend("bob", "alice");
    world.ok("alice", &["send", "bob", SAID]);
    let words = world.ok("alice", &["recovery", "phrase"]).trim().to_owned();
    assert_eq!(words.split(' ').count(), 24);

    let mistyped = words.replacen(words.split(' ').next().unwrap(), "asidely", 1);
    let refused = restore(&world, "alice", &["recovery", "confirm"], &mistyped);
    assert!(words_of(&refused).contains("ord 1 is none"), "{refused:?}");
    assert!(restore(&world, "alice", &["recovery", "confirm"], &words).status.success());
    assert!(words_of(&world.aside("alice", &["recovery", "phrase"])).contains("only your own paper"));

    assert!(world.ok("alice", &["backup"]).contains("bytes"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alice.age");
    let file = file.to_str().unwrap();
    world.ok("alice", &["backup", file]);
    assert!(std::fs::read(file).unwrap().starts_with(b"age-encryption.org/v1"));
    assert_server_holds_nothing(&world, &[SAID, &words]);

    // From the server, with nothing but address and words.
    let other = restore(&world, "other", &["recovery", "restore", &world.person("bob")], &words);
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert!(words_of(&other).contains("lets nobody in"), "{other:?}");
    let back = restore(&world, "new", &["recovery", "restore", &world.person("alice")], &words);
    assert!(back.status.success(), "{back:?}");
    assert!(words_of(&back).contains("the backup was made just now, with"), "{back:?}");
    assert!(world.ok("new", &["chats"]).contains(SAID));
    assert!(world.ok("new", &["contacts", "list"]).contains("bob@"));
    assert!(world.ok("new", &["status", "--json"]).contains("\"confirmed\":true"));

    // From the file; a damaged one is refused before anybody is asked.
    let bytes = std::fs::read(file).unwrap();
    let damaged = folder.path().join("damaged.age");
    std::fs::write(&damaged, &bytes[..bytes.len() - 1]).unwrap();
    let refused = restore(&world, "file", &["restore", damaged.to_str().unwrap()], &words);
    assert!(words_of(&refused).contains("damaged or cut off"), "{refused:?}");
    let back = restore(&world, "file", &["restore", file, "--json"], &words);
    assert!(back.status.success(), "{back:?}");
    let state: serde_json::Value = serde_json::from_slice(&back.stdout).unwrap();
    assert!(state["recovery"]["restored"]["backup_at"].is_i64(), "{state}");
    assert!(world.ok("file", &["chats"]).contains(SAID));
    assert_server_holds_nothing(&world, &[SAID, &words]);
}

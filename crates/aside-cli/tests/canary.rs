//! Two people talk, directly and in a group, through a real server, and everything that lies around afterwards is
//! searched for what they said: the server's directory, what it wrote to its logs, the clients' profiles and logs.
//!
//! The search looks for each canary whole and in halves (a database splits what is long between its pages), in plain,
//! UTF-16, hexadecimal and base64. `ASIDE_SEED` repeats the canaries of a run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// Each test needs a part of these.
#[allow(dead_code)]
mod siege;
#[allow(dead_code)]
mod world;

use reqwest::Method;
use serde_json::{Value, json};
use siege::{Caller, Dice, Process, folder, start_server_and_wait, wait_for};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use world::World;

/// What `world` protects profiles with.
const PASSPHRASE: &str = "correct horse";
/// Shorter pieces would turn up by chance.
const PIECE_BYTES_MIN: usize = 8;
const CANARY_LETTERS: usize = 24;

/// What is not to be found, each under a name.
type Canaries = BTreeMap<&'static str, String>;

/// Every form in which a text is looked for, each under a name.
fn forms(text: &str) -> Vec<(String, Vec<u8>)> {
    let (first, second) = text.split_at(text.len() / 2);
    let halves = [("first half", first), ("second half", second)];
    let pieces = [("whole", text)].into_iter().chain(halves).filter(|(_, piece)| piece.len() >= PIECE_BYTES_MIN);
    let mut forms = Vec::new();
    for (which, piece) in pieces {
        let mut add = |form: &str, bytes: Vec<u8>| forms.push((format!("{which}, {form}"), bytes));
        let hex: String = piece.bytes().map(|byte| format!("{byte:02x}")).collect();
        add("plain", piece.into());
        add("capitals", piece.to_uppercase().into());
        add("UTF-16LE", piece.encode_utf16().flat_map(u16::to_le_bytes).collect());
        add("UTF-16BE", piece.encode_utf16().flat_map(u16::to_be_bytes).collect());
        add("hexadecimal capitals", hex.to_uppercase().into());
        add("hexadecimal", hex.into());
        for shift in 0..3 {
            for (name, alphabet) in [("base64", b"+/"), ("base64url", b"-_")] {
                add(&format!("{name} at {shift}"), base64_inside(piece.as_bytes(), shift, *alphabet));
            }
        }
    }
    forms
}

/// The characters that base64 makes of a text that stands `shift` bytes behind a multiple of three, whatever stands
/// before and behind it (RFC 4648, section 4).
fn base64_inside(text: &[u8], shift: usize, last_two: [u8; 2]) -> Vec<u8> {
    let mut alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    alphabet.extend(last_two);
    let shifted: Vec<u8> = std::iter::repeat_n(0, shift).chain(text.iter().copied()).collect();
    let bits: Vec<u8> = shifted.iter().flat_map(|byte| (0..8).rev().map(move |bit| (byte >> bit) & 1)).collect();
    let sextets = bits.chunks_exact(6).map(|six| six.iter().fold(0, |value, bit| value * 2 + usize::from(*bit)));
    // The first ones hold bits of what stands before.
    sextets.map(|value| alphabet[value]).skip((shift * 8).div_ceil(6)).collect()
}

/// Every file below a folder, with its path in front of its content, so that names are searched too.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(folder).unwrap().to_owned();
                let mut bytes = inside.to_string_lossy().into_owned().into_bytes();
                // SQLite takes journals away at any time; what they held is in the database then.
                bytes.extend(std::fs::read(&path).unwrap_or_default());
                found.push((inside, bytes));
            }
        }
    }
    found
}

/// Where which canary was found, in which form.
fn search(files: &[(PathBuf, Vec<u8>)], canaries: &Canaries) -> Vec<String> {
    let mut found = Vec::new();
    for (name, canary) in canaries {
        for (form, bytes) in forms(canary) {
            for (path, content) in files.iter().filter(|(_, content)| contains(content, &bytes)) {
                found.push(format!("{name} ({form}) in {} of {} bytes", path.display(), content.len()));
            }
        }
    }
    found
}

fn contains(content: &[u8], wanted: &[u8]) -> bool {
    let (first, rest) = wanted.split_first().unwrap();
    let mut content = content;
    while let Some(at) = content.iter().position(|byte| byte == first) {
        content = &content[at + 1..];
        if content.starts_with(rest) {
            return true;
        }
    }
    false
}

/// Words of a log that could name somebody or something: addresses of networks, and what is long enough for an id.
fn identifying_words(log: &str) -> Vec<&str> {
    let is_part_of_word = |c: char| c.is_ascii_alphanumeric() || ".:+/_-@".contains(c);
    let is_suspect = |word: &&str| {
        let numbers = word.split(['.', ':']).filter(|part| part.parse::<u8>().is_ok()).count();
        let is_time = word.starts_with("20") && word.ends_with('Z') && word.contains('T') && word.len() <= 30;
        let is_long = word.len() >= 16 && word.bytes().any(|byte| byte.is_ascii_digit());
        numbers >= 4 || word.contains("::") || word.contains('@') || word.contains("localhost") || is_long && !is_time
    };
    log.split(|c| !is_part_of_word(c)).filter(is_suspect).collect()
}

/// Two people with running clients, whose words are kept.
struct Scene {
    world: World,
    server: Process,
    clients: Vec<Process>,
    people: [String; 2],
    folder: PathBuf,
    caller: Caller,
}

impl Scene {
    fn set(dice: &mut Dice) -> Self {
        let people = [format!("a{}", dice.letters(11)), format!("b{}", dice.letters(11))];
        let mut world = World::new();
        world.stop_server();
        let server = start_server_and_wait(&world);
        let folder = folder(&world);
        for person in &people {
            world.join(person);
        }
        world.befriend(&people[0], &people[1]);
        let caller = Caller::new(&folder.join("home"));
        let mut scene = Self { world, server, clients: Vec::new(), people, folder, caller };
        scene.start_clients();
        scene
    }

    fn start_clients(&mut self) {
        for person in &self.people {
            let out = File::options().create(true).append(true).open(self.log(person, "out")).unwrap();
            let mut command = self.world.command(person, &["app", "--no-browser"]);
            let log = self.log(person, "log");
            self.clients.push(Process::start("a client", command.stdout(out), &log));
        }
        for person in &self.people {
            self.caller.get(person, "/state");
        }
    }

    fn log(&self, person: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{person}.{kind}"))
    }

    fn peer(&self, index: usize) -> String {
        self.world.person(&self.people[1 - index])
    }

    /// A person's name for the conversation with this title.
    fn conversation(&self, index: usize, title: &str) -> String {
        wait_for("the conversation", || {
            let all = self.caller.get(&self.people[index], "/conversations");
            let one = all.as_array().unwrap().iter().find(|one| one["title"] == title && one["state"] == "active")?;
            Some(one["id"].as_str().unwrap().to_owned())
        })
    }

    fn post(&self, index: usize, path: &str, body: &Value) -> Value {
        self.caller.must(&self.people[index], Method::POST, path, body)
    }

    fn put(&self, index: usize, path: &str, body: &Value) -> Value {
        self.caller.must(&self.people[index], Method::PUT, path, body)
    }

    /// Waits until a person's timeline shows a text.
    fn sees(&self, index: usize, conversation: &str, canary: &str) {
        wait_for("a message to arrive", || {
            let timeline = self.caller.timeline(&self.people[index], conversation);
            timeline.iter().any(|message| message["text"].as_str().unwrap().contains(canary)).then_some(())
        });
    }

    /// Everything that can be said, said; everybody has seen it.
    fn talk(&self, canaries: &Canaries) {
        let of = |name: &str| canaries[name].as_str();
        // Long enough that some copy stands whole on a page of a database.
        let long = |name: &str| vec![of(name); 40].join(" ");
        let direct = [0, 1].map(|index| self.conversation(index, &self.people[1 - index]));
        let messages = |conversation: &str| format!("/conversations/{conversation}/messages?wait=sent");
        let first = self.post(0, &messages(&direct[0]), &json!({ "text": long("text") }));
        self.sees(1, &direct[1], of("text"));
        let reply = json!({ "text": of("reply"), "reply_to": first["id"] });
        self.post(1, &messages(&direct[1]), &reply);
        self.sees(0, &direct[0], of("reply"));
        let path = format!("/conversations/{}/messages/{}", direct[0], first["id"].as_str().unwrap());
        self.put(0, &path, &json!({ "text": long("edit") }));
        self.sees(1, &direct[1], of("edit"));
        self.world.ok(&self.people[0], &["send", &self.peer(0), of("command")]);
        self.sees(1, &direct[1], of("command"));
        self.world.send_from_stdin(&self.people[1], &self.peer(1), of("input"));
        self.sees(0, &direct[0], of("input"));

        self.post(0, "/groups", &json!({ "title": of("title"), "members": [self.peer(0)] }));
        let group = [0, 1].map(|index| self.conversation(index, of("title")));
        self.post(0, &messages(&group[0]), &json!({ "text": of("group text") }));
        self.sees(1, &group[1], of("group text"));
        self.post(1, &messages(&group[1]), &json!({ "text": long("group reply") }));
        self.sees(0, &group[0], of("group reply"));
        for (conversation, name) in [(&direct[0], "draft"), (&group[0], "group draft")] {
            self.put(0, &format!("/conversations/{conversation}/draft"), &json!({ "text": long(name) }));
            self.post(0, &format!("/conversations/{conversation}/typing"), &Value::Null);
            let shown = self.caller.get(&self.people[0], &format!("/conversations/{conversation}"));
            assert!(shown["draft"].as_str().unwrap().contains(of(name)));
        }
        let heard = self.world.ok(&self.people[1], &["listen", "--json", "--no-follow"]);
        assert!(heard.contains(of("group text")) && heard.contains(of("edit")), "{heard}");
        assert!(self.world.ok(&self.people[0], &["chats"]).contains(of("title")));
    }

    fn server_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = files(&self.folder.join("server"));
        all.extend(
            ["server.log", "server.out"].map(|name| (name.into(), std::fs::read(self.folder.join(name)).unwrap())),
        );
        all
    }

    /// The profiles, and what the programs wrote that ran on them.
    fn client_files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut all = Vec::new();
        for person in &self.people {
            // Not the profile's name: the person chose it to stand there.
            all.extend(files(&self.folder.join("home").join(person)));
            let logs = ["log", "out"].map(|kind| self.log(person, kind));
            all.extend(logs.map(|path| (path.file_name().unwrap().into(), std::fs::read(&path).unwrap())));
        }
        all
    }
}

fn canaries(dice: &mut Dice) -> Canaries {
    let names =
        ["text", "reply", "edit", "command", "input", "title", "group text", "group reply", "draft", "group draft"];
    names.into_iter().map(|name| (name, dice.letters(CANARY_LETTERS))).collect()
}

#[test]
fn neither_the_servers_disk_nor_a_locked_profile_nor_any_log_holds_what_was_said() {
    let (seed, mut dice) = Dice::seeded();
    // Shown only if the test fails.
    println!("ASIDE_SEED={seed}");
    let canaries = canaries(&mut dice);
    let mut scene = Scene::set(&mut dice);
    scene.talk(&canaries);
    let nobody = Vec::<String>::new();
    let passphrase = Canaries::from([("passphrase", PASSPHRASE.to_owned())]);
    let people: Canaries =
        ["first", "second"].into_iter().zip(&scene.people).map(|(which, name)| (which, name.clone())).collect();

    // As it would be seized: running, with its journals.
    let seized = scene.server_files();
    assert!(seized.iter().any(|(path, _)| path.to_string_lossy().ends_with("-wal")), "no journal was searched");
    assert_eq!(search(&seized, &canaries), nobody, "a running server");
    // That names are found, which the server has to know, shows that the search reads its databases.
    let known = search(&seized, &people);
    assert!(known.iter().any(|found| found.contains("whole, plain")), "the account names: {known:?}");
    assert_eq!(search(&scene.client_files(), &canaries), nobody, "running clients");
    assert_eq!(search(&scene.client_files(), &passphrase), nobody, "running clients");

    // And as it is found when it was told to stop, or crashed and started again.
    scene.server.kill();
    scene.server = start_server_and_wait(&scene.world);
    let direct = scene.conversation(0, &scene.people[1]);
    scene.post(0, &format!("/conversations/{direct}/messages?wait=sent"), &json!({ "text": canaries["text"] }));
    for client in &mut scene.clients {
        assert!(client.terminate().success());
    }
    assert!(scene.server.terminate().success());
    assert_eq!(search(&scene.server_files(), &canaries), nobody, "a stopped server");
    assert_eq!(search(&scene.server_files(), &passphrase), nobody, "a stopped server");
    let locked = scene.client_files();
    for forbidden in [&canaries, &passphrase, &people] {
        let in_profiles: Vec<_> = search(&locked, forbidden);
        assert_eq!(in_profiles, nobody, "locked profiles");
    }
    assert!(locked.iter().any(|(path, bytes)| path.ends_with("profile.db") && bytes.len() > 10_000));

    for name in ["server.log", "server.out"] {
        let log = std::fs::read_to_string(scene.folder.join(name)).unwrap();
        assert_eq!(identifying_words(&log), [""; 0], "{name}:\n{log}");
        let log = [(PathBuf::from(name), log.into_bytes())];
        assert_eq!(search(&log, &people), nobody);
    }
    let log = std::fs::read_to_string(scene.folder.join("server.log")).unwrap();
    assert!(log.lines().count() >= 3, "a log that says nothing proves nothing: {log:?}");
}

/// Without this, the search above could be one that finds nothing anywhere.
#[test]
fn the_search_finds_a_canary_in_every_form_and_place() {
    let (seed, mut dice) = Dice::seeded();
    println!("ASIDE_SEED={seed}");
    let canary = dice.letters(CANARY_LETTERS);
    let wanted = Canaries::from([("planted", canary.clone())]);
    let world = World::new();
    let copy = tempfile::tempdir().unwrap();
    for (path, bytes) in files(&folder(&world).join("server")) {
        let target = copy.path().join(&path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
    assert!(files(copy.path()).len() > 3, "the server's directory is empty");
    assert_eq!(search(&files(copy.path()), &wanted), [""; 0]);

    // Whatever is planted is found, in its own form and place: every form once, and in every file something.
    let paths: Vec<PathBuf> = files(copy.path()).into_iter().map(|(path, _)| path).collect();
    let forms = forms(&canary);
    for ((form, bytes), path) in forms.iter().zip(paths.iter().cycle()) {
        let target = copy.path().join(path);
        let before = std::fs::read(&target).unwrap();
        File::options().append(true).open(&target).unwrap().write_all(&[b"\0", bytes.as_slice()].concat()).unwrap();
        let found = search(&files(copy.path()), &wanted);
        let is_found = found.iter().any(|found| found.contains(&format!("({form}) in {}", path.display())));
        assert!(is_found, "{form} in {}: {found:?}", path.display());
        std::fs::write(&target, before).unwrap();
    }
    assert!(forms.len() > paths.len(), "not every file was tried");
    std::fs::write(copy.path().join(&canary), b"").unwrap();
    assert!(!search(&files(copy.path()), &wanted).is_empty(), "a file's name");
}

#[test]
fn base64_is_found_wherever_the_text_stands_in_it() {
    // RFC 4648's own alphabet, made by another program: `printf xcanary-canary | base64` and so on.
    for (encoded, shift) in [("Y2FuYXJ5LWNhbmFyeQ==", 0), ("eGNhbmFyeS1jYW5hcnk=", 1), ("eHhjYW5hcnktY2FuYXJ5", 2)] {
        let inside = base64_inside(b"canary-canary", shift, *b"+/");
        assert!(inside.len() >= 16 && contains(encoded.as_bytes(), &inside), "{}", String::from_utf8_lossy(&inside));
    }
}

#[test]
fn a_log_that_names_a_network_address_an_account_or_an_id_is_noticed() {
    for line in [
        "accepted from 127.0.0.1:4711",
        "peer=192.0.2.7",
        "listening on [::1]:8443",
        "listening on localhost:8443",
        "alice@chat.example joined",
        "channel 00112233445566778899aabbccddeeff",
        "channel=q83vEjRWeJCrze8SNFZ4kA",
    ] {
        assert_ne!(identifying_words(line), [""; 0], "{line}");
    }
    let harmless =
        "2026-11-23T01:30:32.123456Z  INFO the server takes connections event=\"started\" number=1 fault=\"\"";
    assert_eq!(identifying_words(harmless), [""; 0]);
    assert_eq!(identifying_words("certificate_ends_soon limits.connections_max is reached"), [""; 0]);
}

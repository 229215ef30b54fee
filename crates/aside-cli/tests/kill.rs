//! A real server and two people's real clients are killed fifty times while messages are written in two conversations.
//! What was acknowledged stands, once, in one order, for both.
//!
//! `ASIDE_SEED` repeats the choices of a run; when processes run is the system's choice all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// Each test needs a part of these.
#[allow(dead_code)]
mod siege;
#[allow(dead_code)]
mod world;

use reqwest::Method;
use serde_json::{Value, json};
use siege::{Caller, Dice, Process, folder, look_for, start_server, start_server_and_wait, wait_for};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use world::World;

/// As many of the server as of clients.
const KILLS: u64 = 50;
const PEOPLE: [&str; 2] = ["alice", "bob"];
const GROUP: &str = "The besieged";
const SET_UP: [&str; 3] = ["It begins.", "It does.", "All are here."];
/// Between two kills happen so many things at most (a message acknowledged, a line heard).
const EVENTS_BETWEEN_KILLS_MAX: u64 = 12;
/// And then so long at most, so that a kill does not always follow right upon an event.
const JITTER_MS_MAX: u64 = 40;
/// Messages of a page of `listen`: so many lines may have been written and not marked when a listener is killed.
const UNMARKED_MAX: usize = 100;

/// What the threads share.
struct Siege {
    home: PathBuf,
    is_over: AtomicBool,
    events: AtomicU64,
    written: Mutex<Written>,
}

/// What was tried, and what of it was acknowledged, in the order in which each writer got to know.
#[derive(Default)]
struct Written {
    tried: HashSet<String>,
    acknowledged: Vec<Acknowledged>,
}

#[derive(Clone)]
struct Acknowledged {
    writer: usize,
    is_in_group: bool,
    text: String,
}

impl Siege {
    fn happened(&self) {
        self.events.fetch_add(1, Ordering::SeqCst);
    }

    /// Writes one message after the other until the siege is over. `send` gives whether it was acknowledged.
    fn write(&self, writer: usize, mut dice: Dice, mut send: impl FnMut(&str, &str, Destination) -> bool) {
        let person = PEOPLE[writer % PEOPLE.len()];
        for number in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let destination = if dice.below(2) == 0 { Destination::Friend } else { Destination::Group };
            let length = usize::try_from(dice.below(900)).unwrap();
            let text = format!("{person} {writer} {number} {}", dice.letters(length));
            self.written.lock().unwrap().tried.insert(text.clone());
            if send(person, &text, destination) {
                let is_in_group = destination == Destination::Group;
                self.written.lock().unwrap().acknowledged.push(Acknowledged { writer, is_in_group, text });
                self.happened();
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Friend,
    Group,
}

/// A person's `listen`, which is also their client: one life after the other.
struct Listener {
    profile: &'static str,
    process: Process,
    /// What each life wrote, line by line.
    lives: Vec<Arc<Mutex<Vec<Value>>>>,
}

impl Listener {
    fn start(world: &World, siege: &Arc<Siege>, profile: &'static str) -> Self {
        let (process, life) = Self::live(world, siege, profile);
        Self { profile, process, lives: vec![life] }
    }

    fn restart(&mut self, world: &World, siege: &Arc<Siege>) {
        let (process, life) = Self::live(world, siege, self.profile);
        self.process = process;
        self.lives.push(life);
    }

    fn live(world: &World, siege: &Arc<Siege>, profile: &str) -> (Process, Arc<Mutex<Vec<Value>>>) {
        let mut command = world.command(profile, &["listen", "--json"]);
        let log = folder(world).join(format!("{profile}.log"));
        let mut process = Process::start(&format!("{profile}'s client"), command.stdout(Stdio::piped()), &log);
        let life = Arc::new(Mutex::new(Vec::new()));
        let (mut out, siege, heard) = (BufReader::new(process.stdout()), siege.clone(), life.clone());
        std::thread::spawn(move || {
            let mut line = String::new();
            // A line that a kill cut short was not shown.
            while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
                siege.happened();
                line.clear();
            }
        });
        (process, life)
    }

    /// The texts of one conversation that each life showed.
    fn shown(&self, conversation: &str) -> Vec<Vec<String>> {
        let of_life = |life: &Arc<Mutex<Vec<Value>>>| {
            let lines = life.lock().unwrap();
            lines.iter().filter(|line| line["conversation_id"] == conversation).map(text).collect()
        };
        self.lives.iter().map(of_life).collect()
    }
}

/// A command that is running just now, for whoever wants to kill it.
type Running = Arc<Mutex<Option<Process>>>;

#[test]
fn fifty_kills_lose_nothing_acknowledged_and_double_nothing() {
    let (seed, mut dice) = Dice::seeded();
    // Shown only if the test fails.
    println!("ASIDE_SEED={seed}");
    let mut world = World::new();
    world.stop_server();
    let mut server = start_server_and_wait(&world);
    set_up(&world);

    let home = folder(&world).join("home");
    let siege =
        Arc::new(Siege { home, is_over: AtomicBool::new(false), events: AtomicU64::new(0), written: Mutex::default() });
    let mut listeners = PEOPLE.map(|profile| Listener::start(&world, &siege, profile));
    let commands: [Running; 2] = Default::default();
    let conversations = Conversations::find(&Caller::new(&siege.home));

    let begun = Instant::now();
    std::thread::scope(|scope| {
        let _over = Over(&siege);
        for (index, running) in commands.iter().enumerate() {
            let (siege, world, conversations, api_dice, command_dice) =
                (&siege, &world, &conversations, dice.fork(), dice.fork());
            scope.spawn(move || {
                let caller = Caller::new(&siege.home);
                siege.write(index, api_dice, |person, text, destination| {
                    send_by_api(&caller, person, conversations.of(index, destination), text)
                });
            });
            scope.spawn(move || {
                let caller = Caller::new(&siege.home);
                let mut own = command_dice.clone();
                siege.write(index + PEOPLE.len(), command_dice, |person, text, destination| {
                    // Else the commands would take the profile from each other, and the listener would never get it.
                    if own.below(6) > 0 {
                        wait_for_client(&caller, person);
                    }
                    send_by_command(world, running, person, conversations.of(index, destination), text)
                });
            });
        }
        for kill in 0..KILLS {
            wait_for_a_moment(&siege, &mut dice, &mut server, &mut listeners);
            if kill % 2 == 0 {
                server.kill();
                server = start_server(&world);
                continue;
            }
            let who = usize::try_from(dice.below(2)).unwrap();
            if dice.below(3) > 0 || !kill_command(&commands[who]) {
                listeners[who].process.kill();
                listeners[who].restart(&world, &siege);
            }
        }
    });
    println!("{KILLS} kills in {} ms", begun.elapsed().as_millis());
    let caller = Caller::new(&siege.home);
    let timelines = settle(&caller, &conversations, &siege, &mut listeners, &mut server);
    check(&caller, &conversations, &siege.written.lock().unwrap(), &timelines, &listeners);
    rest(&world, listeners);
    println!("all of it took {} ms", begun.elapsed().as_millis());
}

/// Kills a command that runs; gives whether there was one.
fn kill_command(running: &Running) -> bool {
    let mut running = running.lock().unwrap();
    let Some(process) = running.as_mut().and_then(|process| process.ended().is_none().then_some(process)) else {
        return false;
    };
    process.kill();
    true
}

/// Ends the writers, also where the test ends by a failure.
struct Over<'a>(&'a Siege);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

/// Two people who can write to each other, directly and in a group.
fn set_up(world: &World) {
    for person in PEOPLE {
        world.join(person);
    }
    world.befriend("alice", "bob");
    world.ok("bob", &["send", "alice", SET_UP[0]]);
    world.ok("alice", &["send", "bob", SET_UP[1]]);
    world.ok("alice", &["group", "create", GROUP, "bob"]);
    world.ok("alice", &["send", GROUP, SET_UP[2]]);
}

/// Each person's names for the two conversations.
struct Conversations {
    friend: [String; 2],
    group: [String; 2],
}

impl Conversations {
    fn find(caller: &Caller) -> Self {
        let id = |profile: &str, kind: &str| {
            wait_for(&format!("{profile}'s {kind} conversation"), || {
                let all = caller.get(profile, "/conversations");
                let mut found = all.as_array().unwrap().iter().filter(|one| one["kind"] == kind);
                let one = found.next().filter(|one| one["state"] == "active")?;
                assert!(found.next().is_none(), "two of one kind: {all}");
                Some(one["id"].as_str().unwrap().to_owned())
            })
        };
        Self { friend: PEOPLE.map(|person| id(person, "direct")), group: PEOPLE.map(|person| id(person, "group")) }
    }

    fn of(&self, index: usize, destination: Destination) -> &str {
        match destination {
            Destination::Friend => &self.friend[index],
            Destination::Group => &self.group[index],
        }
    }
}

/// Over the loopback API. No answer is no acknowledgement, whatever happened.
fn send_by_api(caller: &Caller, person: &str, conversation: &str, text: &str) -> bool {
    wait_for_client(caller, person);
    let path = format!("/conversations/{conversation}/messages?wait=sent&seconds=10");
    match caller.call(person, Method::POST, &path, Some(&json!({ "text": text }))) {
        Some((200, message)) => {
            assert!(is_sent(&message), "acknowledged, and not sent: {message}");
            true
        }
        // 401: a client that was killed, and somebody else's on its port.
        Some((401 | 503 | 504, _)) | None => false,
        Some((status, value)) => panic!("{person} was refused: {status} {value}"),
    }
}

/// Waits until the person's client answers. It may be killed right after.
fn wait_for_client(caller: &Caller, person: &str) {
    wait_for(&format!("{person}'s client"), || {
        caller.call(person, Method::GET, "/state", None).filter(|(status, _)| *status == 200)
    });
}

/// By `aside send`, through the running client or, where that was killed, a client of its own.
fn send_by_command(world: &World, running: &Running, person: &str, conversation: &str, text: &str) -> bool {
    let mut command = world.command(person, &["send", conversation, text, "--timeout", "10"]);
    let log = folder(world).join(format!("{person}-send.log"));
    let process = Process::start(&format!("{person}'s command"), command.stdout(Stdio::null()), &log);
    *running.lock().unwrap() = Some(process);
    let status = wait_for(&format!("the end of {person}'s command"), || {
        let mut running = running.lock().unwrap();
        let status = running.as_mut().and_then(Process::ended)?;
        *running = None;
        Some(status)
    });
    // Killed, or: the client went away (1), the server did not answer (3), the profile stayed in use (5).
    assert!(matches!(status.code(), None | Some(0 | 1 | 3 | 5)), "{person}'s command: {status}");
    status.success()
}

/// Waits until a few things have happened, and a little longer.
fn wait_for_a_moment(siege: &Siege, dice: &mut Dice, server: &mut Process, listeners: &mut [Listener; 2]) {
    // One in four kills hits what is just starting.
    let events = if dice.below(4) == 0 { 0 } else { 1 + dice.below(EVENTS_BETWEEN_KILLS_MAX) };
    let enough = siege.events.load(Ordering::SeqCst) + events;
    wait_for("something to happen under siege", || {
        server.still_runs();
        listeners.iter_mut().for_each(|listener| listener.process.still_runs());
        (siege.events.load(Ordering::SeqCst) >= enough).then_some(())
    });
    std::thread::sleep(Duration::from_micros(dice.below(JITTER_MS_MAX * 1000)));
}

/// What both sides show of the two conversations, once nothing moves any more: `[conversation][person]`.
type Timelines = [[Vec<Value>; 2]; 2];

/// Lets both people write a last word into each conversation, and waits until both timelines say the same and nothing is
/// queued.
fn settle(
    caller: &Caller,
    conversations: &Conversations,
    siege: &Siege,
    listeners: &mut [Listener; 2],
    server: &mut Process,
) -> Timelines {
    for (index, person) in PEOPLE.iter().enumerate() {
        for destination in [Destination::Friend, Destination::Group] {
            let conversation = conversations.of(index, destination);
            let mut attempt = 0;
            wait_for(&format!("{person}'s last word"), || {
                attempt += 1;
                let text = format!("{person} has a last word ({attempt})");
                siege.written.lock().unwrap().tried.insert(text.clone());
                send_by_api(caller, person, conversation, &text).then_some(())
            });
        }
    }
    let mut last = None;
    // Where they never agree, the checks say in what they differ.
    look_for(|| {
        server.still_runs();
        listeners.iter_mut().for_each(|listener| listener.process.still_runs());
        let timelines = [&conversations.friend, &conversations.group]
            .map(|ids| [0, 1].map(|person| caller.timeline(PEOPLE[person], &ids[person])));
        let agree = timelines.iter().all(|[of_alice, of_bob]| said(of_alice) == said(of_bob));
        let rests = timelines.iter().flatten().flatten().all(|message| message["delivery"] != "queued");
        let heard = listeners.iter().enumerate().all(|(person, listener)| {
            [&conversations.friend, &conversations.group].iter().zip(&timelines).all(|(ids, timeline)| {
                let shown = listener.shown(&ids[person]);
                of_others(&timeline[person]).last() == shown.iter().flatten().last()
            })
        });
        last = Some(timelines);
        (agree && rests && heard).then_some(())
    });
    last.unwrap()
}

fn check(
    caller: &Caller,
    conversations: &Conversations,
    written: &Written,
    timelines: &Timelines,
    listeners: &[Listener; 2],
) {
    for person in PEOPLE {
        for conversation in caller.get(person, "/conversations").as_array().unwrap() {
            assert_eq!(conversation["state"], "active", "{conversation}");
            assert_eq!(conversation["paused_reason"], Value::Null, "{conversation}");
        }
    }
    for (is_in_group, [of_alice, of_bob]) in [false, true].into_iter().zip(timelines) {
        let acknowledged: Vec<_> =
            written.acknowledged.iter().filter(|one| one.is_in_group == is_in_group).cloned().collect();
        check_timelines(of_alice, of_bob, &written.tried, &acknowledged);
    }
    println!("{} messages acknowledged, {} tried", written.acknowledged.len(), written.tried.len());
    assert!(written.acknowledged.len() > 50, "too little was written for the kills to mean anything");
    for (person, listener) in listeners.iter().enumerate() {
        for (ids, timeline) in [&conversations.friend, &conversations.group].iter().zip(timelines) {
            check_listening(&of_others(&timeline[person]), &listener.shown(&ids[person]));
        }
    }
}

/// Both show the same, once, and nothing but what was tried; everything acknowledged is among it, in each writer's order.
fn check_timelines(of_alice: &[Value], of_bob: &[Value], tried: &HashSet<String>, acknowledged: &[Acknowledged]) {
    let texts: Vec<String> = of_alice.iter().map(text).collect();
    let gone = acknowledged.iter().find(|one| !texts.contains(&one.text));
    assert!(gone.is_none(), "an acknowledged message is gone");
    assert_eq!(texts.iter().collect::<HashSet<_>>().len(), texts.len(), "something stands twice");
    let (alice_shows, bob_shows) = (said(of_alice), said(of_bob));
    let differ =
        (0..alice_shows.len().max(bob_shows.len())).find(|place| alice_shows.get(*place) != bob_shows.get(*place));
    if let Some(place) = differ {
        let (of_alice, of_bob) = (alice_shows.get(place), bob_shows.get(place));
        panic!("the two do not show the same from place {place} on: {of_alice:?}, and {of_bob:?}");
    }
    for message in of_alice.iter().chain(of_bob).filter(|message| message["sender"]["is_self"] == true) {
        assert!(is_sent(message), "not sent: {message}");
    }
    let untried = texts.iter().find(|text| !tried.contains(*text) && !SET_UP.contains(&text.as_str()));
    assert_eq!(untried, None, "nobody wrote this");
    for writer in 0..2 * PEOPLE.len() {
        let mine = acknowledged.iter().filter(|one| one.writer == writer);
        assert!(
            mine.map(|one| texts.iter().position(|text| *text == one.text)).is_sorted(),
            "writer {writer}: what was acknowledged earlier stands later"
        );
    }
}

/// Each life of a listener goes on where the one before stopped, or a few lines earlier: those whose mark it did not
/// live to set. It leaves nothing out, and shows nothing twice itself.
fn check_listening(expected: &[String], lives: &[Vec<String>]) {
    let mut next = 0;
    for life in lives.iter().filter(|life| !life.is_empty()) {
        let begin = expected.iter().position(|text| *text == life[0]).expect("something was heard that nobody wrote");
        assert!(begin <= next, "{} messages were not heard", begin - next);
        assert!(next - begin <= UNMARKED_MAX, "{} messages were heard again", next - begin);
        assert!(expected[begin..].starts_with(life), "one life of a listener left something out, or repeated it");
        next = next.max(begin + life.len());
    }
    assert_eq!(next, expected.len(), "the last messages were not heard");
}

/// After an orderly end at rest nothing is heard again.
fn rest(world: &World, mut listeners: [Listener; 2]) {
    for listener in &mut listeners {
        let profile = listener.profile;
        // The last mark follows the last line at once; a listener that is asked at any time sees whether it was set.
        let nothing_is_left = || world.ok(profile, &["listen", "--json", "--no-follow"]).is_empty().then_some(());
        wait_for("every line to be marked", nothing_is_left);
        assert!(listener.process.terminate().success());
        assert_eq!(world.ok(profile, &["listen", "--json", "--no-follow"]), "");
    }
}

/// Who said what, in order.
fn said(timeline: &[Value]) -> Vec<(Value, String)> {
    timeline.iter().map(|message| (message["sender"]["address"].clone(), text(message))).collect()
}

fn of_others(timeline: &[Value]) -> Vec<String> {
    timeline.iter().filter(|message| message["sender"]["is_self"] == false).map(text).collect()
}

fn text(message: &Value) -> String {
    message["text"].as_str().unwrap().to_owned()
}

fn is_sent(message: &Value) -> bool {
    ["sent", "delivered", "read"].iter().any(|word| message["delivery"] == *word)
}

/// What the checks say about timelines and listeners that are made up. Without this, they could be checks that find
/// nothing.
mod checks {
    use super::*;

    fn timeline(own: &str, texts: &[&str]) -> Vec<Value> {
        let message = |text: &&str| {
            let writer = if text.starts_with('a') { "alice" } else { "bob" };
            let delivery = if writer == own { json!("sent") } else { Value::Null };
            json!({ "text": text, "sender": { "address": writer, "is_self": writer == own }, "delivery": delivery })
        };
        texts.iter().map(message).collect()
    }

    fn written(texts: &[&str]) -> (HashSet<String>, Vec<Acknowledged>) {
        let one = |text: &&str| Acknowledged { writer: 0, is_in_group: false, text: (*text).to_owned() };
        (texts.iter().map(|text| (*text).to_owned()).collect(), texts.iter().map(one).collect())
    }

    fn check(of_alice: &[&str], of_bob: &[&str]) {
        let (tried, acknowledged) = written(&["a1", "b1", "a2"]);
        check_timelines(&timeline("alice", of_alice), &timeline("bob", of_bob), &tried, &acknowledged);
    }

    fn listen(lives: &[&[&str]]) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        check_listening(&owned(&["1", "2", "3", "4"]), &lives.iter().map(|life| owned(life)).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_right_is_found_right() {
        check(&["a1", "b1", "a2"], &["a1", "b1", "a2"]);
        listen(&[&["1", "2"], &[], &["3", "4"]]);
        listen(&[&["1", "2", "3"], &["2", "3"], &["3", "4"]]);
    }

    #[test]
    #[should_panic(expected = "an acknowledged message is gone")]
    fn a_lost_message_is_noticed() {
        check(&["a1", "b1"], &["a1", "b1"]);
    }

    #[test]
    #[should_panic(expected = "something stands twice")]
    fn a_doubled_message_is_noticed() {
        check(&["a1", "b1", "a2", "a2"], &["a1", "b1", "a2", "a2"]);
    }

    #[test]
    #[should_panic(expected = "the two do not show the same")]
    fn another_order_for_the_other_is_noticed() {
        check(&["a1", "b1", "a2"], &["a1", "a2", "b1"]);
    }

    #[test]
    #[should_panic(expected = "what was acknowledged earlier stands later")]
    fn another_order_than_that_of_acknowledgement_is_noticed() {
        check(&["a2", "b1", "a1"], &["a2", "b1", "a1"]);
    }

    #[test]
    #[should_panic(expected = "nobody wrote this")]
    fn a_message_that_nobody_wrote_is_noticed() {
        check(&["a1", "b1", "a2", "b9"], &["a1", "b1", "a2", "b9"]);
    }

    #[test]
    #[should_panic(expected = "1 messages were not heard")]
    fn a_message_that_was_not_heard_is_noticed() {
        listen(&[&["1", "2"], &["4"]]);
    }

    #[test]
    #[should_panic(expected = "the last messages were not heard")]
    fn a_last_message_that_was_not_heard_is_noticed() {
        listen(&[&["1", "2"], &["3"]]);
    }

    #[test]
    #[should_panic(expected = "left something out, or repeated it")]
    fn a_message_that_one_life_hears_twice_is_noticed() {
        listen(&[&["1", "2", "2", "3", "4"]]);
    }
}

//! Losing every device, and coming back with the words alone: from the server, from a file, and from neither where
//! somebody lies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{
    Answer, Command, ConnectionKind, DeviceCommand, History, Look, LostDevices, RestoreFrom, Verification,
};
use aside_engine::recovery::{FoundBackup, RestoreState, TypedPhrase};
use aside_engine::settings::Settings;
use aside_engine::view::{ConversationState, JoinState, parse_device_id};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{Answer as Reply, FromClient, FromServer, Request};
use aside_protocol::key::PublicKey;
use aside_protocol::refusal::Refusal;
use aside_simulator::calm::Calm;

/// Two friends who have talked; the first one's account is backed up.
fn talked(seed: u64) -> (Calm, String) {
    talked_among(seed, 2)
}

/// As [`talked`], in a world of more people.
fn talked_among(seed: u64, people: usize) -> (Calm, String) {
    let mut calm = Calm::new(seed, people);
    calm.befriend(0, 1);
    calm.write(0, "the first words").unwrap();
    calm.settle();
    calm.write(1, "the answer").unwrap();
    calm.settle();
    let conversation = calm.first_conversation(0).unwrap().id;
    calm.command(0, Command::SetVerified { conversation, verified: Verification::Verified }).unwrap();
    let words = calm.engine(0).unwrap().phrase().unwrap().unwrap().join(" ");
    calm.back_up(0);
    calm.settle();
    calm.wait_ms(2_000);
    calm.settle();
    assert!(calm.engine(0).unwrap().recovery_state().unwrap().backup.at.is_some(), "the backup is on the server");
    (calm, words)
}

fn from_server(calm: &Calm, words: &str) -> Command {
    let address = "p0@calm.example".parse().unwrap();
    let from = RestoreFrom::Server { address, server: calm.pin(), is_claimed: true };
    restore(words, from)
}

fn restore(words: &str, from: RestoreFrom) -> Command {
    let phrase = TypedPhrase::new(words.to_owned());
    Command::Restore { phrase, from, lost: LostDevices::Revoke, look: Look::UseAtOnce }
}

fn keeping(command: Command) -> Command {
    match command {
        Command::Restore { phrase, from, look, .. } => Command::Restore { phrase, from, lost: LostDevices::Keep, look },
        other => other,
    }
}

fn looking(command: Command) -> Command {
    match command {
        Command::Restore { phrase, from, lost, .. } => Command::Restore { phrase, from, lost, look: Look::First },
        other => other,
    }
}

/// The first person's device is lost, and another one comes back this way.
fn come_back(calm: &mut Calm, command: Command) -> usize {
    calm.stop(0);
    let new = calm.newcomer();
    calm.attempt(new, command).unwrap();
    calm.settle();
    new
}

/// The first person's account in a file.
fn backup_file(calm: &mut Calm) -> Vec<Vec<u8>> {
    calm.command(0, Command::MakeBackupFile).unwrap();
    let (parts, bytes) = calm.engine(0).unwrap().backup_file_size().unwrap();
    assert!(bytes >= 64 * 1024);
    (0..parts).map(|part| calm.engine(0).unwrap().backup_file_part(part).unwrap().unwrap()).collect()
}

fn give_file(calm: &mut Calm, who: usize, file: Vec<Vec<u8>>) {
    for (part, bytes) in (0..).zip(file) {
        calm.command(who, Command::TakeBackupFile { part, bytes }).unwrap();
    }
}

/// Everything that is there after a restore.
fn assert_back(calm: &Calm, who: usize) {
    let engine = calm.engine(who).unwrap();
    assert_eq!(engine.restore_state(), RestoreState::None);
    let JoinState::Joined(account) = engine.join_state().unwrap() else { panic!("{:?}", engine.join_state()) };
    assert_eq!(account.address.to_string(), "p0@calm.example");
    assert_eq!(calm.texts(who), ["the first words", "the answer"]);
    let contacts = calm.contacts(who);
    assert_eq!(contacts.len(), 1);
    assert!(contacts[0].verified);
    // No group state came back: the friend's device has let this one in, or is asked to.
    let state = calm.first_conversation(who).unwrap().state;
    assert!(matches!(state, ConversationState::Active | ConversationState::Pending), "{state:?}");
    let recovery = engine.recovery_state().unwrap();
    assert!(recovery.confirmed && engine.phrase().unwrap().is_none(), "the words are not written down");
    assert_eq!(engine.sign_in_refusal(), None);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

fn failure(calm: &Calm, who: usize) -> String {
    match calm.engine(who).unwrap().restore_state() {
        RestoreState::Failed { words } => words,
        other => panic!("{other:?}"),
    }
}

/// Nothing of the account was changed: the device that was only switched off goes on.
fn assert_untouched(mut calm: Calm, restored: usize) {
    assert_eq!(calm.engine(restored).unwrap().join_state().unwrap(), JoinState::NotJoined);
    calm.be_honest();
    calm.start(0);
    calm.settle();
    calm.write(0, "still here").unwrap();
    calm.settle();
    assert_eq!(calm.texts(1).last().unwrap(), "still here");
    assert_eq!(calm.engine(0).unwrap().sign_in_refusal(), None);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn after_the_loss_of_all_devices_address_and_words_bring_everything_back_from_the_server() {
    let (mut calm, words) = talked(1);
    let command = from_server(&calm, &words);
    let new = come_back(&mut calm, command);
    assert_back(&calm, new);
    // The conversation goes on with a fresh leaf, in both directions.
    calm.write(new, "I am back").unwrap();
    calm.settle();
    calm.write(1, "welcome").unwrap();
    calm.settle();
    for who in [new, 1] {
        assert_eq!(calm.texts(who), ["the first words", "the answer", "I am back", "welcome"]);
    }
    assert_eq!(calm.first_conversation(1).unwrap().state, ConversationState::Active, "root signed: nobody is alarmed");
    // The lost device is no longer of the account.
    calm.start(0);
    calm.settle();
    assert!(calm.engine(0).unwrap().sign_in_refusal().is_some());
}

#[test]
fn a_file_and_the_words_bring_everything_back() {
    let (mut calm, words) = talked(2);
    let new = calm.newcomer();
    let file = backup_file(&mut calm);
    give_file(&mut calm, new, file);
    calm.stop(0);
    calm.attempt(new, restore(&words, RestoreFrom::File)).unwrap();
    calm.settle();
    assert_back(&calm, new);
}

#[test]
fn a_damaged_file_and_other_words_are_refused_before_anybody_is_asked() {
    let (mut calm, words) = talked(3);
    let new = calm.newcomer();
    calm.command(0, Command::MakeBackupFile).unwrap();
    let whole = calm.engine(0).unwrap().backup_file_part(0).unwrap().unwrap();
    let other = calm.engine(1).unwrap().phrase().unwrap().unwrap().join(" ");
    let take = |calm: &mut Calm, bytes: Vec<u8>, words: &str| {
        calm.command(new, Command::TakeBackupFile { part: 0, bytes }).unwrap();
        calm.attempt(new, restore(words, RestoreFrom::File)).unwrap_err()
    };
    assert!(take(&mut calm, whole.clone(), &other).contains("do not open this backup"));
    assert!(take(&mut calm, whole[..whole.len() - 1].to_vec(), &words).contains("damaged or cut off"));
    let mut changed = whole;
    changed[40_000] ^= 1;
    assert!(take(&mut calm, changed, &words).contains("damaged or cut off"));
    assert_eq!(calm.engine(new).unwrap().wanted().unwrap(), Vec::new());
    calm.stop(0);
    assert_untouched(calm, new);
}

#[test]
fn another_accounts_words_are_not_let_in() {
    let (mut calm, _) = talked(4);
    let other = calm.engine(1).unwrap().phrase().unwrap().unwrap().join(" ");
    let command = from_server(&calm, &other);
    let new = come_back(&mut calm, command);
    assert!(failure(&calm, new).contains("lets nobody in with these words"), "{}", failure(&calm, new));
    assert_untouched(calm, new);
}

#[test]
fn a_server_that_is_not_the_one_in_the_backup_is_refused_though_it_shows_the_true_backup() {
    let (mut calm, words) = talked(5);
    let address = "p0@calm.example".parse().unwrap();
    let server = aside_protocol::link::ServerPin { identity_key: PublicKey([9; 32]), ..calm.pin() };
    let from = RestoreFrom::Server { address, server, is_claimed: true };
    let new = come_back(&mut calm, restore(&words, from));
    assert!(failure(&calm, new).contains("is not the server that this account was made on"));
    assert_untouched(calm, new);
}

/// Restores while the server changes what it shows of the backup; gives the words of the refusal.
fn restored_with_a_lie(seed: u64, lie: impl Fn(u64, u32, Vec<u8>) -> Result<Reply, Refusal> + 'static) -> String {
    let (mut calm, words) = talked(seed);
    calm.stop(0);
    let new = calm.newcomer();
    calm.lie(move |who, kind, bytes: Vec<u8>| {
        if who != new || kind != ConnectionKind::Account {
            return vec![bytes];
        }
        vec![match FromServer::decode(&bytes) {
            Ok(ServerFrame::Answer(id, Reply::Backup { generation, parts, bytes })) => {
                match lie(generation, parts, bytes) {
                    Ok(answer) => FromServer::Answer(id, answer).encode(),
                    Err(refusal) => FromServer::Refused(id, refusal).encode(),
                }
            }
            _ => bytes,
        }]
    });
    let command = from_server(&calm, &words);
    calm.attempt(new, command).unwrap();
    calm.settle();
    let words = failure(&calm, new);
    assert_untouched(calm, new);
    words
}

#[test]
fn a_backup_that_the_server_damages_cuts_off_relabels_swaps_or_withholds_is_refused_and_said() {
    let shown = |generation: u64, parts: u32, bytes: Vec<u8>| Ok(Reply::Backup { generation, parts, bytes });
    let damaged = restored_with_a_lie(10, move |generation, parts, mut bytes: Vec<u8>| {
        bytes[50_000] ^= 1;
        shown(generation, parts, bytes)
    });
    assert!(damaged.contains("damaged or cut off"), "{damaged}");
    let cut = restored_with_a_lie(11, move |generation, parts, mut bytes: Vec<u8>| {
        bytes.truncate(60_000);
        shown(generation, parts, bytes)
    });
    assert!(cut.contains("damaged or cut off"), "{cut}");
    let relabelled = restored_with_a_lie(12, move |generation, parts, bytes| shown(generation + 1, parts, bytes));
    assert!(relabelled.contains("as another one than it is"), "{relabelled}");
    let somebody_elses = {
        let mut calm = Calm::new(99, 1);
        calm.command(0, Command::MakeBackupFile).unwrap();
        calm.engine(0).unwrap().backup_file_part(0).unwrap().unwrap()
    };
    let swapped = restored_with_a_lie(13, move |generation, _, _| shown(generation, 1, somebody_elses.clone()));
    assert!(swapped.contains("do not open this backup"), "{swapped}");
    let withheld = restored_with_a_lie(14, |_, _, _| Err(Refusal::NoBackup));
    assert!(withheld.contains("cannot show that it is the right one"), "{withheld}");
    let endless = restored_with_a_lie(15, move |generation, parts, bytes| shown(generation, parts + 5_000, bytes));
    assert!(endless.contains("damaged or cut off"), "{endless}");
}

#[test]
fn a_restore_that_is_interrupted_anywhere_goes_on_with_the_same_device_when_the_words_are_typed_again() {
    for stop_after in 1..8 {
        let (mut calm, words) = talked(20 + stop_after);
        calm.stop(0);
        let new = calm.newcomer();
        let command = from_server(&calm, &words);
        let mut frames = 0;
        // So many answers arrive, and then none.
        calm.lie(move |who, kind, bytes: Vec<u8>| {
            frames += u64::from(who == new && kind == ConnectionKind::Account);
            if who == new && frames > stop_after { Vec::new() } else { vec![bytes] }
        });
        calm.attempt(new, command.clone()).unwrap();
        calm.settle();
        calm.stop(new);
        calm.be_honest();
        calm.start(new);
        calm.settle();
        if calm.engine(new).unwrap().join_state().unwrap() == JoinState::NotJoined {
            calm.attempt(new, command).unwrap();
            calm.settle();
        }
        assert_back(&calm, new);
    }
}

#[test]
fn the_newest_backup_is_tried_by_itself_and_said_to_be_unusable_when_it_is() {
    let (mut calm, _) = talked(30);
    let backup = |calm: &Calm| calm.engine(0).unwrap().recovery_state().unwrap().backup;
    assert_eq!(backup(&calm).ok, None);
    calm.wait_ms(3_700_000);
    calm.settle();
    assert_eq!(backup(&calm).ok, Some(true));

    // A server that went back to an older one.
    calm.lie(|_, _, bytes: Vec<u8>| {
        vec![match FromServer::decode(&bytes) {
            Ok(ServerFrame::Answer(id, Reply::Backup { parts, bytes, .. })) => {
                FromServer::Answer(id, Reply::Backup { generation: 1, parts, bytes }).encode()
            }
            _ => bytes,
        }]
    });
    calm.wait_ms(3_700_000);
    calm.settle();
    assert_eq!(backup(&calm).ok, Some(false));
    assert!(backup(&calm).words.unwrap().contains("older backup"));

    // Once it is honest again, a fresh one takes its place and is tried at once.
    calm.be_honest();
    calm.wait_ms(120_000);
    calm.settle();
    calm.wait_ms(120_000);
    calm.settle();
    assert_eq!((backup(&calm).ok, backup(&calm).words), (Some(true), None));
}

#[test]
fn a_server_without_room_is_said_in_words_and_asked_again_the_next_day() {
    let mut calm = Calm::new(40, 1);
    calm.back_up(0);
    let mut is_signed_in = false;
    calm.lie(move |_, _, bytes: Vec<u8>| {
        vec![match FromServer::decode(&bytes) {
            Ok(ServerFrame::Answer(id, Reply::Done)) if std::mem::replace(&mut is_signed_in, true) => {
                FromServer::Refused(id, Refusal::BackupFull { bytes_max: 1_000 }).encode()
            }
            _ => bytes,
        }]
    });
    calm.settle();
    let backup = calm.engine(0).unwrap().recovery_state().unwrap().backup;
    assert_eq!(backup.at, None);
    assert!(backup.words.unwrap().contains("at most 1000 bytes"));
    calm.be_honest();
    calm.wait_ms(86_400_000);
    calm.settle();
    assert!(calm.engine(0).unwrap().recovery_state().unwrap().backup.at.is_some());
}

#[test]
fn words_that_were_confirmed_are_gone_and_still_restore() {
    let (mut calm, words) = talked(50);
    let phrase = TypedPhrase::new(words.clone());
    assert_eq!(calm.command(0, Command::ConfirmPhrase { phrase }), Some(Answer::Done));
    assert_eq!(calm.engine(0).unwrap().phrase().unwrap(), None);
    let command = from_server(&calm, &words);
    let new = come_back(&mut calm, command);
    assert_back(&calm, new);
}

/// What a device says of all devices: name, whether it is the one, whether it was revoked.
fn devices(calm: &Calm, who: usize) -> Vec<(String, bool, bool)> {
    let devices = calm.engine(who).unwrap().devices().unwrap().into_iter();
    devices.map(|device| (device.name, device.is_this, device.revoked_at.is_some())).collect()
}

/// With the words, so that nobody is alarmed.
fn revoke(calm: &mut Calm, by: usize, name: &str, words: &str) {
    let devices = calm.engine(by).unwrap().devices().unwrap();
    let device = devices.iter().find(|device| device.name == name).unwrap();
    let device = parse_device_id(&device.id).unwrap();
    let phrase = Some(TypedPhrase::new(words.to_owned()));
    assert_eq!(calm.command(by, Command::Device(DeviceCommand::Revoke { device, phrase })), Some(Answer::Done));
}

/// Everybody says something, and all of them read it.
fn assert_talk_goes_on(calm: &mut Calm, speakers: &[usize]) {
    let before = calm.texts(speakers[0]).len();
    let mut said = Vec::new();
    for who in speakers {
        said.push(format!("{who} says"));
        calm.write(*who, said.last().unwrap());
        calm.settle();
    }
    for who in speakers {
        let texts = calm.texts(*who);
        assert!(texts.len() >= before && texts.ends_with(&said), "p{who}: {texts:?}");
    }
}

#[test]
fn a_restored_account_links_further_devices_and_is_found_by_the_links_that_it_gave() {
    let (mut calm, words) = talked_among(60, 3);
    let command = from_server(&calm, &words);
    let new = come_back(&mut calm, command);
    assert_back(&calm, new);
    assert_eq!(devices(&calm, new), [("Restored device".to_owned(), true, false)]);
    let laptop = calm.link_device(new, "Laptop", History::All);
    calm.settle_over(20_000);
    assert_eq!(calm.engine(laptop).unwrap().linking().unwrap(), None, "everything has come");
    assert_eq!(calm.texts(laptop), ["the first words", "the answer"]);
    assert!(calm.contacts(laptop)[0].verified);
    let settings = Settings { typing_indicators: false, ..Settings::default() };
    calm.command(laptop, Command::PutSettings(settings.clone()));
    calm.settle();
    assert_eq!(calm.engine(new).unwrap().settings().unwrap(), settings);
    assert_talk_goes_on(&mut calm, &[new, laptop, 1]);
    let conversation = calm.first_conversation(laptop).unwrap().id;
    let through = calm.timeline(laptop).last().unwrap().position;
    calm.command(laptop, Command::MarkRead { conversation, through });
    calm.settle();
    assert_eq!(calm.first_conversation(new).unwrap().unread_count, 0);
    // A link that the lost device gave still leads to the account, on both of its devices.
    calm.befriend(2, 0);
    calm.settle_over(30_000);
    calm.write(2, "by your old link");
    calm.settle();
    for who in [new, laptop] {
        assert_eq!(calm.texts(who), ["by your old link"], "p{who}");
        assert_eq!(calm.contacts(who).len(), 2);
    }
    revoke(&mut calm, new, "Laptop", &words);
    calm.settle_over(30_000);
    assert_talk_goes_on(&mut calm, &[new, 2]);
    assert!(!calm.texts(laptop).contains(&"2 says".to_owned()));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn devices_that_are_kept_go_on_and_act_for_the_account_with_its_new_keys() {
    let (mut calm, words) = talked(61);
    let laptop = calm.link_device(0, "Laptop", History::All);
    calm.settle_over(5_000);
    // One of them hears of it much later.
    let command = looking(from_server(&calm, &words));
    let new = come_back(&mut calm, command);
    // What becomes of them is decided last, whatever was said when the backup was looked for.
    calm.attempt(new, Command::UseBackup { lost: Some(LostDevices::Keep) }).unwrap();
    calm.settle_over(120_000);
    assert_back(&calm, new);
    assert_talk_goes_on(&mut calm, &[new, laptop, 1]);
    calm.start(0);
    calm.settle_over(120_000);
    assert_talk_goes_on(&mut calm, &[new, laptop, 1, 0]);
    for who in [0, laptop, new] {
        assert_eq!(calm.engine(who).unwrap().sign_in_refusal(), None);
        let mut names: Vec<_> = devices(&calm, who).into_iter().map(|(name, _, revoked)| (name, revoked)).collect();
        names.sort();
        let expected = ["First device", "Laptop", "Restored device"].map(|name| (name.to_owned(), false));
        assert_eq!(names, expected, "p{who}");
    }
    // What is set on one is set on all.
    let settings = Settings { typing_indicators: false, ..Settings::default() };
    calm.command(laptop, Command::PutSettings(settings.clone()));
    calm.settle();
    for who in [0, new] {
        assert_eq!(calm.engine(who).unwrap().settings().unwrap(), settings, "p{who}");
    }
    // They hold the new account key: one links a device, another takes one out.
    let tablet = calm.link_device(laptop, "Tablet", History::All);
    calm.settle_over(60_000);
    assert_eq!(calm.engine(tablet).unwrap().linking().unwrap(), None);
    revoke(&mut calm, 0, "Laptop", &words);
    calm.settle_over(120_000);
    assert_talk_goes_on(&mut calm, &[new, 0, tablet, 1]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn what_was_said_between_the_backup_and_the_return_stands_between_with_a_kept_device() {
    let (mut calm, words) = talked(63);
    let laptop = calm.link_device(0, "Laptop", History::All);
    calm.settle_over(5_000);
    let file = backup_file(&mut calm);
    for (who, text) in [(0, "after the copy"), (1, "and an answer"), (laptop, "from the laptop")] {
        calm.write(who, text).unwrap();
        calm.settle();
    }
    calm.stop(0);
    let new = calm.newcomer();
    give_file(&mut calm, new, file);
    calm.attempt(new, keeping(restore(&words, RestoreFrom::File))).unwrap();
    calm.settle_over(120_000);
    calm.write(1, "welcome back").unwrap();
    calm.settle_over(5_000);
    assert_eq!(calm.texts(new), calm.texts(1));
    assert_eq!(calm.texts(new).len(), 6);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_device_that_the_server_makes_up_is_not_kept() {
    let (mut calm, words) = talked(62);
    let stranger = std::rc::Rc::new(std::cell::RefCell::new(None));
    let new = calm.newcomer();
    let keep = stranger.clone();
    calm.lie(move |who, kind, bytes: Vec<u8>| {
        let Ok(ServerFrame::Answer(id, Reply::Account(mut account))) = FromServer::decode(&bytes) else {
            return vec![bytes];
        };
        match (kind, who) {
            (ConnectionKind::Account, 1) => *keep.borrow_mut() = account.devices.first().cloned(),
            (ConnectionKind::Account, who) if who == new => account.devices.extend(keep.borrow().clone()),
            _ => {}
        }
        vec![FromServer::Answer(id, Reply::Account(account)).encode()]
    });
    // The other account looks at itself, and the server notes its device.
    calm.wait_ms(86_400_000);
    calm.settle();
    assert!(stranger.borrow().is_some());
    calm.stop(0);
    let command = keeping(from_server(&calm, &words));
    calm.reached_server(new);
    calm.attempt(new, command).unwrap();
    calm.settle();
    assert!(failure(&calm, new).contains("do not check out"), "{}", failure(&calm, new));
    let asked: Vec<_> = calm.reached_server(new).iter().map(|(_, bytes)| FromClient::decode(bytes).unwrap()).collect();
    assert!(asked.iter().any(|frame| matches!(frame, FromClient::Request(_, Request::GetAccount))));
    let certifies = |frame: &FromClient| matches!(frame, FromClient::Request(_, Request::PutKeySet(_)));
    assert!(!asked.iter().any(certifies), "its key was certified");
    assert_untouched(calm, new);
}

#[test]
fn the_words_alone_without_any_backup_bring_the_account_back_and_say_what_is_gone() {
    let mut calm = Calm::new(63, 3);
    calm.befriend(0, 1);
    calm.write(0, "the first words");
    calm.settle();
    let words = calm.engine(0).unwrap().phrase().unwrap().unwrap().join(" ");
    let address = "p0@calm.example".parse().unwrap();
    let from = RestoreFrom::Server { address, server: calm.pin(), is_claimed: false };
    let new = come_back(&mut calm, restore(&words, from));
    assert_eq!(calm.engine(new).unwrap().restore_state(), RestoreState::None);
    assert!(matches!(calm.engine(new).unwrap().join_state().unwrap(), JoinState::Joined(_)));
    assert_eq!((calm.contacts(new).len(), calm.first_conversation(new)), (0, None));
    let said = calm.engine(new).unwrap().recovery_state().unwrap().restored.unwrap();
    assert_eq!(said.backup_at, None);
    assert!(said.words.contains("no backup"), "{}", said.words);
    // Nobody's keys are known: a friend is added again, and goes on in the conversation that they had.
    let friend = calm.link_of(1).unwrap();
    calm.attempt(new, Command::AddContact { link: friend }).unwrap();
    calm.settle_over(60_000);
    assert_talk_goes_on(&mut calm, &[1, new]);
    assert_eq!(calm.texts(1), ["the first words", "1 says", &format!("{new} says")]);
    assert_eq!(calm.first_conversation(1).unwrap().state, ConversationState::Active, "nobody is alarmed");
    // And so does somebody who is new.
    let Some(Answer::ContactLink { link, .. }) = calm.command(new, Command::MakeContactLink) else { panic!("no link") };
    calm.settle();
    calm.command(2, Command::AddContact { link });
    calm.settle();
    calm.write(2, "hello");
    calm.settle();
    assert_eq!(calm.texts(new), ["hello"]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

/// The words of the newest backup that the server showed.
fn found(calm: &Calm, who: usize) -> FoundBackup {
    match calm.engine(who).unwrap().restore_state() {
        RestoreState::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_shows_an_older_backup_is_seen_by_its_date_and_by_the_keys_that_came_after_it() {
    let (mut calm, words) = talked(64);
    let laptop = calm.link_device(0, "Laptop", History::All);
    calm.settle_over(5_000);
    // The server puts a copy of the backup aside.
    let older = std::rc::Rc::new(std::cell::RefCell::new(None));
    let (first, keep) = (calm.newcomer(), older.clone());
    calm.lie(move |who, kind, bytes: Vec<u8>| {
        if (who, kind) == (first, ConnectionKind::Account)
            && let Ok(ServerFrame::Answer(_, answer @ Reply::Backup { .. })) = FromServer::decode(&bytes)
        {
            *keep.borrow_mut() = Some(answer);
        }
        vec![bytes]
    });
    let command = looking(from_server(&calm, &words));
    calm.attempt(first, command.clone()).unwrap();
    calm.settle();
    let early = found(&calm, first);
    assert_eq!((early.messages, early.words), (2, None));
    assert_eq!(calm.engine(first).unwrap().join_state().unwrap(), JoinState::NotJoined);
    // Looking changed nothing, and can be given up.
    calm.attempt(first, Command::ForgetRestore).unwrap();
    calm.settle();
    assert_eq!(calm.engine(0).unwrap().sign_in_refusal(), None);
    // Life goes on; the account's keys change, and backups follow.
    calm.write(0, "said after the copy").unwrap();
    calm.settle_over(10_000);
    revoke(&mut calm, 0, "Laptop", &words);
    calm.settle_over(60_000);
    assert!(calm.engine(laptop).unwrap().sign_in_refusal().is_some());
    calm.stop(0);
    let new = calm.newcomer();
    // An honest server shows the newest one.
    calm.attempt(new, command.clone()).unwrap();
    calm.settle();
    let newest = found(&calm, new);
    assert!(newest.made_ms > early.made_ms);
    assert_eq!((newest.messages, newest.words), (3, None));
    calm.attempt(new, Command::ForgetRestore).unwrap();
    calm.settle();
    // Another one shows the copy. Its date says so before anything of it is used, and the newer keys do.
    let copy = older.borrow().clone().unwrap();
    calm.lie(move |who, kind, bytes: Vec<u8>| match FromServer::decode(&bytes) {
        Ok(ServerFrame::Answer(id, Reply::Backup { .. })) if (who, kind) == (new, ConnectionKind::Account) => {
            vec![FromServer::Answer(id, copy.clone()).encode()]
        }
        _ => vec![bytes],
    });
    calm.attempt(new, command).unwrap();
    calm.settle();
    let shown = found(&calm, new);
    assert_eq!((shown.made_ms, shown.messages), (early.made_ms, 2));
    assert!(shown.words.unwrap().contains("newer one"));
    // The person has no other: what the copy lacks, the friend's device hands over.
    calm.attempt(new, Command::UseBackup { lost: None }).unwrap();
    calm.settle_over(120_000);
    let said = calm.engine(new).unwrap().recovery_state().unwrap().restored.unwrap();
    assert_eq!(said.backup_at, early.made_ms);
    assert_eq!(calm.texts(new), ["the first words", "the answer", "said after the copy"]);
    assert_talk_goes_on(&mut calm, &[new, 1]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

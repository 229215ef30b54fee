//! Several devices of one account, through the real engines and the real server core.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{Answer, Command, ConnectionKind, DeviceCommand, History, Presence};
use aside_engine::settings::Settings;
use aside_engine::view::{ConversationState, Delivery, LinkingState, MessageKind, parse_device_id};
use aside_protocol::channel::Position;
use aside_protocol::frame::anonymous::{self, FromServer, Push};
use aside_protocol::frame::{ServerFrame, account};
use aside_protocol::id::ChainHead;
use aside_protocol::refusal::Refusal;
use aside_simulator::calm::Calm;
use std::cell::RefCell;
use std::rc::Rc;

/// p0 with a second device, p2; p1 is a friend.
fn linked(seed: u64, history: History) -> (Calm, usize) {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(0, "before, from the old device");
    calm.write(1, "before, from the friend");
    calm.settle();
    let new = calm.link_device(0, "Laptop", history);
    (calm, new)
}

#[test]
fn a_linked_device_shows_the_same_code_and_has_contacts_and_history() {
    let (calm, new) = linked(1, History::All);
    assert_eq!(calm.engine(new).unwrap().linking().unwrap(), None, "everything has come");
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
    assert_eq!(calm.contacts(new).len(), 1);
    assert_eq!(calm.texts(new), calm.texts(0));
    assert_eq!(calm.first_conversation(new).unwrap().state, ConversationState::Active);
}

#[test]
fn three_devices_and_a_friend_read_the_same_and_nothing_twice() {
    let (mut calm, laptop) = linked(2, History::All);
    let tablet = calm.link_device(laptop, "Tablet", History::All);
    for (who, text) in [(0, "old"), (laptop, "laptop"), (tablet, "tablet"), (1, "friend")] {
        calm.write(who, text);
        calm.settle();
    }
    let expected = ["before, from the old device", "before, from the friend", "old", "laptop", "tablet", "friend"];
    for who in [0, 1, laptop, tablet] {
        assert_eq!(calm.texts(who), expected, "p{who}");
    }
    let rows = calm.timeline(0);
    let row = rows.iter().find(|message| message.text == "tablet").unwrap();
    assert!(row.sender.is_self);
    assert!(matches!(row.delivery, Some(Delivery::Sent | Delivery::Delivered)), "{:?}", row.delivery);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn no_history_means_none_and_what_comes_is_read() {
    let (mut calm, new) = linked(3, History::Nothing);
    assert_eq!(calm.texts(new), Vec::<String>::new());
    calm.write(1, "after");
    calm.settle();
    assert_eq!(calm.texts(new), ["after"]);
}

#[test]
fn without_history_too_nothing_is_missing_between_the_approval_and_the_add() {
    let mut calm = Calm::new(31, 2);
    calm.befriend(0, 1);
    calm.write(1, "before");
    calm.settle();
    let new = calm.new_profile();
    calm.ask_to_link(0, new, "Phone");
    let request = calm.engine(0).unwrap().device_requests().unwrap().pop().unwrap();
    let device = parse_device_id(&request.id).unwrap();
    calm.wait_ms(1_000);
    calm.command(0, Command::Device(DeviceCommand::Answer { device, given: Some(History::Nothing) }));
    calm.write(1, "meanwhile");
    calm.settle_over(30_000);
    calm.write(1, "after");
    calm.settle();
    assert_eq!(calm.texts(new), ["meanwhile", "after"]);
}

#[test]
fn what_is_read_on_a_device_before_it_is_among_the_others_is_read_on_them_as_well() {
    let mut calm = Calm::new(32, 2);
    calm.befriend(0, 1);
    calm.write(1, "before");
    calm.settle();
    let new = calm.new_profile();
    calm.ask_to_link(0, new, "Phone");
    let request = calm.engine(0).unwrap().device_requests().unwrap().pop().unwrap();
    let device = parse_device_id(&request.id).unwrap();
    calm.lie(|who, _, bytes: Vec<u8>| match FromServer::decode(&bytes) {
        Ok(ServerFrame::Answer(id, anonymous::Answer::KeyPackages { .. })) if who == 0 => {
            vec![FromServer::Refused(id, Refusal::Unavailable).encode()]
        }
        _ => vec![bytes],
    });
    calm.command(0, Command::Device(DeviceCommand::Answer { device, given: Some(History::All) }));
    calm.settle_over(5_000);
    // The devices' own channel is the last that it is let into.
    calm.damage(
        0,
        "UPDATE jobs SET attempts = 0, due_ms = due_ms + 60000
         WHERE instr(body, (SELECT channel FROM conversations WHERE kind = 2)) > 0",
    );
    calm.be_honest();
    calm.settle_over(10_000);
    calm.write(1, "unread");
    calm.settle();
    assert_eq!(calm.texts(new), ["before", "unread"]);
    let unread = |calm: &Calm, who| calm.first_conversation(who).unwrap().unread_count;
    assert_ne!(unread(&calm, 0), 0);
    let through = calm.timeline(new).last().unwrap().position;
    let conversation = calm.first_conversation(new).unwrap().id;
    calm.command(new, Command::MarkRead { conversation, through });
    calm.settle();
    assert_ne!(unread(&calm, 0), 0, "it has no way to tell yet");
    calm.settle_over(120_000);
    assert_eq!((unread(&calm, new), unread(&calm, 0)), (0, 0));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_declined_device_says_so_and_gets_nothing() {
    let mut calm = Calm::new(4, 1);
    let new = calm.new_profile();
    calm.ask_to_link(0, new, "Stranger");
    let request = calm.engine(0).unwrap().device_requests().unwrap().pop().unwrap();
    let shown = calm.engine(new).unwrap().linking().unwrap().unwrap();
    assert_eq!((shown.state, shown.code), (LinkingState::Waiting, Some(request.code)));
    let device = parse_device_id(&request.id).unwrap();
    assert_eq!(calm.command(0, Command::Device(DeviceCommand::Answer { device, given: None })), Some(Answer::Done));
    calm.settle_over(30_000);
    let shown = calm.engine(new).unwrap().linking().unwrap().unwrap();
    assert_eq!(shown.state, LinkingState::Failed);
    assert!(shown.words.unwrap().contains("declined"));
    assert_eq!(calm.engine(0).unwrap().devices().unwrap().len(), 1);
}

#[test]
fn settings_names_and_read_marks_are_the_same_on_all_devices() {
    let (mut calm, laptop) = linked(5, History::All);
    let settings = Settings { typing_indicators: false, ..Settings::default() };
    calm.command(0, Command::PutSettings(settings.clone()));
    calm.settle();
    assert_eq!(calm.engine(laptop).unwrap().settings().unwrap(), settings);
    let first = calm.engine(0).unwrap().devices().unwrap().into_iter().find(|device| device.is_this).unwrap();
    let device = parse_device_id(&first.id).unwrap();
    calm.command(laptop, Command::Device(DeviceCommand::Rename { device, name: "Desktop".into() }));
    calm.settle();
    let names = |who| -> Vec<(String, bool)> {
        calm.engine(who).unwrap().devices().unwrap().into_iter().map(|d| (d.name, d.is_this)).collect()
    };
    assert_eq!(names(0), [("Desktop".to_owned(), true), ("Laptop".to_owned(), false)]);
    assert_eq!(names(laptop), [("Desktop".to_owned(), false), ("Laptop".to_owned(), true)]);
    calm.write(1, "unread");
    calm.settle();
    let unread = |calm: &Calm, who| calm.first_conversation(who).unwrap().unread_count;
    assert_eq!(
        (unread(&calm, 0), unread(&calm, laptop)),
        (2, 2),
        "what was unread on the old device is on the new one"
    );
    let conversation = calm.first_conversation(laptop).unwrap().id;
    let through = calm.timeline(laptop).last().unwrap().position;
    calm.command(laptop, Command::MarkRead { conversation, through });
    calm.settle();
    assert_eq!((unread(&calm, 0), unread(&calm, laptop)), (0, 0));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_contact_added_and_a_block_made_on_one_device_hold_on_the_other() {
    let mut calm = Calm::new(6, 3);
    calm.befriend(0, 1);
    let laptop = calm.link_device(0, "Laptop", History::All);
    let link = calm.link_of(2).unwrap();
    let Some(Answer::Conversation(id)) = calm.command(laptop, Command::AddContact { link }) else {
        panic!("not added")
    };
    calm.settle_over(5_000);
    let text = "from the old device, to whom the new one added".to_owned();
    calm.command(0, Command::SendText { conversation: id, text: text.clone(), reply_to: None });
    calm.settle();
    for who in [0, laptop, 2] {
        let id = if who == 2 { calm.first_conversation(2).unwrap().id } else { id };
        let said = calm.timeline_of(who, &id);
        assert!(said.iter().any(|message| message.text == text), "p{who}");
    }
    assert_eq!(calm.contacts(0).len(), 2);
    let address = calm.contacts(0)[0].address.clone();
    calm.command(0, Command::SetBlocked { address: address.clone(), blocked: Presence::Present });
    calm.settle();
    let contact = calm.contacts(laptop).into_iter().find(|contact| contact.address == address).unwrap();
    assert!(contact.blocked);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_chat_deleted_on_one_device_is_deleted_on_the_other() {
    let (mut calm, laptop) = linked(7, History::All);
    let conversation = calm.first_conversation(laptop).unwrap().id;
    calm.command(laptop, Command::RemoveConversation { conversation });
    calm.settle();
    assert!(calm.first_conversation(0).is_none());
    calm.write(1, "after");
    calm.settle();
    for who in [0, laptop] {
        assert_eq!(calm.texts(who), ["after"], "p{who}");
    }
}

#[test]
fn edits_and_reactions_of_history_reach_a_device_that_is_still_being_given_it() {
    let (mut calm, laptop) = linked(8, History::All);
    let id = calm.timeline(1).into_iter().find(|message| message.text == "before, from the friend").unwrap().id;
    calm.command(1, Command::EditText { message: id, text: "edited".into() });
    calm.command(0, Command::React { message: id, emoji: "👍".into(), presence: Presence::Present });
    calm.settle();
    for who in [0, laptop] {
        let row = calm.engine(who).unwrap().message(&id).unwrap().unwrap();
        assert_eq!((row.text.as_str(), row.reactions.len()), ("edited", 1), "p{who}");
    }
}

#[test]
fn the_same_reaction_from_two_devices_at_once_stands_once_and_is_taken_back_from_all() {
    let (mut calm, laptop) = linked(8, History::All);
    let id = calm.timeline(1).iter().find(|row| row.text == "before, from the friend").unwrap().id;
    let react = |presence| Command::React { message: id, emoji: "👍".into(), presence };
    calm.command(0, react(Presence::Present));
    calm.command(laptop, react(Presence::Present));
    calm.settle();
    let counts = |calm: &Calm, who: usize| -> Vec<(u32, bool)> {
        let row = calm.timeline(who).into_iter().find(|row| row.id == id).unwrap();
        row.reactions.iter().map(|reaction| (reaction.count, reaction.own)).collect()
    };
    for (who, own) in [(0, true), (laptop, true), (1, false)] {
        assert_eq!(counts(&calm, who), [(1, own)], "p{who}");
    }
    calm.command(laptop, react(Presence::Absent));
    calm.settle();
    for who in [0, laptop, 1] {
        assert_eq!(counts(&calm, who), [], "p{who}");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn edits_on_two_devices_at_once_end_alike_on_all() {
    let (mut calm, laptop) = linked(9, History::All);
    let id = calm.timeline(1).iter().find(|row| row.text == "before, from the old device").unwrap().id;
    calm.command(0, Command::EditText { message: id, text: "edited on the old device".into() });
    calm.command(laptop, Command::EditText { message: id, text: "edited on the laptop".into() });
    calm.settle();
    let text = |who: usize| calm.timeline(who).into_iter().find(|row| row.id == id).unwrap().text;
    assert!(text(1).starts_with("edited on the "), "{}", text(1));
    for who in [0, laptop] {
        assert_eq!(text(who), text(1), "p{who}");
    }
}

fn revoke(calm: &mut Calm, by: usize, name: &str) {
    let devices = calm.engine(by).unwrap().devices().unwrap();
    let device = parse_device_id(&devices.iter().find(|device| device.name == name).unwrap().id).unwrap();
    let command = Command::Device(DeviceCommand::Revoke { device, phrase: None });
    assert_eq!(calm.command(by, command), Some(Answer::Done));
}

#[test]
fn a_revoked_device_is_out_at_once_keeps_what_it_holds_and_says_so() {
    let (mut calm, laptop) = linked(9, History::All);
    let tablet = calm.link_device(0, "Tablet", History::All);
    calm.settle_over(90_000);
    let held = calm.texts(laptop);
    revoke(&mut calm, 0, "Laptop");
    calm.write(0, "after the revocation");
    calm.settle_over(90_000);
    calm.write(tablet, "from the tablet");
    calm.settle();
    calm.write(1, "from the friend");
    calm.settle_over(5_000);
    let said = ["after the revocation", "from the tablet", "from the friend"];
    for who in [0, 1, tablet] {
        assert!(calm.texts(who).ends_with(&said.map(str::to_owned)), "p{who}: {:?}", calm.texts(who));
    }
    assert_eq!(calm.texts(laptop), held);
    let own = calm.engine(laptop).unwrap().devices().unwrap().into_iter().find(|device| device.is_this).unwrap();
    assert!(own.revoked_at.is_some());
    let devices = calm.engine(tablet).unwrap().devices().unwrap();
    assert_eq!(devices.iter().filter(|device| device.revoked_at.is_some()).count(), 1);
    let notes: Vec<String> =
        calm.timeline(1).into_iter().filter(|m| m.kind == MessageKind::Event).map(|m| m.text).collect();
    assert!(notes.iter().any(|note| note.contains("device")), "{notes:?}");
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_revoked_device_reads_nothing_later_even_if_the_server_hands_it_everything() {
    let (mut calm, laptop) = linked(10, History::All);
    calm.settle_over(5_000);
    calm.stop(laptop);
    // It holds everything that it had, and has not heard of its revocation.
    revoke(&mut calm, 0, "Laptop");
    calm.settle_over(5_000);
    let later = Rc::new(RefCell::new(Vec::new()));
    let record = later.clone();
    calm.lie(move |who, kind, bytes| {
        if let (0, ConnectionKind::Anonymous, Ok(ServerFrame::Push(Push::Entry(_, entry)))) =
            (who, kind, FromServer::decode(&bytes))
        {
            record.borrow_mut().push(entry);
        }
        vec![bytes]
    });
    calm.write(1, "a secret of later");
    calm.settle();
    assert!(!later.borrow().is_empty());
    let given = later.clone();
    calm.lie(move |who, kind, bytes| match (who == laptop, kind, FromServer::decode(&bytes)) {
        (true, ConnectionKind::Anonymous, Ok(ServerFrame::Answer(id, anonymous::Answer::Entries { entries, .. }))) => {
            // Instead of the commit that removes it, it is given what came behind, fitted to what it expects.
            let Some(first) = entries.first() else { return vec![bytes] };
            let entries: Vec<_> = given
                .borrow()
                .iter()
                .zip(first.seq..)
                .map(|(entry, seq)| {
                    let mut entry = entry.clone();
                    entry.seq = seq;
                    entry.header.epoch = first.header.epoch;
                    entry
                })
                .collect();
            let end = Position { seq: first.seq + entries.len() as u64 - 1, head: ChainHead([0; 32]) };
            let answer = anonymous::Answer::Entries { entries, end, live: true };
            vec![FromServer::encode(&ServerFrame::Answer(id, answer))]
        }
        _ => vec![bytes],
    });
    calm.start(laptop);
    calm.settle_over(5_000);
    assert!(!calm.texts(laptop).contains(&"a secret of later".to_owned()));
    calm.be_honest();
    assert_eq!(calm.texts(0).last().map(String::as_str), Some("a secret of later"));
}

#[test]
fn a_server_that_puts_its_own_inbox_key_into_the_directory_is_not_asked_any_further() {
    let mut calm = Calm::new(11, 1);
    let new = calm.new_profile();
    calm.lie(move |who, _, bytes| match (who == new, FromServer::decode(&bytes)) {
        (true, Ok(ServerFrame::Answer(id, anonymous::Answer::Account(mut account)))) => {
            account.devices[0].inbox_key = vec![7; 1_216];
            vec![FromServer::encode(&ServerFrame::Answer(id, anonymous::Answer::Account(account)))]
        }
        _ => vec![bytes],
    });
    calm.ask_to_link(0, new, "Laptop");
    let shown = calm.engine(new).unwrap().linking().unwrap().unwrap();
    assert_eq!(shown.state, LinkingState::Failed);
    assert!(shown.words.unwrap().contains("other keys"));
    assert_eq!(calm.engine(0).unwrap().device_requests().unwrap(), []);
}

#[test]
fn a_thief_of_the_link_shows_another_code_and_gets_nothing() {
    let mut calm = Calm::new(12, 1);
    let (mine, thief) = (calm.new_profile(), calm.new_profile());
    let link = calm.device_link(0).unwrap();
    calm.settle();
    for who in [thief, mine] {
        let name = format!("p{who}");
        calm.command(who, Command::Device(DeviceCommand::AcceptLink { link: link.clone(), name }));
    }
    calm.settle_over(5_000);
    let code = |calm: &Calm, who| calm.engine(who).unwrap().linking().unwrap().unwrap().code.unwrap();
    let requests = calm.engine(0).unwrap().device_requests().unwrap();
    assert_eq!(requests.len(), 2);
    assert_ne!(code(&calm, mine), code(&calm, thief));
    let request = requests.iter().find(|request| request.code == code(&calm, mine)).unwrap();
    let device = parse_device_id(&request.id).unwrap();
    calm.command(0, Command::Device(DeviceCommand::Answer { device, given: Some(History::All) }));
    calm.settle_over(30_000);
    assert_eq!(calm.engine(mine).unwrap().linking().unwrap(), None);
    assert_eq!(calm.engine(thief).unwrap().linking().unwrap().unwrap().state, LinkingState::Failed);
    assert_eq!(calm.engine(0).unwrap().devices().unwrap().len(), 2);
}

#[test]
fn a_device_that_the_server_hides_from_is_not_lost_and_one_it_makes_up_is_not_believed() {
    let mut calm = Calm::new(13, 2);
    calm.befriend(0, 1);
    // The server lists p1's device as p0's own.
    let stranger = Rc::new(RefCell::new(None));
    let keep = stranger.clone();
    calm.lie(move |who, kind, bytes| {
        if kind == ConnectionKind::Account
            && let Ok(ServerFrame::Answer(id, account::Answer::Account(mut seen))) = account::FromServer::decode(&bytes)
        {
            if who == 1 {
                *keep.borrow_mut() = seen.devices.first().cloned();
            } else {
                seen.devices.extend(keep.borrow().clone());
            }
            return vec![account::FromServer::encode(&ServerFrame::Answer(id, account::Answer::Account(seen)))];
        }
        vec![bytes]
    });
    for _ in 0..2 {
        calm.wait_ms(86_400_000);
        calm.disconnect(1);
        calm.disconnect(0);
        calm.settle();
    }
    assert!(stranger.borrow().is_some(), "the server has lied");
    assert_eq!(calm.engine(0).unwrap().devices().unwrap().len(), 1);
}

#[test]
fn a_device_that_was_off_for_a_hundred_days_catches_up_and_says_what_had_expired() {
    let (mut calm, laptop) = linked(14, History::All);
    calm.settle_over(5_000);
    calm.stop(laptop);
    calm.write(1, "long gone");
    let settings = Settings { typing_indicators: false, ..Settings::default() };
    calm.command(0, Command::PutSettings(settings.clone()));
    calm.settle();
    for _ in 0..100 {
        calm.wait_ms(86_400_000);
        calm.settle();
    }
    calm.write(1, "lately");
    calm.settle();
    calm.start(laptop);
    calm.settle_over(120_000);
    let texts = calm.texts(laptop);
    let events: Vec<String> =
        calm.timeline(laptop).into_iter().filter(|m| m.kind == MessageKind::Event).map(|m| m.text).collect();
    assert!(texts.contains(&"lately".to_owned()), "{texts:?} {events:?}");
    let is_told = events.iter().any(|words| words.contains("could not be recovered"));
    assert!(texts.contains(&"long gone".to_owned()) || is_told, "{texts:?} {events:?}");
    assert_eq!(calm.engine(laptop).unwrap().settings().unwrap(), settings);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

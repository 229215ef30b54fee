//! Linking and revoking devices where something goes wrong: programs that end in the middle, a server that refuses, two
//! devices that want different things at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{Answer, Command, ConnectionKind, DeviceCommand, GroupChange, History};
use aside_engine::recovery::TypedPhrase;
use aside_engine::view::{ConversationState, LinkingState, Role, parse_device_id};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{FromClient, FromServer, Request};
use aside_protocol::frame::anonymous;
use aside_protocol::refusal::Refusal;
use aside_simulator::calm::Calm;

/// What a person does, who repeats what got no answer.
fn link_patiently(calm: &mut Calm, old: usize, new: usize) {
    let link = (0..3).find_map(|_| {
        let link = calm.device_link(old);
        calm.settle();
        link
    });
    let link = link.expect("a link");
    for _ in 0..3 {
        if calm.engine(new).is_some_and(|engine| engine.linking().unwrap().is_some()) {
            break;
        }
        calm.command(new, Command::Device(DeviceCommand::AcceptLink { link: link.clone(), name: "Laptop".into() }));
        calm.settle_over(1_000);
    }
    calm.settle_over(8_000);
    for _ in 0..3 {
        let request = calm.engine(old).and_then(|engine| engine.device_requests().unwrap().pop());
        if let Some(device) = request.and_then(|request| parse_device_id(&request.id)) {
            calm.command(old, Command::Device(DeviceCommand::Answer { device, given: Some(History::All) }));
        }
        calm.settle_over(1_000);
    }
    calm.settle_over(40_000);
}

/// Standing devices by name, as somebody's device sees them.
fn standing(calm: &Calm, who: usize) -> Vec<String> {
    let devices = calm.engine(who).unwrap().devices().unwrap().into_iter();
    let mut names: Vec<_> = devices.filter(|device| device.revoked_at.is_none()).map(|device| device.name).collect();
    names.sort();
    names
}

fn revocation(calm: &Calm, by: usize, name: &str, phrase: Option<&str>) -> Command {
    let devices = calm.engine(by).unwrap().devices().unwrap();
    let device = devices.iter().find(|device| device.name == name).unwrap_or_else(|| panic!("{devices:?}"));
    let device = parse_device_id(&device.id).unwrap();
    let phrase = phrase.map(|words| TypedPhrase::new(words.to_owned()));
    Command::Device(DeviceCommand::Revoke { device, phrase })
}

fn assert_talk_goes_on(calm: &mut Calm, speakers: &[usize]) {
    let said: Vec<String> = speakers.iter().map(|who| format!("{who} says")).collect();
    for (who, text) in speakers.iter().zip(&said) {
        calm.write(*who, text);
        calm.settle_over(2_000);
    }
    for who in speakers {
        let texts = calm.texts(*who);
        assert!(texts.ends_with(&said), "p{who}: {texts:?}");
    }
}

/// Links a device, ending one program once in the given input. `false`: there was no such input.
fn links_in_spite_of_an_end(new_ends: bool, inputs: usize, outputs: Option<usize>) -> bool {
    let mut calm = Calm::new(1_000 + inputs as u64, 2);
    calm.befriend(0, 1);
    calm.write(0, "before");
    calm.settle();
    let new = calm.new_profile();
    calm.end_program(if new_ends { new } else { 0 }, inputs, outputs);
    link_patiently(&mut calm, 0, new);
    // The old device asks for the new one's KeyPackages again and again, less and less often.
    for _ in 0..3 {
        if calm.texts(new).is_empty() {
            calm.settle_over(60_000);
        }
    }
    let what = format!("end in input {inputs}, {outputs:?}, of the new one: {new_ends}");
    assert_eq!(calm.engine(new).unwrap().linking().unwrap(), None, "{what}");
    for who in [0, new] {
        assert_eq!(standing(&calm, who), ["First device", "Laptop"], "{what}");
    }
    assert_eq!(calm.texts(new), ["before"], "{what}");
    assert_eq!(calm.contacts(new).len(), 1, "{what}");
    let was_there = !calm.is_ending();
    assert_talk_goes_on(&mut calm, &[0, new, 1]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new(), "{what}");
    was_there
}

fn links_in_spite_of_any_end(new_ends: bool) {
    let ends = [None, Some(0), Some(1), Some(2)];
    let mut tried = (0..50).take_while(|nth| links_in_spite_of_an_end(new_ends, 2 * nth + nth / 4 % 2, ends[nth % 4]));
    let there = tried.by_ref().count();
    assert!(there > 10, "only {there} inputs");
}

#[test]
fn a_link_gets_through_wherever_the_old_devices_program_ends() {
    links_in_spite_of_any_end(false);
}

#[test]
fn a_link_gets_through_wherever_the_new_devices_program_ends() {
    links_in_spite_of_any_end(true);
}

#[test]
fn a_link_that_was_left_half_way_is_in_nobodys_way() {
    let mut calm = Calm::new(2, 2);
    calm.befriend(0, 1);
    let new = calm.new_profile();
    calm.ask_to_link(0, new, "Laptop");
    // It waits for the word, and the person begins again.
    assert_eq!(calm.engine(new).unwrap().linking().unwrap().unwrap().state, LinkingState::Waiting);
    calm.command(new, Command::Device(DeviceCommand::ForgetLink));
    assert_eq!(calm.engine(new).unwrap().linking().unwrap(), None);
    // The word comes all the same, for a device that is no more: it stands in the list, and can be revoked.
    let stale = calm.engine(0).unwrap().device_requests().unwrap().pop().unwrap();
    let device = parse_device_id(&stale.id).unwrap();
    calm.command(0, Command::Device(DeviceCommand::Answer { device, given: Some(History::All) }));
    calm.settle_over(10_000);
    calm.command(0, Command::Device(DeviceCommand::Revoke { device, phrase: None }));
    calm.settle_over(30_000);
    assert_eq!(standing(&calm, 0), ["First device"]);
    link_patiently(&mut calm, 0, new);
    assert_eq!(calm.engine(new).unwrap().linking().unwrap(), None);
    assert_eq!(standing(&calm, new), ["First device", "Laptop"]);
    assert_talk_goes_on(&mut calm, &[0, new, 1]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

/// From here on the server refuses so many key sets of somebody.
fn refuse_key_sets(calm: &mut Calm, whose: usize, mut count: usize, refusal: Refusal) {
    calm.reached_server(whose);
    calm.lie(move |who, kind, bytes: Vec<u8>| {
        let Ok(ServerFrame::Answer(id, answer)) = FromServer::decode(&bytes) else { return vec![bytes] };
        let is_it = (who, kind) == (whose, ConnectionKind::Account) && count > 0;
        match answer {
            aside_protocol::frame::account::Answer::Done if is_it => {
                count -= 1;
                vec![FromServer::Refused(id, refusal.clone()).encode()]
            }
            _ => vec![bytes],
        }
    });
}

#[test]
fn a_server_that_refuses_a_key_set_is_said_in_words_and_nothing_has_changed() {
    let mut calm = Calm::new(3, 2);
    calm.befriend(0, 1);
    let laptop = calm.link_device(0, "Laptop", History::All);
    calm.settle_over(5_000);
    // The next thing that is done on this connection is the key set.
    refuse_key_sets(&mut calm, 0, 1, Refusal::BadIdentity { what: "the administrator does not like it".into() });
    let revoke = revocation(&calm, 0, "Laptop", None);
    assert_eq!(calm.command(0, revoke), Some(Answer::Done));
    calm.settle_over(5_000);
    let put = |frame: &(ConnectionKind, Vec<u8>)| {
        matches!(FromClient::decode(&frame.1), Ok(FromClient::Request(_, Request::PutKeySet(_))))
    };
    assert!(calm.reached_server(0).iter().any(put));
    let trouble = calm.engine(0).unwrap().revocation_trouble().unwrap().unwrap();
    assert!(trouble.contains("does not like it"), "{trouble}");
    assert_eq!(standing(&calm, 0), ["First device", "Laptop"]);
    calm.be_honest();
    // It did take it: it stands there, and the next try is the same one.
    let revoke = revocation(&calm, 0, "Laptop", None);
    assert_eq!(calm.command(0, revoke), Some(Answer::Done));
    calm.settle_over(60_000);
    assert_eq!(standing(&calm, 0), ["First device"]);
    assert_eq!(calm.engine(0).unwrap().revocation_trouble().unwrap(), None);
    assert_talk_goes_on(&mut calm, &[0, 1]);
    assert!(!calm.texts(laptop).contains(&"1 says".to_owned()));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn of_two_devices_that_revoke_each_other_one_remains_and_the_other_knows() {
    for seed in 10..13 {
        let mut calm = Calm::new(seed, 2);
        calm.befriend(0, 1);
        calm.write(0, "before");
        let laptop = calm.link_device(0, "Laptop", History::All);
        calm.settle_over(5_000);
        let (one, other) = (revocation(&calm, 0, "Laptop", None), revocation(&calm, laptop, "First device", None));
        calm.command(0, one);
        calm.command(laptop, other);
        calm.settle_over(90_000);
        let refused: Vec<_> =
            [0, laptop].into_iter().filter(|who| calm.engine(*who).unwrap().sign_in_refusal().is_some()).collect();
        assert_eq!(refused.len(), 1, "seed {seed}");
        let remaining = if refused == [0] { laptop } else { 0 };
        assert_eq!(standing(&calm, remaining).len(), 1);
        // It keeps what it holds, wipes nothing, and says what it is.
        assert_eq!(calm.texts(refused[0]), ["before"]);
        let own = calm.engine(refused[0]).unwrap().devices().unwrap().into_iter().find(|device| device.is_this);
        assert!(own.unwrap().revoked_at.is_some(), "seed {seed}");
        for command in [Command::Device(DeviceCommand::MakeLink), Command::BackUp] {
            assert!(calm.attempt(refused[0], command).unwrap_err().contains("removed from the account"));
        }
        assert_talk_goes_on(&mut calm, &[remaining, 1]);
        assert_eq!(calm.texts(refused[0]), ["before"]);
        assert_eq!(calm.engine_errors(), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn two_revocations_at_once_are_both_carried_out() {
    for seed in 20..23 {
        let mut calm = Calm::new(seed, 2);
        calm.befriend(0, 1);
        let laptop = calm.link_device(0, "Laptop", History::All);
        let tablet = calm.link_device(0, "Tablet", History::All);
        let phone = calm.link_device(laptop, "Phone", History::All);
        calm.settle_over(60_000);
        let (one, other) = (revocation(&calm, 0, "Tablet", None), revocation(&calm, laptop, "Phone", None));
        if seed % 2 == 0 {
            calm.command(0, one);
            calm.command(laptop, other);
        } else {
            calm.command(laptop, other);
            calm.rounds(seed as usize % 5);
            calm.command(0, one);
        }
        calm.settle_over(150_000);
        for who in [0, laptop] {
            assert_eq!(standing(&calm, who), ["First device", "Laptop"], "seed {seed}");
        }
        for who in [tablet, phone] {
            assert!(calm.engine(who).unwrap().sign_in_refusal().is_some(), "seed {seed}");
        }
        assert_talk_goes_on(&mut calm, &[0, laptop, 1]);
        assert_eq!(calm.engine_errors(), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn a_revocation_is_loud_without_the_words_and_quiet_with_them() {
    for is_typed in [false, true] {
        let mut calm = Calm::new(30, 2);
        calm.befriend(0, 1);
        let words = calm.engine(0).unwrap().phrase().unwrap().unwrap().join(" ");
        calm.command(0, Command::ConfirmPhrase { phrase: TypedPhrase::new(words.clone()) });
        calm.link_device(0, "Laptop", History::All);
        calm.settle_over(5_000);
        let other = calm.engine(1).unwrap().phrase().unwrap().unwrap().join(" ");
        let wrong = revocation(&calm, 0, "Laptop", Some(&other));
        assert!(calm.attempt(0, wrong).unwrap_err().contains("not the 24 words of this account"));
        let revoke = revocation(&calm, 0, "Laptop", is_typed.then_some(words.as_str()));
        calm.command(0, revoke);
        calm.settle_over(60_000);
        calm.write(0, "from the device that remains");
        calm.settle();
        let notice = calm.first_conversation(1).unwrap().notice;
        calm.write(1, "the friend's answer");
        calm.settle();
        let is_there = calm.texts(0).contains(&"the friend's answer".to_owned());
        assert_eq!((is_there, notice.is_none()), (is_typed, is_typed));
        assert_eq!(calm.engine_errors(), Vec::<String>::new());
    }
}

#[test]
fn other_devices_enter_a_conversation_that_one_founded_wherever_its_program_ends() {
    for (inputs, outputs) in [(0, Some(0)), (1, None), (3, Some(1)), (6, None), (11, Some(1))] {
        let mut calm = Calm::new(40 + inputs as u64, 3);
        calm.befriend(0, 1);
        let laptop = calm.link_device(0, "Laptop", History::Nothing);
        calm.settle_over(5_000);
        let what = format!("end in input {inputs}, {outputs:?}");
        calm.end_program(0, inputs, outputs);
        // A person who got no answer looks whether it is there before they repeat it.
        let link = calm.link_of(2).unwrap();
        for _ in 0..2 {
            if calm.contacts(0).len() < 2 {
                calm.command(0, Command::AddContact { link: link.clone() });
            }
            calm.rounds(1);
        }
        // Said at once, before the other device can be in it.
        if calm.write(0, "the very first words").is_none() {
            calm.rounds(1);
            calm.write(0, "the very first words");
        }
        calm.settle_over(120_000);
        assert!(!calm.is_ending(), "{what}");
        calm.write(2, "the answer");
        calm.settle_over(5_000);
        for who in [0, laptop, 2] {
            assert_eq!(calm.texts(who), ["the very first words", "the answer"], "p{who}, {what}");
        }
        let title = "Climbing";
        calm.end_program(0, inputs, outputs);
        let members = vec![calm.address_of(1).unwrap(), calm.address_of(2).unwrap()];
        let is_there = |calm: &Calm, who| {
            let all = calm.engine(who).map(|engine| engine.conversations().unwrap()).unwrap_or_default();
            all.into_iter().find(|conversation| conversation.title == title)
        };
        for _ in 0..2 {
            if is_there(&calm, 0).is_none() {
                calm.command(0, Command::CreateGroup { title: title.into(), members: members.clone() });
            }
            calm.rounds(1);
        }
        let id = is_there(&calm, 0).unwrap().id;
        let text = "welcome to the group".to_owned();
        let say = Command::SendText { conversation: id, text: text.clone(), reply_to: None };
        if calm.command(0, say.clone()).is_none() {
            calm.rounds(1);
            calm.command(0, say);
        }
        calm.settle_over(120_000);
        let promote = GroupChange::Role(members[0].clone(), Role::Admin);
        calm.change(laptop, id, promote);
        calm.settle_over(5_000);
        for who in [0, laptop, 1, 2] {
            let group = is_there(&calm, who).unwrap_or_else(|| panic!("p{who}, {what}"));
            assert_eq!(group.state, ConversationState::Active, "p{who}, {what}");
            let said = calm.timeline_of(who, &group.id).iter().filter(|message| message.text == text).count();
            assert_eq!(said, 1, "p{who}, {what}");
        }
        assert_eq!(calm.engine_errors(), Vec::<String>::new(), "{what}");
    }
}

/// A fresh profile that has asked to become a device; the old one is about to say yes, or has.
fn about_to_be_let_in(seed: u64) -> (Calm, usize, Command) {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(1, "before");
    calm.settle();
    let new = calm.new_profile();
    calm.ask_to_link(0, new, "Phone");
    let request = calm.engine(0).unwrap().device_requests().unwrap().pop().unwrap();
    let device = parse_device_id(&request.id).unwrap();
    (calm, new, Command::Device(DeviceCommand::Answer { device, given: Some(History::All) }))
}

fn assert_reads_along(mut calm: Calm, new: usize) {
    calm.write(1, "after");
    calm.settle();
    assert_eq!(calm.texts(new), ["before", "after"]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_device_whose_linking_was_interrupted_does_not_wait_for_the_turn_of_others() {
    for seed in 50..54 {
        let (mut calm, new, yes) = about_to_be_let_in(seed);
        calm.command(0, yes);
        // It hears of the device from the server, too, which another device may have added: those wait.
        calm.stop(0);
        calm.start(0);
        calm.settle_over(12_000);
        assert_reads_along(calm, new);
    }
}

#[test]
fn a_fetch_of_ones_own_keys_that_was_put_off_is_made_as_soon_as_the_connection_is_back() {
    for seed in 60..64 {
        let (mut calm, new, yes) = about_to_be_let_in(seed);
        calm.lie(|who, _, bytes: Vec<u8>| match anonymous::FromServer::decode(&bytes) {
            Ok(ServerFrame::Answer(id, anonymous::Answer::KeyPackages { .. })) if who == 0 => {
                vec![anonymous::FromServer::Refused(id, Refusal::Unavailable).encode()]
            }
            _ => vec![bytes],
        });
        calm.command(0, yes);
        calm.settle_over(60_000);
        calm.be_honest();
        calm.disconnect(0);
        calm.settle_over(3_000);
        assert_reads_along(calm, new);
    }
}

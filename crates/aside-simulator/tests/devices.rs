//! Several devices of one account, through the real engines and the real server core.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{Answer, Command, DeviceCommand, History};
use aside_engine::view::{ConversationState, Delivery, LinkingState, parse_device_id};
use aside_simulator::calm::Calm;

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

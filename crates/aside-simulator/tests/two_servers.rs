//! People on servers that never speak to each other, and of which one is down for a while: nobody waits for whom they
//! can do without, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, GroupChange};
use aside_engine::view::{ConversationState, MemberState, MessageKind};
use aside_simulator::calm::Calm;

const DAY_MS: i64 = 86_400_000;

fn say(calm: &mut Calm, who: usize, conversation: ConversationId, text: &str) {
    let command = Command::SendText { conversation, text: text.into(), reply_to: None };
    assert!(calm.command(who, command).is_some(), "p{who} may not say {text:?}");
    calm.settle();
}

fn texts(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let rows = calm.timeline_of(who, id).into_iter();
    rows.filter(|row| row.kind == MessageKind::Text).map(|row| row.text).collect()
}

fn members(calm: &Calm, who: usize, id: &ConversationId) -> Vec<(String, MemberState)> {
    let members = calm.conversation(who, id).unwrap().members;
    let mut members: Vec<_> = members.iter().map(|one| (one.person.address.name.to_string(), one.state)).collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

fn state(calm: &Calm, who: usize, id: &ConversationId) -> ConversationState {
    calm.conversation(who, id).unwrap().state
}

/// Days go by, with everybody's connections renewed each day.
fn days(calm: &mut Calm, people: usize, days: usize) {
    for _ in 0..days {
        calm.wait_ms(DAY_MS);
        (0..people).for_each(|who| calm.disconnect(who));
        calm.live(2);
    }
}

#[test]
fn a_group_is_founded_without_those_whose_server_is_down_and_they_join_when_it_is_back() {
    let mut calm = Calm::on_servers(1, &[0, 0, 1]);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    calm.stop_server(1);
    let id = calm.found(0, "Two servers", &[1, 2]);
    assert_eq!(state(&calm, 0, &id), ConversationState::Pending, "everybody is waited for, for a moment");
    calm.live(15);
    assert_eq!(state(&calm, 0, &id), ConversationState::Active);
    let expected = [("p0", MemberState::Member), ("p1", MemberState::Member), ("p2", MemberState::Adding)];
    assert_eq!(members(&calm, 0, &id), expected.map(|(name, state)| (name.to_owned(), state)));
    say(&mut calm, 1, id, "we have begun");
    days(&mut calm, 3, 3);
    calm.start_server(1);
    calm.live(10);
    assert_eq!(state(&calm, 2, &id), ConversationState::Active);
    for who in 0..3 {
        let names: Vec<_> = members(&calm, who, &id);
        assert_eq!(names, ["p0", "p1", "p2"].map(|name| (name.to_owned(), MemberState::Member)), "p{who}");
    }
    say(&mut calm, 2, id, "here at last");
    assert_eq!(texts(&calm, 0, &id), ["we have begun", "here at last"]);
    assert_eq!(texts(&calm, 1, &id), ["we have begun", "here at last"]);
    assert_eq!(texts(&calm, 2, &id), ["here at last"]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn others_are_added_while_one_of_them_cannot_be_reached() {
    let mut calm = Calm::on_servers(2, &[0, 0, 0, 1]);
    (1..4).for_each(|other| calm.befriend(0, other));
    let id = calm.found(0, "Growing", &[1]);
    calm.stop_server(1);
    let (p2, p3) = (calm.address_of(2).unwrap(), calm.address_of(3).unwrap());
    calm.change(0, id, GroupChange::Add(vec![p3, p2])).unwrap();
    calm.live(5);
    assert_eq!(state(&calm, 2, &id), ConversationState::Active);
    say(&mut calm, 2, id, "without p3");
    days(&mut calm, 4, 2);
    calm.start_server(1);
    calm.live(10);
    say(&mut calm, 3, id, "with p3");
    assert_eq!(texts(&calm, 2, &id), ["without p3", "with p3"]);
    assert_eq!(members(&calm, 1, &id).len(), 4);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn whoever_cannot_be_reached_can_be_taken_off_the_list_again() {
    let mut calm = Calm::on_servers(3, &[0, 0, 1]);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    calm.stop_server(1);
    let id = calm.found(0, "Without", &[1, 2]);
    calm.live(15);
    let p2 = calm.address_of(2).unwrap();
    calm.change(0, id, GroupChange::Remove(p2)).unwrap();
    calm.start_server(1);
    calm.live(10);
    assert!(calm.conversation(2, &id).is_none());
    assert_eq!(members(&calm, 0, &id).len(), 2);
}

#[test]
fn where_nobody_can_be_reached_the_group_waits() {
    let mut calm = Calm::on_servers(4, &[0, 1]);
    calm.befriend(0, 1);
    calm.stop_server(1);
    let id = calm.found(0, "Waiting", &[1]);
    calm.live(60);
    assert_eq!(state(&calm, 0, &id), ConversationState::Pending);
    say(&mut calm, 0, id, "queued");
    calm.start_server(1);
    calm.live(10);
    assert_eq!(texts(&calm, 1, &id), ["queued"]);
    let answer = calm.command(1, Command::SendText { conversation: id, text: "here".into(), reply_to: None });
    assert!(matches!(answer, Some(Answer::Message(_))));
}

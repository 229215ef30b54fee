//! Who was away for long, or at the wrong time: nothing waits for ever, and nobody is forgotten.

#![allow(clippy::unwrap_used)]

use aside_engine::conversation::ConversationId;
use aside_engine::input::{Command, GroupChange};
use aside_engine::view::{ConversationState, MessageKind};
use aside_simulator::calm::Calm;

const DAY_MS: i64 = 86_400_000;

/// A group of three that p0 made.
fn three(seed: u64) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, 3);
    (1..3).for_each(|other| calm.befriend(0, other));
    let id = calm.found(0, "Three", &[1, 2]);
    (calm, id)
}

fn say(calm: &mut Calm, who: usize, conversation: ConversationId, text: &str) {
    calm.command(who, Command::SendText { conversation, text: text.to_owned(), reply_to: None }).unwrap();
    calm.settle();
}

fn rows(calm: &Calm, who: usize, id: &ConversationId, kind: MessageKind) -> Vec<String> {
    calm.timeline_of(who, id).into_iter().filter(|row| row.kind == kind).map(|row| row.text).collect()
}

fn assert_members(calm: &Calm, id: &ConversationId, members: &[usize]) {
    let all: Vec<String> = members.iter().map(|who| format!("p{who}")).collect();
    for who in members {
        let seen = calm.conversation(*who, id).unwrap();
        assert_eq!(seen.state, ConversationState::Active, "p{who}: {:?}", seen.paused_reason);
        let mut names: Vec<String> = seen.members.iter().map(|it| it.person.address.name.to_string()).collect();
        names.sort();
        assert_eq!(names, all, "as p{who} sees it");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn who_leaves_while_their_keys_are_due_for_renewal_still_says_so() {
    let (mut calm, id) = three(8);
    // A joiner's keys are renewed some seconds after it joined; that never comes any more.
    calm.stop(2);
    calm.wait_ms(60_000);
    calm.start(2);
    calm.change(2, id, GroupChange::Leave).unwrap();
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    assert_members(&calm, &id, &[0, 1]);
}

#[test]
fn who_is_removed_and_added_again_while_away_is_a_member_again() {
    let (mut calm, id) = three(9);
    say(&mut calm, 0, id, "with you");
    calm.stop(2);
    say(&mut calm, 0, id, "while you were away");
    let p2 = calm.address_of(2).unwrap();
    calm.change(0, id, GroupChange::Remove(p2.clone())).unwrap();
    calm.settle();
    say(&mut calm, 0, id, "without you");
    calm.change(0, id, GroupChange::Add(vec![p2])).unwrap();
    calm.settle();
    say(&mut calm, 0, id, "with you again");
    calm.start(2);
    calm.settle();
    assert_members(&calm, &id, &[0, 1, 2]);
    assert_eq!(rows(&calm, 2, &id, MessageKind::Text), ["with you", "while you were away", "with you again"]);
}

#[test]
fn who_leaves_is_taken_out_by_an_admin_who_was_away_for_long() {
    let (mut calm, id) = three(10);
    calm.stop(0);
    calm.change(2, id, GroupChange::Leave).unwrap();
    calm.settle();
    calm.wait_ms(60 * DAY_MS);
    calm.sweep();
    calm.start(0);
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    assert_members(&calm, &id, &[0, 1]);
}

#[test]
fn what_had_expired_for_somebody_who_was_removed_is_said_to_be_gone() {
    let (mut calm, id) = three(11);
    calm.stop(2);
    say(&mut calm, 0, id, "too late for you");
    let p2 = calm.address_of(2).unwrap();
    calm.change(0, id, GroupChange::Remove(p2)).unwrap();
    calm.settle();
    calm.wait_ms(40 * DAY_MS);
    calm.sweep();
    calm.start(2);
    calm.settle();
    let notes = rows(&calm, 2, &id, MessageKind::Event);
    assert!(notes.iter().any(|note| note.contains("could not be recovered")), "{notes:?}");
    assert_eq!(rows(&calm, 2, &id, MessageKind::Text), Vec::<String>::new());
}

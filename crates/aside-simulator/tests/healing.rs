//! Whatever breaks heals by itself: planted damage, and nothing lost, doubled or unreadable at the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::conversation::ConversationId;
use aside_engine::heal::HealCounts;
use aside_engine::input::{Answer, Command};
use aside_engine::view::{ConversationState, MessageKind};
use aside_simulator::calm::Calm;

fn pair(seed: u64) -> Calm {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(0, "before");
    calm.settle();
    calm
}

/// So many people in a group that p0 made; `calm` has rested since.
fn group(seed: u64, people: usize) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, people);
    for other in 1..people {
        calm.befriend(0, other);
    }
    let members = calm.contacts(0).into_iter().map(|contact| contact.address).collect();
    let Some(Answer::Conversation(group)) = calm.command(0, Command::CreateGroup { title: "all".into(), members })
    else {
        panic!("no group")
    };
    calm.settle();
    calm.live(20);
    (calm, group)
}

fn say(calm: &mut Calm, who: usize, conversation: ConversationId, text: &str) {
    let command = Command::SendText { conversation, text: text.into(), reply_to: None };
    assert!(calm.command(who, command).is_some(), "p{who} may not say {text:?}");
    calm.settle();
}

fn said(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let rows = calm.timeline_of(who, id);
    rows.into_iter().filter(|row| row.kind == MessageKind::Text).map(|row| row.text).collect()
}

fn direct(calm: &Calm, who: usize) -> ConversationId {
    calm.first_conversation(who).unwrap().id
}

fn heals(calm: &Calm, who: usize) -> HealCounts {
    calm.engine(who).unwrap().heal_counts().unwrap()
}

/// All members see the same texts in the same order, everybody is active, and nothing could not be read.
fn agree(calm: &Calm, id: impl Fn(usize) -> ConversationId, people: usize, texts: &[&str]) {
    for who in 0..people {
        let id = id(who);
        let row = calm.engine(who).unwrap().conversation(&id).unwrap().unwrap();
        assert_eq!(row.state, ConversationState::Active, "p{who}: {:?}", row.paused_reason);
        assert_eq!(row.notice, None);
        assert_eq!(said(calm, who, &id), texts, "p{who}");
        for row in calm.timeline_of(who, &id) {
            assert!(!row.text.contains("could not"), "p{who}: {}", row.text);
        }
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

const GROUP_TABLES: [&str; 3] = ["openmls_group_data", "openmls_own_leaf_nodes", "openmls_epoch_keys_pairs"];

#[test]
fn an_undamaged_profile_heals_nothing() {
    let mut calm = pair(100);
    calm.stop(1);
    calm.start(1);
    calm.write(1, "still here");
    calm.live(5);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "still here"]);
    assert_eq!((heals(&calm, 0), heals(&calm, 1)), (HealCounts::default(), HealCounts::default()));
}

#[test]
fn a_deleted_group_is_asked_for_and_the_timeline_has_no_seam() {
    let mut calm = pair(101);
    let id = direct(&calm, 1);
    calm.stop(1);
    calm.write(0, "while away");
    calm.settle();
    calm.damage(1, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    // What is written meanwhile waits.
    say(&mut calm, 1, id, "not lost");
    calm.live(20);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "while away", "not lost"]);
    assert_eq!(heals(&calm, 1).re_added, 1);
    assert_eq!(heals(&calm, 0).answered, 1);
    assert!(heals(&calm, 1).messages >= 1);
    calm.write(0, "and on");
    calm.settle();
    assert_eq!(calm.texts(1).last().unwrap(), "and on");
}

#[test]
fn any_missing_row_of_a_group_heals() {
    let kinds = ["tree", "context", "message_secrets", "own_leaf_index", "group_epoch_secrets", "confirmation_tag"];
    for (seed, kind) in (110..).zip(kinds) {
        let mut calm = pair(seed);
        calm.damage(1, &format!("DELETE FROM openmls_group_data WHERE data_type = '{kind}'"));
        calm.live(20);
        calm.write(0, "again");
        calm.write(1, "and again");
        calm.live(5);
        let mut texts = calm.texts(1);
        texts.sort();
        assert_eq!(texts, ["again", "and again", "before"], "{kind}");
        assert_eq!(calm.texts(0), calm.texts(1), "{kind}");
        assert_eq!(heals(&calm, 1).re_added, 1, "{kind}");
    }
}

#[test]
fn a_row_that_is_not_what_it_should_be_heals() {
    let mut calm = pair(120);
    calm.damage(1, "UPDATE openmls_group_data SET group_data = x'ff' WHERE data_type = 'message_secrets'");
    calm.write(0, "to nobody");
    calm.live(20);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "to nobody"]);
    assert_eq!(heals(&calm, 1).re_added, 1);
}

#[test]
fn an_older_copy_of_the_database_never_encrypts_with_what_it_had() {
    let mut calm = pair(130);
    let id = direct(&calm, 1);
    let copy = calm.copy(1);
    calm.settle();
    say(&mut calm, 1, id, "after the copy");
    calm.write(0, "an answer");
    calm.settle();
    calm.restore(1, &copy);
    say(&mut calm, 1, id, "after the restore");
    calm.live(40);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "after the copy", "an answer", "after the restore"]);
    let own: Vec<bool> = calm.timeline(1).iter().map(|row| row.sender.is_self).collect();
    assert_eq!(own, [false, true, false, true], "what this person wrote is theirs again");
    assert_eq!(heals(&calm, 1).re_added, 1);
}

#[test]
fn an_older_copy_that_wrote_nothing_since_goes_on_as_it_is() {
    // In a group, where no receipts are written.
    let (mut calm, id) = group(131, 3);
    let copy = calm.copy(2);
    calm.settle();
    say(&mut calm, 0, id, "after the copy");
    calm.restore(2, &copy);
    calm.live(20);
    say(&mut calm, 2, id, "and on");
    agree(&calm, |_| id, 3, &["after the copy", "and on"]);
    assert_eq!(heals(&calm, 2).re_added, 0);
}

#[test]
fn in_a_group_any_member_gives_a_fresh_leaf_and_everybody_their_own_words() {
    let (mut calm, id) = group(140, 4);
    say(&mut calm, 0, id, "zero");
    calm.stop(3);
    say(&mut calm, 0, id, "one");
    say(&mut calm, 1, id, "two");
    say(&mut calm, 2, id, "three");
    // p0, the only admin, is away: members that are none can do it, too.
    calm.stop(0);
    calm.damage(3, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(25);
    assert_eq!(said(&calm, 3, &id), ["zero", "two", "three"], "whoever is away cannot give their words back yet");
    calm.start(0);
    calm.live(40);
    agree(&calm, |_| id, 4, &["zero", "one", "two", "three"]);
    assert_eq!(heals(&calm, 3).re_added, 2, "the group and the conversation with p0");
}

#[test]
fn what_nobody_can_give_back_is_said_in_one_line() {
    let (mut calm, id) = group(150, 3);
    calm.stop(2);
    say(&mut calm, 1, id, "one");
    say(&mut calm, 1, id, "two");
    say(&mut calm, 0, id, "three");
    calm.stop(1);
    calm.damage(2, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(60);
    assert_eq!(said(&calm, 2, &id), ["three"]);
    let lines: Vec<String> =
        calm.timeline_of(2, &id).into_iter().map(|row| row.text).filter(|text| text.contains("could not")).collect();
    assert_eq!(lines, ["2 messages of p1, on 2026-01-01, could not be recovered."]);
    // When they turn up after all, the line goes.
    calm.start(1);
    calm.live(40);
    agree(&calm, |_| id, 3, &["one", "two", "three"]);
}

#[test]
fn edits_and_deletions_that_were_missed_come_back_too() {
    let mut calm = pair(160);
    let id = direct(&calm, 0);
    let first = calm.write(0, "first").unwrap();
    calm.settle();
    calm.stop(1);
    let second = calm.write(0, "second").unwrap();
    let third = calm.write(0, "third").unwrap();
    calm.settle();
    calm.command(0, Command::EditText { message: first, text: "first, better".into() });
    calm.command(0, Command::EditText { message: second, text: "second, better".into() });
    calm.command(0, Command::DeleteMessage { message: third });
    calm.settle();
    calm.damage(1, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(30);
    assert_eq!(calm.texts(0), calm.texts(1));
    assert_eq!(said(&calm, 0, &id), ["before", "first, better", "second, better", ""]);
}

//! Whatever breaks heals by itself: planted damage, and nothing lost, doubled or unreadable at the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::Defects;
use aside_engine::conversation::ConversationId;
use aside_engine::heal::HealCounts;
use aside_engine::input::{Answer, Command, ConnectionKind};
use aside_engine::view::{ConversationState, MessageKind, NoticeAction, NoticeKind};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{FromServer, Push};
use aside_protocol::frame::anonymous::Push as Anonymous;
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

/// What somebody with ill will does.
fn garbage() -> Defects {
    Defects { garbage_commits: true, ..Defects::default() }
}

fn wrong_keys() -> Defects {
    Defects { wrong_next_keys: true, ..Defects::default() }
}

/// p`who` commits with ill will, and is gone.
fn commit_badly(calm: &mut Calm, who: usize, id: ConversationId, how: Defects) {
    calm.set_defects(who, how);
    // It hears nobody's letters, or it would let those in again whom it has shut out.
    calm.lie(move |hears, kind, bytes| match hears == who && kind == ConnectionKind::Account {
        true => vec![],
        false => vec![bytes],
    });
    calm.command(who, Command::RotateKeys { conversation: id });
    calm.settle();
    calm.stop(who);
    calm.be_honest();
}

fn back_and_honest(calm: &mut Calm, who: usize) {
    calm.start(who);
    calm.set_defects(who, Defects::default());
    calm.live(40);
}

fn moves(calm: &Calm, who: usize, id: &ConversationId) -> usize {
    calm.timeline_of(who, id).iter().filter(|row| row.text.contains("goes on in a new place")).count()
}

#[test]
fn a_garbage_commit_between_two_ends_in_a_new_channel_and_one_conversation() {
    let mut calm = pair(200);
    let (zero, one) = (direct(&calm, 0), direct(&calm, 1));
    commit_badly(&mut calm, 1, one, garbage());
    let row = calm.engine(0).unwrap().conversation(&zero).unwrap().unwrap();
    assert_eq!((row.state, row.notice.unwrap().kind), (ConversationState::Pending, NoticeKind::Healing));
    say(&mut calm, 0, zero, "queued");
    calm.live(40);
    back_and_honest(&mut calm, 1);
    say(&mut calm, 1, one, "here again");
    agree(&calm, |who| [zero, one][who], 2, &["before", "queued", "here again"]);
    assert_eq!((moves(&calm, 0, &zero), moves(&calm, 1, &one)), (1, 1));
    assert_eq!((heals(&calm, 0).re_founded, heals(&calm, 1).re_founded), (1, 1));
}

#[test]
fn a_garbage_commit_in_a_group_moves_everybody_and_blames_nobody() {
    let (mut calm, id) = group(201, 4);
    say(&mut calm, 1, id, "before");
    commit_badly(&mut calm, 3, id, garbage());
    say(&mut calm, 1, id, "queued by p1");
    say(&mut calm, 2, id, "queued by p2");
    calm.live(60);
    back_and_honest(&mut calm, 3);
    say(&mut calm, 3, id, "here again");
    let mut texts = said(&calm, 0, &id);
    texts[1..3].sort();
    assert_eq!(texts, ["before", "queued by p1", "queued by p2", "here again"]);
    let order: Vec<String> = said(&calm, 0, &id);
    agree(&calm, |_| id, 4, &order.iter().map(String::as_str).collect::<Vec<_>>());
    for who in 0..4 {
        assert_eq!(moves(&calm, who, &id), 1, "p{who}");
        assert!(!calm.timeline_of(who, &id).iter().any(|row| row.text.contains("left out")), "p{who}");
    }
}

#[test]
fn whoever_signed_wrong_keys_is_left_out_of_the_new_channel() {
    let (mut calm, id) = group(202, 4);
    say(&mut calm, 1, id, "before");
    commit_badly(&mut calm, 3, id, wrong_keys());
    say(&mut calm, 2, id, "queued");
    calm.live(60);
    back_and_honest(&mut calm, 3);
    agree(&calm, |_| id, 3, &["before", "queued"]);
    for who in 0..3 {
        let row = calm.engine(who).unwrap().conversation(&id).unwrap().unwrap();
        let names: Vec<String> = row.members.iter().map(|member| member.person.display_name.clone()).collect();
        assert_eq!(names.len(), 3, "p{who}: {names:?}");
        assert!(!names.contains(&"p3".to_owned()));
        assert!(calm.timeline_of(who, &id).iter().any(|row| row.text.starts_with("p3 was left out")), "p{who}");
        let evidence = calm.engine(who).unwrap().evidence(&id).unwrap();
        assert_eq!(evidence[0].culprit.as_deref(), Some("p3@calm.example"), "p{who}");
        assert!(evidence[0].statement.is_some());
    }
}

#[test]
fn wrong_keys_between_two_end_in_a_new_channel() {
    let mut calm = pair(203);
    let (zero, one) = (direct(&calm, 0), direct(&calm, 1));
    commit_badly(&mut calm, 1, one, wrong_keys());
    say(&mut calm, 0, zero, "queued");
    calm.live(40);
    back_and_honest(&mut calm, 1);
    agree(&calm, |who| [zero, one][who], 2, &["before", "queued"]);
}

#[test]
fn a_lost_welcome_is_asked_for_again() {
    let mut calm = pair(210);
    let mut is_lost = false;
    calm.lie(move |who, kind, bytes| match (who, kind, FromServer::decode(&bytes)) {
        (1, ConnectionKind::Account, Ok(ServerFrame::Push(Push::Envelope(_)))) if !is_lost => {
            is_lost = true;
            vec![]
        }
        _ => vec![bytes],
    });
    calm.damage(1, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(30);
    calm.write(0, "after");
    calm.live(5);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "after"]);
    assert_eq!(heals(&calm, 0).answered, 2);
}

#[test]
fn two_members_who_answer_at_once_give_one_leaf() {
    let (mut calm, id) = group(211, 3);
    calm.stop(0);
    calm.stop(1);
    calm.damage(2, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(5);
    // Both find the request, and its time has come for both.
    calm.start(0);
    calm.start(1);
    calm.rounds(4);
    calm.wait_ms(10_000);
    calm.live(20);
    say(&mut calm, 0, id, "all here");
    agree(&calm, |_| id, 3, &["all here"]);
    let adds = |who| calm.timeline_of(who, &id).iter().filter(|row| row.text.contains("added")).count();
    assert_eq!((adds(0), adds(1)), (0, 1), "a fresh leaf is no newcomer");
}

#[test]
fn a_requester_may_crash_at_any_step() {
    for step in 0..24 {
        let mut calm = pair(220 + step);
        calm.stop(1);
        calm.write(0, "while away");
        calm.settle();
        calm.damage(1, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
        calm.rounds(usize::try_from(step).unwrap());
        calm.stop(1);
        calm.start(1);
        calm.live(15);
        calm.write(1, "after");
        calm.live(3);
        agree(&calm, |who| direct(&calm, who), 2, &["before", "while away", "after"]);
        assert_eq!(heals(&calm, 1).re_added, 1, "step {step}");
    }
}

#[test]
fn after_two_hundred_days_a_device_is_let_in_again_and_given_what_was_said() {
    const DAY: i64 = 86_400_000;
    let mut calm = pair(230);
    let id = direct(&calm, 0);
    calm.stop(1);
    say(&mut calm, 0, id, "early");
    calm.command(0, Command::RotateKeys { conversation: id });
    calm.settle();
    for _ in 0..10 {
        calm.wait_ms(10 * DAY);
        calm.disconnect(0);
        calm.live(1);
    }
    say(&mut calm, 0, id, "late");
    for _ in 0..10 {
        calm.wait_ms(10 * DAY);
        calm.disconnect(0);
        calm.live(1);
    }
    calm.start(1);
    calm.live(40);
    calm.write(1, "back");
    calm.live(3);
    agree(&calm, |who| direct(&calm, who), 2, &["before", "early", "late", "back"]);
}

#[test]
fn alone_with_lost_keys_a_person_founds_the_conversation_anew() {
    let mut calm = pair(240);
    let (zero, one) = (direct(&calm, 0), direct(&calm, 1));
    calm.stop(1);
    say(&mut calm, 0, zero, "unseen");
    calm.stop(0);
    calm.damage(1, &GROUP_TABLES.map(|table| format!("DELETE FROM {table};")).join(""));
    say(&mut calm, 1, one, "into the new one");
    calm.live(90);
    assert_eq!(heals(&calm, 1).re_founded, 1, "the other one is away for long");
    calm.start(0);
    calm.live(40);
    agree(&calm, |who| [zero, one][who], 2, &["before", "unseen", "into the new one"]);
}

#[test]
fn after_a_fork_a_person_decides_and_the_evidence_stays() {
    let mut calm = pair(250);
    let (zero, one) = (direct(&calm, 0), direct(&calm, 1));
    let mut is_done = false;
    calm.lie(move |who, kind, bytes| match (who, kind, aside_protocol::frame::anonymous::FromServer::decode(&bytes)) {
        (1, ConnectionKind::Anonymous, Ok(ServerFrame::Push(Anonymous::Entry(channel, mut entry)))) if !is_done => {
            is_done = true;
            entry.header.expires_day += 1;
            let frame = ServerFrame::Push(Anonymous::Entry(channel, entry));
            vec![aside_protocol::frame::anonymous::FromServer::encode(&frame)]
        }
        _ => vec![bytes],
    });
    calm.write(0, "one");
    calm.settle();
    // p1's receipt cites the other head, so p0 sends no more, and neither does p1 once it reads on.
    calm.disconnect(1);
    calm.settle();
    let forked = calm.engine(1).unwrap().conversation(&one).unwrap().unwrap();
    let notice = forked.notice.unwrap();
    assert_eq!((forked.state, notice.kind), (ConversationState::Paused, NoticeKind::Fork));
    assert_eq!(notice.actions, [NoticeAction::Continue, NoticeAction::Leave]);
    let refused = Command::SendText { conversation: one, text: "no".into(), reply_to: None };
    assert_eq!(calm.command(1, refused), None, "nothing is sent meanwhile");
    calm.live(30);
    let still = calm.engine(1).unwrap().conversation(&one).unwrap().unwrap();
    assert_eq!(still.state, ConversationState::Paused, "nobody decides for the person");
    let evidence = calm.engine(1).unwrap().evidence(&one).unwrap();
    let (ours, theirs) = (evidence[0].ours.clone().unwrap(), evidence[0].theirs.clone().unwrap());
    assert_ne!(ours.head, theirs.head);
    calm.be_honest();
    calm.command(1, Command::ActOnNotice { conversation: one, action: NoticeAction::Continue });
    calm.live(20);
    // p0 was told another head by p1's receipts, so p0 decides, too.
    let other = calm.engine(0).unwrap().conversation(&zero).unwrap().unwrap();
    assert_eq!(other.notice.unwrap().kind, NoticeKind::Fork);
    calm.command(0, Command::ActOnNotice { conversation: zero, action: NoticeAction::Continue });
    calm.live(40);
    say(&mut calm, 1, one, "and on");
    calm.live(5);
    agree(&calm, |who| [zero, one][who], 2, &["before", "one", "and on"]);
    assert_eq!(calm.engine(1).unwrap().evidence(&one).unwrap(), evidence);
}

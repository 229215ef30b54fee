//! Groups: what admins and members may do, races between them, and what everybody sees of it.

#![allow(clippy::unwrap_used)]

use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, Decision, GroupChange};
use aside_engine::view::{ConversationState, MemberState, MessageKind, Role};
use aside_protocol::frame::{ClientFrame, anonymous};
use aside_simulator::calm::Calm;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and pixels";

/// So many people, all of whom the first knows, and a group of the first with some of them.
fn group(seed: u64, people: usize, members: &[usize]) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, people);
    (1..people).for_each(|other| calm.befriend(0, other));
    let id = calm.found(0, "Friends", members);
    (calm, id)
}

fn names(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let conversation = calm.conversation(who, id).unwrap();
    let mut names: Vec<String> =
        conversation.members.iter().map(|member| member.person.address.name.to_string()).collect();
    names.sort();
    names
}

fn notes(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let is_note = |kind| kind == MessageKind::Event;
    calm.timeline_of(who, id).into_iter().filter(|row| is_note(row.kind)).map(|row| row.text).collect()
}

fn texts(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let is_text = |kind| kind == MessageKind::Text;
    calm.timeline_of(who, id).into_iter().filter(|row| is_text(row.kind)).map(|row| row.text).collect()
}

fn say(calm: &mut Calm, who: usize, conversation: ConversationId, text: &str) -> Option<Answer> {
    calm.command(who, Command::SendText { conversation, text: text.to_owned(), reply_to: None })
}

fn assert_all_agree(calm: &Calm, id: &ConversationId, members: &[usize]) {
    let all: Vec<String> = members.iter().map(|who| format!("p{who}")).collect();
    for who in members {
        let seen = calm.conversation(*who, id).unwrap();
        assert_eq!(seen.state, ConversationState::Active, "p{who}: {:?}", seen.paused_reason);
        assert_eq!(names(calm, *who, id), all, "as p{who} sees it");
        let is_member = |state| state == MemberState::Member;
        assert!(seen.members.iter().all(|member| is_member(member.state)), "as p{who} sees it");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn an_admin_renames_pictures_adds_removes_and_promotes_and_everybody_reads_it() {
    let (mut calm, id) = group(1, 4, &[1, 2]);
    assert_all_agree(&calm, &id, &[0, 1, 2]);
    calm.change(0, id, GroupChange::Title("  Best friends ".into())).unwrap();
    calm.change(0, id, GroupChange::Picture(Some(PNG.to_vec()))).unwrap();
    calm.settle();
    let p3 = calm.address_of(3).unwrap();
    calm.change(0, id, GroupChange::Add(vec![p3])).unwrap();
    assert!(calm.conversation(0, &id).unwrap().members.iter().any(|member| member.state == MemberState::Adding));
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2, 3]);
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Role(p1.clone(), Role::Admin)).unwrap();
    calm.settle();
    assert_eq!(calm.conversation(1, &id).unwrap().my_role, Some(Role::Admin));
    let p2 = calm.address_of(2).unwrap();
    calm.change(1, id, GroupChange::Remove(p2)).unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 3]);
    for who in [0, 1, 3] {
        let seen = calm.conversation(who, &id).unwrap();
        assert_eq!(seen.title, "Best friends");
        let picture = calm.engine(who).unwrap().picture(&id).unwrap().unwrap();
        assert!(seen.picture.unwrap().ends_with(&picture.name));
        assert_eq!(picture.media_type, "image/png");
        assert_eq!(picture.bytes, PNG);
    }
    let read = notes(&calm, 3, &id);
    assert_eq!(read, ["p0 added you to the group", "p0 made p1 an admin", "p1 removed p2"]);
    let read = notes(&calm, 0, &id);
    assert!(read.contains(&"You named the group “Best friends”".to_owned()), "{read:?}");
    assert!(read.contains(&"You changed the group's picture".to_owned()), "{read:?}");
    assert!(read.contains(&"You added p3".to_owned()), "{read:?}");
}

#[test]
fn a_removed_member_gets_its_removal_and_nothing_later() {
    let (mut calm, id) = group(2, 3, &[1, 2]);
    say(&mut calm, 0, id, "with you").unwrap();
    calm.settle();
    let p2 = calm.address_of(2).unwrap();
    calm.change(0, id, GroupChange::Remove(p2.clone())).unwrap();
    calm.settle();
    say(&mut calm, 1, id, "without you").unwrap();
    calm.settle();
    let seen = calm.conversation(2, &id).unwrap();
    assert!(seen.left && seen.my_role.is_none());
    assert_eq!(seen.paused_reason.as_deref(), Some("p0 removed you from the group"));
    assert_eq!(texts(&calm, 2, &id), ["with you"]);
    assert!(say(&mut calm, 2, id, "hello?").is_none());
    assert_eq!(texts(&calm, 0, &id), ["with you", "without you"]);
    // And comes back, with what is said from then on.
    calm.change(0, id, GroupChange::Add(vec![p2])).unwrap();
    calm.settle();
    say(&mut calm, 2, id, "back").unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2]);
    assert_eq!(texts(&calm, 2, &id), ["with you", "back"]);
    assert_eq!(texts(&calm, 1, &id), ["with you", "without you", "back"]);
}

#[test]
fn a_removed_member_whom_a_stranger_adds_again_is_asked() {
    let (mut calm, id) = group(20, 3, &[1, 2]);
    let (p1, p2) = (calm.address_of(1).unwrap(), calm.address_of(2).unwrap());
    say(&mut calm, 0, id, "with you").unwrap();
    calm.settle();
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.change(0, id, GroupChange::Remove(p2.clone())).unwrap();
    calm.settle();
    // The group shows them to each other, and still neither is the other's contact.
    calm.command(1, Command::AddByName { name: p2.name.clone() }).unwrap();
    calm.settle();
    calm.change(1, id, GroupChange::Add(vec![p2.clone()])).unwrap();
    calm.settle();
    assert_eq!(calm.conversation(2, &id).unwrap().state, ConversationState::Request);
    calm.command(2, Command::Decline { conversation: id }).unwrap();
    calm.settle();
    let seen = calm.conversation(2, &id).unwrap();
    assert!(seen.left && seen.state == ConversationState::Paused, "{:?}", seen.state);
    assert_eq!(texts(&calm, 2, &id), ["with you"], "what was said before is kept");
    calm.change(0, id, GroupChange::Remove(p2.clone())).unwrap();
    calm.settle();
    calm.change(1, id, GroupChange::Add(vec![p2])).unwrap();
    calm.settle();
    calm.command(2, Command::Accept { conversation: id }).unwrap();
    calm.settle();
    say(&mut calm, 2, id, "back").unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2]);
    assert_eq!(texts(&calm, 2, &id), ["with you", "back"]);
}

#[test]
fn two_admins_change_the_group_at_once_and_both_get_their_way() {
    let (mut calm, id) = group(3, 6, &[1, 2, 3]);
    for other in [2, 4, 5] {
        calm.befriend(1, other);
    }
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.settle();
    let address = |calm: &Calm, who| calm.address_of(who).unwrap();
    let (p2, p3, p4, p5) = (address(&calm, 2), address(&calm, 3), address(&calm, 4), address(&calm, 5));
    calm.change(0, id, GroupChange::Add(vec![p4.clone()])).unwrap();
    calm.change(1, id, GroupChange::Add(vec![p5, p4])).unwrap();
    calm.change(0, id, GroupChange::Title("Zero's".into())).unwrap();
    calm.change(1, id, GroupChange::Remove(p3.clone())).unwrap();
    calm.change(0, id, GroupChange::Remove(p3)).unwrap();
    calm.change(0, id, GroupChange::Remove(p2)).unwrap();
    calm.change(1, id, GroupChange::Picture(Some(PNG.to_vec()))).unwrap();
    say(&mut calm, 1, id, "in between").unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 4, 5]);
    for who in [0, 1, 4, 5] {
        assert_eq!(calm.conversation(who, &id).unwrap().title, "Zero's");
        assert!(calm.conversation(who, &id).unwrap().picture.is_some());
    }
    assert_eq!(notes(&calm, 0, &id).iter().filter(|note| note.contains("removed") && note.contains("p3")).count(), 1);
    assert!(!notes(&calm, 1, &id).iter().any(|note| note.contains("could not")));
}

#[test]
fn a_busy_talker_does_not_keep_a_commit_from_coming() {
    let (mut calm, id) = group(4, 3, &[1, 2]);
    for number in 0..300 {
        say(&mut calm, 0, id, &format!("{number}")).unwrap();
    }
    calm.change(0, id, GroupChange::Title("Busy".into())).unwrap();
    calm.settle();
    assert_eq!(texts(&calm, 2, &id).len(), 300);
    let rows = calm.timeline_of(1, &id);
    let named = rows.iter().position(|row| row.text == "p0 named the group “Busy”").unwrap();
    assert!(named < 100, "the commit came after {named} rows");
}

#[test]
fn who_leaves_is_taken_out_by_an_admins_device_and_sees_nothing_more() {
    let (mut calm, id) = group(5, 4, &[1, 2, 3]);
    let p1 = calm.address_of(1).unwrap();
    assert!(calm.change(0, id, GroupChange::Leave).is_none(), "the only admin left");
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.settle();
    calm.change(3, id, GroupChange::Leave).unwrap();
    assert!(calm.conversation(3, &id).unwrap().left);
    assert!(say(&mut calm, 3, id, "one more thing").is_none());
    say(&mut calm, 0, id, "are they gone?").unwrap();
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2]);
    assert_eq!(notes(&calm, 2, &id).iter().filter(|note| note.contains("p3")).count(), 1);
    assert_eq!(texts(&calm, 3, &id), Vec::<String>::new());
    assert!(notes(&calm, 3, &id).contains(&"You left the group".to_owned()));
    calm.change(0, id, GroupChange::Leave).unwrap();
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    assert_all_agree(&calm, &id, &[1, 2]);
}

/// p0 and p1 are admins of a group with p2 and p3.
fn two_admins(seed: u64) -> (Calm, ConversationId) {
    let (mut calm, id) = group(seed, 4, &[1, 2, 3]);
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.live(10);
    (calm, id)
}

fn admins(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let members = calm.conversation(who, id).unwrap().members;
    let admins = members.iter().filter(|one| one.role == Role::Admin);
    admins.map(|one| one.person.address.name.to_string()).collect()
}

/// Those who went have nothing of the group any more; those who stay have one admin, who can change it.
fn assert_handed_over(calm: &mut Calm, id: &ConversationId, gone: &[usize], there: &[usize], admin: usize) {
    assert_all_agree(calm, id, there);
    for who in gone {
        let seen = calm.conversation(*who, id).unwrap();
        assert!(seen.left, "p{who}: {:?}", seen.paused_reason);
        assert_eq!(seen.paused_reason.as_deref(), Some("you left the group"), "p{who}");
    }
    for who in there {
        assert_eq!(admins(calm, *who, id), [format!("p{admin}")], "as p{who} sees it");
    }
    calm.change(admin, *id, GroupChange::Title("Still ours".into())).unwrap();
    calm.settle();
    for who in there {
        assert_eq!(calm.conversation(*who, id).unwrap().title, "Still ours", "as p{who} sees it");
    }
}

#[test]
fn of_admins_who_leave_at_once_the_last_appoints_whoever_was_there_longest() {
    for (seed, apart) in (400..).zip([0, 1, 2, 3, 5, 8]) {
        let (mut calm, id) = two_admins(seed);
        calm.change(0, id, GroupChange::Leave).unwrap();
        calm.take_turns(apart);
        // Once p1 knows that p0 left, it is asked to choose another admin first.
        let has_left = calm.change(1, id, GroupChange::Leave).is_some();
        calm.live(10);
        match has_left {
            true => assert_handed_over(&mut calm, &id, &[0, 1], &[2, 3], 2),
            false => assert_handed_over(&mut calm, &id, &[0], &[1, 2, 3], 1),
        }
    }
}

#[test]
fn whoever_is_to_inherit_may_leave_at_the_same_time() {
    for (seed, apart) in (410..).zip([0, 2, 4, 6, 9, 12, 16, 20]) {
        let (mut calm, id) = two_admins(seed);
        calm.change(0, id, GroupChange::Leave).unwrap();
        calm.change(1, id, GroupChange::Leave).unwrap();
        calm.take_turns(apart);
        // Once p2 knows that it is the admin, it is asked to choose another first.
        let has_left = calm.change(2, id, GroupChange::Leave).is_some();
        calm.live(10);
        match has_left {
            true => assert_handed_over(&mut calm, &id, &[0, 1, 2], &[3], 3),
            false => assert_handed_over(&mut calm, &id, &[0, 1], &[2, 3], 2),
        }
    }
}

#[test]
fn an_admin_who_leaves_offline_hands_over_when_back() {
    let (mut calm, id) = two_admins(420);
    calm.change(0, id, GroupChange::Leave).unwrap();
    calm.stop(0);
    calm.change(1, id, GroupChange::Leave).unwrap();
    calm.live(10);
    // p0 has not said it yet, so p1 has gone, and p0 is the last.
    assert!(calm.conversation(1, &id).unwrap().left);
    calm.start(0);
    calm.live(10);
    assert_handed_over(&mut calm, &id, &[0, 1], &[2, 3], 2);
}

#[test]
fn a_crash_between_any_two_steps_of_the_last_admins_leaving_leaves_no_group_without_one() {
    for steps in 0..16 {
        let (mut calm, id) = two_admins(430);
        calm.change(0, id, GroupChange::Leave).unwrap();
        calm.change(1, id, GroupChange::Leave).unwrap();
        calm.take_turns(steps);
        for who in [0, 1] {
            calm.stop(who);
            calm.start(who);
        }
        calm.live(10);
        assert_handed_over(&mut calm, &id, &[0, 1], &[2, 3], 2);
    }
}

#[test]
fn two_admins_who_make_each_other_members_leave_one() {
    let (mut calm, id) = two_admins(440);
    let (p0, p1) = (calm.address_of(0).unwrap(), calm.address_of(1).unwrap());
    calm.change(0, id, GroupChange::Role(p0, Role::Member)).unwrap();
    calm.change(1, id, GroupChange::Role(p1, Role::Member)).unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2, 3]);
    let left = admins(&calm, 3, &id);
    assert_eq!(left.len(), 1, "{left:?}");
    for who in 0..3 {
        assert_eq!(admins(&calm, who, &id), left);
    }
}

#[test]
fn the_last_person_simply_leaves() {
    let (mut calm, id) = group(6, 2, &[1]);
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Remove(p1)).unwrap();
    calm.settle();
    calm.change(0, id, GroupChange::Leave).unwrap();
    calm.settle();
    assert!(calm.conversation(0, &id).unwrap().left);
}

#[test]
fn a_member_who_is_no_admin_is_told_so() {
    let (mut calm, id) = group(7, 3, &[1, 2]);
    let p2 = calm.address_of(2).unwrap();
    for change in [
        GroupChange::Title("Mine".into()),
        GroupChange::Picture(None),
        GroupChange::Remove(p2.clone()),
        GroupChange::Role(p2.clone(), Role::Admin),
        GroupChange::Add(vec![p2]),
    ] {
        assert!(calm.change(1, id, change).is_none());
    }
    assert!(calm.change(0, id, GroupChange::Picture(Some(b"<svg/>".to_vec()))).is_none());
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2]);
}

#[test]
fn a_daily_report_goes_to_eight_of_many() {
    let others: Vec<usize> = (1..13).collect();
    let (mut calm, id) = group(450, 13, &others);
    calm.live(40);
    let letters = |calm: &mut Calm| {
        let is_letter = |bytes: &[u8]| {
            let frame = ClientFrame::<anonymous::Request>::decode(bytes);
            matches!(frame, Ok(ClientFrame::Request(_, anonymous::Request::Deliver { .. })))
        };
        calm.reached_server(1).iter().filter(|(_, bytes)| is_letter(bytes)).count()
    };
    letters(&mut calm);
    calm.wait_ms(86_400_000);
    (0..13).for_each(|who| calm.disconnect(who));
    calm.settle();
    assert_eq!(letters(&mut calm), 8 + 1, "of the group, and of the conversation with p0");
    assert_eq!(texts(&calm, 5, &id), Vec::<String>::new());
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

fn join(calm: &mut Calm, who: usize, inviter: usize, id: &ConversationId) -> Option<Answer> {
    let link = calm.engine(inviter).unwrap().group_invite(id).unwrap().unwrap().link;
    calm.command(who, Command::JoinByLink { link })
}

fn asking(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let requests = calm.engine(who).unwrap().join_requests(id).unwrap();
    requests.into_iter().map(|request| request.display_name).collect()
}

#[test]
fn whoever_has_the_link_asks_and_any_admin_answers() {
    let (mut calm, id) = group(8, 6, &[1, 2]);
    let address = |calm: &Calm, who: usize| calm.address_of(who).unwrap();
    let p1 = address(&calm, 1);
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.settle();
    assert!(calm.command(2, Command::MakeGroupLink { conversation: id }).is_none(), "a member made a link");
    calm.command(0, Command::MakeGroupLink { conversation: id }).unwrap();
    calm.settle();
    assert!(calm.engine(0).unwrap().group_invite(&id).unwrap().unwrap().is_registered);
    // p3 is a stranger to p1, who approves; p4 is declined.
    join(&mut calm, 3, 0, &id).unwrap();
    join(&mut calm, 4, 0, &id).unwrap();
    calm.settle();
    assert_eq!(asking(&calm, 0, &id).len(), 2);
    assert_eq!(calm.conversation(1, &id).unwrap().join_requests, Some(2));
    assert_eq!(asking(&calm, 2, &id), Vec::<String>::new(), "p2 is no admin");
    let (p3, p4) = (address(&calm, 3), address(&calm, 4));
    let answer = |address, decision| Command::AnswerJoinRequest { conversation: id, address, decision };
    assert!(calm.command(2, answer(p3.clone(), Decision::Accept)).is_none(), "a member answered");
    calm.command(1, answer(p3, Decision::Accept)).unwrap();
    calm.command(1, answer(p4, Decision::Decline)).unwrap();
    calm.settle();
    assert_all_agree(&calm, &id, &[0, 1, 2, 3]);
    assert_eq!(asking(&calm, 0, &id), Vec::<String>::new());
    say(&mut calm, 3, id, "thank you").unwrap();
    calm.settle();
    assert_eq!(texts(&calm, 2, &id), ["thank you"]);
    let seen = calm.conversation(4, &id).unwrap();
    assert!(seen.left);
    assert_eq!(seen.paused_reason.as_deref(), Some("p1 declined your request to join"));
    // A withdrawn link leads nowhere, and says so.
    let link = calm.engine(0).unwrap().group_invite(&id).unwrap().unwrap().link;
    calm.command(0, Command::WithdrawGroupLink { conversation: id }).unwrap();
    calm.settle();
    calm.command(5, Command::JoinByLink { link }).unwrap();
    (0..30).for_each(|_| {
        calm.wait_ms(60_000);
        calm.settle();
    });
    let seen = calm.conversation(5, &id).unwrap();
    assert!(seen.paused_reason.unwrap().contains("withdrawn"));
}

#[test]
fn sixty_people_come_in_by_batches_and_read_what_is_said_from_then_on() {
    let people: Vec<usize> = (1..62).collect();
    let mut calm = Calm::new(9, 63);
    // They add the founder: making so many channels costs more than one person's tokens of a day.
    let link = calm.link_of(0).unwrap();
    (1..63).for_each(|who| drop(calm.command(who, Command::AddContact { link: link.clone() })));
    calm.settle();
    // The server bounds how often one account is written to at once.
    (0..10).for_each(|_| {
        calm.wait_ms(600_000);
        calm.settle();
    });
    assert_eq!(calm.contacts(0).len(), 62);
    let id = calm.found(0, "Everybody", &people);
    say(&mut calm, 0, id, "everybody here?").unwrap();
    calm.settle();
    let all: Vec<usize> = (0..62).collect();
    assert_eq!(calm.conversation(0, &id).unwrap().members.len(), 62);
    for who in &all {
        assert_eq!(texts(&calm, *who, &id), ["everybody here?"], "as p{who} sees it");
    }
    let p62 = calm.address_of(62).unwrap();
    calm.change(0, id, GroupChange::Add(vec![p62])).unwrap();
    calm.settle();
    say(&mut calm, 62, id, "late").unwrap();
    calm.settle();
    assert_eq!(texts(&calm, 17, &id), ["everybody here?", "late"]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_crash_between_any_two_steps_loses_no_change_and_makes_none_twice() {
    for steps in 0..24 {
        let (mut calm, id) = group(20, 4, &[1, 2]);
        let p3 = calm.address_of(3).unwrap();
        calm.change(0, id, GroupChange::Add(vec![p3])).unwrap();
        calm.change(0, id, GroupChange::Title("Renamed".into())).unwrap();
        calm.take_turns(steps);
        calm.stop(0);
        calm.start(0);
        calm.settle();
        assert_all_agree(&calm, &id, &[0, 1, 2, 3]);
        assert_eq!(calm.conversation(3, &id).unwrap().title, "Renamed", "after {steps} turns");
        let read = notes(&calm, 1, &id);
        assert_eq!(read.iter().filter(|note| note.contains("added p3")).count(), 1, "after {steps} turns: {read:?}");
        assert_eq!(read.iter().filter(|note| note.contains("Renamed")).count(), 1, "after {steps} turns: {read:?}");
    }
}

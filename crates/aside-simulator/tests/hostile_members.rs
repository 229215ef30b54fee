//! A member with ill will commits what its role forbids: every honest client refuses it, names its author, and the
//! conversation goes on without them and without anything being lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::Defects;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Command, ConnectionKind, GroupChange};
use aside_engine::view::{ConversationState, MessageKind, Role};
use aside_simulator::calm::Calm;

/// p0 and p1, admins, p2 and p3 are in a group; p4 is in none and known to p3.
fn group(seed: u64) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, 5);
    (1..4).for_each(|other| calm.befriend(0, other));
    calm.befriend(3, 4);
    let id = calm.found(0, "Friends", &[1, 2, 3]);
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.live(20);
    say(&mut calm, 3, id, "before");
    calm.settle();
    (calm, id)
}

fn say(calm: &mut Calm, who: usize, conversation: ConversationId, text: &str) {
    let command = Command::SendText { conversation, text: text.into(), reply_to: None };
    assert!(calm.command(who, command).is_some(), "p{who} may not say {text:?}");
}

fn texts(calm: &Calm, who: usize, id: &ConversationId) -> Vec<String> {
    let rows = calm.timeline_of(who, id).into_iter();
    rows.filter(|row| row.kind == MessageKind::Text).map(|row| row.text).collect()
}

fn members(calm: &Calm, who: usize, id: &ConversationId) -> Vec<(String, Role)> {
    let members = calm.conversation(who, id).unwrap().members;
    let mut members: Vec<_> = members.iter().map(|one| (one.person.address.name.to_string(), one.role)).collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members
}

/// p`culprit` commits a change that is not allowed while others talk; then everybody but it goes on as before, with
/// `left` in the group.
fn refused_by_all(
    (mut calm, id): (Calm, ConversationId),
    culprit: usize,
    defects: Defects,
    change: impl FnOnce(&Calm) -> GroupChange,
    left: &[(usize, Role)],
) {
    calm.set_defects(culprit, defects);
    let change = change(&calm);
    calm.change(culprit, id, change).expect("an engine without scruples");
    let talkers: Vec<usize> = left.iter().map(|(who, _)| *who).collect();
    for who in &talkers {
        say(&mut calm, *who, id, &format!("meanwhile {who}"));
    }
    calm.live(70);
    for who in &talkers {
        say(&mut calm, *who, id, &format!("after {who}"));
        calm.settle();
    }
    let agreed = texts(&calm, talkers[0], &id);
    assert_eq!(agreed.len(), 1 + 2 * talkers.len(), "{agreed:?}");
    let name = format!("p{culprit}");
    let roles: Vec<(String, Role)> = left.iter().map(|(who, role)| (format!("p{who}"), *role)).collect();
    for who in talkers {
        let row = calm.conversation(who, &id).unwrap();
        assert_eq!((row.state, &row.notice), (ConversationState::Active, &None), "p{who}: {:?}", row.paused_reason);
        assert_eq!(texts(&calm, who, &id), agreed, "p{who}");
        assert_eq!(members(&calm, who, &id), roles, "p{who}");
        assert_eq!(row.title, "Friends", "p{who}");
        let evidence = calm.engine(who).unwrap().evidence(&id).unwrap();
        assert_eq!(evidence.len(), 1, "p{who}: {evidence:?}");
        assert_eq!(evidence[0].culprit.as_deref(), Some(format!("{name}@calm.example").as_str()), "p{who}");
        let rows = calm.timeline_of(who, &id);
        let named = rows.iter().filter(|row| row.text.starts_with(&format!("{name} was left out"))).count();
        assert_eq!(named, 1, "p{who}");
        assert!(!rows.iter().any(|row| row.text.contains("could not")), "p{who}: {rows:?}");
        assert_eq!(calm.engine(who).unwrap().heal_counts().unwrap().re_added, 0, "p{who} was lured back");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

const FORBIDDEN: fn() -> Defects = || Defects { forbidden_commits: true, ..Defects::default() };
const REST: [(usize, Role); 3] = [(0, Role::Admin), (1, Role::Admin), (2, Role::Member)];

fn refused_of_p3(seed: u64, change: impl FnOnce(&Calm) -> GroupChange) {
    refused_by_all(group(seed), 3, FORBIDDEN(), change, &REST);
}

#[test]
fn a_plain_member_adds_nobody() {
    refused_of_p3(300, |calm| GroupChange::Add(vec![calm.address_of(4).unwrap()]));
}

#[test]
fn a_plain_member_removes_nobody() {
    refused_of_p3(301, |calm| GroupChange::Remove(calm.address_of(2).unwrap()));
}

#[test]
fn a_plain_member_removes_no_admin() {
    refused_of_p3(302, |calm| GroupChange::Remove(calm.address_of(0).unwrap()));
}

#[test]
fn a_plain_member_makes_itself_no_admin() {
    refused_of_p3(303, |calm| GroupChange::Role(calm.address_of(3).unwrap(), Role::Admin));
}

#[test]
fn a_plain_member_takes_no_admins_role_away() {
    refused_of_p3(304, |calm| GroupChange::Role(calm.address_of(1).unwrap(), Role::Member));
}

#[test]
fn a_plain_member_changes_no_title() {
    refused_of_p3(305, |_| GroupChange::Title("Mine".into()));
}

#[test]
fn a_plain_member_changes_no_picture() {
    refused_of_p3(306, |_| GroupChange::Picture(Some(b"\x89PNG\r\n\x1a\n and pixels".to_vec())));
}

#[test]
fn an_admin_hides_no_other_change_behind_an_allowed_one() {
    let hidden = Defects { hidden_external_sender: true, ..Defects::default() };
    let left = [(0, Role::Admin), (2, Role::Member), (3, Role::Member)];
    refused_by_all(group(307), 1, hidden, |_| GroupChange::Title("Harmless".into()), &left);
}

/// What is wrong with a commit that its author was allowed to make.
const GARBAGE: fn() -> Defects = || Defects { garbage_commits: true, ..Defects::default() };
const WRONG_KEYS: fn() -> Defects = || Defects { wrong_next_keys: true, ..Defects::default() };

/// p0 and p1, admins, and p2 to p4. `culprit` commits badly while p1 renames the group, p2 renews its keys and everybody
/// talks; it goes on as it likes, or is not seen again.
fn broken_by(seed: u64, culprit: usize, how: Defects, is_gone: bool) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, 5);
    (1..5).for_each(|other| calm.befriend(0, other));
    let id = calm.found(0, "Friends", &[1, 2, 3, 4]);
    let p1 = calm.address_of(1).unwrap();
    calm.change(0, id, GroupChange::Role(p1, Role::Admin)).unwrap();
    calm.live(30);
    calm.set_defects(culprit, how);
    calm.command(culprit, Command::RotateKeys { conversation: id }).unwrap();
    calm.rounds(1);
    calm.change(1, id, GroupChange::Title("Renamed".into()));
    calm.command(2, Command::RotateKeys { conversation: id });
    for who in (0..5).filter(|who| *who != culprit) {
        say(&mut calm, who, id, &format!("meanwhile {who}"));
    }
    calm.settle();
    if is_gone {
        calm.stop(culprit);
    }
    calm.live(100);
    (calm, id)
}

/// Everybody in `there` is in one group of them, talks, has lost nothing, and blames whom it should.
fn goes_on(calm: &mut Calm, id: ConversationId, there: &[usize], texts_before: usize, blamed: Option<&str>) {
    for who in there {
        let row = calm.conversation(*who, &id).unwrap();
        assert_eq!(row.state, ConversationState::Active, "p{who}: {:?}", row.paused_reason);
        say(calm, *who, id, &format!("after {who}"));
        calm.settle();
    }
    let agreed = texts(calm, there[0], &id);
    assert_eq!(agreed.len(), texts_before + there.len(), "{agreed:?}");
    for who in there {
        assert_eq!(texts(calm, *who, &id), agreed, "p{who}");
        let rows = calm.timeline_of(*who, &id);
        assert!(!rows.iter().any(|row| row.text.contains("could not be rec")), "p{who}: {rows:?}");
        let left_out: Vec<&str> = rows
            .iter()
            .filter(|row| row.text.contains("left out"))
            .filter_map(|row| row.text.split(' ').next())
            .collect();
        assert_eq!(left_out, blamed.into_iter().collect::<Vec<_>>(), "p{who}");
        let names: Vec<String> = members(calm, *who, &id).into_iter().map(|one| one.0).collect();
        assert!(!blamed.is_some_and(|name| names.contains(&name.to_owned())), "p{who}");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_garbage_commit_among_five_holds_up_nobody_and_is_blamed_on_nobody() {
    for (seed, is_gone) in [(320, true), (321, false)] {
        let (mut calm, id) = broken_by(seed, 4, GARBAGE(), is_gone);
        // Whoever goes on like that is in the end not taken along.
        calm.live(if is_gone { 0 } else { 60 });
        goes_on(&mut calm, id, &[0, 1, 2, 3], 4, None);
        let is_in = members(&calm, 0, &id).iter().any(|(name, _)| name == "p4");
        assert_eq!(is_in, is_gone, "nobody proved that it was p4");
        if !is_gone {
            continue;
        }
        calm.start(4);
        calm.set_defects(4, Defects::default());
        calm.live(60);
        say(&mut calm, 4, id, "honest again");
        calm.settle();
        assert_eq!(texts(&calm, 0, &id).last().unwrap(), "honest again");
    }
}

#[test]
fn what_is_no_commit_at_all_is_blamed_on_whoever_signed_it() {
    let nonsense = Defects { nonsense_commits: true, ..Defects::default() };
    let (mut calm, id) = broken_by(326, 4, nonsense, false);
    goes_on(&mut calm, id, &[0, 1, 2, 3], 4, Some("p4"));
    for who in 0..4 {
        let evidence = calm.engine(who).unwrap().evidence(&id).unwrap();
        assert!(evidence[0].statement.is_some(), "p{who}");
    }
}

#[test]
fn wrong_keys_among_five_hold_up_nobody_and_are_blamed_on_whoever_signed_them() {
    for (seed, is_gone) in [(322, true), (323, false)] {
        let (mut calm, id) = broken_by(seed, 4, WRONG_KEYS(), is_gone);
        goes_on(&mut calm, id, &[0, 1, 2, 3], 4, Some("p4"));
    }
}

#[test]
fn an_admin_with_ill_will_is_treated_no_better() {
    let (mut calm, id) = broken_by(324, 0, WRONG_KEYS(), false);
    goes_on(&mut calm, id, &[1, 2, 3, 4], 4, Some("p0"));
    assert_eq!(members(&calm, 3, &id)[0], ("p1".to_owned(), Role::Admin));
    let (mut calm, id) = broken_by(325, 0, GARBAGE(), true);
    goes_on(&mut calm, id, &[1, 2, 3, 4], 4, None);
}

/// p0 is the only admin of p1 to p3, commits badly and is not seen again.
fn broken_by_the_only_admin(seed: u64, how: Defects) -> (Calm, ConversationId) {
    let mut calm = Calm::new(seed, 4);
    (1..4).for_each(|other| calm.befriend(0, other));
    let id = calm.found(0, "Friends", &[1, 2, 3]);
    calm.live(30);
    calm.set_defects(0, how);
    calm.command(0, Command::RotateKeys { conversation: id }).unwrap();
    calm.settle();
    calm.stop(0);
    for who in 1..4 {
        say(&mut calm, who, id, &format!("meanwhile {who}"));
    }
    calm.live(120);
    (calm, id)
}

#[test]
fn where_the_only_admin_broke_the_group_the_longest_standing_member_takes_over() {
    let (mut calm, id) = broken_by_the_only_admin(330, WRONG_KEYS());
    goes_on(&mut calm, id, &[1, 2, 3], 3, Some("p0"));
    let roles = [("p1".to_owned(), Role::Admin), ("p2".to_owned(), Role::Member), ("p3".to_owned(), Role::Member)];
    for who in 1..4 {
        assert_eq!(members(&calm, who, &id), roles, "p{who}");
    }
}

#[test]
fn where_nobody_can_be_blamed_the_longest_standing_member_moves_all_and_roles_stay() {
    let (mut calm, id) = broken_by_the_only_admin(331, GARBAGE());
    goes_on(&mut calm, id, &[1, 2, 3], 3, None);
    let roles = [("p0", Role::Admin), ("p1", Role::Member), ("p2", Role::Member), ("p3", Role::Member)];
    for who in 1..4 {
        assert_eq!(members(&calm, who, &id), roles.map(|(name, role)| (name.to_owned(), role)), "p{who}");
    }
}

#[test]
fn of_two_admins_who_found_the_group_anew_at_once_one_wins_for_everybody() {
    let (mut calm, id) = group(340);
    calm.set_defects(3, GARBAGE());
    // p1 hears nothing through its inbox for a while, and so not that p0 has founded it anew.
    calm.lie(|hears, kind, bytes| match hears == 1 && kind == ConnectionKind::Account {
        true => vec![],
        false => vec![bytes],
    });
    calm.command(3, Command::RotateKeys { conversation: id }).unwrap();
    calm.settle();
    calm.stop(3);
    for who in 0..3 {
        say(&mut calm, who, id, &format!("meanwhile {who}"));
    }
    calm.live(60);
    for who in 0..2 {
        let founded = calm.engine(who).unwrap().heal_counts().unwrap().re_founded;
        assert_eq!(founded, 1, "p{who} has founded one");
    }
    calm.be_honest();
    calm.disconnect(1);
    calm.live(40);
    for who in 0..3 {
        say(&mut calm, who, id, &format!("after {who}"));
        calm.settle();
    }
    // Order is per log, and for a while there were two.
    let sorted = |calm: &Calm, who| {
        let mut texts = texts(calm, who, &id);
        texts.sort();
        texts
    };
    for who in 0..3 {
        let expected = ["after 0", "after 1", "after 2", "before", "meanwhile 0", "meanwhile 1", "meanwhile 2"];
        assert_eq!(sorted(&calm, who), expected, "p{who}");
        assert_eq!(calm.conversation(who, &id).unwrap().state, ConversationState::Active, "p{who}");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
    let roles = [("p0", Role::Admin), ("p1", Role::Admin), ("p2", Role::Member), ("p3", Role::Member)];
    for who in 0..3 {
        assert_eq!(members(&calm, who, &id), roles.map(|(name, role)| (name.to_owned(), role)), "p{who}");
    }
}

#[test]
fn nobody_is_given_what_was_said_before_they_joined() {
    let mut calm = Calm::new(341, 3);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    let id = calm.found(0, "Friends", &[1]);
    calm.live(10);
    for text in ["a secret of p0", "and more"] {
        say(&mut calm, 0, id, text);
        calm.settle();
    }
    let p2 = calm.address_of(2).unwrap();
    calm.change(0, id, GroupChange::Add(vec![p2])).unwrap();
    calm.live(10);
    say(&mut calm, 0, id, "welcome");
    calm.settle();
    // p2 asks for everything from the channel's beginning on, as if it had missed it.
    calm.damage(
        2,
        "INSERT INTO gaps (conversation, channel, from_seq, to_seq, position, since_ms, next_ms)
         SELECT c.id, c.channel, 1, h.seq, 1000000, 0, 0 FROM conversations c JOIN channels h ON h.id = c.channel
         WHERE c.title = 'Friends'",
    );
    calm.reached_server(2);
    calm.live(20);
    let has_asked = calm.reached_server(2).len();
    assert!(has_asked > 0);
    assert_eq!(texts(&calm, 2, &id), ["welcome"]);
    assert_eq!(texts(&calm, 1, &id), ["a secret of p0", "and more", "welcome"]);
}

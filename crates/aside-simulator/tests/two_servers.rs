//! People on servers that never speak to each other, and of which one is down for a while: nobody waits for whom they
//! can do without, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, DeviceCommand, GroupChange, History, Presence, Verification};
use aside_engine::recovery::TypedPhrase;
use aside_engine::view::{
    ContactState, ConversationState, MemberState, MessageKind, NoticeAction, NoticeKind, parse_device_id,
};
use aside_protocol::frame::{ClientFrame, account};
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

/// p0 on one server and p1 on another, who know each other and have both written.
fn apart(seed: u64) -> Calm {
    let mut calm = Calm::on_servers(seed, &[0, 1]);
    calm.befriend(0, 1);
    calm.write(0, "from p0");
    calm.settle();
    calm.write(1, "from p1");
    calm.settle();
    calm
}

#[test]
fn what_is_written_while_a_server_is_down_arrives_when_it_is_back() {
    let mut calm = apart(20);
    // The conversation is on p0's server. p1's own is of no matter for it.
    calm.stop_server(1);
    calm.write(0, "one");
    calm.settle();
    assert_eq!(calm.texts(1).last().unwrap(), "one");
    calm.write(1, "two");
    calm.settle();
    calm.start_server(1);
    calm.stop_server(0);
    calm.write(0, "three");
    calm.write(1, "four");
    days(&mut calm, 2, 2);
    assert_eq!(calm.texts(1).last().unwrap(), "four", "what p1 wrote stands at once");
    calm.start_server(0);
    calm.live(10);
    let texts = calm.texts(0);
    assert_eq!(texts[..4], ["from p0", "from p1", "one", "two"]);
    assert_eq!(texts.len(), 6);
    let mut other = calm.texts(1);
    other.sort();
    let mut sorted = texts;
    sorted.sort();
    assert_eq!(other, sorted);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_request_from_another_server_is_accepted_while_that_is_down_or_declined_blocked_and_reported() {
    for (seed, is_accepted) in [(21, true), (22, false)] {
        let mut calm = apart(seed);
        let p0 = calm.address_of(0).unwrap();
        calm.command(1, Command::RemoveContact { address: p0.clone() }).unwrap();
        calm.settle();
        calm.write(0, "are you there?");
        calm.live(70);
        let asked = calm.first_conversation(1).unwrap();
        assert_eq!(asked.state, ConversationState::Request);
        calm.stop_server(0);
        if is_accepted {
            calm.command(1, Command::Accept { conversation: asked.id }).unwrap();
            days(&mut calm, 2, 2);
            calm.start_server(0);
            calm.live(10);
            assert_eq!(calm.texts(1), ["from p0", "from p1", "are you there?"]);
            calm.write(1, "yes");
            calm.settle();
            assert_eq!(calm.texts(0).last().unwrap(), "yes");
            continue;
        }
        calm.reached_server(1);
        calm.command(1, Command::ReportRequest { conversation: asked.id }).unwrap();
        calm.settle();
        let report = |bytes: &[u8]| match ClientFrame::<account::Request>::decode(bytes) {
            Ok(ClientFrame::Request(_, account::Request::Report(report))) => Some(report),
            _ => None,
        };
        let reports: Vec<_> = calm.reached_server(1).iter().filter_map(|(_, bytes)| report(bytes)).collect();
        assert_eq!(reports.iter().map(|report| &report.about).collect::<Vec<_>>(), [&p0], "to p1's own administrator");
        let answer = calm.command(1, Command::Decline { conversation: asked.id });
        assert_eq!(answer, Some(Answer::Asker(p0.clone())));
        calm.command(1, Command::SetBlocked { address: p0.clone(), blocked: Presence::Present }).unwrap();
        calm.start_server(0);
        calm.write(0, "hello?");
        calm.live(70);
        assert!(calm.first_conversation(1).is_none(), "nothing of somebody blocked comes back");
    }
}

#[test]
fn a_real_change_of_the_account_key_without_the_words_is_loud_on_another_server() {
    let mut calm = apart(23);
    let tablet = calm.link_device(1, "Tablet", History::Nothing);
    calm.live(70);
    let words = calm.engine(1).unwrap().phrase().unwrap().unwrap().join(" ");
    let phrase = TypedPhrase::new(words);
    assert_eq!(calm.command(1, Command::ConfirmPhrase { phrase }), Some(Answer::Done));
    let conversation = calm.first_conversation(0).unwrap().id;
    let compared = Command::SetVerified { conversation, verified: Verification::Verified };
    calm.command(0, compared).unwrap();
    calm.stop(0);
    let devices = calm.engine(1).unwrap().devices().unwrap();
    let device = parse_device_id(&devices.iter().find(|device| device.name == "Tablet").unwrap().id).unwrap();
    let revoke = Command::Device(DeviceCommand::Revoke { device, phrase: None });
    assert_eq!(calm.command(1, revoke), Some(Answer::Done));
    calm.live(70);
    calm.start(0);
    calm.write(0, "queued before it was seen");
    calm.live(5);
    let notice = calm.first_conversation(0).unwrap().notice.unwrap();
    assert_eq!(notice.kind, NoticeKind::KeyChanged);
    assert!(calm.write(0, "refused").is_none());
    assert!(!calm.texts(1).contains(&"queued before it was seen".to_owned()));
    calm.write(1, "it is me");
    calm.settle();
    assert!(calm.texts(0).contains(&"it is me".to_owned()), "reading goes on");
    calm.command(0, Command::ActOnNotice { conversation, action: NoticeAction::AcceptKeys }).unwrap();
    calm.live(5);
    assert!(calm.first_conversation(0).unwrap().notice.is_none());
    assert!(calm.texts(1).contains(&"queued before it was seen".to_owned()));
    assert!(!calm.texts(tablet).contains(&"it is me".to_owned()), "the revoked device reads nothing later");
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn somebody_else_under_a_known_name_is_not_believed_until_the_person_says_so() {
    let mut calm = apart(24);
    let mine = calm.first_conversation(0).unwrap().id;
    let compared = Command::SetVerified { conversation: mine, verified: Verification::Verified };
    calm.command(0, compared).unwrap();
    // p1's server lost everything, and whoever comes first takes the name.
    calm.stop(1);
    calm.replace_server(1);
    let other = calm.join(1, "p1");
    let link = calm.link_of(0).unwrap();
    calm.command(other, Command::AddContact { link }).unwrap();
    calm.live(5);
    calm.write(other, "send me the keys to the safe");
    calm.live(5);
    let p1 = calm.address_of(1).unwrap();
    let row = calm.conversation(0, &mine).unwrap();
    assert_eq!(row.notice.unwrap().kind, NoticeKind::KeyChanged);
    assert_eq!(texts(&calm, 0, &mine), ["from p0", "from p1"], "nothing of it is shown");
    assert_eq!(calm.contacts(0).len(), 1);
    assert!(calm.contacts(0)[0].verified, "the true p1 stays as compared as they were");
    let told = calm.timeline_of(0, &mine).into_iter().filter(|row| row.kind == MessageKind::Event);
    assert_eq!(told.filter(|row| row.text.contains("p1")).count(), 1, "told once");
    // Only the person's own word takes the new keys.
    calm.command(0, Command::ActOnNotice { conversation: mine, action: NoticeAction::AcceptKeys }).unwrap();
    calm.live(5);
    let taken = calm.engine(0).unwrap().contact(&p1).unwrap().unwrap();
    assert_eq!((taken.state, taken.verified), (ContactState::Active, false));
    assert!(calm.texts(0).contains(&"send me the keys to the safe".to_owned()));
    calm.write(0, "who are you?");
    calm.live(5);
    assert!(calm.texts(other).contains(&"who are you?".to_owned()));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn of_a_persons_devices_the_other_one_gives_the_fresh_leaf_even_with_everybody_else_away() {
    let mut calm = apart(25);
    let laptop = calm.link_device(0, "Laptop", History::All);
    calm.live(70);
    calm.write(1, "to both");
    calm.settle();
    calm.stop(1);
    let tables = ["openmls_group_data", "openmls_own_leaf_nodes", "openmls_epoch_keys_pairs"];
    calm.damage(laptop, &tables.map(|table| format!("DELETE FROM {table};")).join(""));
    calm.live(40);
    let answered = calm.engine(0).unwrap().heal_counts().unwrap().answered;
    assert!(answered >= 1, "p0's first device answered: {answered}");
    let row = calm.first_conversation(laptop).unwrap();
    assert_eq!(row.state, ConversationState::Active, "{:?}", row.paused_reason);
    calm.write(laptop, "from the laptop");
    calm.start(1);
    calm.live(20);
    assert_eq!(calm.engine(1).unwrap().heal_counts().unwrap().answered, 0);
    for who in [0, 1, laptop] {
        assert_eq!(calm.texts(who), ["from p0", "from p1", "to both", "from the laptop"], "p{who}");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn who_could_not_be_reached_before_their_link_ended_is_said_and_another_link_reaches_them() {
    let mut calm = Calm::on_servers(8, &[0, 1]);
    let first = calm.engine(1).unwrap().contact_links().unwrap().remove(0);
    // The home server of who asks is down: the keys are there, and the letter waits.
    calm.stop_server(0);
    let Some(Answer::Conversation(id)) = calm.command(0, Command::AddContact { link: first.link }) else { panic!() };
    calm.settle();
    calm.command(0, Command::SendText { conversation: id, text: "too early".into(), reply_to: None });
    calm.command(1, Command::WithdrawContactLink { link: first.id });
    calm.settle();
    calm.start_server(0);
    calm.live(60);
    let them = |calm: &Calm| calm.contacts(0).into_iter().next().unwrap();
    assert_eq!(them(&calm).state, ContactState::Failed);
    assert!(them(&calm).failure.unwrap().contains("ask them for a new one"));
    assert!(calm.timeline(1).is_empty());

    let Some(Answer::ContactLink { link, .. }) = calm.command(1, Command::MakeFreshContactLink) else { panic!() };
    calm.settle();
    calm.command(0, Command::AddContact { link });
    calm.live(60);
    say(&mut calm, 0, id, "now");
    assert_eq!(them(&calm).state, ContactState::Active);
    assert_eq!(calm.texts(1), ["too early", "now"]);
}

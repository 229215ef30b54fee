//! What people do with each other when nothing goes wrong, through the real engines and the real server core.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{Answer, Command, Presence};
use aside_engine::view::{ContactState, ConversationState, Delivery, MessageKind};
use aside_simulator::calm::Calm;

fn pair() -> Calm {
    let mut calm = Calm::new(1, 2);
    calm.befriend(0, 1);
    calm
}

#[test]
fn a_contact_link_begins_a_conversation_on_both_sides() {
    let calm = pair();
    for who in 0..2 {
        assert_eq!(calm.contacts(who).first().map(|contact| contact.state), Some(ContactState::Active), "p{who}");
        assert_eq!(calm.first_conversation(who).unwrap().state, ConversationState::Active);
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn both_sides_see_the_same_safety_number() {
    let calm = pair();
    let number = |who| {
        let id = calm.first_conversation(who).unwrap().id;
        calm.engine(who).unwrap().safety_number(&id).unwrap().unwrap().digits
    };
    assert_eq!(number(0), number(1));
}

#[test]
fn a_message_is_queued_then_sent_then_delivered_then_read() {
    let mut calm = pair();
    calm.stop(1);
    let id = calm.write(0, "hello").unwrap();
    let delivery = |calm: &Calm| calm.engine(0).unwrap().message(&id).unwrap().unwrap().delivery;
    assert_eq!(delivery(&calm), Some(Delivery::Queued));
    calm.settle();
    assert_eq!(delivery(&calm), Some(Delivery::Sent));
    calm.start(1);
    calm.settle();
    calm.wait_ms(1_000);
    calm.settle();
    assert_eq!(delivery(&calm), Some(Delivery::Delivered));
    let conversation = calm.first_conversation(1).unwrap();
    assert_eq!(conversation.unread_count, 1);
    let through = calm.timeline(1).last().unwrap().position;
    calm.command(1, Command::MarkRead { conversation: conversation.id, through });
    calm.wait_ms(1_000);
    calm.settle();
    assert_eq!(delivery(&calm), Some(Delivery::Read));
    assert_eq!(calm.first_conversation(1).unwrap().unread_count, 0);
}

#[test]
fn what_comes_after_one_has_read_up_to_ones_own_queued_words_is_unread() {
    let mut calm = pair();
    calm.stop(1);
    calm.write(0, "hello").unwrap();
    let conversation = calm.first_conversation(0).unwrap().id;
    let through = calm.timeline(0).last().unwrap().position;
    calm.command(0, Command::MarkRead { conversation, through });
    calm.start(1);
    calm.settle();
    calm.write(1, "an answer");
    calm.settle();
    assert_eq!(calm.first_conversation(0).unwrap().unread_count, 1);
}

#[test]
fn read_receipts_that_are_switched_off_are_not_sent() {
    let mut calm = pair();
    let settings = aside_engine::settings::Settings { read_receipts: false, ..Default::default() };
    calm.command(1, Command::PutSettings(settings));
    let id = calm.write(0, "hello").unwrap();
    calm.settle();
    let conversation = calm.first_conversation(1).unwrap().id;
    let through = calm.timeline(1).last().unwrap().position;
    calm.command(1, Command::MarkRead { conversation, through });
    calm.wait_ms(1_000);
    calm.settle();
    assert_eq!(calm.engine(0).unwrap().message(&id).unwrap().unwrap().delivery, Some(Delivery::Delivered));
}

#[test]
fn messages_written_offline_arrive_in_order() {
    let mut calm = pair();
    calm.stop(1);
    for number in 0..150 {
        calm.write(0, &format!("{number}"));
    }
    calm.settle();
    calm.start(1);
    calm.settle();
    let expected: Vec<String> = (0..150).map(|number| format!("{number}")).collect();
    assert_eq!(calm.texts(1), expected);
    assert_eq!(calm.texts(0), expected);
}

#[test]
fn edits_deletions_and_reactions_reach_the_other_side_and_only_the_author_makes_them() {
    let mut calm = pair();
    let first = calm.write(0, "frist").unwrap();
    let second = calm.write(0, "second").unwrap();
    calm.settle();
    calm.command(0, Command::EditText { message: first, text: "first".into() });
    calm.command(0, Command::DeleteMessage { message: second });
    calm.command(1, Command::React { message: first, emoji: "👍".into(), presence: Presence::Present });
    assert!(calm.command(1, Command::EditText { message: first, text: "mine now".into() }).is_none());
    calm.settle();
    let rows = calm.timeline(1);
    let row = |id| rows.iter().find(|message| message.id == id).unwrap();
    assert_eq!((row(first).text.as_str(), row(first).edited), ("first", true));
    assert!(row(second).deleted && row(second).text.is_empty());
    let at_author = calm.engine(0).unwrap().message(&first).unwrap().unwrap();
    assert_eq!(at_author.reactions.first().map(|r| (r.emoji.as_str(), r.count, r.own)), Some(("👍", 1, false)));
    calm.command(1, Command::React { message: first, emoji: "👍".into(), presence: Presence::Absent });
    calm.settle();
    assert!(calm.engine(0).unwrap().message(&first).unwrap().unwrap().reactions.is_empty());
}

#[test]
fn a_reply_names_what_it_answers() {
    let mut calm = pair();
    let question = calm.write(0, "when?").unwrap();
    calm.settle();
    let conversation = calm.first_conversation(1).unwrap().id;
    calm.command(1, Command::SendText { conversation, text: "at nine".into(), reply_to: Some(question) });
    calm.settle();
    let answer = calm.timeline(0).pop().unwrap();
    assert_eq!(answer.reply_to.map(|reply| (reply.id, reply.text)), Some((question, "when?".into())));
}

#[test]
fn a_group_of_contacts_talks_under_its_title() {
    let mut calm = Calm::new(7, 4);
    for other in 1..4 {
        calm.befriend(0, other);
    }
    let members = calm.contacts(0).into_iter().map(|contact| contact.address).collect();
    let made = calm.command(0, Command::CreateGroup { title: "Book club".into(), members });
    let Some(Answer::Conversation(group)) = made else { panic!("no group: {made:?}") };
    calm.settle();
    for who in 0..4 {
        let text = format!("from p{who}");
        calm.command(who, Command::SendText { conversation: group, text, reply_to: None });
        calm.settle();
    }
    for who in 0..4 {
        let conversation = calm.engine(who).unwrap().conversation(&group).unwrap().unwrap();
        assert_eq!((conversation.title.as_str(), conversation.members.len()), ("Book club", 4), "p{who}");
        let rows = calm.timeline_of(who, &group);
        let texts: Vec<_> = rows.iter().filter(|m| m.kind == MessageKind::Text).map(|m| m.text.as_str()).collect();
        assert_eq!(texts, ["from p0", "from p1", "from p2", "from p3"], "p{who}");
    }
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn concurrent_renewals_of_keys_leave_everybody_talking() {
    let mut calm = Calm::new(9, 3);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    let members = calm.contacts(0).into_iter().map(|contact| contact.address).collect();
    let Some(Answer::Conversation(group)) = calm.command(0, Command::CreateGroup { title: "three".into(), members })
    else {
        panic!("no group")
    };
    calm.settle();
    for round in 0..5 {
        for who in 0..3 {
            calm.command(who, Command::RotateKeys { conversation: group });
            let text = format!("round {round} of p{who}");
            calm.command(who, Command::SendText { conversation: group, text, reply_to: None });
        }
        calm.settle();
    }
    let texts = |who| -> Vec<String> {
        let rows = calm.timeline_of(who, &group).into_iter();
        rows.filter(|m| m.kind == MessageKind::Text).map(|m| m.text).collect()
    };
    assert_eq!(texts(0).len(), 15);
    assert_eq!(texts(0), texts(1));
    assert_eq!(texts(0), texts(2));
}

#[test]
fn a_member_who_sends_the_same_content_twice_is_heard_once() {
    let mut calm = pair();
    calm.stop(1);
    let id = calm.write(0, "once").unwrap();
    calm.send_again(0, &id);
    calm.settle();
    calm.start(1);
    calm.settle();
    assert_eq!(calm.texts(1), ["once"]);
}

#[test]
fn typing_is_shown_to_the_other_side_and_stored_nowhere() {
    let mut calm = pair();
    let before = calm.timeline(1).len();
    let conversation = calm.first_conversation(0).unwrap().id;
    assert_eq!(calm.command(0, Command::Typing { conversation }), Some(Answer::Done));
    calm.settle();
    assert_eq!(calm.timeline(1).len(), before);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_deleted_chat_comes_back_with_the_next_message_and_without_its_history() {
    let mut calm = pair();
    calm.write(1, "before");
    calm.settle();
    let conversation = calm.first_conversation(0).unwrap().id;
    assert_eq!(calm.command(0, Command::RemoveConversation { conversation }), Some(Answer::Done));
    assert!(calm.first_conversation(0).is_none());
    assert_eq!(calm.contacts(0).len(), 1, "the contact stays");
    calm.write(1, "after");
    calm.settle();
    assert_eq!(calm.texts(0), ["after"]);
}

#[test]
fn a_message_that_waited_longer_than_it_would_have_been_kept_is_sent_all_the_same() {
    let mut calm = pair();
    // It is encrypted, and lost on the way.
    calm.write(0, "patience").unwrap();
    calm.disconnect(0);
    calm.wait_ms(40 * 86_400_000);
    calm.settle();
    assert_eq!(calm.texts(1), ["patience"]);
    assert_eq!(calm.timeline(0).first().map(|row| row.failure.clone()), Some(None));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

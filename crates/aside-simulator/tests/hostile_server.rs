//! "The server can't", as tests in which the server tries (docs/threat-model.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::ConnectionKind;
use aside_engine::view::{ContactState, ConversationState, MessageKind};
use aside_protocol::channel::{Body, EpochKeys};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::anonymous::{Answer, FromServer, Push};
use aside_protocol::id::Hash;
use aside_protocol::key::PublicKey;
use aside_simulator::calm::Calm;

fn pair(seed: u64) -> Calm {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(0, "before");
    calm.settle();
    calm
}

/// Lets a lie work on the frames of p1's anonymous connection.
fn lie_to_p1(calm: &mut Calm, mut change: impl FnMut(FromServer) -> Vec<FromServer> + 'static) {
    calm.lie(move |who, kind, bytes| match (who, kind, FromServer::decode(&bytes)) {
        (1, ConnectionKind::Anonymous, Ok(frame)) => change(frame).iter().map(FromServer::encode).collect(),
        _ => vec![bytes],
    });
}

fn paused_reason(calm: &Calm, who: usize) -> Option<String> {
    let conversation = calm.first_conversation(who)?;
    (conversation.state == ConversationState::Paused).then_some(conversation.paused_reason?)
}

/// Drops the entries that the test picks out, wherever they come.
fn without(frame: FromServer, is_dropped: impl Fn(u64) -> bool) -> Vec<FromServer> {
    match frame {
        ServerFrame::Push(Push::Entry(_, entry)) if is_dropped(entry.seq) => vec![],
        ServerFrame::Answer(id, Answer::Entries { mut entries, end, live }) => {
            entries.retain(|entry| !is_dropped(entry.seq));
            vec![ServerFrame::Answer(id, Answer::Entries { entries, end, live })]
        }
        other => vec![other],
    }
}

fn last_seq(calm: &mut Calm) -> std::rc::Rc<std::cell::Cell<u64>> {
    let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    let record = seen.clone();
    lie_to_p1(calm, move |frame| {
        if let ServerFrame::Push(Push::Entry(_, entry)) = &frame {
            record.set(entry.seq);
        }
        vec![frame]
    });
    calm.write(0, "probe");
    calm.settle();
    seen
}

#[test]
fn a_dropped_entry_pauses_the_conversation() {
    let mut calm = pair(1);
    let last = last_seq(&mut calm).get();
    lie_to_p1(&mut calm, move |frame| without(frame, |seq| seq == last + 1));
    calm.write(0, "kept from p1");
    calm.write(0, "shown to p1");
    calm.settle();
    assert_eq!(paused_reason(&calm, 1).as_deref(), Some("the server left messages out"));
    assert!(!calm.texts(1).contains(&"shown to p1".to_owned()), "nothing behind a gap is shown");
}

#[test]
fn a_pushed_entry_that_was_lost_is_fetched_before_anything_is_judged() {
    let mut calm = pair(2);
    let last = last_seq(&mut calm).get();
    lie_to_p1(&mut calm, move |frame| match frame {
        ServerFrame::Push(Push::Entry(_, entry)) if entry.seq == last + 1 => vec![],
        other => vec![other],
    });
    calm.write(0, "lost on the way");
    calm.settle();
    calm.write(0, "the next");
    calm.settle();
    assert_eq!(paused_reason(&calm, 1), None);
    assert_eq!(calm.texts(1), ["before", "probe", "lost on the way", "the next"]);
}

#[test]
fn reordered_entries_pause_the_conversation() {
    let mut calm = pair(3);
    let mut held: Option<aside_protocol::channel::Entry> = None;
    lie_to_p1(&mut calm, move |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) => match held.take() {
            None => {
                held = Some(entry);
                vec![]
            }
            Some(mut first) => {
                std::mem::swap(&mut first.seq, &mut entry.seq);
                vec![ServerFrame::Push(Push::Entry(channel, entry)), ServerFrame::Push(Push::Entry(channel, first))]
            }
        },
        other => vec![other],
    });
    calm.write(0, "one");
    calm.write(0, "two");
    calm.settle();
    calm.be_honest();
    calm.disconnect(1);
    calm.settle();
    assert!(paused_reason(&calm, 1).is_some());
}

#[test]
fn a_replayed_entry_is_ignored() {
    let mut calm = pair(4);
    lie_to_p1(&mut calm, |frame| match &frame {
        ServerFrame::Push(Push::Entry(..)) => vec![frame.clone(), frame],
        _ => vec![frame],
    });
    calm.write(0, "once");
    calm.settle();
    assert_eq!(calm.texts(1), ["before", "once"]);
    assert_eq!(paused_reason(&calm, 1), None);
}

#[test]
fn an_entry_replayed_under_the_next_number_is_not_shown_and_is_noticed() {
    let mut calm = pair(5);
    lie_to_p1(&mut calm, |frame| match &frame {
        ServerFrame::Push(Push::Entry(channel, entry)) => {
            let again = aside_protocol::channel::Entry { seq: entry.seq + 1, ..entry.clone() };
            vec![frame.clone(), ServerFrame::Push(Push::Entry(*channel, again))]
        }
        _ => vec![frame],
    });
    calm.write(0, "once");
    calm.settle();
    assert_eq!(calm.texts(1), ["before", "once"]);
    calm.be_honest();
    calm.disconnect(1);
    calm.settle();
    assert!(paused_reason(&calm, 1).is_some(), "the log does not go on from what p1 was shown");
}

#[test]
fn a_history_that_differs_between_members_is_noticed() {
    let mut calm = pair(6);
    // The server alters what p1 sees of a header, and from there on shows p1 a consistent history of its own.
    let mut is_done = false;
    lie_to_p1(&mut calm, move |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) if !is_done => {
            is_done = true;
            entry.header.expires_day += 1;
            vec![ServerFrame::Push(Push::Entry(channel, entry))]
        }
        other => vec![other],
    });
    calm.write(0, "one");
    calm.settle();
    assert_eq!(paused_reason(&calm, 1), None, "one entry alone cannot be told from an honest one");
    calm.write(0, "two");
    calm.settle();
    // Whichever comes first: p1's receipt or the next message cites another head, or the log's end is another one.
    let reason = paused_reason(&calm, 0).or_else(|| paused_reason(&calm, 1)).unwrap();
    assert!(reason.starts_with("the server shows"), "{reason}");
    assert!(!calm.texts(1).contains(&"two".to_owned()) || reason.contains("this device"));
}

#[test]
fn wrong_next_epoch_keys_from_the_server_blame_nobody_and_heal() {
    let mut calm = pair(7);
    let other = EpochKeys {
        read: PublicKey([1; 32]),
        append: PublicKey([2; 32]),
        commit: PublicKey([3; 32]),
        call: PublicKey([4; 32]),
    };
    lie_to_p1(&mut calm, move |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) if entry.header.is_commit() => {
            entry.header.next_keys = Some(other);
            vec![ServerFrame::Push(Push::Entry(channel, entry))]
        }
        frame => vec![frame],
    });
    let conversation = calm.first_conversation(0).unwrap().id;
    calm.command(0, aside_engine::input::Command::RotateKeys { conversation });
    calm.settle();
    calm.be_honest();
    calm.live(15);
    calm.write(0, "healed");
    calm.settle();
    assert_eq!(calm.texts(1), ["before", "healed"]);
    let row = calm.first_conversation(1).unwrap();
    assert_eq!((row.state, row.notice), (ConversationState::Active, None));
    let evidence = calm.engine(1).unwrap().evidence(&row.id).unwrap();
    assert_eq!(evidence[0].what, "a change to the members or keys of this conversation cannot be read by this device");
    assert!(evidence.iter().all(|piece| piece.culprit.is_none()), "nobody is blamed for what the server may have done");
    assert!(calm.engine(1).unwrap().heal_counts().unwrap().re_added >= 1);
}

#[test]
fn a_changed_ciphertext_is_not_shown_and_is_noticed() {
    let mut calm = pair(8);
    lie_to_p1(&mut calm, |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) => {
            if let Body::Present(bytes) = &mut entry.body
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 1;
            }
            vec![ServerFrame::Push(Push::Entry(channel, entry))]
        }
        frame => vec![frame],
    });
    calm.write(0, "altered");
    calm.settle();
    assert_eq!(calm.texts(1), ["before"]);
    // What it was is asked of p0, whose answer shows the other history.
    calm.live(5);
    assert_eq!(calm.texts(1), ["before"]);
    assert_eq!(paused_reason(&calm, 1).as_deref(), Some(FORKED));
}

#[test]
fn an_acknowledgement_that_is_taken_back_is_noticed() {
    let mut calm = pair(9);
    // p1's append is acknowledged at a place where the server then shows something else.
    lie_to_p1(&mut calm, |frame| match frame {
        ServerFrame::Answer(id, Answer::Appended(mut positions)) => {
            for position in &mut positions {
                position.seq += 1;
            }
            vec![ServerFrame::Answer(id, Answer::Appended(positions))]
        }
        // The echo comes late.
        ServerFrame::Push(Push::Entry(..)) => vec![],
        frame => vec![frame],
    });
    calm.write(1, "mine");
    calm.settle();
    calm.be_honest();
    calm.write(0, "another");
    calm.disconnect(1);
    calm.settle();
    let reason = paused_reason(&calm, 1).unwrap();
    assert!(reason.starts_with("the server acknowledged") || reason.starts_with("the server took back"), "{reason}");
}

#[test]
fn corrupted_frames_close_the_connection_and_lose_nothing() {
    let mut calm = pair(10);
    let mut left = 5;
    calm.lie(move |who, _, mut bytes| {
        if who == 1 && left > 0 {
            left -= 1;
            bytes.truncate(bytes.len() / 2);
        }
        vec![bytes]
    });
    calm.write(0, "through the noise");
    calm.settle();
    assert_eq!(calm.texts(1), ["before", "through the noise"]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn another_root_key_from_the_directory_is_refused() {
    let mut calm = Calm::new(11, 2);
    calm.lie(|who, kind, bytes| match (who, kind, FromServer::decode(&bytes)) {
        (
            0,
            ConnectionKind::Anonymous,
            Ok(ServerFrame::Answer(id, Answer::KeyPackages { mut account, key_packages })),
        ) => {
            account.root_key = PublicKey([9; 32]);
            vec![FromServer::encode(&ServerFrame::Answer(id, Answer::KeyPackages { account, key_packages }))]
        }
        _ => vec![bytes],
    });
    calm.befriend(0, 1);
    let contact = calm.contacts(0).pop().unwrap();
    assert_eq!(contact.state, ContactState::Failed);
    assert!(contact.failure.unwrap().contains("other keys"));
    assert!(calm.contacts(1).is_empty());
}

#[test]
fn somebody_elses_key_package_from_the_directory_is_refused() {
    let mut calm = Calm::new(12, 3);
    // p0 adds p2 first, honestly; the server keeps p2's answer and gives its KeyPackages for p1.
    let kept = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = kept.clone();
    calm.lie(move |who, kind, bytes| match (who, kind, FromServer::decode(&bytes)) {
        (0, ConnectionKind::Anonymous, Ok(ServerFrame::Answer(id, Answer::KeyPackages { account, key_packages }))) => {
            let mut kept = keep.borrow_mut();
            let given = kept.take().unwrap_or_else(|| key_packages.clone());
            *kept = Some(key_packages);
            vec![FromServer::encode(&ServerFrame::Answer(id, Answer::KeyPackages { account, key_packages: given }))]
        }
        _ => vec![bytes],
    });
    calm.befriend(0, 2);
    calm.befriend(0, 1);
    let contacts = calm.contacts(0);
    let state =
        |name: &str| contacts.iter().find(|c| c.address.name.as_str() == name).map(|c| (c.state, c.failure.clone()));
    assert_eq!(state("p2").unwrap().0, ContactState::Active);
    let (state, failure) = state("p1").unwrap();
    assert_eq!(state, ContactState::Failed);
    assert!(failure.unwrap().contains("another account's keys"));
}

#[test]
fn the_server_cannot_introduce_itself_with_a_token_it_has_seen() {
    let mut calm = Calm::new(13, 3);
    // p2 has p1's link but not its secret: all that the server sees of a link is the token made from it.
    let link = calm.link_of(1).unwrap();
    let forged = aside_protocol::link::ContactLink { secret: aside_protocol::link::LinkSecret([7; 32]), ..link };
    calm.command(2, aside_engine::input::Command::AddContact { link: forged });
    calm.settle();
    assert!(calm.contacts(1).is_empty());
    assert!(calm.first_conversation(1).is_none());
}

#[test]
fn an_expired_body_is_given_back_by_its_sender_and_the_chain_stays_whole() {
    let mut calm = pair(14);
    lie_to_p1(&mut calm, |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) if !entry.header.is_commit() => {
            entry.body = Body::Expired(Hash(entry.body.hash().0));
            vec![ServerFrame::Push(Push::Entry(channel, entry))]
        }
        frame => vec![frame],
    });
    calm.write(0, "gone");
    calm.settle();
    calm.be_honest();
    calm.write(0, "still here");
    calm.settle();
    calm.live(5);
    assert_eq!(calm.texts(1), ["before", "gone", "still here"]);
    assert_eq!(paused_reason(&calm, 1), None);
}

/// Three people in a group, and a server that shows p1 a history of its own from here on, whole in itself: the chain's
/// heads that it tells p1 fit what it shows p1.
fn forked_group() -> (Calm, aside_engine::conversation::ConversationId) {
    use aside_engine::input::{Answer as Done, Command};
    use aside_protocol::channel::{Position, next_head};
    let mut calm = Calm::new(21, 3);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    let members = calm.contacts(0).into_iter().map(|contact| contact.address).collect();
    let Some(Done::Conversation(group)) = calm.command(0, Command::CreateGroup { title: "three".into(), members })
    else {
        panic!("no group")
    };
    calm.settle();
    calm.wait_ms(20_000);
    calm.settle();
    let row = calm.engine(1).unwrap().conversation(&group).unwrap().unwrap();
    assert_eq!(row.state, ConversationState::Active);
    let mut heads: std::collections::BTreeMap<_, _> =
        calm.engine(1).unwrap().log_positions().unwrap().into_iter().collect();
    let mut is_altered = false;
    let mut show = move |channel: aside_protocol::id::ChannelId, entry: &mut aside_protocol::channel::Entry| {
        if !is_altered {
            is_altered = true;
            entry.header.expires_day += 1;
        }
        if let Some(position) = heads.get_mut(&channel) {
            let head = next_head(&channel, &position.head, entry.seq, &entry.header, &entry.body.hash());
            *position = Position { seq: entry.seq, head };
        }
        heads.get(&channel).copied()
    };
    lie_to_p1(&mut calm, move |frame| match frame {
        ServerFrame::Push(Push::Entry(channel, mut entry)) => {
            show(channel, &mut entry);
            vec![ServerFrame::Push(Push::Entry(channel, entry))]
        }
        frame => vec![frame],
    });
    calm.command(0, Command::SendText { conversation: group, text: "one".into(), reply_to: None });
    calm.settle();
    let row = calm.engine(1).unwrap().conversation(&group).unwrap().unwrap();
    assert_eq!(row.state, ConversationState::Active, "one entry alone cannot be told from an honest one");
    (calm, group)
}

const FORKED: &str = "the server shows the members different histories of this conversation";

#[test]
fn a_consistent_fork_is_caught_by_the_head_that_the_next_message_cites() {
    let (mut calm, group) = forked_group();
    let command = aside_engine::input::Command::SendText { conversation: group, text: "two".into(), reply_to: None };
    calm.command(0, command);
    calm.settle();
    let row = calm.engine(1).unwrap().conversation(&group).unwrap().unwrap();
    assert_eq!(row.paused_reason.as_deref(), Some(FORKED));
}

#[test]
fn a_consistent_fork_is_caught_by_the_daily_report_past_the_server() {
    let (mut calm, group) = forked_group();
    calm.stop(1);
    calm.wait_ms(86_400_000);
    calm.disconnect(0);
    calm.settle();
    calm.start(1);
    calm.settle();
    let row = calm.engine(1).unwrap().conversation(&group).unwrap().unwrap();
    assert_eq!(row.paused_reason.as_deref(), Some(FORKED));
}

#[test]
fn daily_reports_of_an_honest_log_change_nothing() {
    let mut calm = pair(22);
    for _ in 0..3 {
        calm.wait_ms(86_400_000);
        calm.disconnect(0);
        calm.disconnect(1);
        calm.settle();
    }
    assert_eq!(paused_reason(&calm, 0), None);
    assert_eq!(paused_reason(&calm, 1), None);
    assert_eq!(calm.timeline(1).iter().filter(|row| row.kind == MessageKind::Event).count(), 0);
}

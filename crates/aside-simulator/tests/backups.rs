//! The backup on the server, tried by itself once a month: where it was damaged or lost, that is said, and another is made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::input::{Command, GroupChange, Look, LostDevices, RestoreFrom};
use aside_engine::recovery::{BackupState, TypedPhrase};
use aside_engine::view::{ConversationState, MessageKind};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{Answer, FromClient, FromServer, Request};
use aside_protocol::refusal::Refusal;
use aside_simulator::calm::Calm;

fn backup(calm: &Calm) -> BackupState {
    calm.engine(0).unwrap().recovery_state().unwrap().backup
}

/// Generations of the backups that somebody sent since this was asked last.
fn sent(calm: &mut Calm) -> Vec<u64> {
    let frames = calm.reached_server(0).into_iter().filter_map(|(_, bytes)| FromClient::decode(&bytes).ok());
    let generation = |frame| match frame {
        FromClient::Request(_, Request::PutBackup(part)) => Some(part.generation),
        _ => None,
    };
    frames.filter_map(generation).collect()
}

/// The trial meets a server that shows this; gives what is said then.
fn tried_with(seed: u64, shown: impl Fn(u64, u32, Vec<u8>) -> Result<Answer, Refusal> + 'static) -> String {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(0, "worth keeping");
    calm.settle();
    calm.back_up(0);
    calm.settle_over(3_000);
    let first = backup(&calm);
    assert!(first.at.is_some());
    assert_eq!(sent(&mut calm).len(), 1);
    calm.lie(move |_, _, bytes: Vec<u8>| {
        vec![match FromServer::decode(&bytes) {
            Ok(ServerFrame::Answer(id, Answer::Backup { generation, parts, bytes })) => {
                match shown(generation, parts, bytes) {
                    Ok(answer) => FromServer::Answer(id, answer).encode(),
                    Err(refusal) => FromServer::Refused(id, refusal).encode(),
                }
            }
            _ => bytes,
        }]
    });
    calm.wait_ms(3_700_000);
    calm.settle();
    let (said, ok) = (backup(&calm).words.unwrap(), backup(&calm).ok);
    assert_eq!(ok, Some(false));
    assert!(sent(&mut calm).is_empty(), "it waits a little, as long as the server may only be out of order");
    calm.be_honest();
    // Nobody does anything: another one is made, sent, tried, and found good.
    calm.settle_over(180_000);
    let fresh = sent(&mut calm);
    assert_eq!(fresh.len(), 1, "one fresh one");
    assert!(backup(&calm).at > first.at);
    assert_eq!((backup(&calm).ok, backup(&calm).words), (Some(true), None));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
    said
}

#[test]
fn a_backup_that_the_server_damaged_cut_off_or_lost_is_said_and_another_one_is_made() {
    let damaged = tried_with(1, |generation, parts, mut bytes| {
        bytes[30_000] ^= 1;
        Ok(Answer::Backup { generation, parts, bytes })
    });
    assert!(damaged.contains("could not be restored") && damaged.contains("damaged"), "{damaged}");
    let cut = tried_with(2, |generation, parts, mut bytes| {
        bytes.truncate(50_000);
        Ok(Answer::Backup { generation, parts, bytes })
    });
    assert!(cut.contains("cut off"), "{cut}");
    let lost = tried_with(3, |_, _, _| Err(Refusal::NoBackup));
    assert!(lost.contains("could not be restored") && lost.contains("no backup"), "{lost}");
    let relabelled =
        tried_with(4, |generation, parts, bytes| Ok(Answer::Backup { generation: generation + 7, parts, bytes }));
    assert!(relabelled.contains("as another one than it is"), "{relabelled}");
}

#[test]
fn conversations_that_had_stopped_say_why_after_a_restore_as_before() {
    let mut calm = Calm::new(5, 2);
    calm.befriend(0, 1);
    let (left, removed) = (calm.found(1, "Left", &[0]), calm.found(1, "Removed", &[0]));
    calm.change(0, left, GroupChange::Leave);
    let me = calm.address_of(0).unwrap();
    calm.change(1, removed, GroupChange::Remove(me.clone()));
    calm.settle_over(30_000);
    let notices = |calm: &Calm, who| {
        [left, removed].map(|id| {
            let row = calm.conversation(who, &id).unwrap();
            (row.notice.map(|notice| notice.text), row.left, row.paused_reason)
        })
    };
    let before = notices(&calm, 0);
    assert!(before.iter().all(|(_, left, reason)| *left && reason.is_some()), "{before:?}");
    assert!(before[1].0.as_ref().is_some_and(|text| !text.is_empty()), "{before:?}");
    // In a third one a person had to decide about something.
    let forked = calm.found(1, "Forked", &[0]);
    let words = "the server showed different histories";
    let sql = format!("UPDATE conversations SET state = 7, paused = '{words}' WHERE title = 'Forked'");
    calm.damage(0, &sql);
    calm.back_up(0);
    calm.settle_over(3_000);
    let phrase = TypedPhrase::new(calm.engine(0).unwrap().phrase().unwrap().unwrap().join(" "));
    calm.stop(0);
    let new = calm.newcomer();
    let from = RestoreFrom::Server { address: me, server: calm.pin(), is_claimed: true };
    calm.attempt(new, Command::Restore { phrase, from, lost: LostDevices::Revoke, look: Look::UseAtOnce }).unwrap();
    calm.settle_over(30_000);
    assert_eq!(notices(&calm, new), before);
    let notes = calm.timeline_of(new, &forked).into_iter().filter(|row| row.kind == MessageKind::Event);
    assert!(notes.map(|note| note.text).any(|note| note.contains(words)));
    assert_eq!(
        calm.conversation(new, &forked).unwrap().state,
        ConversationState::Active,
        "its way back is the usual one"
    );
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

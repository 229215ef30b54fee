//! Claims about what goes wrong: full disks, crashes, bytes that are no frames.

use crate::support::*;
use aside_protocol::channel::Purpose;
use aside_protocol::frame::anonymous::{self, Request};
use aside_protocol::frame::{ClientFrame, RequestId, ServerFrame};
use aside_protocol::limit::FRAME_BYTES_MAX;
use aside_protocol::refusal::Refusal;
use aside_server::core::{ConnectionId, ConnectionKind, Core, Input, Now};
use aside_server::store::StoreError;
use aside_server::store::volatile::VolatileStore;
use proptest::prelude::*;
use rand_core::SeedableRng;

#[test]
fn a_full_disk_refuses_the_whole_batch_and_nothing_is_taken_as_done() {
    let mut w = World::new(VolatileStore::new());
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    w.subscribe(m, channel, 1, 0).unwrap();
    w.core.store().fail_commits(Some(StoreError::DiskFull));
    let append = |n| Request::Append { channel, entries: vec![message(1, n, b"a")] };
    let inputs = [append(1), append(2)].map(|r| w.request(m, aside_server::core::Request::Anonymous(r)).1);
    w.input(inputs.to_vec());
    let heard = w.take(m);
    assert_eq!(heard.len(), 2);
    let unavailable = |heard: &Heard| matches!(heard, Heard::Anonymous(ServerFrame::Refused(_, Refusal::Unavailable)));
    assert!(heard.iter().all(unavailable));
    w.core.store().fail_commits(None);
    assert_eq!(w.append(m, channel, vec![message(1, 2, b"a")]).unwrap()[0].seq, 1);
    assert_eq!(pushed(&w.take(m)), [1]);
}

#[test]
fn a_proof_of_an_epoch_that_was_not_stored_does_not_outlive_it() {
    let mut w = World::new(VolatileStore::new());
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let commits = Request::Commit { channel, entry: commit(&channel, 1, 1) };
    let proves = proof(&channel, 2, Purpose::Append, &binding(m));
    let inputs = [commits, proves].map(|r| w.request(m, aside_server::core::Request::Anonymous(r)).1);
    w.core.store().fail_commits(Some(StoreError::Io));
    w.input(inputs.to_vec());
    assert_eq!(w.take(m).last(), Some(&Heard::Closed));
    w.core.store().fail_commits(None);
    let again = w.member(&channel, 1);
    assert_eq!(w.append(again, channel, vec![message(1, 2, b"a")]).unwrap()[0].seq, 1);
}

#[test]
fn what_was_acknowledged_survives_a_crash() {
    let mut w = World::new(VolatileStore::new());
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let acknowledged = w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    let mut store = w.core.into_store();
    store.crash();
    let mut w = World::new(store);
    let m = w.member(&channel, 1);
    assert_eq!(w.append(m, channel, vec![message(1, 1, b"a")]), Ok(acknowledged));
}

#[cfg(feature = "planted-defects")]
#[test]
fn the_planted_defects_do_what_they_say() {
    use aside_server::core::Defect;
    let mut w = World::new(VolatileStore::new());
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    w.core.plant(Defect::AckBeforeSync);
    w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    let mut store = w.core.into_store();
    store.crash();
    let mut w = World::new(store);
    let m = w.member(&channel, 1);
    assert_eq!(w.subscribe(m, channel, 1, 0).unwrap().0, []);
    w.core.plant(Defect::NoCompareAndSwap);
    w.commit(m, channel, commit(&channel, 1, 1)).unwrap();
    assert_eq!(w.commit(m, channel, commit(&channel, 1, 2)).unwrap().seq, 2);
}

#[test]
fn bytes_that_are_no_frame_are_refused_by_name_and_end_the_connection() {
    let frame =
        ClientFrame::Request(RequestId(1), Request::Unsubscribe { channel: aside_protocol::id::ChannelId([1; 32]) });
    let good = frame.encode();
    let mut trailing = good.clone();
    trailing.push(0);
    let hello = ClientFrame::<Request>::Hello(aside_protocol::connection::ClientHello {
        version: 1,
        nonce: aside_protocol::id::Nonce([0; 32]),
    });
    let cut = good[..good.len() - 1].to_vec();
    let bad = [cut, trailing, vec![0; FRAME_BYTES_MAX + 1], vec![], vec![0xff; 9], hello.encode()];
    for bytes in bad {
        let mut w = World::new(VolatileStore::new());
        let c = w.connect(ConnectionKind::Anonymous);
        w.input(vec![Input::decode(c, ConnectionKind::Anonymous, &bytes)]);
        let heard = w.take(c);
        assert!(matches!(heard[0], Heard::Anonymous(ServerFrame::Goodbye(Refusal::Malformed { .. }))));
        assert_eq!(heard[1], Heard::Closed);
        assert_eq!(heard.len(), 2);
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic_the_core(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20), kind in any::<bool>()) {
        let kind = if kind { ConnectionKind::Account } else { ConnectionKind::Anonymous };
        drive(kind, frames);
    }

    #[test]
    fn frames_with_changed_bytes_never_panic_the_core(changes in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..6_usize), 1..30)) {
        let channel = aside_protocol::id::ChannelId([1; 32]);
        let requests = [
            Request::Append { channel, entries: vec![message(1, 1, b"body")] },
            Request::Commit { channel, entry: commit(&channel, 1, 2) },
            Request::Subscribe { channel, epoch: 1, after: 0 },
            Request::Ephemeral { channel, epoch: 1, body: b"e".to_vec() },
            proof(&channel, 1, Purpose::Append, &binding(ConnectionId(1))),
            Request::CreateChannel {
                channel, token: aside_protocol::inbox::ChannelToken([1; 32]), epoch: 1, keys: epoch_keys(&channel, 1),
            },
        ];
        let frames = changes.into_iter().map(|(place, byte, which)| {
            let mut bytes = anonymous::FromClient::Request(RequestId(1), requests[which].clone()).encode();
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes
        });
        drive(ConnectionKind::Anonymous, frames.collect());
    }
}

/// Feeds frames to a core in which a channel exists and its keys are proved.
fn drive(kind: ConnectionKind, frames: Vec<Vec<u8>>) {
    let mut w = World::new(VolatileStore::new());
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    w.member(&channel, 1);
    let mut core: Core<VolatileStore> = w.core;
    let mut rng = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
    let now = Now { unix_ms: u64::from(TODAY) * 86_400_000 };
    for (n, frame) in frames.into_iter().enumerate() {
        let connection = ConnectionId(100 + n as u64);
        let mut inputs = vec![Input::Connected { connection, kind, binding: binding(ConnectionId(1)) }];
        if kind == ConnectionKind::Anonymous {
            for purpose in [Purpose::Read, Purpose::Append, Purpose::Commit] {
                let prove = anonymous::FromClient::Request(
                    RequestId(0),
                    proof(&channel, 1, purpose, &binding(ConnectionId(1))),
                );
                inputs.push(Input::decode(connection, kind, &prove.encode()));
            }
        }
        inputs.push(Input::decode(connection, kind, &frame));
        core.handle_batch(now, &mut rng, inputs);
    }
}

#[test]
fn a_damaged_row_harms_only_whoever_asks_for_it() {
    use aside_server::store::sqlite::{CHANNELS_FILE, SqliteStore};
    let dir = tempfile::tempdir().unwrap();
    let mut w = World::new(SqliteStore::open(dir.path()).unwrap());
    let c = w.connect(ConnectionKind::Anonymous);
    let (damaged, sound) = (w.channel(c, 1), w.channel(c, 2));
    w.core.into_store().close().unwrap();
    let db = rusqlite::Connection::open(dir.path().join(CHANNELS_FILE)).unwrap();
    let sql = "UPDATE epochs SET keys = x'00' WHERE number = (SELECT number FROM channels WHERE channel = ?1)";
    assert_eq!(db.execute(sql, [&damaged.0[..]]).unwrap(), 1);
    drop(db);
    let mut w = World::new(SqliteStore::open(dir.path()).unwrap());
    let (a, m) = (w.connect(ConnectionKind::Anonymous), w.member(&sound, 1));
    let request =
        |w: &mut World<SqliteStore>, c, request| w.request(c, aside_server::core::Request::Anonymous(request));
    let (_, broken) = request(&mut w, a, proof(&damaged, 1, Purpose::Read, &binding(a)));
    let entries = vec![message(1, 1, b"a")];
    let (_, whole) = request(&mut w, m, Request::Append { channel: sound, entries });
    w.input(vec![broken, whole]);
    assert!(matches!(w.take(a)[..], [Heard::Anonymous(ServerFrame::Refused(_, Refusal::Unavailable))]));
    let heard = w.take(m);
    let last = heard.last().unwrap();
    assert!(matches!(last, Heard::Anonymous(ServerFrame::Answer(_, anonymous::Answer::Appended(_)))), "{heard:?}");
    assert_eq!(w.core.counters().damaged, 1);
    assert_eq!(w.append(m, sound, vec![message(1, 2, b"b")]).unwrap()[0].seq, 2);
}

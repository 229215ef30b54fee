//! Claims about channels: order, idempotency, epochs, pages, pushes.

use crate::support::*;
use aside_protocol::channel::{Body, Purpose, body_hash, first_head, next_head};
use aside_protocol::frame::anonymous::{Answer, Push, Request};
use aside_protocol::frame::{ServerFrame, anonymous};
use aside_protocol::id::ChannelId;
use aside_protocol::inbox::ChannelToken;
use aside_protocol::limit::{APPEND_ENTRIES_MAX, ENTRY_BODY_BYTES_MAX, EPHEMERAL_BYTES_MAX, PAGE_ENTRIES_MAX};
use aside_protocol::refusal::Refusal;
use aside_server::core::{ConnectionKind, Input};
use aside_server::store::Store;

fn a_repeated_append_returns_the_first_acknowledgement<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let first = w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    w.append(m, channel, vec![message(1, 2, b"b")]).unwrap();
    w.commit(m, channel, commit(&channel, 1, 3)).unwrap();
    assert_eq!(w.append(m, channel, vec![message(1, 1, b"a")]), Ok(first.clone()));
    let fresh = w.connect(ConnectionKind::Anonymous);
    assert_eq!(w.append(fresh, channel, vec![message(1, 1, b"a")]), Ok(first));
}

fn a_repeated_append_of_other_bytes_is_refused<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    assert_eq!(w.append(m, channel, vec![message(1, 1, b"x")]), Err(Refusal::AppendIdReused));
    let twice = vec![message(1, 2, b"a"), message(1, 2, b"b")];
    assert_eq!(w.append(m, channel, twice), Err(Refusal::AppendIdReused));
    let same = w.append(m, channel, vec![message(1, 3, b"a"), message(1, 3, b"a")]).unwrap();
    assert_eq!(same[0], same[1]);
    assert_eq!(same[0].seq, 2);
}

fn a_repeat_is_known_after_its_body_expired<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let first = w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    w.now.unix_ms += 31 * 86_400_000;
    (0..3).for_each(|_| w.tick());
    assert_eq!(w.append(m, channel, vec![message(1, 1, b"a")]), Ok(first));
    let (entries, ..) = w.subscribe(m, channel, 1, 0).unwrap();
    assert_eq!(entries[0].body, Body::Expired(body_hash(b"a")));
}

fn an_append_of_another_epoch_is_stale<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    assert_eq!(w.append(m, channel, vec![message(2, 1, b"a")]), Err(Refusal::StaleEpoch { current: 1 }));
    w.commit(m, channel, commit(&channel, 1, 3)).unwrap();
    assert_eq!(w.append(m, channel, vec![message(1, 1, b"a")]), Err(Refusal::StaleEpoch { current: 2 }));
    let not_proven = Refusal::NotProven { purpose: Purpose::Append };
    assert_eq!(w.append(m, channel, vec![message(2, 1, b"a")]), Err(not_proven));
}

fn a_batch_is_appended_whole_or_not_at_all<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let mut late = message(1, 3, b"c");
    late.header.expires_day = TODAY;
    let batch = vec![message(1, 1, b"a"), message(1, 2, b"b"), late];
    assert_eq!(w.append(m, channel, batch), Err(Refusal::BadExpiry { days_max: 90 }));
    assert_eq!(w.subscribe(m, channel, 1, 0).unwrap().0, []);
    let positions = w.append(m, channel, vec![message(1, 1, b"a"), message(1, 2, b"b")]).unwrap();
    assert_eq!(positions.iter().map(|p| p.seq).collect::<Vec<_>>(), [1, 2]);
}

fn of_two_commits_the_first_wins<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let (a, b) = (w.member(&channel, 1), w.member(&channel, 1));
    let won = w.commit(a, channel, commit(&channel, 1, 1)).unwrap();
    assert_eq!(w.commit(b, channel, commit(&channel, 1, 2)), Err(Refusal::StaleEpoch { current: 2 }));
    assert_eq!(w.commit(a, channel, commit(&channel, 1, 1)), Ok(won));
}

fn the_chain_is_what_a_member_computes<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let mut head = first_head(&channel, 1, &epoch_keys(&channel, 1));
    assert_eq!(w.subscribe(m, channel, 1, 0).unwrap().1.head, head);
    for (seq, entry) in [(1, message(1, 1, b"a")), (2, message(1, 2, b"b"))] {
        head = next_head(&channel, &head, seq, &entry.header, &body_hash(&entry.body));
        assert_eq!(w.append(m, channel, vec![entry]).unwrap()[0].head, head);
    }
}

fn an_epochs_key_opens_the_epoch_and_the_commit_that_ends_it<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    w.append(m, channel, vec![message(1, 1, b"a")]).unwrap();
    let ends = w.commit(m, channel, commit(&channel, 1, 2)).unwrap();
    w.prove(m, &channel, 2, Purpose::Append);
    w.append(m, channel, vec![message(2, 3, b"b")]).unwrap();
    // The removed: the removal and nothing later, not even how much came.
    let (entries, end, live) = w.subscribe(m, channel, 1, 0).unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((end, live), (ends, false));
    assert_eq!(w.subscribe(m, channel, 2, 0), Err(Refusal::NotProven { purpose: Purpose::Read }));
    // The joiner: nothing earlier.
    let joiner = w.connect(ConnectionKind::Anonymous);
    w.prove(joiner, &channel, 2, Purpose::Read);
    let (entries, _, live) = w.subscribe(joiner, channel, 2, 0).unwrap();
    assert_eq!(entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [3]);
    assert!(live);
}

fn a_live_subscription_ends_with_the_commit<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let (a, b) = (w.member(&channel, 1), w.member(&channel, 1));
    assert!(w.subscribe(a, channel, 1, 0).unwrap().2);
    assert!(w.subscribe(b, channel, 1, 0).unwrap().2);
    w.append(a, channel, vec![message(1, 1, b"a")]).unwrap();
    w.commit(a, channel, commit(&channel, 1, 2)).unwrap();
    w.prove(a, &channel, 2, Purpose::Append);
    w.append(a, channel, vec![message(2, 3, b"b")]).unwrap();
    assert_eq!(pushed(&w.take(a)), [1, 2]);
    assert_eq!(pushed(&w.take(b)), [1, 2]);
    w.prove(b, &channel, 2, Purpose::Read);
    let (entries, _, live) = w.subscribe(b, channel, 2, 2).unwrap();
    assert_eq!((entries[0].seq, live), (3, true));
    w.append(a, channel, vec![message(2, 4, b"c")]).unwrap();
    assert_eq!(pushed(&w.take(b)), [4]);
    w.anonymous(b, Request::Unsubscribe { channel }).unwrap();
    w.append(a, channel, vec![message(2, 5, b"d")]).unwrap();
    assert_eq!(pushed(&w.take(b)), [0_u64; 0]);
}

fn only_the_last_page_goes_live<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    for round in 0..5_u8 {
        let of = |n: u8| {
            let mut entry = message(1, n, &[round, n]);
            entry.header.append_id.0[0] = round;
            entry
        };
        w.append(m, channel, (0..APPEND_ENTRIES_MAX as u8).map(of).collect()).unwrap();
    }
    let (entries, end, live) = w.subscribe(m, channel, 1, 0).unwrap();
    assert_eq!((entries.len(), end.seq, live), (PAGE_ENTRIES_MAX, 320, false));
    w.append(m, channel, vec![message(1, 200, b"x")]).unwrap();
    assert_eq!(pushed(&w.take(m)), [0_u64; 0]);
    let (entries, end, live) = w.subscribe(m, channel, 1, 256).unwrap();
    assert_eq!((entries.len(), end.seq, live), (65, 321, true));
}

fn a_proof_of_another_connection_does_not_hold<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let other = w.connect(ConnectionKind::Anonymous);
    let stolen = proof(&channel, 1, Purpose::Read, &binding(c));
    assert_eq!(w.anonymous(other, stolen), Err(Refusal::BadProof { purpose: Purpose::Read }));
    let later = proof(&channel, 2, Purpose::Read, &binding(other));
    assert_eq!(w.anonymous(other, later), Err(Refusal::BadProof { purpose: Purpose::Read }));
    let nowhere = proof(&ChannelId([9; 32]), 1, Purpose::Read, &binding(other));
    assert_eq!(w.anonymous(other, nowhere), Err(Refusal::UnknownChannel));
}

fn an_ephemeral_reaches_everybody_but_its_sender_and_is_not_stored<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let (a, b) = (w.member(&channel, 1), w.member(&channel, 1));
    w.subscribe(a, channel, 1, 0).unwrap();
    w.subscribe(b, channel, 1, 0).unwrap();
    let request = |epoch, body: &[u8]| Request::Ephemeral { channel, epoch, body: body.to_vec() };
    assert_eq!(w.anonymous(a, request(1, b"typing")), Ok(Answer::Done));
    assert_eq!(w.take(a), []);
    let push = ServerFrame::Push(Push::Ephemeral { channel, epoch: 1, body: b"typing".to_vec() });
    assert_eq!(w.take(b), [Heard::Anonymous(push)]);
    assert_eq!(w.subscribe(b, channel, 1, 0).unwrap().0, []);
    assert_eq!(w.anonymous(a, request(2, b"")), Err(Refusal::StaleEpoch { current: 1 }));
    let large = vec![0; EPHEMERAL_BYTES_MAX + 1];
    assert!(matches!(w.anonymous(a, request(1, &large)), Err(Refusal::TooLarge { .. })));
    assert_eq!(w.anonymous(c, request(1, b"")), Err(Refusal::NotProven { purpose: Purpose::Append }));
}

fn a_channel_costs_one_token_and_is_made_once<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let make =
        |channel, token, of: u64| Request::CreateChannel { channel, token, epoch: 1, keys: epoch_keys(&channel, of) };
    let spent = ChannelToken([1; 32]);
    assert_eq!(w.anonymous(c, make(channel, spent, 1)), Ok(Answer::Done));
    assert_eq!(w.anonymous(c, make(channel, spent, 2)), Err(Refusal::ChannelExists));
    assert_eq!(w.anonymous(c, make(ChannelId([2; 32]), spent, 1)), Err(Refusal::BadChannelToken));
    let m = w.member(&channel, 1);
    w.commit(m, channel, commit(&channel, 1, 1)).unwrap();
    assert_eq!(w.anonymous(c, make(channel, spent, 1)), Ok(Answer::Done));
}

fn limits_are_refused_by_name<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    let large = message(1, 1, &vec![0; ENTRY_BODY_BYTES_MAX + 1]);
    assert!(matches!(w.append(m, channel, vec![large]), Err(Refusal::TooLarge { .. })));
    let many = (0..=APPEND_ENTRIES_MAX as u8).map(|n| message(1, n, b"x")).collect();
    assert_eq!(w.append(m, channel, many), Err(Refusal::TooMany { max: 64 }));
    for (days, fine) in [(0, false), (1, true), (90, true), (91, false)] {
        let mut entry = message(1, 100 + days as u8, b"x");
        entry.header.expires_day = TODAY + days;
        assert_eq!(w.append(m, channel, vec![entry]).is_ok(), fine, "{days} days");
    }
    let mut far = commit(&channel, 1, 9);
    far.header.expires_day = TODAY + 181;
    assert_eq!(w.commit(m, channel, far), Err(Refusal::BadExpiry { days_max: 180 }));
    assert_eq!(w.append(m, ChannelId([9; 32]), vec![message(1, 1, b"x")]), Err(Refusal::UnknownChannel));
}

fn a_commit_among_messages_ends_the_connection<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    assert!(matches!(w.append(m, channel, vec![commit(&channel, 1, 1)]), Err(Refusal::Malformed { .. })));
    let heard = w.take(m);
    assert!(matches!(heard[0], Heard::Anonymous(ServerFrame::Goodbye(Refusal::Malformed { .. }))));
    assert_eq!(heard[1], Heard::Closed);
}

fn one_batch_of_inputs_keeps_their_order<S: Store>(mut w: World<S>) {
    let c = w.connect(ConnectionKind::Anonymous);
    let channel = w.channel(c, 1);
    let m = w.member(&channel, 1);
    w.subscribe(m, channel, 1, 0).unwrap();
    let mut inputs: Vec<Input> = Vec::new();
    for n in 1..=20_u8 {
        let request = Request::Append { channel, entries: vec![message(1, n, &[n])] };
        inputs.push(w.request(m, aside_server::core::Request::Anonymous(request)).1);
    }
    w.input(inputs);
    let heard = w.take(m);
    assert_eq!(pushed(&heard), (1..=20).collect::<Vec<_>>());
    let acknowledged =
        |heard: &&Heard| matches!(heard, Heard::Anonymous(ServerFrame::Answer(_, anonymous::Answer::Appended(_))));
    assert_eq!(heard.iter().filter(acknowledged).count(), 20);
}

on_both_stores!(
    a_repeated_append_returns_the_first_acknowledgement,
    a_repeated_append_of_other_bytes_is_refused,
    a_repeat_is_known_after_its_body_expired,
    an_append_of_another_epoch_is_stale,
    a_batch_is_appended_whole_or_not_at_all,
    of_two_commits_the_first_wins,
    the_chain_is_what_a_member_computes,
    an_epochs_key_opens_the_epoch_and_the_commit_that_ends_it,
    a_live_subscription_ends_with_the_commit,
    only_the_last_page_goes_live,
    a_proof_of_another_connection_does_not_hold,
    an_ephemeral_reaches_everybody_but_its_sender_and_is_not_stored,
    a_channel_costs_one_token_and_is_made_once,
    limits_are_refused_by_name,
    a_commit_among_messages_ends_the_connection,
    one_batch_of_inputs_keeps_their_order,
);

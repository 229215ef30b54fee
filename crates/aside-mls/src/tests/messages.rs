//! Claims about messages: gaps, replays, wrong epochs and other bytes.

use super::world::*;
use crate::*;

fn undecryptable(result: Result<Processed, ProcessError>) -> Undecryptable {
    match result.unwrap_err() {
        ProcessError::Undecryptable(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_members_talk() {
    let ([alice, bob], [mut a, mut b]) = two();
    let message = alice.encrypt(&mut a, "hello");
    match b.process(&bob.session(), &message).unwrap() {
        Processed::Application { sender, plaintext } => {
            assert_eq!((sender.leaf, plaintext.as_slice()), (0, &b"hello"[..]));
            assert_eq!(sender.credential, alice.credential);
        }
        Processed::Commit(_) => panic!(),
    }
    let reply = bob.encrypt(&mut b, "hi");
    assert_eq!(alice.read(&mut a, &reply), "hi");
    assert_eq!((a.epoch(), a.epoch_authenticator().unwrap()), (1, b.epoch_authenticator().unwrap()));
    assert_eq!(
        a.channel_keys(&alice.session(), &CHANNEL).unwrap().public(),
        b.channel_keys(&bob.session(), &CHANNEL).unwrap().public()
    );
}

#[test]
fn keys_differ_by_channel_epoch_and_purpose() {
    let ([alice, _bob], [mut a, _b]) = two();
    let keys = a.channel_keys(&alice.session(), &CHANNEL).unwrap().public();
    let other_channel = aside_protocol::id::ChannelId([8; 32]);
    assert_ne!(keys, a.channel_keys(&alice.session(), &other_channel).unwrap().public());
    assert_eq!(std::collections::BTreeSet::from([keys.read, keys.append, keys.commit, keys.call]).len(), 4);
    a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    let next = a.pending_channel_keys(&alice.session(), &CHANNEL).unwrap().unwrap().public();
    assert_ne!(keys, next);
    a.merge_pending(&alice.session()).unwrap();
    assert_eq!(a.channel_keys(&alice.session(), &CHANNEL).unwrap().public(), next);
}

#[test]
fn a_replayed_message_is_refused() {
    let ([alice, bob], [mut a, mut b]) = two();
    let message = alice.encrypt(&mut a, "once");
    bob.read(&mut b, &message);
    assert_eq!(undecryptable(b.process(&bob.session(), &message)), Undecryptable::Replayed);
    assert_eq!(undecryptable(bob.load().process(&bob.session(), &message)), Undecryptable::Replayed);
}

#[test]
fn an_altered_message_is_refused_and_the_true_one_still_opens() {
    let ([alice, bob], [mut a, mut b]) = two();
    let message = alice.encrypt(&mut a, "true");
    let mut altered = message.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(undecryptable(b.process(&bob.session(), &altered)), Undecryptable::Damaged);
    assert_eq!(bob.read(&mut b, &message), "true");
}

#[test]
fn a_message_of_another_epoch_is_refused_with_both_epochs() {
    let ([alice, bob], [mut a, mut b]) = two();
    let early = alice.encrypt(&mut a, "early");
    let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    let ahead = alice.encrypt(&mut a, "ahead");
    let error = b.process(&bob.session(), &ahead).unwrap_err();
    assert!(matches!(error, ProcessError::WrongEpoch { message: 2, group: 1 }), "{error:?}");
    bob.follow(&mut b, &commit);
    let error = b.process(&bob.session(), &early).unwrap_err();
    assert!(matches!(error, ProcessError::WrongEpoch { message: 1, group: 2 }), "{error:?}");
    assert_eq!(bob.read(&mut b, &ahead), "ahead");
}

#[test]
fn after_five_hundred_lost_messages_the_next_ones_decrypt() {
    let ([alice, bob], [mut a, mut b]) = two();
    for _ in 0..2 {
        for _ in 0..500 {
            alice.encrypt(&mut a, "lost");
        }
        let message = alice.encrypt(&mut a, "found");
        assert_eq!(bob.read(&mut b, &message), "found");
        b = bob.load();
    }
}

#[test]
fn a_gap_leaves_little_to_rewrite() {
    let ([alice, bob], [mut a, mut b]) = two();
    for _ in 0..500 {
        alice.encrypt(&mut a, "lost");
    }
    let message = alice.encrypt(&mut a, "found");
    bob.read(&mut b, &message);
    let query = "SELECT length(group_data) FROM openmls_group_data WHERE data_type = 'message_secrets'";
    let bytes: u32 = bob.connection.query_row(query, [], |row| row.get(0)).unwrap();
    assert!(bytes < 8_000, "{bytes}");
}

#[test]
fn a_message_that_comes_much_too_late_or_early_is_refused_by_name() {
    let ([alice, bob], [mut a, mut b]) = two();
    let messages: Vec<Vec<u8>> = (0..60).map(|_| alice.encrypt(&mut a, "x")).collect();
    bob.read(&mut b, &messages[40]);
    bob.read(&mut b, &messages[20]);
    assert_eq!(undecryptable(b.process(&bob.session(), &messages[0])), Undecryptable::TooOld);
    let config = openmls::group::MlsGroupJoinConfig::builder()
        .wire_format_policy(openmls::group::PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .sender_ratchet_configuration(openmls::prelude::SenderRatchetConfiguration::new(5, 10))
        .build();
    let session = bob.session();
    let storage = openmls_traits::OpenMlsProvider::storage(&session.provider);
    b.mls.set_configuration(storage, &config).unwrap();
    assert_eq!(undecryptable(b.process(&session, &messages[59])), Undecryptable::TooFarAhead);
}

#[test]
fn ones_own_message_is_told_apart() {
    let ([alice, _bob], [mut a, _b]) = two();
    let message = alice.encrypt(&mut a, "mine");
    assert!(matches!(a.process(&alice.session(), &message).unwrap_err(), ProcessError::OwnMessage));
}

#[test]
fn a_message_of_another_group_is_refused() {
    let ([alice, bob], [mut a, _b]) = two();
    let message = alice.encrypt(&mut a, "here");
    let other = GroupId([1; 32]);
    let mut elsewhere =
        bob.session().create_group(&bob.signer, &bob.credential, other, &metadata("", &[&bob])).unwrap();
    assert!(matches!(elsewhere.process(&bob.session(), &message).unwrap_err(), ProcessError::OtherGroup));
}

#[test]
fn no_bytes_make_it_panic() {
    let ([alice, bob], [mut a, mut b]) = two();
    let message = alice.encrypt(&mut a, "x");
    for cut in 0..message.len() {
        assert!(b.process(&bob.session(), &message[..cut]).is_err());
    }
    let key_package = alice.key_package(KeyPackageKind::Once);
    assert!(matches!(b.process(&bob.session(), &key_package).unwrap_err(), ProcessError::UnexpectedKind));
    let longer = [message.as_slice(), &[0]].concat();
    assert!(matches!(b.process(&bob.session(), &longer).unwrap_err(), ProcessError::Malformed));
}

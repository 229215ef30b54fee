//! Claims about the evidence in commit entries: who is blamed for wrong keys, and who is not.

use super::world::*;
use crate::*;
use aside_protocol::channel::EpochKeys;

/// A commit of Alice's with the keys that it leads to.
fn commit_and_keys(alice: &Device, a: &mut Group) -> (Vec<u8>, EpochKeys) {
    let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    (commit, a.pending_channel_keys(&alice.session(), &CHANNEL).unwrap().unwrap().public())
}

fn seal(device: &Device, group: &Group, commit: &[u8], keys: &EpochKeys) -> Vec<u8> {
    group.seal_commit(&device.session(), &device.signer, &CHANNEL, commit, keys, [3; 12]).unwrap()
}

/// What Bob makes of an entry.
fn judge(bob: &Device, b: &mut Group, body: &[u8], header: &EpochKeys) -> (OpenedCommit, KeyVerdict) {
    let opened = b.open_commit(&bob.session(), &CHANNEL, body, header).unwrap();
    let staged = bob.stage(b, &opened.commit).unwrap();
    let verdict = staged.judge_keys(&bob.session(), &CHANNEL, header, opened.evidence).unwrap();
    (opened, verdict)
}

fn wrong(keys: &EpochKeys) -> EpochKeys {
    EpochKeys { append: keys.read, ..*keys }
}

#[test]
fn an_honest_commit_is_agreed() {
    let ([alice, bob], [mut a, mut b]) = two();
    let (commit, keys) = commit_and_keys(&alice, &mut a);
    let body = seal(&alice, &a, &commit, &keys);
    let (opened, verdict) = judge(&bob, &mut b, &body, &keys);
    assert_eq!(opened.commit, commit);
    assert_eq!((opened.evidence, verdict), (Evidence::Valid { leaf: 0 }, KeyVerdict::Agreed));
}

#[test]
fn wrong_next_keys_are_evidence_against_the_leaf_that_others_can_check() {
    let ([alice, bob], [mut a, mut b]) = two();
    let (commit, keys) = commit_and_keys(&alice, &mut a);
    let body = seal(&alice, &a, &commit, &wrong(&keys));
    let (opened, verdict) = judge(&bob, &mut b, &body, &wrong(&keys));
    assert_eq!(verdict, KeyVerdict::LeafLied { leaf: 0 });
    let statement = opened.statement.unwrap();
    assert_eq!(statement.verify(&alice.signer.public_key()), Ok(()));
    assert!(CommitStatement { next_keys: keys, ..statement }.verify(&alice.signer.public_key()).is_err());
}

#[test]
fn keys_or_commits_that_the_server_altered_blame_nobody() {
    let ([alice, bob], [mut a, mut b]) = two();
    let (commit, keys) = commit_and_keys(&alice, &mut a);
    let body = seal(&alice, &a, &commit, &keys);
    let (opened, verdict) = judge(&bob, &mut b, &body, &wrong(&keys));
    assert_eq!((opened.evidence, verdict), (Evidence::InvalidTag, KeyVerdict::NobodyToBlame));
    assert_eq!(opened.statement, None);

    let b = bob.load();
    let mut altered = body.clone();
    *altered.last_mut().unwrap() ^= 1;
    let opened = b.open_commit(&bob.session(), &CHANNEL, &altered, &keys).unwrap();
    assert_eq!(opened.evidence, Evidence::InvalidTag);
    let mut altered = body.clone();
    altered[20] ^= 1;
    let opened = b.open_commit(&bob.session(), &CHANNEL, &altered, &keys).unwrap();
    assert_eq!(opened.evidence, Evidence::InvalidTag);
    let cut = b.open_commit(&bob.session(), &CHANNEL, &body[..body.len() - 1], &keys);
    assert!(matches!(cut, Err(SealedError::Malformed(_))));
}

#[test]
fn evidence_of_another_channel_or_epoch_has_no_valid_tag() {
    let ([alice, bob], [mut a, mut b]) = two();
    let (commit, keys) = commit_and_keys(&alice, &mut a);
    let body = seal(&alice, &a, &commit, &keys);
    let other = aside_protocol::id::ChannelId([1; 32]);
    assert_eq!(b.open_commit(&bob.session(), &other, &body, &keys).unwrap().evidence, Evidence::InvalidTag);
    bob.follow(&mut b, &commit);
    assert_eq!(b.open_commit(&bob.session(), &CHANNEL, &body, &keys).unwrap().evidence, Evidence::InvalidTag);
}

#[test]
fn a_member_cannot_frame_another() {
    let ([alice, bob, carol], [mut a, b, mut c]) = three();
    let (commit, keys) = commit_and_keys(&alice, &mut a);
    // Bob seals wrong keys for Alice's commit: in his own name, then in hers.
    let body = seal(&bob, &b, &commit, &wrong(&keys));
    let (opened, verdict) = judge(&carol, &mut c, &body, &wrong(&keys));
    assert_eq!((opened.evidence, verdict), (Evidence::Valid { leaf: 1 }, KeyVerdict::NobodyToBlame));

    let c = carol.load();
    let body = a.seal_commit(&alice.session(), &bob.signer, &CHANNEL, &commit, &wrong(&keys), [1; 12]).unwrap();
    let opened = c.open_commit(&carol.session(), &CHANNEL, &body, &wrong(&keys)).unwrap();
    assert_eq!((opened.evidence, opened.statement), (Evidence::BadLeafSignature, None));
}

#[test]
fn the_removed_member_agrees_without_learning_the_keys() {
    let ([alice, _bob, carol], [mut a, _b, mut c]) = three();
    let commit = a.remove(&alice.session(), &alice.signer, &[2]).unwrap();
    let keys = a.pending_channel_keys(&alice.session(), &CHANNEL).unwrap().unwrap().public();
    let body = seal(&alice, &a, &commit, &keys);
    let (_, verdict) = judge(&carol, &mut c, &body, &keys);
    assert_eq!(verdict, KeyVerdict::Agreed);
}

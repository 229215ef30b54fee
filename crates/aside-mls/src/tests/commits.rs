//! Claims about commits, Welcomes and races: what changes a group, and what does not.

use super::world::*;
use crate::*;
use openmls::group::MlsGroup;

#[test]
fn a_removed_member_decrypts_nothing_later() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let before = bob.encrypt(&mut b, "before");
    assert_eq!(carol.read(&mut c, &before), "before");
    let commit = a.remove(&alice.session(), &alice.signer, &[2]).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    bob.follow(&mut b, &commit);
    let after = bob.encrypt(&mut b, "after");
    assert_eq!(alice.read(&mut a, &after), "after");

    assert!(c.process(&carol.session(), &after).is_err());
    let staged = carol.stage(&mut c, &commit).unwrap();
    assert!(staged.self_removed);
    assert!(matches!(staged.channel_keys(&carol.session(), &CHANNEL), Err(MlsError::NotAMember)));
    c.merge_staged(&carol.session(), staged).unwrap();
    for mut group in [c, carol.load()] {
        assert!(!group.is_active());
        assert!(matches!(group.process(&carol.session(), &after), Err(ProcessError::NotAMember)));
        assert!(matches!(group.channel_keys(&carol.session(), &CHANNEL), Err(MlsError::NotAMember)));
        assert!(matches!(group.encrypt(&carol.session(), &carol.signer, b"x"), Err(MlsError::NotAMember)));
    }
}

#[test]
fn the_loser_of_a_race_clears_processes_the_winner_and_tries_again() {
    let ([alice, mut bob], [mut a, mut b]) = two();
    let winner = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    b.set_metadata(&bob.session(), &bob.signer, &metadata("lost", &[&alice, &bob])).unwrap();

    let transaction = bob.connection.transaction().unwrap();
    let session = bob.mls.on(&transaction);
    let Processed::Commit(staged) = b.process(&session, &winner).unwrap() else { panic!() };
    assert!(matches!(b.merge_staged(&session, staged), Err(MlsError::PendingCommit)));
    transaction.rollback().unwrap();

    let mut b = bob.load();
    b.clear_pending(&bob.session()).unwrap();
    bob.follow(&mut b, &winner);
    let again = b.set_metadata(&bob.session(), &bob.signer, &metadata("won", &[&alice, &bob])).unwrap();
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &again);
    assert_eq!(a.metadata().unwrap().title, "won");
}

#[test]
fn a_pending_commit_survives_a_restart_with_its_keys() {
    let ([alice, bob], [mut a, mut b]) = two();
    let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    let keys = a.pending_channel_keys(&alice.session(), &CHANNEL).unwrap().unwrap().public();
    let mut a = alice.load();
    assert!(a.has_pending());
    assert_eq!(a.pending_channel_keys(&alice.session(), &CHANNEL).unwrap().unwrap().public(), keys);
    a.merge_pending(&alice.session()).unwrap();
    let staged = bob.stage(&mut b, &commit).unwrap();
    assert_eq!(staged.channel_keys(&bob.session(), &CHANNEL).unwrap().public(), keys);
    b.merge_staged(&bob.session(), staged).unwrap();
    let message = alice.encrypt(&mut alice.load(), "on");
    assert_eq!(bob.read(&mut bob.load(), &message), "on");
}

#[test]
fn messages_of_the_epoch_flow_while_a_commit_is_pending() {
    let ([alice, bob], [mut a, mut b]) = two();
    a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    let from_bob = bob.encrypt(&mut b, "in");
    assert_eq!(alice.read(&mut a, &from_bob), "in");
    let from_alice = alice.encrypt(&mut a, "out");
    assert_eq!(bob.read(&mut b, &from_alice), "out");
}

#[test]
fn a_second_commit_waits_for_the_first() {
    let ([alice, _bob], [mut a, _b]) = two();
    a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    let second = a.self_update(&alice.session(), &alice.signer, &alice.credential);
    assert!(matches!(second, Err(MlsError::PendingCommit)));
    a.clear_pending(&alice.session()).unwrap();
    assert!(matches!(a.merge_pending(&alice.session()), Err(MlsError::NoPendingCommit)));
}

#[test]
fn a_commit_says_whom_it_adds_and_removes() {
    let ([alice, bob, carol], [mut a, mut b, _c]) = three();
    let dave = Person::new("dave").device(1);
    let package = dave.checked();
    let swap = a.swap(&alice.session(), &alice.signer, &[2], std::slice::from_ref(&package)).unwrap();
    let staged = bob.stage(&mut b, &swap.commit).unwrap();
    assert_eq!(staged.committer.leaf, 0);
    assert_eq!(staged.added, std::slice::from_ref(&dave.credential));
    assert_eq!(staged.added_references(), [package.reference()]);
    assert_eq!(staged.removed, [Member { leaf: 2, credential: carol.credential.clone() }]);
    assert_eq!((staged.metadata_after.clone(), staged.self_removed, staged.epoch()), (None, false, 2));
    b.merge_staged(&bob.session(), staged).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    let mut d = dave.join(&swap);
    let message = bob.encrypt(&mut b, "welcome");
    assert_eq!(dave.read(&mut d, &message), "welcome");
    assert_eq!(d.members().unwrap(), a.members().unwrap());
    assert_eq!(d.own_leaf(), 2);
}

#[test]
fn each_new_member_needs_only_its_slice_of_the_welcome() {
    let alice = Person::new("alice").device(1);
    let added: Vec<Device> = ["bob", "carol", "dave"].map(|name| Person::new(name).device(1)).into();
    let packages: Vec<CheckedKeyPackage> = added.iter().map(Device::checked).collect();
    let mut a = alice.found(&[&alice]);
    let add = a.add(&alice.session(), &alice.signer, &packages).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    let message = alice.encrypt(&mut a, "hello");
    for (device, package) in added.iter().zip(&packages) {
        let slice = welcome_for(&add.welcome, &package.reference()).unwrap();
        assert!(slice.len() + 2 * 1_200 < add.welcome.len());
        let mut joined = device.session().join(&slice, &add.ratchet_tree).unwrap();
        assert_eq!(device.read(&mut joined, &message), "hello");
    }
    let unknown = welcome_for(&add.welcome, &aside_protocol::id::Hash([0; 32]));
    assert!(matches!(unknown, Err(JoinError::NoMatchingKeyPackage)));
    for cut in 0..20 {
        assert!(welcome_for(&add.welcome[..cut], &packages[0].reference()).is_err());
    }
}

#[test]
fn a_lost_device_rejoins_over_its_broken_state() {
    let ([alice, bob, carol], [mut a, mut b, _c]) = three();
    let package = carol.checked();
    let swap = a.swap(&alice.session(), &alice.signer, &[2], &[package]).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    bob.follow(&mut b, &swap.commit);
    let transaction = carol.connection.unchecked_transaction().unwrap();
    assert!(matches!(carol.session().join(&swap.welcome, &swap.ratchet_tree), Err(JoinError::GroupExists)));
    transaction.rollback().unwrap();
    carol.connection.execute("DELETE FROM openmls_group_data WHERE data_type = 'tree'", []).unwrap();
    let mut c = carol.session().rejoin(&swap.welcome, &swap.ratchet_tree).unwrap();
    let message = bob.encrypt(&mut b, "again");
    assert_eq!(carol.read(&mut c, &message), "again");
    assert_eq!(carol.load().epoch(), 2);
}

#[test]
fn a_standalone_proposal_is_refused() {
    let ([alice, bob], [mut a, mut b]) = two();
    let session = alice.session();
    let mls: &mut MlsGroup = &mut a.mls;
    let (proposal, _) =
        mls.propose_remove_member(&session.provider, &alice.signer, openmls::prelude::LeafNodeIndex::new(1)).unwrap();
    let bytes = tls_codec::Serialize::tls_serialize_detached(&proposal).unwrap();
    assert!(matches!(b.process(&bob.session(), &bytes), Err(ProcessError::UnexpectedKind)));
}

#[test]
fn an_external_commit_is_refused() {
    use openmls::prelude::{LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn};
    use openmls_traits::OpenMlsProvider;
    use tls_codec::{Deserialize, Serialize};
    let ([alice, bob], [a, mut b]) = two();
    let carol = Person::new("carol").device(1);
    let session = alice.session();
    let info = a.mls.export_group_info(session.provider.crypto(), &alice.signer, true).unwrap();
    let info = MlsMessageIn::tls_deserialize_exact(info.tls_serialize_detached().unwrap()).unwrap();
    let MlsMessageBodyIn::GroupInfo(info) = info.extract() else { panic!() };
    let carol_session = carol.session();
    let leaf = LeafNodeParameters::builder().with_capabilities(crate::key_package::capabilities()).build();
    let (_, bundle) = MlsGroup::external_commit_builder()
        .with_config(crate::group::join_config())
        .build_group(&carol_session.provider, info, crate::credential::to_leaf(&carol.credential))
        .unwrap()
        .leaf_node_parameters(leaf)
        .load_psks(carol_session.provider.storage())
        .unwrap()
        .build(carol_session.provider.rand(), carol_session.provider.crypto(), &carol.signer, |_| true)
        .unwrap()
        .finalize(&carol_session.provider)
        .unwrap();
    let bytes = bundle.into_commit().tls_serialize_detached().unwrap();
    assert!(matches!(b.process(&bob.session(), &bytes), Err(ProcessError::UnexpectedKind)));
}

#[test]
fn joining_skips_the_lifetimes_of_old_leaves() {
    use openmls::prelude::*;
    let [alice, bob] = ["alice", "bob"].map(|name| Person::new(name).device(1));
    let extensions = metadata("", &[&alice]).to_extensions().unwrap();
    // A leaf that openmls, by the machine's clock, holds to be expired since 1970.
    let mls = MlsGroup::builder()
        .with_group_id(GROUP.to_mls())
        .ciphersuite(crate::provider::CIPHERSUITE)
        .with_wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .lifetime(Lifetime::init(0, 1))
        .with_capabilities(crate::key_package::capabilities())
        .with_group_context_extensions(Extensions::from_vec(extensions.into()).unwrap())
        .build(&alice.session().provider, &alice.signer, crate::credential::to_leaf(&alice.credential))
        .unwrap();
    let add = alice.add(&mut Group::new(mls, GROUP), &[&bob]);
    assert_eq!(bob.join(&add).members().unwrap().len(), 2);
}

//! Claims about credentials: who is kept out, and under which name.

use super::world::*;
use crate::*;
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{CredentialError, MemberCredential};
use openmls::prelude::*;

/// A KeyPackage that says what it likes: made past every check of ours.
fn forged(device: &Device, leaf: CredentialWithKey) -> CheckedKeyPackage {
    let mut forged = device.checked();
    forged.key_package = KeyPackage::builder()
        .key_package_lifetime(crate::key_package::endless_lifetime())
        .leaf_node_capabilities(crate::key_package::capabilities())
        .build(crate::provider::CIPHERSUITE, &device.session().provider, &device.signer, leaf)
        .unwrap()
        .into_key_package();
    forged
}

fn leaf_of(credential: &MemberCredential, signer: &DeviceSigner) -> CredentialWithKey {
    let mut leaf = crate::credential::to_leaf(credential);
    leaf.signature_key = signer.public_key().0.to_vec().into();
    leaf
}

/// What Bob says of a commit by which Alice adds `package`.
fn fault_of_adding(package: CheckedKeyPackage) -> CredentialFault {
    let ([alice, bob], [mut a, mut b]) = two();
    let add = a.add(&alice.session(), &alice.signer, &[package]).unwrap();
    match bob.stage(&mut b, &add.commit).unwrap_err() {
        ProcessError::Credential { author, fault } => {
            assert_eq!(author.credential, alice.credential);
            fault
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_leaf_whose_key_nobody_certified_is_refused() {
    let carol = Person::new("carol").device(1);
    let mallory = Person::new("mallory").device(1);
    let fault = fault_of_adding(forged(&mallory, leaf_of(&carol.credential, &mallory.signer)));
    assert_eq!(fault, CredentialFault::Invalid(CredentialError::OtherSignatureKey));
}

#[test]
fn a_credential_that_does_not_verify_is_refused() {
    let carol = Person::new("carol").device(1);
    let mut credential = carol.credential.clone();
    credential.address = "dave@a.example".parse().unwrap();
    let fault = fault_of_adding(forged(&carol, leaf_of(&credential, &carol.signer)));
    assert!(matches!(fault, CredentialFault::Invalid(CredentialError::BadSignature(_))), "{fault:?}");
}

#[test]
fn a_credential_that_is_none_is_refused() {
    let carol = Person::new("carol").device(1);
    let mut leaf = leaf_of(&carol.credential, &carol.signer);
    leaf.credential = BasicCredential::new(b"carol".to_vec()).into();
    let fault = fault_of_adding(forged(&carol, leaf));
    assert!(matches!(fault, CredentialFault::Malformed(_)), "{fault:?}");
}

#[test]
fn a_revoked_device_is_refused() {
    let mut person = Person::new("carol");
    let carol = person.device(1);
    person.rotate(vec![DeviceId([1; 16])]);
    let mut credential = carol.credential.clone();
    credential.key_sets = person.key_sets.clone();
    let fault = fault_of_adding(forged(&carol, leaf_of(&credential, &carol.signer)));
    assert_eq!(fault, CredentialFault::Invalid(CredentialError::Revoked { by: 1 }));
}

#[test]
fn a_device_that_another_leaf_of_its_account_revokes_is_refused() {
    let mut person = Person::new("bob");
    let stolen = person.device(2);
    let package = stolen.checked();
    person.rotate(vec![DeviceId([2; 16])]);
    let [alice, bob] = [Person::new("alice").device(1), person.device(1)];
    let [mut a, _b]: [Group; 2] = group_of(&[&alice, &bob], 1).try_into().unwrap();
    match a.add(&alice.session(), &alice.signer, &[package]).unwrap_err() {
        MlsError::Credential(fault) => {
            assert_eq!(fault, CredentialFault::Invalid(CredentialError::Revoked { by: 1 }));
        }
        other => panic!("{other:?}"),
    }
}

/// A device of somebody who claims a name with a root key of their own.
fn impostor(name: &'static str) -> Device {
    use aside_protocol::identity::{DeviceCertificate, KeySet, KeySetSigner};
    let (root, account) = (key("mallory", "root"), key("mallory", "account"));
    let mut device = Person::new("mallory").device(1);
    let (address, root_key) = (Person::new(name).address(), root.public_key());
    let of = (&address, &root_key);
    let set = KeySet::sign(of, None, account.public_key(), vec![], (KeySetSigner::Root, &root));
    let certificate = DeviceCertificate::issue(of, &account, 0, DeviceId([5; 16]), device.signer.public_key());
    device.credential = MemberCredential { address, root_key, key_sets: vec![set], certificate };
    device
}

#[test]
fn an_address_has_one_root_key_in_a_group() {
    let carol = Person::new("carol").device(1);
    for (claimed, others) in [("bob", vec![]), ("carol", vec![carol.checked()])] {
        let ([alice, bob], [mut a, mut b]) = two();
        let packages = [others, vec![impostor(claimed).checked()]].concat();
        assert!(matches!(
            a.add(&alice.session(), &alice.signer, &packages),
            Err(MlsError::Credential(CredentialFault::Invalid(CredentialError::OtherRootKey)))
        ));
        let packages = packages.into_iter().map(|package| package.key_package);
        let commit = super::roles::commit_unchecked(&alice, &mut a, |builder| builder.propose_adds(packages));
        let error = bob.stage(&mut b, &commit).unwrap_err();
        assert_eq!(error.credential_error(), Some(&CredentialError::OtherRootKey));
    }
}

#[test]
fn a_self_update_carries_a_continued_chain() {
    let mut person = Person::new("bob");
    let [alice, mut bob] = [Person::new("alice").device(1), person.device(1)];
    let [mut a, mut b]: [Group; 2] = group_of(&[&alice, &bob], 1).try_into().unwrap();
    person.rotate(vec![DeviceId([2; 16])]);
    bob.credential = person.credential(1);
    let commit = b.self_update(&bob.session(), &bob.signer, &bob.credential).unwrap();
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &commit);
    assert_eq!(a.member(1).unwrap().credential, bob.credential);
    assert_eq!(a.members().unwrap(), b.members().unwrap());
}

#[test]
fn an_update_to_a_shorter_chain_or_another_owner_is_refused() {
    let mut person = Person::new("bob");
    let old = person.credential(1);
    person.rotate(vec![]);
    let [alice, bob] = [Person::new("alice").device(1), person.device(1)];
    let mut other_device = bob.credential.clone();
    other_device.certificate = aside_protocol::identity::DeviceCertificate::issue(
        (&bob.credential.address, &bob.credential.root_key),
        &person.account_key(),
        1,
        DeviceId([77; 16]),
        bob.signer.public_key(),
    );
    let cases =
        [(old, CredentialError::NotAContinuation { known: 2 }.into()), (other_device, CredentialFault::OtherOwner)];
    for (new, expected) in cases {
        let [mut a, mut b]: [Group; 2] = group_of(&[&alice, &bob], 1).try_into().unwrap();
        match b.self_update(&bob.session(), &bob.signer, &new).unwrap_err() {
            MlsError::Credential(fault) => assert_eq!(fault, expected),
            other => panic!("{other:?}"),
        }
        let leaf = LeafNodeParameters::builder().with_credential_with_key(crate::credential::to_leaf(&new)).build();
        let commit = super::roles::commit_unchecked(&bob, &mut b, |builder| builder.leaf_node_parameters(leaf));
        match alice.stage(&mut a, &commit).unwrap_err() {
            ProcessError::Credential { author, fault } => assert_eq!((author.leaf, fault), (1, expected)),
            other => panic!("{other:?}"),
        }
        alice.session().delete_group(&GROUP).unwrap();
        bob.session().delete_group(&GROUP).unwrap();
    }
}

#[test]
fn a_joiner_refuses_a_group_with_a_forged_member() {
    let ([alice, _bob], [mut a, _b]) = two();
    let carol = Person::new("carol").device(1);
    let mallory = Person::new("mallory").device(1);
    let victim = Person::new("victim").device(1);
    let packages = [forged(&mallory, leaf_of(&victim.credential, &mallory.signer)), carol.checked()];
    let add = a.add(&alice.session(), &alice.signer, &packages).unwrap();
    match carol.session().join(&add.welcome, &add.ratchet_tree).unwrap_err() {
        JoinError::Credential { leaf, fault } => {
            assert_eq!((leaf, fault), (2, CredentialError::OtherSignatureKey.into()));
        }
        other => panic!("{other:?}"),
    }
}

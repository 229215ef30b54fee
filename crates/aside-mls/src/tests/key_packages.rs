//! Claims about KeyPackages, their lifetimes and keys, and about envelopes.

use super::world::*;
use crate::*;
use aside_protocol::identity::CredentialError;

#[test]
fn a_key_package_is_good_from_its_making_to_its_expiry() {
    let alice = Person::new("alice").device(1);
    let bytes = alice.key_package(KeyPackageKind::Once);
    let check = |now| alice.session().check_key_package(&bytes, now);
    let checked = check(NOW).unwrap();
    assert_eq!((checked.credential(), checked.kind()), (&alice.credential, KeyPackageKind::Once));
    assert!(check(NOW + KEY_PACKAGE_SECONDS).is_ok());
    assert!(check(NOW - 60 * 60).is_ok());
    let expired = check(NOW + KEY_PACKAGE_SECONDS + 1).unwrap_err();
    let not_after = NOW + KEY_PACKAGE_SECONDS;
    assert!(matches!(expired, KeyPackageError::Expired { not_after_unix_s } if not_after_unix_s == not_after));
    let early = check(NOW - 25 * 60 * 60).unwrap_err();
    assert!(matches!(early, KeyPackageError::NotYetValid { not_before_unix_s: NOW }));
}

#[test]
fn the_machines_clock_decides_nothing() {
    // Made in 1970 and in 2200 of the simulated time, added and joined at the machine's.
    for now in [0, 7_258_118_400] {
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| Person::new(name).device(1));
        let make = |device: &Device| {
            let session = device.session();
            let bytes = session.new_key_package(&device.signer, &device.credential, KeyPackageKind::Once, now).unwrap();
            session.check_key_package(&bytes, now + 1).unwrap()
        };
        let mut a = alice.found(&[&alice]);
        let add = a.add(&alice.session(), &alice.signer, &[make(&bob)]).unwrap();
        a.merge_pending(&alice.session()).unwrap();
        let mut b = bob.join(&add);
        let add = a.add(&alice.session(), &alice.signer, &[make(&carol)]).unwrap();
        bob.follow(&mut b, &add.commit);
        assert_eq!(carol.join(&add).members().unwrap().len(), 3);
    }
}

#[test]
fn an_altered_key_package_is_refused() {
    let alice = Person::new("alice").device(1);
    let bytes = alice.key_package(KeyPackageKind::Once);
    for position in (0..bytes.len()).step_by(97) {
        let mut altered = bytes.clone();
        altered[position] ^= 1;
        assert!(alice.session().check_key_package(&altered, NOW).is_err(), "at {position}");
    }
    let short = alice.session().check_key_package(&bytes[..100], NOW);
    assert!(matches!(short, Err(KeyPackageError::Malformed)));
}

#[test]
fn a_key_package_with_an_uncertified_key_is_refused_by_name() {
    let mut alice = Person::new("alice").device(1);
    alice.signer = DeviceSigner::new(&key("mallory", "device"));
    // openmls writes the key of the credential into the leaf and signs with the signer's: nothing holds.
    let bytes = alice.session().new_key_package(&alice.signer, &alice.credential, KeyPackageKind::Once, NOW).unwrap();
    let error = alice.session().check_key_package(&bytes, NOW).unwrap_err();
    assert!(matches!(error, KeyPackageError::Invalid(_)), "{error:?}");
    // With its own key in its own certificate, which the account did not sign:
    alice.credential.certificate.signature_key = alice.signer.public_key();
    let bytes = alice.key_package(KeyPackageKind::Once);
    let error = alice.session().check_key_package(&bytes, NOW).unwrap_err();
    let KeyPackageError::Credential(CredentialFault::Invalid(fault)) = error else { panic!("{error:?}") };
    assert!(matches!(fault, CredentialError::BadSignature(_)), "{fault:?}");
}

#[test]
fn a_key_package_is_used_once_and_a_last_resort_one_twice() {
    let bob = Person::new("bob").device(1);
    for (kind, is_reusable) in [(KeyPackageKind::Once, false), (KeyPackageKind::LastResort, true)] {
        let package = bob.session().check_key_package(&bob.key_package(kind), NOW).unwrap();
        assert_eq!(package.kind(), kind);
        for (name, is_first) in [("alice", true), ("carol", false)] {
            let founder = Person::new(name).device(1);
            let id = GroupId([kind as u8 * 2 + u8::from(is_first); 32]);
            let mut group = founder
                .session()
                .create_group(&founder.signer, &founder.credential, id, &metadata("", &[&founder]))
                .unwrap();
            let add = group.add(&founder.session(), &founder.signer, std::slice::from_ref(&package)).unwrap();
            let joined = bob.session().join(&add.welcome, &add.ratchet_tree);
            match is_first || is_reusable {
                true => assert_eq!(joined.unwrap().id(), id),
                false => assert!(matches!(joined, Err(JoinError::NoMatchingKeyPackage))),
            }
        }
        bob.session().delete_key_package(&package.reference()).unwrap();
        let left: u32 =
            bob.connection.query_row("SELECT count(*) FROM openmls_key_packages", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }
}

/// A KeyPackage with these lengths of keys, signed as it should be.
fn with_key_lengths(device: &Device, init_key_bytes: usize, leaf_key_bytes: usize) -> Vec<u8> {
    use openmls_traits::signatures::Signer;
    use tls_codec::{Serialize, VLBytes};
    let vector = |bytes: &[u8]| VLBytes::new(bytes.to_vec()).tls_serialize_detached().unwrap();
    let signed = |label: &str, content: &[u8]| {
        let message = [vector(format!("MLS 1.0 {label}").as_bytes()), vector(content)].concat();
        [content, &vector(&device.signer.sign(&message).unwrap())].concat()
    };
    let package = device.checked().key_package;
    let (leaf, extensions) = (package.leaf_node().tls_serialize_detached().unwrap(), package.extensions());
    let key = &package.hpke_init_key().as_slice()[..init_key_bytes];
    // Its own key with its length, and its signature with its length, stand at the ends of a leaf.
    let leaf_key = &leaf[2..2 + leaf_key_bytes];
    let leaf = signed("LeafNodeTBS", &[vector(leaf_key), leaf[2 + 1_216..leaf.len() - 66].to_vec()].concat());
    let extensions = extensions.tls_serialize_detached().unwrap();
    let body = [vec![0, 1, 0, SUITE as u8], vector(key), leaf, extensions].concat();
    [vec![0, 1, 0, 5], signed("KeyPackageTBS", &body)].concat()
}

#[test]
fn a_key_that_would_stop_everybody_is_refused_wherever_it_comes_in() {
    use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, ProtocolVersion};
    use openmls_traits::OpenMlsProvider;
    use tls_codec::Deserialize;
    let ([alice, bob], [mut a, mut b]) = two();
    let mallory = Person::new("mallory").device(1);
    let check = |init, leaf| alice.session().check_key_package(&with_key_lengths(&mallory, init, leaf), NOW);
    let mut package = check(1_216, 1_216).unwrap();
    assert!(matches!(check(6, 1_216), Err(KeyPackageError::Malformed)));
    assert!(matches!(check(1_216, 6), Err(KeyPackageError::Malformed)));

    let bytes = with_key_lengths(&mallory, 1_216, 6);
    let MlsMessageBodyIn::KeyPackage(short) = MlsMessageIn::tls_deserialize_exact(bytes).unwrap().extract() else {
        panic!()
    };
    package.key_package = short.validate(alice.session().provider.crypto(), ProtocolVersion::Mls10).unwrap();
    let carol = Person::new("carol").device(1);
    let add = a.add(&alice.session(), &alice.signer, &[package, carol.checked()]).unwrap();
    match bob.stage(&mut b, &add.commit).unwrap_err() {
        ProcessError::UnusableKey { author } => assert_eq!(author.leaf, 0),
        other => panic!("{other:?}"),
    }
    let joined = carol.session().join(&add.welcome, &add.ratchet_tree);
    assert!(matches!(joined, Err(JoinError::UnusableKey { leaf: 2 })), "{joined:?}");
    // Were it in the tree all the same, it would cost an error, not the process.
    a.merge_pending(&alice.session()).unwrap();
    let panicked = a.self_update(&alice.session(), &alice.signer, &alice.credential);
    assert!(matches!(panicked, Err(MlsError::Panicked { .. })), "{panicked:?}");
    let removed = alice.load().remove(&alice.session(), &alice.signer, &[2]);
    assert!(removed.is_ok(), "removing the leaf mends the group");
}

#[test]
fn an_envelope_opens_for_its_key_and_purpose_only() {
    let alice = Person::new("alice").device(1);
    let session = alice.session();
    let (pair, other) = (session.new_inbox_key_pair().unwrap(), session.new_inbox_key_pair().unwrap());
    assert_eq!((pair.public.len(), pair.private.len()), (1_216, 32));
    let sealed = session.seal(&pair.public, b"welcome", b"hello").unwrap();
    assert_eq!(sealed.len(), 1_120 + 5 + 16);
    assert_eq!(session.open(&pair.private, b"welcome", &sealed).unwrap(), b"hello");
    assert!(session.open(&pair.private, b"other", &sealed).is_err());
    assert!(session.open(&other.private, b"welcome", &sealed).is_err());
    assert!(session.open(&pair.private, b"welcome", &sealed[..1_000]).is_err());
    assert!(session.seal(b"no key", b"welcome", b"hello").is_err());
    for position in [0, 1_100, 1_119, 1_120, sealed.len() - 1] {
        let mut altered = sealed.clone();
        altered[position] ^= 1;
        assert!(session.open(&pair.private, b"welcome", &altered).is_err(), "at {position}");
    }
}

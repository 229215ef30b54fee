//! Claims about an account's devices and keys: adding, revoking, recovering.

use crate::support::*;
use aside_protocol::frame::account::{Answer, KeyPackages, KeySetChange, Push, Request, SignInAsRoot, sign_in_as_root};
use aside_protocol::frame::anonymous::{self, Delivery};
use aside_protocol::frame::{ServerFrame, account};
use aside_protocol::id::{DeliveryId, DeviceId};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, DirectoryAccount, KeySet, KeySetSigner};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::SigningKey;
use aside_protocol::limit::DEVICES_MAX;
use aside_protocol::refusal::Refusal;
use aside_server::core::{ConnectionId, ConnectionKind, Input};
use aside_server::store::{Standing, Store, StoreError};

/// A further device of a person's account.
fn device_of(person: &Person, n: u8) -> Person {
    let (root, account) = (person.root.clone(), person.account.clone());
    let device_key = SigningKey::from_seed(&[n; 32]);
    Person { address: person.address.clone(), root, account, device_key, device: DeviceId([n; 16]) }
}

fn certificate(device: &Person, account: &SigningKey, key_set: u32) -> DeviceCertificate {
    let root = device.root.public_key();
    DeviceCertificate::issue((&device.address, &root), account, key_set, device.device, device.device_key.public_key())
}

fn record(device: &Person, account: &SigningKey, key_set: u32) -> DeviceRecord {
    DeviceRecord::sign(certificate(device, account, key_set), vec![device.device.0[0]; 1216], &device.device_key)
}

fn known(w: &mut World<impl Store>, c: ConnectionId) -> DirectoryAccount {
    match w.account(c, Request::GetAccount) {
        Ok(Answer::Account(account)) => account,
        other => panic!("{other:?}"),
    }
}

/// The key set after those of the account, signed by the account key before, with the new account key.
fn next_set(person: &Person, account: &DirectoryAccount, seed: u8, revoked: Vec<DeviceId>) -> (KeySet, SigningKey) {
    let (root, new) = (person.root.public_key(), SigningKey::from_seed(&[seed; 32]));
    let signer = (KeySetSigner::PreviousAccountKey, &person.account);
    let set = KeySet::sign((&person.address, &root), account.key_sets.last(), new.public_key(), revoked, signer);
    (set, new)
}

fn sign_in_on<S: Store>(w: &mut World<S>, device: &Person) -> (ConnectionId, Result<Answer, Refusal>) {
    let c = w.connect(ConnectionKind::Account);
    let answer = w.account(c, device.sign_in(&binding(c)));
    (c, answer)
}

fn a_device_is_added_signs_in_and_has_an_inbox<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let c = w.register(&alice, 1);
    let second = device_of(&alice, 2);
    assert_eq!(sign_in_on(&mut w, &second).1, Err(Refusal::UnknownDevice));
    let add = Request::AddDevice(record(&second, &alice.account, 0));
    assert_eq!(w.account(c, add.clone()), Ok(Answer::Done));
    assert_eq!(w.account(c, add), Ok(Answer::Done));
    let (c2, signed_in) = sign_in_on(&mut w, &second);
    assert_eq!(signed_in, Ok(Answer::Done));
    assert_eq!(known(&mut w, c2).devices.len(), 2);
    let token = DeliveryToken([5; 32]);
    w.account(c, Request::PutDeliveryToken { token: token.hash(), expires_day: None }).unwrap();
    w.account(c2, Request::ReadInbox { after: 0 }).unwrap();
    let a = w.connect(ConnectionKind::Anonymous);
    let id = DeliveryId([1; 16]);
    let delivery = Delivery { id, account: alice.name(), device: second.device, token, envelope: b"e".to_vec() };
    assert_eq!(w.anonymous(a, anonymous::Request::Deliver(delivery)), Ok(anonymous::Answer::Done));
    assert!(matches!(w.take(c2)[..], [Heard::Account(ServerFrame::Push(Push::Envelope(_)))]));
}

fn a_device_that_the_newest_key_set_does_not_certify_is_refused<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let c = w.register(&alice, 1);
    let (second, eve) = (device_of(&alice, 2), SigningKey::from_seed(&[9; 32]));
    let add = |record| Request::AddDevice(record);
    assert!(matches!(w.account(c, add(record(&second, &eve, 0))), Err(Refusal::BadIdentity { .. })));
    assert_eq!(w.account(c, add(record(&second, &alice.account, 1))), Err(Refusal::StaleKeySet { current: 0 }));
    let mut other_key = record(&second, &alice.account, 0);
    other_key.inbox_key = vec![7; 1216];
    assert!(matches!(w.account(c, add(other_key)), Err(Refusal::BadIdentity { .. })));
    let taken = Person { device: alice.device, ..device_of(&alice, 2) };
    assert!(matches!(w.account(c, add(record(&taken, &alice.account, 0))), Err(Refusal::BadIdentity { .. })));
    let nobody = w.connect(ConnectionKind::Account);
    assert_eq!(w.account(nobody, add(record(&second, &alice.account, 0))), Err(Refusal::NotSignedIn));
}

fn devices_are_limited_by_name_and_number<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let c = w.register(&alice, 1);
    for n in 2..=DEVICES_MAX as u8 + 1 {
        let add = Request::AddDevice(record(&device_of(&alice, n), &alice.account, 0));
        let expected = if usize::from(n) <= DEVICES_MAX { Ok(Answer::Done) } else { Err(Refusal::TooMany { max: 16 }) };
        assert_eq!(w.account(c, add), expected);
    }
}

/// Two devices, both signed in; KeyPackages, an envelope each.
fn two_devices<S: Store>(w: &mut World<S>) -> (Person, Person, ConnectionId, ConnectionId) {
    let alice = Person::new("alice", SERVER, 1);
    let c1 = w.register(&alice, 1);
    let second = device_of(&alice, 2);
    w.account(c1, Request::AddDevice(record(&second, &alice.account, 0))).unwrap();
    let (c2, signed_in) = sign_in_on(w, &second);
    signed_in.unwrap();
    let token = DeliveryToken([5; 32]);
    w.account(c1, Request::PutDeliveryToken { token: token.hash(), expires_day: None }).unwrap();
    let a = w.connect(ConnectionKind::Anonymous);
    for (c, device) in [(c1, alice.device), (c2, second.device)] {
        let (once, last_resort) = (vec![b"one".to_vec().into()], Some(b"last".to_vec().into()));
        w.account(c, Request::PublishKeyPackages(KeyPackages { once, last_resort, key_set: 0 })).unwrap();
        let delivery =
            Delivery { id: DeliveryId([1; 16]), account: alice.name(), device, token, envelope: b"e".to_vec() };
        w.anonymous(a, anonymous::Request::Deliver(delivery)).unwrap();
    }
    w.take(c1);
    w.take(c2);
    (alice, second, c1, c2)
}

fn a_revoked_device_loses_sign_in_inbox_and_connection_at_once<S: Store>(mut w: World<S>) {
    let (alice, second, c1, c2) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c1), 20, vec![second.device]);
    let change = KeySetChange { key_set: set, certificates: vec![certificate(&alice, &new, 1)] };
    assert_eq!(w.account(c1, Request::PutKeySet(change.clone())), Ok(Answer::Done));
    let goodbye = Heard::Account(ServerFrame::Goodbye(Refusal::DeviceRevoked));
    assert_eq!(w.take(c2), [goodbye, Heard::Closed]);
    assert_eq!(w.account(c1, Request::PutKeySet(change)), Ok(Answer::Done));
    assert_eq!(sign_in_on(&mut w, &second).1, Err(Refusal::DeviceRevoked));
    let (c1, signed_in) = sign_in_on(&mut w, &alice);
    assert_eq!(signed_in, Ok(Answer::Done));
    let account = known(&mut w, c1);
    assert_eq!((account.key_sets.len(), account.devices.len()), (2, 1));
    assert_eq!(account.devices[0].certificate.key_set, 1);
    assert!(account.devices[0].verify().is_ok());
    // Nothing can be delivered to it, fetched for it, and it does not come back.
    let (a, token) = (w.connect(ConnectionKind::Anonymous), DeliveryToken([5; 32]));
    let fetch = anonymous::Request::FetchKeyPackages { account: alice.name(), token };
    let Ok(anonymous::Answer::KeyPackages { key_packages, .. }) = w.anonymous(a, fetch) else { panic!() };
    assert_eq!(
        key_packages.iter().map(|of| (of.device, of.key_package.clone())).collect::<Vec<_>>(),
        [(alice.device, None)]
    );
    let (id, device) = (DeliveryId([2; 16]), second.device);
    let delivery = Delivery { id, account: alice.name(), device, token, envelope: b"e".to_vec() };
    let delivered = w.anonymous(a, anonymous::Request::Deliver(delivery));
    assert_eq!(delivered, Err(Refusal::UnknownAccountOrToken));
    let again = Request::AddDevice(record(&second, &new, 1));
    assert!(matches!(w.account(c1, again), Err(Refusal::BadIdentity { .. })));
    // The device that stays keeps its inbox.
    let Ok(Answer::Inbox { entries, .. }) = w.account(c1, Request::ReadInbox { after: 0 }) else { panic!() };
    assert_eq!(entries.len(), 1);
}

fn a_device_whose_answer_was_lost_is_added_again_after_a_new_key_set<S: Store>(mut w: World<S>) {
    let (alice, second, c1, _) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c1), 20, vec![]);
    let certificates = vec![certificate(&second, &new, 1), certificate(&alice, &new, 1)];
    assert_eq!(w.account(c1, Request::PutKeySet(KeySetChange { key_set: set, certificates })), Ok(Answer::Done));
    // By the certificate of before, as it was sent at first.
    let again = Request::AddDevice(record(&second, &alice.account, 0));
    assert_eq!(w.account(c1, again), Ok(Answer::Done));
    assert!(known(&mut w, c1).devices.iter().all(|device| device.certificate.key_set == 1));
    let other_key = DeviceRecord { inbox_key: vec![7; 32], ..record(&second, &new, 1) };
    assert!(matches!(w.account(c1, Request::AddDevice(other_key)), Err(Refusal::BadIdentity { .. })));
}

fn key_packages_of_an_old_key_set_are_refused<S: Store>(mut w: World<S>) {
    let (alice, second, c1, c2) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c1), 20, vec![]);
    let certificates = vec![certificate(&second, &new, 1), certificate(&alice, &new, 1)];
    w.account(c1, Request::PutKeySet(KeySetChange { key_set: set, certificates })).unwrap();
    assert_eq!(w.take(c2), [Heard::Account(ServerFrame::Push(Push::AccountChanged))]);
    assert_eq!(w.account(c2, Request::CountKeyPackages), Ok(Answer::KeyPackageCount(0)));
    let publish = |key_set| {
        Request::PublishKeyPackages(KeyPackages { once: vec![b"x".to_vec().into()], last_resort: None, key_set })
    };
    assert_eq!(w.account(c2, publish(0)), Err(Refusal::StaleKeySet { current: 1 }));
    assert_eq!(w.account(c2, publish(1)), Ok(Answer::KeyPackageCount(1)));
}

fn a_key_set_that_does_not_fit_changes_nothing<S: Store>(mut w: World<S>) {
    let (alice, second, c1, c2) = two_devices(&mut w);
    let before = known(&mut w, c1);
    let (set, new) = next_set(&alice, &before, 20, vec![second.device]);
    let own = certificate(&alice, &new, 1);
    let mut put = |key_set: &KeySet, certificates: Vec<DeviceCertificate>| {
        w.account(c1, Request::PutKeySet(KeySetChange { key_set: key_set.clone(), certificates }))
    };
    let is_bad = |answer: Result<Answer, Refusal>| matches!(answer, Err(Refusal::BadIdentity { .. }));
    assert!(is_bad(put(&set, vec![])));
    assert!(is_bad(put(&set, vec![own.clone(), certificate(&second, &new, 1)])));
    assert!(is_bad(put(&set, vec![certificate(&second, &new, 1)])));
    assert!(is_bad(put(&set, vec![certificate(&alice, &alice.account, 1)])));
    let other_key = Person { device_key: second.device_key.clone(), ..device_of(&alice, 1) };
    assert!(is_bad(put(&set, vec![certificate(&other_key, &new, 1)])));
    let (by_eve, _) = next_set(&Person::new("alice", SERVER, 7), &before, 20, vec![second.device]);
    assert!(is_bad(put(&by_eve, vec![own.clone()])));
    let far = KeySet { number: 2, ..set.clone() };
    assert_eq!(put(&far, vec![own]), Err(Refusal::StaleKeySet { current: 0 }));
    assert_eq!(known(&mut w, c2), before);
}

fn the_root_key_recovers_an_account_and_does_nothing_else<S: Store>(mut w: World<S>) {
    let (alice, second, c1, c2) = two_devices(&mut w);
    let r = w.connect(ConnectionKind::Account);
    let root_sign_in = |key: &SigningKey, c| {
        let signature = sign_in_as_root(key, &binding(c), &alice.name());
        Request::SignInAsRoot(SignInAsRoot { name: alice.name(), signature })
    };
    assert_eq!(w.account(r, root_sign_in(&alice.account, r)), Err(Refusal::UnknownDevice));
    assert_eq!(w.account(r, root_sign_in(&alice.root, c1)), Err(Refusal::UnknownDevice));
    assert_eq!(w.account(r, root_sign_in(&alice.root, r)), Ok(Answer::Done));
    assert_eq!(w.account(r, Request::ReadInbox { after: 0 }), Err(Refusal::NotSignedIn));
    assert_eq!(w.account(r, Request::DrawChannelTokens { count: 1 }), Err(Refusal::NotSignedIn));
    assert_eq!(w.account(r, Request::GetBackup { part: 0 }), Err(Refusal::NoBackup));
    let (root, new) = (alice.root.public_key(), SigningKey::from_seed(&[30; 32]));
    let last = known(&mut w, r).key_sets.pop();
    let (revoked, signer) = (vec![alice.device, second.device], (KeySetSigner::Root, &alice.root));
    let set = KeySet::sign((&alice.address, &root), last.as_ref(), new.public_key(), revoked, signer);
    let change = KeySetChange { key_set: set, certificates: vec![] };
    assert_eq!(w.account(r, Request::PutKeySet(change)), Ok(Answer::Done));
    for c in [c1, c2] {
        assert_eq!(w.take(c).last(), Some(&Heard::Closed));
    }
    let third = device_of(&alice, 3);
    assert_eq!(w.account(r, Request::AddDevice(record(&third, &new, 1))), Ok(Answer::Done));
    assert_eq!(w.account(r, third.sign_in(&binding(r))), Ok(Answer::Done));
    assert_eq!(w.account(r, Request::CountKeyPackages), Ok(Answer::KeyPackageCount(0)));
}

fn a_device_may_revoke_itself_and_is_answered_first<S: Store>(mut w: World<S>) {
    let (alice, second, _, c2) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c2), 20, vec![second.device]);
    let change = KeySetChange { key_set: set, certificates: vec![certificate(&alice, &new, 1)] };
    let (_, input) = w.request(c2, aside_server::core::Request::Account(Box::new(Request::PutKeySet(change))));
    w.input(vec![input]);
    let heard = w.take(c2);
    assert!(matches!(heard[0], Heard::Account(ServerFrame::Answer(_, Answer::Done))));
    assert_eq!(heard[1..], [Heard::Account(ServerFrame::Goodbye(Refusal::DeviceRevoked)), Heard::Closed]);
}

fn a_suspended_account_takes_and_shows_nothing<S: Store>(mut w: World<S>) {
    let (alice, ..) = two_devices(&mut w);
    let token = DeliveryToken([5; 32]);
    let store = w.core.store();
    store.begin().unwrap();
    store.set_standing(&alice.name(), Standing::Suspended).unwrap();
    store.commit().unwrap();
    let (a, device) = (w.connect(ConnectionKind::Anonymous), alice.device);
    let id = DeliveryId([8; 16]);
    let delivery = Delivery { id, account: alice.name(), device, token, envelope: b"e".to_vec() };
    let unavailable = Err(Refusal::AccountUnavailable);
    assert_eq!(w.anonymous(a, anonymous::Request::Deliver(delivery)), unavailable);
    assert_eq!(w.anonymous(a, anonymous::Request::FetchAccount { account: alice.name(), token }), unavailable);
    assert_eq!(w.anonymous(a, anonymous::Request::FetchKeyPackages { account: alice.name(), token }), unavailable);
    assert_eq!(sign_in_on(&mut w, &alice).1, Err(Refusal::Suspended));
    let r = w.connect(ConnectionKind::Account);
    let signature = sign_in_as_root(&alice.root, &binding(r), &alice.name());
    let sign_in = Request::SignInAsRoot(SignInAsRoot { name: alice.name(), signature });
    assert_eq!(w.account(r, sign_in), Err(Refusal::Suspended));
}

fn an_account_is_fetched_without_using_a_key_package_up<S: Store>(mut w: World<S>) {
    let (alice, _, c1, _) = two_devices(&mut w);
    let a = w.connect(ConnectionKind::Anonymous);
    let fetch = |token| anonymous::Request::FetchAccount { account: alice.name(), token };
    match w.anonymous(a, fetch(DeliveryToken([5; 32]))) {
        Ok(anonymous::Answer::Account(account)) => assert_eq!(account, known(&mut w, c1)),
        other => panic!("{other:?}"),
    }
    assert_eq!(w.anonymous(a, fetch(DeliveryToken([6; 32]))), Err(Refusal::UnknownAccountOrToken));
    assert_eq!(w.account(c1, Request::CountKeyPackages), Ok(Answer::KeyPackageCount(1)));
}

on_both_stores!(
    a_device_is_added_signs_in_and_has_an_inbox,
    a_device_that_the_newest_key_set_does_not_certify_is_refused,
    devices_are_limited_by_name_and_number,
    a_revoked_device_loses_sign_in_inbox_and_connection_at_once,
    a_device_whose_answer_was_lost_is_added_again_after_a_new_key_set,
    key_packages_of_an_old_key_set_are_refused,
    a_key_set_that_does_not_fit_changes_nothing,
    the_root_key_recovers_an_account_and_does_nothing_else,
    a_device_may_revoke_itself_and_is_answered_first,
    a_suspended_account_takes_and_shows_nothing,
    an_account_is_fetched_without_using_a_key_package_up,
);

#[test]
fn a_revocation_that_was_not_stored_is_told_to_nobody() {
    let mut w = World::new(aside_server::store::volatile::VolatileStore::new());
    let (alice, second, c1, c2) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c1), 20, vec![second.device]);
    let change = KeySetChange { key_set: set, certificates: vec![certificate(&alice, &new, 1)] };
    w.core.store().fail_commits(Some(StoreError::DiskFull));
    assert_eq!(w.account(c1, Request::PutKeySet(change.clone())), Err(Refusal::Unavailable));
    assert_eq!(w.take(c2), [Heard::Closed]);
    w.core.store().fail_commits(None);
    assert_eq!(sign_in_on(&mut w, &second).1, Ok(Answer::Done));
    assert_eq!(w.account(c1, Request::PutKeySet(change)), Ok(Answer::Done));
}

#[test]
fn a_change_and_what_revoked_devices_ask_in_the_same_batch_do_not_cross() {
    let mut w = World::new(aside_server::store::volatile::VolatileStore::new());
    let (alice, second, c1, c2) = two_devices(&mut w);
    let (set, new) = next_set(&alice, &known(&mut w, c1), 20, vec![second.device]);
    let change = KeySetChange { key_set: set, certificates: vec![certificate(&alice, &new, 1)] };
    let request = |request| aside_server::core::Request::Account(Box::new(request));
    let (_, put) = w.request(c1, request(Request::PutKeySet(change)));
    let (_, draw) = w.request(c2, request(Request::DrawChannelTokens { count: 5 }));
    w.input(vec![put, draw, Input::Tick]);
    let heard = w.take(c2);
    assert!(!heard.iter().any(|heard| matches!(heard, Heard::Account(ServerFrame::Answer(_, _)))), "{heard:?}");
    assert_eq!(heard[..2], [Heard::Account(account::FromServer::Goodbye(Refusal::DeviceRevoked)), Heard::Closed]);
}

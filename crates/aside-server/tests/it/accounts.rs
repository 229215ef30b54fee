//! Claims about accounts, the directory and inboxes.

use crate::support::*;
use aside_protocol::frame::account::{Answer, KeyPackages, Push, Request};
use aside_protocol::frame::anonymous::{self, Delivery};
use aside_protocol::frame::{ServerFrame, account};
use aside_protocol::id::{DeliveryId, DeviceId};
use aside_protocol::inbox::{DeliveryToken, InboxEntry, InviteToken};
use aside_protocol::refusal::Refusal;
use aside_server::core::ConnectionKind;
use aside_server::store::{Standing, Store};

fn an_invite_admits_one_account_and_a_repeat_succeeds<S: Store>(mut w: World<S>) {
    let (alice, bob) = (Person::new("alice", SERVER, 1), Person::new("bob", SERVER, 2));
    w.register(&alice, 1);
    let c = w.connect(ConnectionKind::Account);
    let again = alice.registration(InviteToken([1; 16]), &binding(c));
    assert_eq!(w.account(c, Request::Register(again)), Ok(Answer::Done));
    let other = w.connect(ConnectionKind::Account);
    let used = bob.registration(InviteToken([1; 16]), &binding(other));
    assert_eq!(w.account(other, Request::Register(used)), Err(Refusal::BadInvite));
}

fn a_taken_name_is_told_only_to_the_invited<S: Store>(mut w: World<S>) {
    w.register(&Person::new("alice", SERVER, 1), 1);
    let impostor = Person::new("alice", SERVER, 2);
    let c = w.connect(ConnectionKind::Account);
    let uninvited = impostor.registration(InviteToken([9; 16]), &binding(c));
    assert_eq!(w.account(c, Request::Register(uninvited)), Err(Refusal::BadInvite));
    let invite = w.invite(2);
    assert_eq!(w.account(c, Request::Register(impostor.registration(invite, &binding(c)))), Err(Refusal::NameTaken));
    let bob = Person::new("bob", SERVER, 3);
    assert_eq!(w.account(c, Request::Register(bob.registration(invite, &binding(c)))), Ok(Answer::Done));
}

fn keys_that_do_not_check_out_are_refused<S: Store>(mut w: World<S>) {
    let invite = w.invite(1);
    let c = w.connect(ConnectionKind::Account);
    let elsewhere = Person::new("alice", "b.example", 1).registration(invite, &binding(c));
    assert!(matches!(w.account(c, Request::Register(elsewhere)), Err(Refusal::BadIdentity { .. })));
    let alice = Person::new("alice", SERVER, 1);
    let mut forged = alice.registration(invite, &binding(c));
    forged.device.inbox_key = vec![9; 1216];
    assert!(matches!(w.account(c, Request::Register(forged)), Err(Refusal::BadIdentity { .. })));
    let replayed = alice.registration(invite, &binding(w.connect(ConnectionKind::Account)));
    assert!(matches!(w.account(c, Request::Register(replayed)), Err(Refusal::BadIdentity { .. })));
}

fn only_a_devices_own_signature_signs_in<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    w.register(&alice, 1);
    let c = w.connect(ConnectionKind::Account);
    assert_eq!(w.account(c, Request::CountKeyPackages), Err(Refusal::NotSignedIn));
    let thief = Person::new("alice", SERVER, 2);
    assert_eq!(w.account(c, thief.sign_in(&binding(c))), Err(Refusal::UnknownDevice));
    let mut copied = Person::new("alice", SERVER, 2);
    copied.device = alice.device;
    assert_eq!(w.account(c, copied.sign_in(&binding(c))), Err(Refusal::UnknownDevice));
    let nobody = Person::new("nobody", SERVER, 3);
    assert_eq!(w.account(c, nobody.sign_in(&binding(c))), Err(Refusal::UnknownDevice));
    assert_eq!(w.account(c, alice.sign_in(&binding(c))), Ok(Answer::Done));
    assert_eq!(w.account(c, Request::CountKeyPackages), Ok(Answer::KeyPackageCount(0)));
}

fn a_suspended_account_is_refused_by_name<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    w.register(&alice, 1);
    let store = w.core.store();
    store.begin().unwrap();
    store.set_standing(&alice.name(), Standing::Suspended).unwrap();
    store.commit().unwrap();
    let c = w.connect(ConnectionKind::Account);
    assert_eq!(w.account(c, alice.sign_in(&binding(c))), Err(Refusal::Suspended));
    let again = alice.registration(InviteToken([1; 16]), &binding(c));
    assert_eq!(w.account(c, Request::Register(again)), Err(Refusal::Suspended));
}

/// Alice's connection, and the delivery token that she gave out.
fn reachable<S: Store>(w: &mut World<S>, alice: &Person) -> (aside_server::core::ConnectionId, DeliveryToken) {
    let c = w.register(alice, 1);
    let token = DeliveryToken([5; 32]);
    let put = Request::PutDeliveryToken { token: token.hash(), expires_day: Some(TODAY + 2) };
    assert_eq!(w.account(c, put), Ok(Answer::Done));
    (c, token)
}

fn key_packages_are_fetched_once_each_then_the_last_resort<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let (c, token) = reachable(&mut w, &alice);
    let (once, last_resort) = (vec![b"one".to_vec().into()], Some(b"last".to_vec().into()));
    let packages = KeyPackages { once, last_resort, key_set: 0 };
    assert_eq!(w.account(c, Request::PublishKeyPackages(packages)), Ok(Answer::KeyPackageCount(1)));
    let a = w.connect(ConnectionKind::Anonymous);
    let mut fetched = || {
        let request = anonymous::Request::FetchKeyPackages { account: alice.name(), token };
        match w.anonymous(a, request) {
            Ok(anonymous::Answer::KeyPackages { account, key_packages }) => {
                assert_eq!(account.devices[0].certificate.device, alice.device);
                assert_eq!(account.root_key, alice.root.public_key());
                key_packages[0].key_package.clone().unwrap().to_vec()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!([fetched(), fetched(), fetched()], [b"one".to_vec(), b"last".to_vec(), b"last".to_vec()]);
}

fn fetches_are_limited_by_token_and_minute<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let (_, token) = reachable(&mut w, &alice);
    let a = w.connect(ConnectionKind::Anonymous);
    let fetch = || anonymous::Request::FetchKeyPackages { account: alice.name(), token };
    for _ in 0..config().fetches_a_minute {
        assert!(w.anonymous(a, fetch()).is_ok());
    }
    assert_eq!(w.anonymous(a, fetch()), Err(Refusal::RateLimited { seconds: 60 }));
    w.now.unix_ms += 60_000;
    assert!(w.anonymous(a, fetch()).is_ok());
}

fn an_unknown_account_looks_like_a_withdrawn_token<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let (c, token) = reachable(&mut w, &alice);
    let a = w.connect(ConnectionKind::Anonymous);
    let fetch = |name: &str, token| anonymous::Request::FetchKeyPackages { account: name.parse().unwrap(), token };
    let unknown = Err(Refusal::UnknownAccountOrToken);
    assert_eq!(w.anonymous(a, fetch("nobody", token)), unknown);
    assert_eq!(w.anonymous(a, fetch("alice", DeliveryToken([6; 32]))), unknown);
    w.now.unix_ms += 2 * 86_400_000;
    assert_eq!(w.anonymous(a, fetch("alice", token)), unknown);
    w.now.unix_ms -= 2 * 86_400_000;
    assert!(w.anonymous(a, fetch("alice", token)).is_ok());
    w.account(c, Request::RevokeDeliveryToken { token: token.hash() }).unwrap();
    assert_eq!(w.anonymous(a, fetch("alice", token)), unknown);
}

fn an_envelope_is_pushed_kept_and_deleted_when_acknowledged<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let (c, token) = reachable(&mut w, &alice);
    let a = w.connect(ConnectionKind::Anonymous);
    let deliver = |n: u8, device| {
        let envelope = vec![n; 8];
        anonymous::Request::Deliver(Delivery {
            id: DeliveryId([n; 16]),
            account: alice.name(),
            device,
            token,
            envelope,
        })
    };
    assert_eq!(w.anonymous(a, deliver(1, alice.device)), Ok(anonymous::Answer::Done));
    let first = InboxEntry { seq: 1, envelope: vec![1; 8] };
    let read = w.account(c, Request::ReadInbox { after: 0 });
    assert_eq!(read, Ok(Answer::Inbox { entries: vec![first], live: true }));
    w.anonymous(a, deliver(2, alice.device)).unwrap();
    w.anonymous(a, deliver(2, alice.device)).unwrap();
    let second = InboxEntry { seq: 2, envelope: vec![2; 8] };
    let push: account::FromServer = ServerFrame::Push(Push::Envelope(second));
    assert_eq!(w.take(c), [Heard::Account(push)]);
    w.account(c, Request::AcknowledgeInbox { through: 2 }).unwrap();
    w.anonymous(a, deliver(1, alice.device)).unwrap();
    let read = w.account(c, Request::ReadInbox { after: 0 });
    assert_eq!(read, Ok(Answer::Inbox { entries: vec![], live: true }));
    let stranger = w.anonymous(a, deliver(3, DeviceId([9; 16])));
    assert_eq!(stranger, Err(Refusal::UnknownAccountOrToken));
}

fn a_full_inbox_says_so<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let (_, token) = reachable(&mut w, &alice);
    let a = w.connect(ConnectionKind::Anonymous);
    let max = config().inbox_envelopes_max;
    for n in 0..=max {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let (account, device) = (alice.name(), alice.device);
        let delivery = Delivery { id: DeliveryId(id), account, device, token, envelope: vec![1] };
        let result = w.anonymous(a, anonymous::Request::Deliver(delivery));
        let expected = if n < max { Ok(anonymous::Answer::Done) } else { Err(Refusal::InboxFull { max: max as u64 }) };
        assert_eq!(result, expected);
    }
}

fn channel_tokens_are_drawn_within_the_days_allowance<S: Store>(mut w: World<S>) {
    let c = w.register(&Person::new("alice", SERVER, 1), 1);
    let draw = |w: &mut World<S>, count| match w.account(c, Request::DrawChannelTokens { count }) {
        Ok(Answer::ChannelTokens(tokens)) => Ok(tokens),
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => Err(refusal),
    };
    let first = draw(&mut w, 60).unwrap();
    assert_eq!((first.len(), draw(&mut w, 60).unwrap().len()), (60, 4));
    assert_eq!(draw(&mut w, 1), Err(Refusal::ChannelTokensDrawn { a_day: 64 }));
    w.now.unix_ms += 86_400_000;
    assert_eq!(draw(&mut w, 1).unwrap().len(), 1);
    let a = w.connect(ConnectionKind::Anonymous);
    let channel = aside_protocol::id::ChannelId([3; 32]);
    let keys = epoch_keys(&channel, 1);
    let request = anonymous::Request::CreateChannel { channel, token: first[0], epoch: 1, keys };
    assert_eq!(w.anonymous(a, request), Ok(anonymous::Answer::Done));
}

on_both_stores!(
    an_invite_admits_one_account_and_a_repeat_succeeds,
    a_taken_name_is_told_only_to_the_invited,
    keys_that_do_not_check_out_are_refused,
    only_a_devices_own_signature_signs_in,
    a_suspended_account_is_refused_by_name,
    key_packages_are_fetched_once_each_then_the_last_resort,
    fetches_are_limited_by_token_and_minute,
    an_unknown_account_looks_like_a_withdrawn_token,
    an_envelope_is_pushed_kept_and_deleted_when_acknowledged,
    a_full_inbox_says_so,
    channel_tokens_are_drawn_within_the_days_allowance,
);

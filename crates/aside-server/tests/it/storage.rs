//! Claims about blobs, backups, reports, and being found by name.

use crate::support::*;
use aside_protocol::blob::BlobCapability;
use aside_protocol::frame::account::{Answer, BackupPart, KeyPackages, Request};
use aside_protocol::frame::anonymous::{self, Delivery, NewBlob};
use aside_protocol::id::{DeliveryId, ReportId};
use aside_protocol::inbox::{ChannelToken, DeliveryToken};
use aside_protocol::limit::{
    BACKUP_PART_BYTES_MAX, BACKUP_PARTS_MAX, BLOB_BYTES_MAX, BLOB_DAYS_MAX, FINDS_A_CONNECTION, FINDS_A_DAY,
    FOUND_ENVELOPES_A_DAY, REPORT_BYTES_MAX, REPORTS_A_DAY,
};
use aside_protocol::refusal::Refusal;
use aside_protocol::report::AbuseReport;
use aside_server::core::{ConnectionId, ConnectionKind};
use aside_server::store::{Quota, Standing, Store};

const DAY_MS: u64 = 86_400_000;

fn blob(token: ChannelToken, n: u8, bytes: &[u8]) -> anonymous::Request {
    let blob = BlobCapability([n; 32]).id();
    anonymous::Request::PutBlob(NewBlob { token, blob, expires_day: TODAY + 2, bytes: bytes.to_vec() })
}

fn get(n: u8) -> anonymous::Request {
    anonymous::Request::GetBlob { capability: BlobCapability([n; 32]) }
}

fn a_blob_is_paid_for_once_and_fetched_by_its_capability_until_its_day<S: Store>(mut w: World<S>) {
    let a = w.connect(ConnectionKind::Anonymous);
    let token = w.channel_token(1);
    let done = Ok(anonymous::Answer::Done);
    assert_eq!(w.anonymous(a, blob(token, 1, b"bytes")), done);
    assert_eq!(w.anonymous(a, blob(token, 1, b"bytes")), done);
    assert_eq!(w.anonymous(a, blob(token, 1, b"other")), Err(Refusal::BlobExists));
    assert_eq!(w.anonymous(a, blob(token, 2, b"bytes")), Err(Refusal::BadChannelToken));
    let other = w.connect(ConnectionKind::Anonymous);
    assert_eq!(w.anonymous(other, get(1)), Ok(anonymous::Answer::Blob(b"bytes".to_vec())));
    assert_eq!(w.anonymous(other, get(2)), Err(Refusal::UnknownBlob));
    w.now.unix_ms += 2 * DAY_MS;
    assert_eq!(w.anonymous(other, get(1)), Err(Refusal::UnknownBlob));
    w.tick();
    let store = w.core.store();
    store.begin().unwrap();
    assert_eq!(store.channel_totals().unwrap().blobs, 0);
}

fn a_blob_over_a_limit_is_refused_with_it_and_the_token_stays<S: Store>(mut w: World<S>) {
    let a = w.connect(ConnectionKind::Anonymous);
    let token = w.channel_token(1);
    let (bytes, bytes_max) = (BLOB_BYTES_MAX as u64 + 1, BLOB_BYTES_MAX as u64);
    let large = blob(token, 1, &vec![0; BLOB_BYTES_MAX + 1]);
    assert_eq!(w.anonymous(a, large), Err(Refusal::TooLarge { bytes, bytes_max }));
    for expires_day in [TODAY, TODAY + BLOB_DAYS_MAX + 1] {
        let new = NewBlob { token, blob: BlobCapability([1; 32]).id(), expires_day, bytes: b"x".to_vec() };
        let refused = w.anonymous(a, anonymous::Request::PutBlob(new));
        assert_eq!(refused, Err(Refusal::BadExpiry { days_max: BLOB_DAYS_MAX }));
    }
    assert_eq!(w.anonymous(a, blob(token, 1, &vec![0; BLOB_BYTES_MAX])), Ok(anonymous::Answer::Done));
}

fn part(generation: u64, part: u32, parts: u32, bytes: &[u8]) -> Request {
    Request::PutBackup(BackupPart { generation, part, parts, bytes: bytes.to_vec() })
}

fn read_backup<S: Store>(w: &mut World<S>, c: ConnectionId) -> Result<(u64, Vec<u8>), Refusal> {
    let (mut whole, mut part) = (Vec::new(), 0);
    loop {
        match w.account(c, Request::GetBackup { part })? {
            Answer::Backup { generation, parts, bytes } => {
                whole.extend(bytes);
                part += 1;
                if part == parts {
                    return Ok((generation, whole));
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

fn a_backup_takes_the_place_of_the_one_before_with_its_last_part<S: Store>(mut w: World<S>) {
    let c = w.register(&Person::new("alice", SERVER, 1), 1);
    assert_eq!(read_backup(&mut w, c), Err(Refusal::NoBackup));
    assert_eq!(w.account(c, part(1, 0, 2, b"one ")), Ok(Answer::Done));
    assert_eq!(read_backup(&mut w, c), Err(Refusal::NoBackup));
    assert_eq!(w.account(c, part(1, 1, 2, b"two")), Ok(Answer::Done));
    assert_eq!(read_backup(&mut w, c), Ok((1, b"one two".to_vec())));
    for bytes in [&b"three"[..], b"three"] {
        assert_eq!(w.account(c, part(2, 0, 2, bytes)), Ok(Answer::Done));
        assert_eq!(read_backup(&mut w, c), Ok((1, b"one two".to_vec())));
    }
    assert_eq!(w.account(c, part(2, 1, 2, b"four")), Ok(Answer::Done));
    assert_eq!(w.account(c, part(2, 1, 2, b"four")), Ok(Answer::Done));
    assert_eq!(read_backup(&mut w, c), Ok((2, b"threefour".to_vec())));
    w.tick();
    w.now.unix_ms += 400 * DAY_MS;
    w.tick();
    assert_eq!(read_backup(&mut w, c), Ok((2, b"threefour".to_vec())));
}

fn parts_of_two_devices_do_not_mix<S: Store>(mut w: World<S>) {
    let c = w.register(&Person::new("alice", SERVER, 1), 1);
    assert_eq!(w.account(c, part(3, 1, 2, b"b")), Err(Refusal::BackupPartMissing { next: 0 }));
    assert_eq!(w.account(c, part(3, 0, 2, b"a")), Ok(Answer::Done));
    assert_eq!(w.account(c, part(3, 0, 2, b"A")), Err(Refusal::StaleBackup { generation: 3 }));
    assert_eq!(w.account(c, part(3, 1, 3, b"b")), Err(Refusal::StaleBackup { generation: 3 }));
    assert_eq!(w.account(c, part(2, 0, 1, b"x")), Err(Refusal::StaleBackup { generation: 3 }));
    assert_eq!(w.account(c, part(4, 0, 1, b"whole")), Ok(Answer::Done));
    assert_eq!(w.account(c, part(3, 1, 2, b"b")), Err(Refusal::StaleBackup { generation: 4 }));
    assert_eq!(read_backup(&mut w, c), Ok((4, b"whole".to_vec())));
}

fn a_backup_over_a_limit_is_refused_with_it<S: Store>(mut w: World<S>) {
    let alice = Person::new("alice", SERVER, 1);
    let c = w.register(&alice, 1);
    let (bytes, bytes_max) = (BACKUP_PART_BYTES_MAX as u64 + 1, BACKUP_PART_BYTES_MAX as u64);
    let large = part(1, 0, 1, &vec![0; BACKUP_PART_BYTES_MAX + 1]);
    assert_eq!(w.account(c, large), Err(Refusal::TooLarge { bytes, bytes_max }));
    let many = part(1, 0, BACKUP_PARTS_MAX + 1, b"x");
    assert_eq!(w.account(c, many), Err(Refusal::TooMany { max: BACKUP_PARTS_MAX.into() }));
    w.account(c, part(1, 0, 1, b"the one before")).unwrap();
    let store = w.core.store();
    store.begin().unwrap();
    store.set_quota(&alice.name(), Quota { channels_a_day: Some(2), backup_bytes: Some(10) }).unwrap();
    store.commit().unwrap();
    assert_eq!(w.account(c, part(2, 0, 2, &[1; 6])), Ok(Answer::Done));
    assert_eq!(w.account(c, part(2, 1, 2, &[1; 5])), Err(Refusal::BackupFull { bytes_max: 10 }));
    assert_eq!(read_backup(&mut w, c), Ok((1, b"the one before".to_vec())));
    assert_eq!(w.account(c, part(2, 1, 2, &[1; 4])), Ok(Answer::Done));
    let Ok(Answer::ChannelTokens(tokens)) = w.account(c, Request::DrawChannelTokens { count: 5 }) else { panic!() };
    assert_eq!(tokens.len(), 2);
    let more = w.account(c, Request::DrawChannelTokens { count: 1 });
    assert_eq!(more, Err(Refusal::ChannelTokensDrawn { a_day: 2 }));
}

fn report(n: u8, note: &str) -> Request {
    let about = "eve@elsewhere.example".parse().unwrap();
    Request::Report(AbuseReport { id: ReportId([n; 16]), about, note: note.to_owned(), messages: Vec::new() })
}

fn reports_are_kept_once_and_limited_by_the_day<S: Store>(mut w: World<S>) {
    let c = w.register(&Person::new("alice", SERVER, 1), 1);
    let large = w.account(c, report(0, &"n".repeat(REPORT_BYTES_MAX)));
    assert!(matches!(large, Err(Refusal::TooLarge { .. })));
    for n in 0..REPORTS_A_DAY as u8 {
        assert_eq!(w.account(c, report(n / 2, "look")), Ok(Answer::Done));
    }
    for n in 100..100 + REPORTS_A_DAY as u8 / 2 {
        assert_eq!(w.account(c, report(n, "look")), Ok(Answer::Done));
    }
    let limit = Err(Refusal::DailyLimit { a_day: REPORTS_A_DAY });
    assert_eq!(w.account(c, report(200, "look")), limit);
    w.now.unix_ms += DAY_MS;
    assert_eq!(w.account(c, report(200, "look")), Ok(Answer::Done));
}

/// An account that lets itself be found, with a KeyPackage and one of last resort.
fn findable<S: Store>(w: &mut World<S>) -> (Person, ConnectionId, DeliveryToken) {
    let alice = Person::new("alice", SERVER, 1);
    let c = w.register(&alice, 1);
    let (once, last_resort) = (vec![b"once".to_vec().into()], Some(b"last".to_vec().into()));
    w.account(c, Request::PublishKeyPackages(KeyPackages { once, last_resort, key_set: 0 })).unwrap();
    let token = DeliveryToken([7; 32]);
    for _ in 0..2 {
        assert_eq!(w.account(c, Request::SetFindable { token: Some(token) }), Ok(Answer::Done));
    }
    (alice, c, token)
}

fn find(name: &str) -> anonymous::Request {
    anonymous::Request::FindByName { account: name.parse().unwrap() }
}

fn who_is_found_by_name_gives_no_key_package_but_the_last_resort<S: Store>(mut w: World<S>) {
    let (alice, c, token) = findable(&mut w);
    let a = w.connect(ConnectionKind::Anonymous);
    let Ok(anonymous::Answer::Found { account, token: given, key_packages }) = w.anonymous(a, find("alice")) else {
        panic!()
    };
    assert_eq!((account.root_key, given), (alice.root.public_key(), token));
    let last = |packages: &[anonymous::DeviceKeyPackage]| packages[0].key_package.clone().unwrap().to_vec();
    assert_eq!(last(&key_packages), b"last");
    let fetch = anonymous::Request::FetchKeyPackages { account: alice.name(), token };
    let Ok(anonymous::Answer::KeyPackages { key_packages, .. }) = w.anonymous(a, fetch) else { panic!() };
    assert_eq!(last(&key_packages), b"last");
    assert_eq!(w.account(c, Request::CountKeyPackages), Ok(Answer::KeyPackageCount(1)));
}

fn who_cannot_be_found_looks_like_nobody<S: Store>(mut w: World<S>) {
    let (alice, c, token) = findable(&mut w);
    w.register(&Person::new("bob", SERVER, 2), 2);
    let a = w.connect(ConnectionKind::Anonymous);
    let unknown = Err(Refusal::UnknownAccountOrToken);
    assert_eq!(w.anonymous(a, find("bob")), unknown);
    assert_eq!(w.anonymous(a, find("nobody")), unknown);
    let mut set = |standing| {
        let store = w.core.store();
        store.begin().unwrap();
        store.set_standing(&alice.name(), standing).unwrap();
        store.commit().unwrap();
        w.anonymous(a, find("alice"))
    };
    assert_eq!(set(Standing::Suspended), unknown);
    assert!(set(Standing::Good).is_ok());
    w.account(c, Request::RevokeDeliveryToken { token: token.hash() }).unwrap();
    assert_eq!(w.anonymous(a, find("alice")), unknown);
    w.account(c, Request::SetFindable { token: Some(token) }).unwrap();
    assert!(w.anonymous(a, find("alice")).is_ok());
    w.account(c, Request::SetFindable { token: None }).unwrap();
    assert_eq!(w.anonymous(a, find("alice")), unknown);
}

fn questions_for_names_are_limited_by_connection_and_by_account<S: Store>(mut w: World<S>) {
    findable(&mut w);
    let mut found = 0;
    let limited = Err(Refusal::DailyLimit { a_day: FINDS_A_DAY });
    loop {
        let a = w.connect(ConnectionKind::Anonymous);
        for _ in 0..FINDS_A_CONNECTION {
            if found == FINDS_A_DAY {
                assert_eq!(w.anonymous(a, find("alice")), limited);
                w.now.unix_ms += DAY_MS;
                assert!(w.anonymous(a, find("alice")).is_ok());
                return;
            }
            assert!(w.anonymous(a, find("alice")).is_ok());
            found += 1;
        }
        assert_eq!(w.anonymous(a, find("nobody")), Err(Refusal::DailyLimit { a_day: FINDS_A_CONNECTION }));
    }
}

fn envelopes_of_finders_are_limited_and_those_of_contacts_are_not<S: Store>(mut w: World<S>) {
    let (alice, c, token) = findable(&mut w);
    let contact = DeliveryToken([8; 32]);
    w.account(c, Request::PutDeliveryToken { token: contact.hash(), expires_day: None }).unwrap();
    let a = w.connect(ConnectionKind::Anonymous);
    let mut deliver = |n: u32, token| {
        let mut id = DeliveryId([0; 16]);
        id.0[..4].copy_from_slice(&n.to_be_bytes());
        let (account, device) = (alice.name(), alice.device);
        w.anonymous(a, anonymous::Request::Deliver(Delivery { id, account, device, token, envelope: b"e".to_vec() }))
    };
    for n in 0..FOUND_ENVELOPES_A_DAY {
        assert_eq!(deliver(n, token), Ok(anonymous::Answer::Done));
    }
    let limited = Err(Refusal::DailyLimit { a_day: FOUND_ENVELOPES_A_DAY });
    assert_eq!(deliver(FOUND_ENVELOPES_A_DAY, token), limited);
    assert_eq!(deliver(FOUND_ENVELOPES_A_DAY, contact), Ok(anonymous::Answer::Done));
}

on_both_stores!(
    a_blob_is_paid_for_once_and_fetched_by_its_capability_until_its_day,
    a_blob_over_a_limit_is_refused_with_it_and_the_token_stays,
    a_backup_takes_the_place_of_the_one_before_with_its_last_part,
    parts_of_two_devices_do_not_mix,
    a_backup_over_a_limit_is_refused_with_it,
    reports_are_kept_once_and_limited_by_the_day,
    who_is_found_by_name_gives_no_key_package_but_the_last_resort,
    who_cannot_be_found_looks_like_nobody,
    questions_for_names_are_limited_by_connection_and_by_account,
    envelopes_of_finders_are_limited_and_those_of_contacts_are_not,
);

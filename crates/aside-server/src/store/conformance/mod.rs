//! One suite for every backend: each claim runs on each store, so that a core that holds on one holds on the other.

mod storage;

use super::sqlite::SqliteStore;
use super::volatile::VolatileStore;
use super::*;
use aside_protocol::address::AccountName;
use aside_protocol::blob::BlobId;
use aside_protocol::channel::{Body, Entry, EntryHeader, EpochKeys, Position, body_hash};
use aside_protocol::id::{AppendId, ChainHead, ChannelId, DeliveryId, DeviceId, Hash, ReportId};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::key::{PublicKey, Signature, SigningKey};
use aside_protocol::limit::{BACKUP_UNFINISHED_DAYS, COMMIT_DAYS, ENVELOPE_DAYS};

/// A store that can be crashed and opened again.
trait Backend {
    type S: Store;
    fn new() -> Self;
    fn store(&mut self) -> &mut Self::S;
    /// The process dies with whatever transaction is open.
    fn crash(&mut self);
}

struct Volatile(VolatileStore);

impl Backend for Volatile {
    type S = VolatileStore;
    fn new() -> Self {
        Self(VolatileStore::new())
    }
    fn store(&mut self) -> &mut VolatileStore {
        &mut self.0
    }
    fn crash(&mut self) {
        self.0.crash();
    }
}

struct Sqlite(Option<SqliteStore>, tempfile::TempDir);

impl Backend for Sqlite {
    type S = SqliteStore;
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self(Some(SqliteStore::open(dir.path()).unwrap()), dir)
    }
    fn store(&mut self) -> &mut SqliteStore {
        self.0.as_mut().unwrap()
    }
    fn crash(&mut self) {
        self.0 = None;
        self.0 = Some(SqliteStore::open(self.1.path()).unwrap());
    }
}

const TODAY: u32 = 20_000;
const PAGE: Page = Page { items_max: 256, bytes_max: 1 << 20 };

fn channel(seed: u8) -> (ChannelId, ChannelNumber) {
    (ChannelId([seed; 32]), ChannelNumber::from_random(u32::from(seed) * 0x0101_0101))
}

fn keys(seed: u8) -> EpochKeys {
    let key = PublicKey([seed; 32]);
    EpochKeys { read: key, append: key, commit: key, call: key }
}

fn head(seq: u64) -> Position {
    let mut head = [0; 32];
    head[..8].copy_from_slice(&seq.to_be_bytes());
    Position { seq, head: ChainHead(head) }
}

fn id(seed: u8) -> AppendId {
    AppendId([seed; 16])
}

fn entry(seq: u64, append_id: AppendId, body: &[u8], expires_day: u32) -> Entry {
    let header = EntryHeader { epoch: 1, append_id, expires_day, next_keys: None };
    Entry { seq, header, body: Body::Present(body.to_vec()) }
}

fn create<S: Store>(s: &mut S, seed: u8) -> (ChannelId, ChannelNumber) {
    let (id, number) = channel(seed);
    s.begin().unwrap();
    assert_eq!(s.create_channel(&id, number, head(0), (1, &keys(1)), TODAY).unwrap(), Creation::Created);
    s.commit().unwrap();
    (id, number)
}

fn append<S: Store>(s: &mut S, number: ChannelNumber, entry: &Entry, day: u32) {
    s.append(number, entry, head(entry.seq), day).unwrap();
    s.note_due(number, entry.header.expires_day, Due::Bodies).unwrap();
    s.note_due(number, day + COMMIT_DAYS, Due::Headers).unwrap();
}

fn sweep<S: Store>(s: &mut S, today: u32) {
    s.begin().unwrap();
    while s.sweep_channels(today, 3).unwrap() > 0 {}
    while s.sweep_accounts(today, 3).unwrap() > 0 {}
    while s.sweep_backups(today).unwrap() > 0 {}
    s.commit().unwrap();
}

fn device(name: &str, seed: u8) -> DeviceKey {
    DeviceKey { name: name.parse().unwrap(), device: DeviceId([seed; 16]) }
}

fn record(seed: u8) -> DeviceRecord {
    let signature = Signature([0; 64]);
    let signature_key = PublicKey([seed; 32]);
    let certificate = DeviceCertificate { device: DeviceId([seed; 16]), key_set: 0, signature_key, signature };
    DeviceRecord { certificate, inbox_key: vec![seed; 1216], signature }
}

fn key_sets() -> Vec<KeySet> {
    let root = SigningKey::from_seed(&[1; 32]);
    let address = "alice@a.example".parse().unwrap();
    vec![KeySet::sign((&address, &root.public_key()), None, PublicKey([2; 32]), vec![], (KeySetSigner::Root, &root))]
}

fn account<S: Store>(s: &mut S, name: &str, seed: u8) -> DeviceKey {
    s.begin().unwrap();
    s.create_account(&name.parse().unwrap(), &PublicKey([seed; 32]), &key_sets(), &record(seed), TODAY).unwrap();
    s.commit().unwrap();
    device(name, seed)
}

fn what_was_committed_survives_a_crash_and_the_rest_does_not<B: Backend>(b: &mut B) {
    let (id1, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    append(s, number, &entry(1, id(1), b"one", TODAY + 1), TODAY);
    s.commit().unwrap();
    s.begin().unwrap();
    append(s, number, &entry(2, id(2), b"two", TODAY + 1), TODAY);
    s.create_account(&"bob".parse().unwrap(), &PublicKey([1; 32]), &[], &record(1), TODAY).unwrap();
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.find_channel(&id1).unwrap().unwrap().end, head(1));
    assert_eq!(s.find_append(number, &id(2)).unwrap(), None);
    assert_eq!(s.find_account(&"bob".parse().unwrap()).unwrap(), None);
}

fn a_rollback_undoes_both_sides<B: Backend>(b: &mut B) {
    let s = b.store();
    s.begin().unwrap();
    s.put_channel_token(&Hash([1; 32]), TODAY + 1).unwrap();
    s.put_invite(&Hash([2; 32]), TODAY + 1).unwrap();
    s.rollback();
    s.begin().unwrap();
    assert!(!s.take_channel_token(&Hash([1; 32]), TODAY).unwrap());
    assert!(!s.has_invite(&Hash([2; 32]), TODAY).unwrap());
}

fn operations_outside_a_transaction_are_refused<B: Backend>(b: &mut B) {
    let s = b.store();
    assert_eq!(s.find_channel(&ChannelId([1; 32])), Err(StoreError::OutOfTurn));
    assert_eq!(s.commit(), Err(StoreError::OutOfTurn));
    s.begin().unwrap();
    assert_eq!(s.begin(), Err(StoreError::OutOfTurn));
}

fn a_channel_number_is_given_once<B: Backend>(b: &mut B) {
    let (_, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.create_channel(&ChannelId([9; 32]), number, head(0), (1, &keys(1)), TODAY), Ok(Creation::NumberTaken));
}

fn a_channel_is_found_with_its_end_and_epoch<B: Backend>(b: &mut B) {
    let (id1, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.find_channel(&ChannelId([9; 32])).unwrap(), None);
    assert_eq!(s.find_channel(&id1).unwrap(), Some(ChannelState { number, epoch: 1, end: head(0), used_day: TODAY }));
    append(s, number, &entry(1, id(1), b"x", TODAY + 1), TODAY);
    s.end_epoch(number, 1, head(1), 2, &keys(2)).unwrap();
    assert_eq!(s.find_channel(&id1).unwrap(), Some(ChannelState { number, epoch: 2, end: head(1), used_day: TODAY }));
    let ended = StoredEpoch { keys: keys(1), begins_after: 0, ended: Some(head(1)) };
    assert_eq!(s.find_epoch(number, 1).unwrap(), Some(ended));
    assert_eq!(s.find_epoch(number, 2).unwrap(), Some(StoredEpoch { keys: keys(2), begins_after: 1, ended: None }));
    assert_eq!(s.find_epoch(number, 3).unwrap(), None);
}

fn an_append_id_is_found_by_the_whole_of_it<B: Backend>(b: &mut B) {
    let (_, number) = create(b.store(), 1);
    let (_, other) = create(b.store(), 2);
    let s = b.store();
    s.begin().unwrap();
    let mut twin = id(1);
    twin.0[15] ^= 1;
    append(s, number, &entry(1, id(1), b"one", TODAY + 1), TODAY);
    append(s, number, &entry(2, twin, b"two", TODAY + 1), TODAY);
    let known = |seq, body: &[u8]| Some(KnownAppend { position: head(seq), body_hash: body_hash(body) });
    assert_eq!(s.find_append(number, &id(1)).unwrap(), known(1, b"one"));
    assert_eq!(s.find_append(number, &twin).unwrap(), known(2, b"two"));
    assert_eq!(s.find_append(other, &id(1)).unwrap(), None);
}

fn pages_end_by_items_and_by_bytes_and_are_never_empty<B: Backend>(b: &mut B) {
    let (_, number) = create(b.store(), 1);
    let (_, neighbour) = create(b.store(), 2);
    let s = b.store();
    s.begin().unwrap();
    for seq in 1..=5_u8 {
        append(s, number, &entry(u64::from(seq), id(seq), &[seq; 10], TODAY + 1), TODAY);
        append(s, neighbour, &entry(u64::from(seq), id(seq), &[seq; 10], TODAY + 1), TODAY);
    }
    let mut seqs = |after, through, items_max, bytes_max| -> Vec<u64> {
        let page = Page { items_max, bytes_max };
        s.read_entries(number, after, through, page).unwrap().iter().map(|entry| entry.seq).collect()
    };
    assert_eq!(seqs(0, 5, 100, 100), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(1, 3, 100, 100), [2, 3]);
    assert_eq!(seqs(0, 5, 2, 100), [1, 2]);
    assert_eq!(seqs(0, 5, 100, 25), [1, 2]);
    assert_eq!(seqs(0, 5, 100, 1), [1]);
    assert_eq!(seqs(5, 5, 100, 100), [0_u64; 0]);
    assert_eq!(seqs(u64::MAX, u64::MAX, 100, 100), [0_u64; 0]);
    assert_eq!(s.read_entries(number, 0, 1, PAGE).unwrap(), [entry(1, id(1), &[1; 10], TODAY + 1)]);
}

fn an_expired_body_leaves_header_and_hash<B: Backend>(b: &mut B) {
    let (_, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    for seq in 1..=8_u8 {
        append(s, number, &entry(u64::from(seq), id(seq), &[seq; 10], TODAY + 1 + u32::from(seq > 6)), TODAY);
    }
    s.commit().unwrap();
    sweep(s, TODAY);
    s.begin().unwrap();
    assert_eq!(s.read_entries(number, 0, 1, PAGE).unwrap()[0].body, Body::Present(vec![1; 10]));
    s.commit().unwrap();
    sweep(s, TODAY + 1);
    s.begin().unwrap();
    let entries = s.read_entries(number, 0, 8, PAGE).unwrap();
    assert!(entries[..6].iter().all(|entry| matches!(entry.body, Body::Expired(_))));
    assert!(entries[6..].iter().all(|entry| matches!(entry.body, Body::Present(_))));
    assert_eq!(entries[0].body.hash(), body_hash(&[1; 10]));
    let known = KnownAppend { position: head(1), body_hash: body_hash(&[1; 10]) };
    assert_eq!(s.find_append(number, &id(1)).unwrap(), Some(known));
}

fn headers_and_ended_epochs_are_forgotten_but_the_end_stays<B: Backend>(b: &mut B) {
    let (id1, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    append(s, number, &entry(1, id(1), b"x", TODAY + 1), TODAY);
    let mut commit = entry(2, id(2), b"c", TODAY + COMMIT_DAYS);
    commit.header.next_keys = Some(keys(2));
    append(s, number, &commit, TODAY);
    s.end_epoch(number, 1, head(2), 2, &keys(2)).unwrap();
    append(s, number, &entry(3, id(3), b"y", TODAY + 2), TODAY + 1);
    s.commit().unwrap();
    sweep(s, TODAY + COMMIT_DAYS - 1);
    s.begin().unwrap();
    assert_eq!(s.read_entries(number, 0, 3, PAGE).unwrap().len(), 3);
    s.commit().unwrap();
    sweep(s, TODAY + COMMIT_DAYS);
    s.begin().unwrap();
    assert_eq!(s.read_entries(number, 0, 3, PAGE).unwrap().len(), 1);
    assert_eq!(s.find_epoch(number, 1).unwrap(), None);
    assert_eq!(s.find_append(number, &id(1)).unwrap(), None);
    s.commit().unwrap();
    sweep(s, TODAY + COMMIT_DAYS + 1);
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.read_entries(number, 0, 3, PAGE).unwrap(), []);
    assert_eq!(s.find_channel(&id1).unwrap(), Some(ChannelState { number, epoch: 2, end: head(3), used_day: TODAY }));
}

fn a_channel_token_is_spent_once_and_in_time<B: Backend>(b: &mut B) {
    let s = b.store();
    s.begin().unwrap();
    s.put_channel_token(&Hash([1; 32]), TODAY + 1).unwrap();
    s.put_channel_token(&Hash([2; 32]), TODAY).unwrap();
    assert!(s.take_channel_token(&Hash([1; 32]), TODAY).unwrap());
    assert!(!s.take_channel_token(&Hash([1; 32]), TODAY).unwrap());
    assert!(!s.take_channel_token(&Hash([2; 32]), TODAY).unwrap());
}

fn an_account_is_read_as_it_was_written<B: Backend>(b: &mut B) {
    let key = account(b.store(), "alice", 3);
    account(b.store(), "alice.b", 4);
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    let stored = s.find_account(&key.name).unwrap().unwrap();
    let expected = StoredAccount {
        root_key: PublicKey([3; 32]),
        key_sets: key_sets(),
        standing: Standing::Good,
        quota: Quota::default(),
        findable: None,
    };
    assert_eq!(stored, expected);
    assert_eq!(s.find_device(&key).unwrap(), Some(record(3)));
    assert_eq!(s.find_device(&device("alice", 9)).unwrap(), None);
    assert_eq!(s.list_devices(&key.name).unwrap(), [record(3)]);
    assert!(s.set_standing(&key.name, Standing::Suspended).unwrap());
    assert!(!s.set_standing(&"nobody".parse().unwrap(), Standing::Suspended).unwrap());
    let quota = Quota { channels_a_day: Some(3), backup_bytes: Some(u64::from(u32::MAX)) };
    assert!(s.set_quota(&key.name, quota).unwrap());
    assert!(!s.set_quota(&"nobody".parse().unwrap(), quota).unwrap());
    s.note_seen(&key.name, TODAY + 3).unwrap();
    s.deposit(&key, &DeliveryId([1; 16]), &[0; 70], TODAY, 9).unwrap();
    let summary = |name: &str, seen_day, standing, quota, envelope_bytes| {
        let name = name.parse().unwrap();
        AccountSummary { name, devices: 1, created_day: TODAY, seen_day, standing, quota, envelope_bytes }
    };
    let listed = [
        summary("alice", TODAY + 3, Standing::Suspended, quota, 70),
        summary("alice.b", TODAY, Standing::Good, Quota::default(), 0),
    ];
    assert_eq!(s.find_account(&key.name).unwrap().unwrap().quota, quota);
    assert_eq!(s.list_accounts().unwrap(), listed);
}

fn tokens_and_invites_hold_until_their_day<B: Backend>(b: &mut B) {
    let alice = account(b.store(), "alice", 3).name;
    let bob = account(b.store(), "bob", 4).name;
    let s = b.store();
    s.begin().unwrap();
    let token = |n: u8| Hash([n; 32]);
    let good = Some((Admission::Given, Standing::Good));
    assert!(s.put_delivery_token(&alice, &token(1), None, 2).unwrap());
    assert!(s.put_delivery_token(&alice, &token(2), Some(TODAY + 1), 2).unwrap());
    assert!(!s.put_delivery_token(&alice, &token(3), None, 2).unwrap());
    assert!(s.put_delivery_token(&alice, &token(2), Some(TODAY + 2), 2).unwrap());
    assert_eq!(s.find_delivery_token(&alice, &token(1), TODAY + 99).unwrap(), good);
    assert_eq!(s.find_delivery_token(&alice, &token(2), TODAY + 1).unwrap(), good);
    assert_eq!(s.find_delivery_token(&alice, &token(2), TODAY + 2).unwrap(), None);
    assert_eq!(s.find_delivery_token(&bob, &token(1), TODAY).unwrap(), None);
    s.remove_delivery_token(&alice, &token(1)).unwrap();
    assert_eq!(s.find_delivery_token(&alice, &token(1), TODAY).unwrap(), None);
    s.put_invite(&token(7), TODAY + 1).unwrap();
    assert!(s.has_invite(&token(7), TODAY).unwrap());
    assert!(!s.has_invite(&token(7), TODAY + 1).unwrap());
    s.remove_invite(&token(7)).unwrap();
    assert!(!s.has_invite(&token(7), TODAY).unwrap());
}

fn a_key_package_is_handed_out_once_and_the_last_resort_for_ever<B: Backend>(b: &mut B) {
    let key = account(b.store(), "alice", 3);
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.take_key_package(&key, TODAY).unwrap(), None);
    s.put_last_resort(&key, b"last").unwrap();
    assert!(s.add_key_packages(&key, &[b"a", b"b"], 3).unwrap());
    assert!(s.add_key_packages(&key, &[b"a", b"b"], 3).unwrap());
    assert!(!s.add_key_packages(&key, &[b"c", b"d"], 3).unwrap());
    assert_eq!(s.count_key_packages(&key).unwrap(), 2);
    let mut taken =
        [s.take_key_package(&key, TODAY).unwrap().unwrap(), s.take_key_package(&key, TODAY).unwrap().unwrap()];
    taken.sort();
    assert_eq!(taken, [b"a".to_vec(), b"b".to_vec()]);
    assert!(s.add_key_packages(&key, &[b"a"], 3).unwrap());
    assert_eq!(s.count_key_packages(&key).unwrap(), 0);
    assert!(s.add_key_packages(&key, &[b"c"], 3).unwrap());
    s.drop_key_packages(&key).unwrap();
    assert!(s.add_key_packages(&key, &[b"a"], 3).unwrap(), "and what was handed out is not added again");
    assert_eq!(s.count_key_packages(&key).unwrap(), 0);
    assert_eq!(s.take_key_package(&key, TODAY).unwrap(), Some(b"last".to_vec()));
    assert_eq!(s.take_key_package(&key, TODAY).unwrap(), Some(b"last".to_vec()));
}

fn an_envelope_is_stored_once_and_its_number_is_never_given_again<B: Backend>(b: &mut B) {
    let key = account(b.store(), "alice", 3);
    let s = b.store();
    s.begin().unwrap();
    let mut deposit = |n: u8, max| s.deposit(&key, &DeliveryId([n; 16]), &[n; 4], TODAY, max).unwrap();
    assert_eq!(deposit(1, 2), Deposit::Stored(1));
    assert_eq!(deposit(1, 2), Deposit::Repeated);
    assert_eq!(deposit(2, 2), Deposit::Stored(2));
    assert_eq!(deposit(3, 2), Deposit::Full);
    let entries = s.read_inbox(&key, 0, PAGE).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(entries[1].envelope, [2; 4]);
    assert_eq!(s.read_inbox(&key, 0, Page { items_max: 5, bytes_max: 1 }).unwrap().len(), 1);
    s.acknowledge_inbox(&key, 2).unwrap();
    assert_eq!(s.read_inbox(&key, 0, PAGE).unwrap(), []);
    assert_eq!(s.deposit(&key, &DeliveryId([1; 16]), &[1; 4], TODAY, 2).unwrap(), Deposit::Repeated);
    assert_eq!(s.deposit(&key, &DeliveryId([4; 16]), &[4; 4], TODAY, 2).unwrap(), Deposit::Stored(3));
    assert_eq!(s.read_inbox(&key, u64::MAX, PAGE).unwrap(), []);
}

fn the_sweep_takes_what_is_over_and_nothing_else<B: Backend>(b: &mut B) {
    let key = account(b.store(), "alice", 3);
    let s = b.store();
    s.begin().unwrap();
    for n in 0..7_u8 {
        s.put_channel_token(&Hash([n; 32]), TODAY + u32::from(n)).unwrap();
        s.put_invite(&Hash([n; 32]), TODAY + u32::from(n)).unwrap();
        s.deposit(&key, &DeliveryId([n; 16]), b"e", TODAY - u32::from(n), 10).unwrap();
    }
    s.commit().unwrap();
    sweep(s, TODAY + 3);
    s.begin().unwrap();
    assert!(!s.has_invite(&Hash([3; 32]), 0).unwrap());
    assert!(s.has_invite(&Hash([4; 32]), 0).unwrap());
    assert!(!s.take_channel_token(&Hash([3; 32]), 0).unwrap());
    assert!(s.take_channel_token(&Hash([4; 32]), 0).unwrap());
    assert_eq!(s.read_inbox(&key, 0, PAGE).unwrap().len(), 7);
    s.commit().unwrap();
    sweep(s, TODAY - 2 + ENVELOPE_DAYS);
    s.begin().unwrap();
    assert_eq!(s.read_inbox(&key, 0, PAGE).unwrap().len(), 2);
}

fn tallies_count_for_one_day<B: Backend>(b: &mut B) {
    let name = account(b.store(), "alice", 3).name;
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.tally(&name, Tally::ChannelTokens, TODAY).unwrap(), 0);
    s.set_tally(&name, Tally::ChannelTokens, TODAY, 5).unwrap();
    assert_eq!(s.tally(&name, Tally::ChannelTokens, TODAY).unwrap(), 5);
    assert_eq!(s.tally(&name, Tally::Reports, TODAY).unwrap(), 0);
    assert_eq!(s.tally(&name, Tally::ChannelTokens, TODAY + 1).unwrap(), 0);
}

fn a_new_key_set_takes_revoked_devices_and_every_key_package<B: Backend>(b: &mut B) {
    let first = account(b.store(), "alice", 3);
    let other = account(b.store(), "alice.b", 3);
    let second = device("alice", 4);
    let s = b.store();
    s.begin().unwrap();
    s.add_device(&first.name, &record(4)).unwrap();
    for key in [&first, &second, &other] {
        s.add_key_packages(key, &[b"once"], 9).unwrap();
        s.put_last_resort(key, b"last").unwrap();
        s.deposit(key, &DeliveryId([1; 16]), b"e", TODAY, 9).unwrap();
    }
    s.commit().unwrap();
    s.begin().unwrap();
    let mut kept = record(3);
    kept.certificate.key_set = 1;
    let chain = [key_sets(), key_sets()].concat();
    s.replace_key_sets(&first.name, &chain, std::slice::from_ref(&kept)).unwrap();
    s.commit().unwrap();
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.find_account(&first.name).unwrap().unwrap().key_sets, chain);
    assert_eq!(s.list_devices(&first.name).unwrap(), [kept]);
    assert_eq!(s.take_key_package(&first, TODAY).unwrap(), None);
    assert_eq!(s.find_last_resort(&first).unwrap(), None);
    assert_eq!(s.read_inbox(&first, 0, PAGE).unwrap().len(), 1);
    assert_eq!(s.read_inbox(&second, 0, PAGE).unwrap(), []);
    assert_eq!(s.take_key_package(&other, TODAY).unwrap(), Some(b"once".to_vec()));
    assert_eq!(s.find_last_resort(&other).unwrap(), Some(b"last".to_vec()));
    assert_eq!(s.read_inbox(&other, 0, PAGE).unwrap().len(), 1);
}

fn an_account_is_found_by_its_newest_token_only<B: Backend>(b: &mut B) {
    let name = account(b.store(), "alice", 3).name;
    let s = b.store();
    s.begin().unwrap();
    let (one, two) = (DeliveryToken([1; 32]), DeliveryToken([2; 32]));
    s.put_delivery_token(&name, &Hash([9; 32]), None, 9).unwrap();
    s.set_findable(&name, Some(&one)).unwrap();
    s.set_findable(&name, Some(&two)).unwrap();
    assert_eq!(s.find_account(&name).unwrap().unwrap().findable, Some(two));
    assert_eq!(s.find_delivery_token(&name, &one.hash(), TODAY).unwrap(), None);
    let found = Some((Admission::Found, Standing::Good));
    assert_eq!(s.find_delivery_token(&name, &two.hash(), TODAY).unwrap(), found);
    s.set_standing(&name, Standing::Suspended).unwrap();
    let suspended = Some((Admission::Found, Standing::Suspended));
    assert_eq!(s.find_delivery_token(&name, &two.hash(), TODAY).unwrap(), suspended);
    s.set_findable(&name, None).unwrap();
    assert_eq!(s.find_account(&name).unwrap().unwrap().findable, None);
    assert_eq!(s.find_delivery_token(&name, &two.hash(), TODAY).unwrap(), None);
    assert!(s.find_delivery_token(&name, &Hash([9; 32]), TODAY).unwrap().is_some());
}

fn a_report_is_kept_once<B: Backend>(b: &mut B) {
    let name = account(b.store(), "alice", 3).name;
    let s = b.store();
    s.begin().unwrap();
    assert!(s.put_report(&name, &ReportId([1; 16]), b"words", TODAY).unwrap());
    assert!(!s.put_report(&name, &ReportId([1; 16]), b"others", TODAY).unwrap());
    assert!(s.put_report(&name, &ReportId([2; 16]), b"more", TODAY).unwrap());
}

fn what_changes_nothing_moves_no_count<B: Backend>(b: &mut B) {
    let (id1, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    let before = s.changes();
    s.find_channel(&id1).unwrap();
    s.find_blob(&BlobId([1; 32]), TODAY).unwrap();
    assert_eq!(s.changes(), before);
    append(s, number, &entry(1, id(1), b"x", TODAY + 1), TODAY);
    assert!(s.changes() > before);
}

use storage::{
    a_blob_is_there_until_its_day, an_empty_channel_that_nobody_uses_is_forgotten,
    an_unfinished_backup_replaces_nothing, totals_count_what_is_there_and_not_what_was_rolled_back,
    what_waits_too_long_for_its_last_parts_is_given_up_and_the_whole_one_stays,
};

macro_rules! suite {
    ($($claim:ident),* $(,)?) => {
        mod volatile_store {
            $(#[test] fn $claim() { super::$claim(&mut <super::Volatile as super::Backend>::new()); })*
        }
        mod sqlite_store {
            $(#[test] fn $claim() { super::$claim(&mut <super::Sqlite as super::Backend>::new()); })*
        }
    };
}

suite!(
    what_was_committed_survives_a_crash_and_the_rest_does_not,
    a_rollback_undoes_both_sides,
    operations_outside_a_transaction_are_refused,
    a_channel_number_is_given_once,
    a_channel_is_found_with_its_end_and_epoch,
    an_append_id_is_found_by_the_whole_of_it,
    pages_end_by_items_and_by_bytes_and_are_never_empty,
    an_expired_body_leaves_header_and_hash,
    headers_and_ended_epochs_are_forgotten_but_the_end_stays,
    a_channel_token_is_spent_once_and_in_time,
    an_account_is_read_as_it_was_written,
    tokens_and_invites_hold_until_their_day,
    a_key_package_is_handed_out_once_and_the_last_resort_for_ever,
    an_envelope_is_stored_once_and_its_number_is_never_given_again,
    the_sweep_takes_what_is_over_and_nothing_else,
    tallies_count_for_one_day,
    a_new_key_set_takes_revoked_devices_and_every_key_package,
    an_account_is_found_by_its_newest_token_only,
    a_report_is_kept_once,
    an_unfinished_backup_replaces_nothing,
    what_waits_too_long_for_its_last_parts_is_given_up_and_the_whole_one_stays,
    a_blob_is_there_until_its_day,
    totals_count_what_is_there_and_not_what_was_rolled_back,
    an_empty_channel_that_nobody_uses_is_forgotten,
    what_changes_nothing_moves_no_count,
);

#[test]
fn append_ids_that_begin_alike_do_not_meet_in_the_index() {
    let mut backend = Sqlite::new();
    let (_, number) = create(backend.store(), 1);
    let s = backend.store();
    s.begin().unwrap();
    for seq in 1..=200_u8 {
        let mut alike = id(7);
        alike.0[15] = seq;
        append(s, number, &entry(u64::from(seq), alike, b"x", TODAY + 1), TODAY);
    }
    s.commit().unwrap();
    backend.0 = None;
    let db = rusqlite::Connection::open(backend.1.path().join(sqlite::CHANNELS_FILE)).unwrap();
    let distinct: i64 = db.query_row("SELECT count(DISTINCT hash) FROM appends", [], |row| row.get(0)).unwrap();
    assert_eq!(distinct, 200);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let first = Sqlite::new();
    assert_eq!(SqliteStore::open(first.1.path()).err(), Some(StoreError::Locked));
}

#[test]
fn the_administrator_writes_beside_a_running_server() {
    let mut backend = Sqlite::new();
    let dir = backend.1.path().to_owned();
    let mut beside = sqlite::AdminFiles::open(&dir).unwrap();
    beside.put_invite(&Hash([1; 32]), TODAY + 1).unwrap();
    let s = backend.store();
    s.begin().unwrap();
    assert!(s.has_invite(&Hash([1; 32]), TODAY).unwrap());
    assert!(s.changed_elsewhere().unwrap());
    assert!(!s.changed_elsewhere().unwrap());
    s.commit().unwrap();
}

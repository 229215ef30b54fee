//! Claims about storage: rollbacks, damage, deletion, and what stays behind.

use super::world::*;
use crate::group::GROUP_TABLES;
use crate::*;

#[test]
fn after_a_rollback_the_reloaded_group_goes_on() {
    let ([alice, mut bob], [mut a, mut b]) = two();
    let first = alice.encrypt(&mut a, "first");
    let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    for _ in 0..2 {
        let transaction = bob.connection.transaction().unwrap();
        let session = bob.mls.on(&transaction);
        assert!(matches!(b.process(&session, &first).unwrap(), Processed::Application { .. }));
        let Processed::Commit(staged) = b.process(&session, &commit).unwrap() else { panic!() };
        b.merge_staged(&session, staged).unwrap();
        assert_eq!(b.epoch(), 2);
        transaction.rollback().unwrap();
        b = bob.load();
        assert_eq!(b.epoch(), 1);
    }
    assert_eq!(bob.read(&mut b, &first), "first");
    bob.follow(&mut b, &commit);
}

#[test]
fn a_rolled_back_join_keeps_the_key_package() {
    let [alice, mut bob] = ["alice", "bob"].map(|name| Person::new(name).device(1));
    let mut a = alice.found(&[&alice]);
    let add = alice.add(&mut a, &[&bob]);
    let transaction = bob.connection.transaction().unwrap();
    bob.mls.on(&transaction).join(&add.welcome, &add.ratchet_tree).unwrap();
    transaction.rollback().unwrap();
    assert!(bob.session().load_group(&GROUP).unwrap().is_none());
    assert_eq!(bob.join(&add).epoch(), 1);
}

#[test]
fn a_group_that_fails_to_load_is_not_absent() {
    let ([alice, _bob], [a, _b]) = two();
    assert!(alice.session().load_group(&GroupId([1; 32])).unwrap().is_none());
    drop(a);
    alice.connection.execute("UPDATE openmls_group_data SET group_data = x'ff' WHERE data_type = 'tree'", []).unwrap();
    assert!(matches!(alice.session().load_group(&GROUP), Err(MlsError::Incomplete(GROUP))));
    alice.connection.execute("DELETE FROM openmls_group_data WHERE data_type = 'tree'", []).unwrap();
    assert!(matches!(alice.session().load_group(&GROUP), Err(MlsError::Incomplete(GROUP))));
    let again = alice.session().create_group(&alice.signer, &alice.credential, GROUP, &metadata("", &[&alice]));
    assert!(matches!(again, Err(MlsError::GroupExists(GROUP))));
}

#[test]
fn a_glance_at_the_rows_tells_what_is_missing_and_in_which_epoch_the_group_is() {
    let ([alice, bob], [mut a, mut b]) = two();
    assert_eq!(alice.session().stored_group(&GroupId([1; 32])).unwrap(), StoredGroup::Absent);
    assert_eq!(alice.session().stored_group(&GROUP).unwrap(), StoredGroup::At(1));
    let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    bob.follow(&mut b, &commit);
    assert_eq!(bob.session().stored_group(&GROUP).unwrap(), StoredGroup::At(2));
    let kinds: Vec<String> = bob
        .connection
        .prepare("SELECT data_type FROM openmls_group_data WHERE data_type NOT LIKE 'use%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for kind in kinds {
        bob.connection.execute_batch("SAVEPOINT whole").unwrap();
        bob.connection.execute("DELETE FROM openmls_group_data WHERE data_type = ?1", [&kind]).unwrap();
        assert_eq!(bob.session().stored_group(&GROUP).unwrap(), StoredGroup::Incomplete, "{kind}");
        bob.connection.execute_batch("ROLLBACK TO whole").unwrap();
    }
    bob.connection.execute("DELETE FROM openmls_epoch_keys_pairs", []).unwrap();
    assert_eq!(bob.session().stored_group(&GROUP).unwrap(), StoredGroup::Incomplete);
}

#[test]
fn a_deleted_group_leaves_no_trace() {
    let ([alice, _bob], [mut a, _b]) = two();
    a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
    alice.session().delete_group(&GROUP).unwrap();
    assert!(alice.session().load_group(&GROUP).unwrap().is_none());
    let tables: Vec<String> = alice
        .connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%migrations'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for table in &tables {
        let rows: u32 =
            alice.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
        let has_group_id: bool = alice
            .connection
            .query_row("SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = 'group_id')", [table], |row| {
                row.get(0)
            })
            .unwrap();
        assert!(!has_group_id || GROUP_TABLES.contains(&table.as_str()) || table.contains("vc_"), "{table}");
    }
}

#[test]
fn no_key_of_a_past_epoch_stays() {
    let ([alice, bob], [mut a, mut b]) = two();
    let rows = |device: &Device| -> Vec<u32> {
        ["openmls_encryption_keys", "openmls_epoch_keys_pairs", "openmls_own_leaf_nodes", "openmls_key_packages"]
            .iter()
            .map(|table| format!("SELECT count(*) FROM {table}"))
            .map(|query| device.connection.query_row(&query, [], |row| row.get(0)).unwrap())
            .collect()
    };
    for _ in 0..3 {
        let commit = a.self_update(&alice.session(), &alice.signer, &alice.credential).unwrap();
        a.merge_pending(&alice.session()).unwrap();
        bob.follow(&mut b, &commit);
        let commit = b.self_update(&bob.session(), &bob.signer, &bob.credential).unwrap();
        b.clear_pending(&bob.session()).unwrap();
        drop(commit);
    }
    assert_eq!(rows(&alice), [0, 1, 0, 0]);
    assert_eq!(rows(&bob), [0, 1, 0, 0]);
}

#[test]
fn migrating_twice_changes_nothing() {
    let mut alice = Person::new("alice").device(1);
    alice.found(&[&alice]);
    migrate(&mut alice.connection).unwrap();
    assert_eq!(alice.load().epoch(), 0);
}

#[test]
fn the_same_seed_draws_the_same_randomness() {
    use openmls_traits::random::OpenMlsRand;
    let draw = |seed| {
        let mls = Mls::dangerous_seeded([seed; 32]).unwrap();
        (mls.random_vec(40).unwrap(), mls.random_array::<16>().unwrap())
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert_ne!(draw(1).0[..16], draw(1).1);
}

#[test]
fn secrets_are_not_printed() {
    let ([alice, _bob], [a, _b]) = two();
    let keys = a.channel_keys(&alice.session(), &CHANNEL).unwrap();
    let printed = format!("{:?} {:?} {:?} {:?}", keys, alice.signer, a, alice.session().new_inbox_key_pair().unwrap());
    assert!(printed.len() < 400, "{printed}");
}

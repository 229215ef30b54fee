//! Claims about blobs and backups, and about what there is of everything.

use super::*;

/// Stores parts of a backup, each as long as its number says.
fn put_parts<S: Store>(s: &mut S, name: &AccountName, generation: u64, parts: u32, lengths: &[usize]) {
    for length in lengths {
        let state = s.backup_state(name).unwrap();
        let begun = state.unfinished.filter(|backup| backup.generation == generation);
        let after = begun.unwrap_or(StoredBackup { generation, parts, stored: 0, bytes: 0 });
        s.put_backup_part(name, after, &vec![generation as u8; *length], TODAY).unwrap();
    }
}

pub(super) fn an_unfinished_backup_replaces_nothing<B: Backend>(b: &mut B) {
    let name = account(b.store(), "alice", 3).name;
    let s = b.store();
    s.begin().unwrap();
    put_parts(s, &name, 1, 2, &[10, 20]);
    put_parts(s, &name, 5, 3, &[7, 7]);
    s.commit().unwrap();
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    let whole = StoredBackup { generation: 1, parts: 2, stored: 2, bytes: 30 };
    let unfinished = StoredBackup { generation: 5, parts: 3, stored: 2, bytes: 14 };
    assert_eq!(s.backup_state(&name).unwrap(), BackupState { whole: Some(whole), unfinished: Some(unfinished) });
    assert_eq!(s.find_backup_part(&name, 1, 1).unwrap(), Some(vec![1; 20]));
    put_parts(s, &name, 6, 1, &[4]);
    let whole = StoredBackup { generation: 6, parts: 1, stored: 1, bytes: 4 };
    assert_eq!(s.backup_state(&name).unwrap(), BackupState { whole: Some(whole), unfinished: None });
    s.commit().unwrap();
    sweep(s, TODAY);
    s.begin().unwrap();
    for generation in [1, 5] {
        assert_eq!(s.find_backup_part(&name, generation, 0).unwrap(), None);
    }
    assert_eq!(s.find_backup_part(&name, 6, 0).unwrap(), Some(vec![6; 4]));
}

pub(super) fn what_waits_too_long_for_its_last_parts_is_given_up_and_the_whole_one_stays<B: Backend>(b: &mut B) {
    let name = account(b.store(), "alice", 3).name;
    let s = b.store();
    s.begin().unwrap();
    put_parts(s, &name, 1, 1, &[10]);
    put_parts(s, &name, 2, 20, &[1; 19]);
    s.commit().unwrap();
    sweep(s, TODAY + BACKUP_UNFINISHED_DAYS - 1);
    s.begin().unwrap();
    assert_eq!(s.backup_state(&name).unwrap().unfinished.unwrap().stored, 19);
    s.commit().unwrap();
    sweep(s, TODAY + BACKUP_UNFINISHED_DAYS);
    s.begin().unwrap();
    assert_eq!(s.backup_state(&name).unwrap().unfinished, None);
    assert_eq!(s.find_backup_part(&name, 2, 18).unwrap(), None);
    put_parts(s, &name, 2, 1, &[3]);
    s.commit().unwrap();
    sweep(s, TODAY + 10_000);
    s.begin().unwrap();
    let whole = StoredBackup { generation: 2, parts: 1, stored: 1, bytes: 3 };
    assert_eq!(s.backup_state(&name).unwrap(), BackupState { whole: Some(whole), unfinished: None });
    assert_eq!(s.find_backup_part(&name, 2, 0).unwrap(), Some(vec![2; 3]));
}

pub(super) fn a_blob_is_there_until_its_day<B: Backend>(b: &mut B) {
    let s = b.store();
    s.begin().unwrap();
    s.put_blob(&BlobId([1; 32]), b"one", TODAY + 1).unwrap();
    s.put_blob(&BlobId([2; 32]), b"second", TODAY + 2).unwrap();
    s.commit().unwrap();
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    assert_eq!(s.find_blob(&BlobId([1; 32]), TODAY).unwrap(), Some(b"one".to_vec()));
    assert_eq!(s.find_blob(&BlobId([1; 32]), TODAY + 1).unwrap(), None);
    assert_eq!(s.find_blob(&BlobId([3; 32]), TODAY).unwrap(), None);
    s.put_blob(&BlobId([1; 32]), b"again", TODAY + 1).unwrap();
    assert_eq!((s.channel_totals().unwrap().blobs, s.channel_totals().unwrap().blob_bytes), (2, 11));
    s.commit().unwrap();
    sweep(s, TODAY + 1);
    s.begin().unwrap();
    assert_eq!(s.find_blob(&BlobId([1; 32]), 0).unwrap(), None);
    assert_eq!(s.find_blob(&BlobId([2; 32]), TODAY).unwrap(), Some(b"second".to_vec()));
}

pub(super) fn totals_count_what_is_there_and_not_what_was_rolled_back<B: Backend>(b: &mut B) {
    let (_, number) = create(b.store(), 1);
    let s = b.store();
    s.begin().unwrap();
    append(s, number, &entry(1, id(1), &[1; 10], TODAY + 1), TODAY);
    append(s, number, &entry(2, id(2), &[2; 30], TODAY + 5), TODAY);
    s.put_blob(&BlobId([1; 32]), b"blob", TODAY + 1).unwrap();
    s.commit().unwrap();
    s.begin().unwrap();
    append(s, number, &entry(3, id(3), &[3; 99], TODAY + 1), TODAY);
    s.rollback();
    b.crash();
    let s = b.store();
    s.begin().unwrap();
    let totals = ChannelTotals { channels: 1, entries: 2, entry_bytes: 40, blobs: 1, blob_bytes: 4 };
    assert_eq!(s.channel_totals().unwrap(), totals);
    s.commit().unwrap();
    sweep(s, TODAY + 1);
    s.begin().unwrap();
    assert_eq!(s.channel_totals().unwrap(), ChannelTotals { entry_bytes: 30, blobs: 0, blob_bytes: 0, ..totals });
    s.commit().unwrap();
    sweep(s, TODAY + COMMIT_DAYS);
    s.begin().unwrap();
    assert_eq!(s.channel_totals().unwrap(), ChannelTotals { channels: 1, ..ChannelTotals::default() });
}

pub(super) fn an_empty_channel_that_nobody_uses_is_forgotten<B: Backend>(b: &mut B) {
    let (unused, number) = create(b.store(), 1);
    let (used, other) = create(b.store(), 2);
    let (full, third) = create(b.store(), 3);
    let s = b.store();
    s.begin().unwrap();
    for number in [number, other, third] {
        s.note_due(number, TODAY + CHANNEL_UNUSED_DAYS, Due::Channel).unwrap();
    }
    s.touch_channel(other, TODAY + 31).unwrap();
    s.note_due(other, TODAY + 31 + CHANNEL_UNUSED_DAYS, Due::Channel).unwrap();
    append(s, third, &entry(1, id(1), b"x", TODAY + 90), TODAY + 60);
    s.commit().unwrap();
    sweep(s, TODAY + CHANNEL_UNUSED_DAYS - 1);
    s.begin().unwrap();
    assert!(s.find_channel(&unused).unwrap().is_some());
    s.commit().unwrap();
    sweep(s, TODAY + CHANNEL_UNUSED_DAYS);
    s.begin().unwrap();
    assert_eq!(s.find_channel(&unused).unwrap(), None);
    assert_eq!(s.find_epoch(number, 1).unwrap(), None);
    assert_eq!(s.find_channel(&used).unwrap().unwrap().used_day, TODAY + 31);
    assert!(s.find_channel(&full).unwrap().is_some());
    s.commit().unwrap();
    sweep(s, TODAY + 31 + CHANNEL_UNUSED_DAYS);
    s.begin().unwrap();
    assert_eq!(s.find_channel(&used).unwrap(), None);
    assert_eq!(s.find_channel(&full).unwrap(), None);
    assert_eq!(s.create_channel(&unused, number, head(0), (1, &keys(1)), TODAY), Ok(Creation::Created));
}

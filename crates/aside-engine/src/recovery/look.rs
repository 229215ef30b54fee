//! What a person is told of a backup before it is used, and of what came back after.
//!
//! A device that has lost everything knows of no newer backup than the one that it is shown (P-10.10). What it can know: when
//! that one was made, and whether the account's keys changed since, for then a device made another one.

use super::FoundBackup;
use super::kept::KINDS;
use super::snapshot::{Counts, Header};

const NEWER_KEYS: &str = "The account's keys were changed after this backup was made, and its devices made a newer one \
    then, if they had the time: the server may have lost it, or hide it. Look whether a backup file or another device of \
    yours has more.";
const NO_BACKUP: &str = "There is no backup: the account comes back with its address and its keys, but without contacts, \
    conversations and what was said. If one of your devices still works, link this one there instead; a backup file brings \
    back what it holds.";
const CAME_BACK: &str = "What was said after the backup was made comes back from other people's devices, as far as they \
    still have it.";
const CAME_BACK_EMPTY: &str = "There was no backup: contacts, conversations and what was said are gone from here. Add \
    people again by their links, or give them yours; they see the same account as before. Ask a member of each group to \
    add you again.";

/// What is shown of a backup, or of there being none; `key_sets` is the length of the account's chain at the server.
pub(super) fn found(header: Option<&Header>, counts: &Counts, key_sets: usize) -> FoundBackup {
    let count = |table: &str| {
        let kind = KINDS.iter().find(|kind| kind.table == table);
        kind.and_then(|kind| counts.get(&kind.number)).copied().unwrap_or(0)
    };
    let words = match header {
        None => Some(NO_BACKUP),
        Some(header) if header.key_sets.len() < key_sets => Some(NEWER_KEYS),
        Some(_) => None,
    };
    FoundBackup {
        made_ms: header.map(|header| header.made_ms),
        messages: count("messages"),
        contacts: count("contacts"),
        words: words.map(str::to_owned),
    }
}

/// What is said once the account is back.
pub(super) fn brought_back(backup_at: Option<i64>) -> &'static str {
    if backup_at.is_some() { CAME_BACK } else { CAME_BACK_EMPTY }
}

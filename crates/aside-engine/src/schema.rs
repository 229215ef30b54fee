//! The profile's tables. STRICT, so that an id bound as text where a blob is meant is an error and never "no row".

use crate::error::EngineError;
use rusqlite::Connection;

/// Of the tables below. Whoever changes them raises it, or a profile that was made before would be opened half-broken.
const VERSION: i64 = 5;

const TABLES: &str = "
CREATE TABLE settings (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), body BLOB NOT NULL) STRICT;
CREATE TABLE servers (
    id INTEGER PRIMARY KEY, pin BLOB NOT NULL UNIQUE
) STRICT;
-- One row once a join was begun. Seeds are here because the whole file is encrypted.
CREATE TABLE account (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    server INTEGER NOT NULL, name TEXT NOT NULL, invite BLOB NOT NULL,
    -- phrase_entropy: until the person has confirmed the words. backup_key: from the phrase, kept.
    phrase_entropy BLOB, backup_key BLOB NOT NULL, account_seed BLOB NOT NULL, device_seed BLOB NOT NULL,
    root_key BLOB NOT NULL, key_sets BLOB NOT NULL, record BLOB NOT NULL, inbox_private BLOB NOT NULL,
    registered INTEGER NOT NULL, refusal BLOB, inbox_seq INTEGER NOT NULL, last_resort_day INTEGER
) STRICT;
CREATE TABLE channel_tokens (token BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE contact_links (
    secret BLOB PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE, made_ms INTEGER NOT NULL, expires_day INTEGER NOT NULL,
    registered INTEGER NOT NULL, used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- token, introduction: what lets us write to them. by_name: only their server says that the root key is theirs.
-- other: what somebody with another root key showed under their address, until the person decides.
CREATE TABLE contacts (
    address TEXT PRIMARY KEY, server INTEGER, root_key BLOB, by_name INTEGER NOT NULL,
    token BLOB NOT NULL, introduction BLOB, introduction_token BLOB,
    conversation BLOB NOT NULL, state INTEGER NOT NULL, failure TEXT, verified INTEGER NOT NULL, name TEXT, other BLOB
) STRICT;
-- The longest chain that was believed of everybody who was met, contact or not. Two root keys under one address are
-- two people. attention: somebody has to look before anything is sent.
CREATE TABLE people (
    address TEXT NOT NULL, root_key BLOB NOT NULL, key_sets BLOB NOT NULL, attention INTEGER NOT NULL,
    PRIMARY KEY (address, root_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX people_to_look_at ON people (attention) WHERE attention = 1;
CREATE TABLE people_devices (
    address TEXT NOT NULL, root_key BLOB NOT NULL, device BLOB NOT NULL, PRIMARY KEY (address, root_key, device)
) STRICT, WITHOUT ROWID;
-- What whoever finds this person by name is given; absent: the server was not told, or was told to find nobody.
CREATE TABLE findable (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), token BLOB NOT NULL) STRICT;
CREATE TABLE blocked (address TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- What lets others write to us: whose is a person's address or a group's id.
CREATE TABLE own_tokens (whose TEXT PRIMARY KEY, token BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE conversations (
    id BLOB PRIMARY KEY, kind INTEGER NOT NULL, title TEXT NOT NULL, peer TEXT UNIQUE,
    channel BLOB, state INTEGER NOT NULL, paused TEXT, request BLOB, updated_ms INTEGER NOT NULL,
    -- hidden: the person deleted the chat; the next message brings it back.
    hidden INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT '', read_position INTEGER NOT NULL DEFAULT 0,
    listened_position INTEGER NOT NULL DEFAULT 0, next_position INTEGER NOT NULL DEFAULT 1,
    -- picture_name: changes with the picture, so that it can be cached.
    picture BLOB, picture_name TEXT
) STRICT;
-- standing: 0 member, 1 being added by this device, 2 has said that they leave.
CREATE TABLE members (
    conversation BLOB NOT NULL, address TEXT NOT NULL, admin INTEGER NOT NULL, standing INTEGER NOT NULL DEFAULT 0,
    devices INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
-- Who is still to be fetched before a conversation is founded.
CREATE TABLE founding (
    conversation BLOB NOT NULL, address TEXT NOT NULL, at_ms INTEGER NOT NULL, fetched BLOB, failure TEXT,
    PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
-- seq and head: how far this device has read. Changed only together with what reading changed.
CREATE TABLE channels (
    id BLOB PRIMARY KEY, conversation BLOB NOT NULL, server INTEGER NOT NULL, suite INTEGER NOT NULL,
    live INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, head BLOB NOT NULL,
    rotate_at_ms INTEGER, reported_day INTEGER NOT NULL DEFAULT 0,
    received_seq INTEGER NOT NULL DEFAULT 0, seen_seq INTEGER NOT NULL DEFAULT 0,
    receipted_seq INTEGER NOT NULL DEFAULT 0, receipted_seen_seq INTEGER NOT NULL DEFAULT 0,
    peer_received_seq INTEGER NOT NULL DEFAULT 0, peer_seen_seq INTEGER NOT NULL DEFAULT 0,
    -- predecessor: what a channel was founded in place of, with why. successor: the one that took its place.
    predecessor BLOB, successor BLOB
) STRICT;
CREATE INDEX channels_of_conversation ON channels (conversation);
CREATE INDEX channels_to_rotate ON channels (rotate_at_ms) WHERE rotate_at_ms IS NOT NULL;
CREATE TABLE chain (
    channel BLOB NOT NULL, seq INTEGER NOT NULL, head BLOB NOT NULL, PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE epochs (
    channel BLOB NOT NULL, epoch INTEGER NOT NULL, authenticator BLOB NOT NULL, PRIMARY KEY (channel, epoch)
) STRICT, WITHOUT ROWID;
-- How to reach members' inboxes, kept outside the group state on purpose: it must survive the group state's loss.
CREATE TABLE roster (
    channel BLOB NOT NULL, address TEXT NOT NULL, device BLOB NOT NULL, server INTEGER, inbox_key BLOB NOT NULL,
    token BLOB NOT NULL, record BLOB, PRIMARY KEY (channel, device)
) STRICT, WITHOUT ROWID;
-- Devices that were added by another one and have not said a word since; lost: whoever added them is revoked.
CREATE TABLE unheard (
    channel BLOB NOT NULL, device BLOB NOT NULL, address TEXT NOT NULL, adder BLOB NOT NULL,
    since_seq INTEGER NOT NULL, lost INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (channel, device)
) STRICT, WITHOUT ROWID;
-- made: the intents that it carries out, and the Welcomes that go out once it is merged.
CREATE TABLE pending_commits (
    channel BLOB PRIMARY KEY, append_id BLOB NOT NULL, entry BLOB NOT NULL, made BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- What this device wants of a channel's group until it is so. Of two about the same subject the later one stands.
CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, channel BLOB NOT NULL, kind INTEGER NOT NULL, subject TEXT NOT NULL,
    body BLOB NOT NULL, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, kind, subject)
) STRICT;
CREATE INDEX intents_due ON intents (channel, due_ms);
-- edited: when its author edited it last, by their clock; 0 where they did not.
CREATE TABLE messages (
    id BLOB PRIMARY KEY, conversation BLOB NOT NULL, channel BLOB, seq INTEGER, position INTEGER NOT NULL,
    sender TEXT NOT NULL, own INTEGER NOT NULL, kind INTEGER NOT NULL, text TEXT NOT NULL, sent_ms INTEGER NOT NULL,
    reply_to BLOB, acknowledged INTEGER NOT NULL, failure TEXT,
    edited INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX timeline ON messages (conversation, position);
-- Two devices of a person may add the same emoji at once: it is shown once, and each is taken back under its own id.
CREATE TABLE reactions (
    message BLOB NOT NULL, sender TEXT NOT NULL, emoji TEXT NOT NULL, id BLOB NOT NULL UNIQUE,
    PRIMARY KEY (message, sender, emoji, id)
) STRICT, WITHOUT ROWID;
-- Every content that was taken from a log, so that a member who sends the same one again is not heard twice.
CREATE TABLE taken (id BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- append_id, epoch, ciphertext: once encrypted. A retry sends these very bytes.
CREATE TABLE outbox (
    place INTEGER PRIMARY KEY AUTOINCREMENT, conversation BLOB NOT NULL, message BLOB, content BLOB NOT NULL,
    sent_ms INTEGER NOT NULL, channel BLOB, epoch INTEGER, append_id BLOB UNIQUE, expires_day INTEGER, ciphertext BLOB,
    acked_seq INTEGER, acked_head BLOB
) STRICT;
CREATE INDEX outbox_order ON outbox (conversation, place);
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, server INTEGER NOT NULL, anonymous INTEGER NOT NULL, body BLOB NOT NULL,
    due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_of_link ON jobs (server, anonymous, due_ms);
-- What is wrong with a conversation, and what was done about it. See heal/fault.rs.
CREATE TABLE faults (
    channel BLOB PRIMARY KEY, conversation BLOB NOT NULL, fault BLOB NOT NULL, since_ms INTEGER NOT NULL,
    requests INTEGER NOT NULL DEFAULT 0, next_ms INTEGER, chosen INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY, conversation BLOB NOT NULL, channel BLOB NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE heals (kind INTEGER PRIMARY KEY, count INTEGER NOT NULL) STRICT;
-- KeyPackages that this device asked for a fresh leaf with.
CREATE TABLE asked_keys (reference BLOB PRIMARY KEY, channel BLOB NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Others' requests for a fresh leaf, until they are answered, and the answers that this device gave.
CREATE TABLE readds (
    channel BLOB NOT NULL, device BLOB NOT NULL, reference BLOB NOT NULL, body BLOB NOT NULL, due_ms INTEGER NOT NULL,
    PRIMARY KEY (channel, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE readd_answers (
    channel BLOB NOT NULL, device BLOB NOT NULL, reference BLOB NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (channel, device, reference)
) STRICT, WITHOUT ROWID;
CREATE TABLE heal_nonces (nonce BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE heal_asks (device BLOB PRIMARY KEY, day INTEGER NOT NULL, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- A Welcome that answers a request, for when the log says that the old leaf is gone; or one into a successor, for when the
-- person has chosen.
CREATE TABLE kept_welcomes (channel BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
-- Contents as they stood in the log. body: absent once its author took it back. See heal/content.rs.
CREATE TABLE contents (
    channel BLOB NOT NULL, seq INTEGER NOT NULL, id BLOB NOT NULL UNIQUE, author TEXT NOT NULL, sent_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL, target BLOB, body BLOB, day INTEGER NOT NULL, PRIMARY KEY (channel, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX contents_by_target ON contents (target, channel, seq) WHERE target IS NOT NULL;
-- Channels that this device was in: how far it read them, and whose conversation they were.
CREATE TABLE ended_channels (
    channel BLOB PRIMARY KEY, conversation BLOB NOT NULL, epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- From when on an account is a member: what was said before is not for it.
CREATE TABLE joins (
    channel BLOB NOT NULL, address TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (channel, address)
) STRICT, WITHOUT ROWID;
-- Spans of a log that this device could not get or not read; their places in the timeline are reserved.
CREATE TABLE gaps (
    id INTEGER PRIMARY KEY AUTOINCREMENT, conversation BLOB NOT NULL, channel BLOB NOT NULL, from_seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL, position INTEGER NOT NULL, since_ms INTEGER NOT NULL, next_ms INTEGER,
    asks INTEGER NOT NULL DEFAULT 0, line BLOB, seen_to_end INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX gaps_of_channel ON gaps (channel, to_seq);
-- A conversation that this device is founding anew: what in place of, until when members are waited for, and what their
-- directories gave.
CREATE TABLE refounding (
    conversation BLOB PRIMARY KEY, predecessor BLOB NOT NULL, until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE refounding_members (
    conversation BLOB NOT NULL, address TEXT NOT NULL, fetched BLOB, PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap_answers (
    gap INTEGER NOT NULL, account TEXT NOT NULL, through_seq INTEGER NOT NULL, PRIMARY KEY (gap, account)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap_named (
    gap INTEGER NOT NULL, id BLOB NOT NULL, seq INTEGER NOT NULL, author TEXT NOT NULL, sent_ms INTEGER NOT NULL,
    words INTEGER NOT NULL, PRIMARY KEY (gap, id)
) STRICT, WITHOUT ROWID;
-- Links by which this person lets others ask to be added to a group: one a group.
CREATE TABLE group_links (
    conversation BLOB PRIMARY KEY, secret BLOB NOT NULL, expires_day INTEGER NOT NULL, registered INTEGER NOT NULL,
    uses INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Who asks to be added. approved: an admin at this device adds them.
CREATE TABLE join_requests (
    conversation BLOB NOT NULL, address TEXT NOT NULL, ask BLOB NOT NULL, at_ms INTEGER NOT NULL,
    approved INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
-- Groups that this person has asked to be added to.
CREATE TABLE joining (
    conversation BLOB PRIMARY KEY, link TEXT NOT NULL, nonce BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE welcomes (hash BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- Ciphertext of backups on its way out or in. See recovery/parts.rs.
CREATE TABLE backup_parts (
    slot INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (slot, part)
) STRICT;
-- How the account's backups stand, and the keys of a restore that was begun; one row each at most.
CREATE TABLE backups (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), body BLOB NOT NULL) STRICT;
CREATE TABLE restores (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), body BLOB NOT NULL) STRICT;
";

/// Several devices of one account: see `device/`.
const DEVICES: &str = "
-- This account's, this one among them. history_from_ms: the oldest message that it is given; absent: none. linked_by: who
-- gives it.
CREATE TABLE devices (
    device BLOB PRIMARY KEY, record BLOB NOT NULL, name TEXT NOT NULL, added_ms INTEGER NOT NULL, revoked_ms INTEGER,
    history_from_ms INTEGER, linked_by BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE device_links (
    secret BLOB PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE, expires_unix_s INTEGER NOT NULL, registered INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE device_requests (
    device BLOB PRIMARY KEY, secret BLOB NOT NULL, request BLOB NOT NULL, code TEXT NOT NULL, at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- On a device that is being linked itself, until everything has come.
CREATE TABLE linking (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), state INTEGER NOT NULL, link TEXT NOT NULL, server INTEGER NOT NULL,
    name TEXT NOT NULL, device BLOB NOT NULL, device_seed BLOB NOT NULL, inbox_private BLOB NOT NULL,
    inbox_public BLOB NOT NULL, delivery BLOB, code TEXT, words TEXT, has_ended INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0, next_try_ms INTEGER NOT NULL DEFAULT 0
) STRICT;
-- What is owed to other devices. No conversation: everything that devices keep alike. Places below `below` are not sent.
CREATE TABLE exports (
    place INTEGER PRIMARY KEY AUTOINCREMENT, device BLOB NOT NULL, conversation BLOB, channel BLOB,
    cut_seq INTEGER NOT NULL DEFAULT 0, base INTEGER, below INTEGER NOT NULL DEFAULT 9223372036854775807, job INTEGER
) STRICT;
-- Welcomes of somebody of whom one's own other devices have not told this one yet.
CREATE TABLE early_welcomes (
    place INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, welcome BLOB NOT NULL
) STRICT;
CREATE INDEX early_welcomes_of_address ON early_welcomes (address);
-- The channels of groups by what this account's other devices say, which this device was not in when it heard so.
CREATE TABLE named_channels (
    conversation BLOB NOT NULL, channel BLOB NOT NULL, PRIMARY KEY (conversation, channel)
) STRICT, WITHOUT ROWID;
-- Channels for which KeyPackages of this account's own devices are being fetched.
CREATE TABLE attending (channel BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
-- A device that is being revoked. refused: the home server has another key set, which is on its way to this device.
CREATE TABLE key_change (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), device BLOB NOT NULL, keys BLOB NOT NULL, refused TEXT
) STRICT;
-- What was changed here and not told the other devices, or is not in their log yet.
CREATE TABLE unsynced (
    item TEXT PRIMARY KEY, changed INTEGER NOT NULL DEFAULT 1, in_flight INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- Where the devices' log spoke of a thing last.
CREATE TABLE synced (item TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- How far the person has read and deleted on any device, whether or not it came here.
CREATE TABLE read_cursors (
    channel BLOB PRIMARY KEY, seen_seq INTEGER NOT NULL DEFAULT 0, cleared_seq INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- Edits, deletions and reactions to messages that this device has not got yet.
CREATE TABLE orphans (
    place INTEGER PRIMARY KEY AUTOINCREMENT, target BLOB NOT NULL, id BLOB NOT NULL, author TEXT NOT NULL,
    content BLOB NOT NULL, day INTEGER NOT NULL
) STRICT;
CREATE INDEX orphans_of_target ON orphans (target);
";

/// Tables whose changes the other devices are to hear of, whatever makes them, with the key's text. Of people's keys, which
/// every device sees for itself, only what the person has to look at, or has looked at.
const TOLD: [(&str, &str, &str); 7] = [
    ("contacts", "ROW.address", ""),
    ("contact_links", "hex(ROW.secret)", ""),
    ("devices", "hex(ROW.device)", ""),
    ("blocked", "ROW.address", ""),
    ("own_tokens", "ROW.whose", ""),
    ("people", "ROW.address || '/' || hex(ROW.root_key)", "OF attention "),
    ("settings", "ROW.only_row", ""),
];

/// The triggers behind `unsynced`.
fn triggers() -> String {
    let note = |key: &str| {
        format!("BEGIN INSERT INTO unsynced (item) VALUES ({key}) ON CONFLICT (item) DO UPDATE SET changed = 1; END;\n")
    };
    let mut sql = String::new();
    for (table, key, columns) in TOLD {
        let events: &[(&str, &str)] = match columns {
            "" => &[("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")],
            _ => &[("UPDATE", "NEW")],
        };
        for (event, row) in events {
            let key = format!("'{table}:' || {}", key.replace("ROW", row));
            sql.push_str(&format!("CREATE TRIGGER {table}_{event} AFTER {event} {columns}ON {table} {}", note(&key)));
        }
    }
    sql.push_str(&format!(
        "CREATE TRIGGER phrase_forgotten AFTER UPDATE OF phrase_entropy ON account
         WHEN NEW.phrase_entropy IS NULL AND OLD.phrase_entropy IS NOT NULL {}",
        note("'phrase:1'")
    ));
    let chat = note("'chats:' || hex(NEW.id)");
    sql.push_str(&format!(
        "CREATE TRIGGER chats_insert AFTER INSERT ON conversations WHEN NEW.kind <> 2 AND NEW.state <> 2 {chat}
         CREATE TRIGGER chats_update AFTER UPDATE ON conversations WHEN NEW.kind <> 2 AND NEW.state <> 2 AND
         (NEW.read_position > OLD.read_position OR NEW.hidden > OLD.hidden OR OLD.state = 2
         OR (NEW.kind = 1 AND OLD.channel IS NOT NULL AND NEW.channel IS NOT OLD.channel)
         OR (NEW.state IN (4, 5, 6) AND OLD.state NOT IN (4, 5, 6))) {chat}"
    ));
    sql
}

/// Gives an empty database its tables, and opens one that has them.
///
/// # Errors
/// [`EngineError::OlderDatabase`] and [`EngineError::NewerDatabase`], with nothing changed, or the database's own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), EngineError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 | VERSION => {}
        _ if found < VERSION => return Err(EngineError::OlderDatabase { found, known: VERSION }),
        _ => return Err(EngineError::NewerDatabase { found, known: VERSION }),
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What is deleted is overwritten: the phrase above all.
    connection.pragma_update(None, "secure_delete", true)?;
    aside_mls::migrate(connection)?;
    if found == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(DEVICES)?;
    transaction.execute_batch(&triggers())?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::path::Path;

    /// Whoever changes the tables meets this, and raises [`VERSION`] with it.
    #[test]
    fn the_tables_are_those_of_their_version() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        let mut statement = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        let sql: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let digest: String = Sha256::digest(sql.join("\n")).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((VERSION, digest.as_str()), (5, "4d900d3badd9520c"));
    }

    fn with_version(path: &Path, version: i64) {
        let mut db = Connection::open(path).unwrap();
        migrate(&mut db).unwrap();
        db.pragma_update(None, "user_version", version).unwrap();
    }

    #[test]
    fn profiles_of_other_versions_are_named_and_left_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.db");
        for (version, age, remedy) in
            [(VERSION - 1, "an older Aside", "another profile"), (VERSION + 1, "a newer Aside", "update this program")]
        {
            with_version(&path, version);
            let before = std::fs::read(&path).unwrap();
            let refused = migrate(&mut Connection::open(&path).unwrap()).unwrap_err().to_string();
            for words in [age, remedy, &format!("has version {version}, this program reads only {VERSION}")] {
                assert!(refused.contains(words), "{refused}");
            }
            assert_eq!(std::fs::read(&path).unwrap(), before);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn nothing_is_made_in_a_database_of_another_version() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        assert!(migrate(&mut db).is_err());
        let tables: i64 = db.query_row("SELECT COUNT(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}

//! The profile's tables. STRICT, so that an id bound as text where a blob is meant is an error and never "no row".

use crate::error::EngineError;
use rusqlite::Connection;

const VERSION: i64 = 1;

const V1: &str = "
CREATE TABLE settings (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), body BLOB NOT NULL) STRICT;
CREATE TABLE servers (
    id INTEGER PRIMARY KEY, pin BLOB NOT NULL UNIQUE
) STRICT;
-- One row once a join was begun. Seeds are here because the whole file is encrypted.
CREATE TABLE account (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    server INTEGER NOT NULL, name TEXT NOT NULL, invite BLOB NOT NULL,
    phrase_entropy BLOB, account_seed BLOB NOT NULL, device_seed BLOB NOT NULL,
    root_key BLOB NOT NULL, key_sets BLOB NOT NULL, record BLOB NOT NULL, inbox_private BLOB NOT NULL,
    registered INTEGER NOT NULL, refusal BLOB, inbox_seq INTEGER NOT NULL, last_resort_day INTEGER
) STRICT;
CREATE TABLE channel_tokens (token BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE contact_links (
    secret BLOB PRIMARY KEY, token_hash BLOB NOT NULL UNIQUE, expires_day INTEGER NOT NULL,
    registered INTEGER NOT NULL, used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- token, introduction: what lets us write to them. own_token: what lets them write to us.
CREATE TABLE contacts (
    address TEXT PRIMARY KEY, server INTEGER, root_key BLOB NOT NULL, key_sets BLOB NOT NULL,
    token BLOB NOT NULL, introduction BLOB, introduction_token BLOB, own_token BLOB,
    conversation BLOB NOT NULL, state INTEGER NOT NULL, failure TEXT, verified INTEGER NOT NULL
) STRICT;
CREATE TABLE conversations (
    id BLOB PRIMARY KEY, kind INTEGER NOT NULL, title TEXT NOT NULL, peer TEXT UNIQUE,
    channel BLOB, state INTEGER NOT NULL, paused TEXT, request BLOB, updated_ms INTEGER NOT NULL,
    -- hidden: the person deleted the chat; the next message brings it back.
    hidden INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT '', read_position INTEGER NOT NULL DEFAULT 0,
    listened_position INTEGER NOT NULL DEFAULT 0, next_position INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE members (
    conversation BLOB NOT NULL, address TEXT NOT NULL, admin INTEGER NOT NULL, PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
-- Who is still to be fetched before a conversation is founded.
CREATE TABLE founding (
    conversation BLOB NOT NULL, address TEXT NOT NULL, fetched BLOB, failure TEXT, PRIMARY KEY (conversation, address)
) STRICT, WITHOUT ROWID;
-- seq and head: how far this device has read. Changed only together with what reading changed.
CREATE TABLE channels (
    id BLOB PRIMARY KEY, conversation BLOB NOT NULL, server INTEGER NOT NULL, suite INTEGER NOT NULL,
    live INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, head BLOB NOT NULL,
    rotate_at_ms INTEGER, reported_day INTEGER NOT NULL DEFAULT 0,
    received_seq INTEGER NOT NULL DEFAULT 0, seen_seq INTEGER NOT NULL DEFAULT 0,
    receipted_seq INTEGER NOT NULL DEFAULT 0, receipted_seen_seq INTEGER NOT NULL DEFAULT 0,
    peer_received_seq INTEGER NOT NULL DEFAULT 0, peer_seen_seq INTEGER NOT NULL DEFAULT 0
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
    token BLOB NOT NULL, PRIMARY KEY (channel, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE pending_commits (
    channel BLOB PRIMARY KEY, append_id BLOB NOT NULL, entry BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE messages (
    id BLOB PRIMARY KEY, conversation BLOB NOT NULL, channel BLOB, seq INTEGER, position INTEGER NOT NULL,
    sender TEXT NOT NULL, own INTEGER NOT NULL, kind INTEGER NOT NULL, text TEXT NOT NULL, sent_ms INTEGER NOT NULL,
    reply_to BLOB, acknowledged INTEGER NOT NULL, failure TEXT,
    edited INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX timeline ON messages (conversation, position);
CREATE TABLE reactions (
    message BLOB NOT NULL, sender TEXT NOT NULL, emoji TEXT NOT NULL, id BLOB NOT NULL UNIQUE,
    PRIMARY KEY (message, sender, emoji)
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
CREATE TABLE welcomes (hash BLOB PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
";

/// Brings a database to this program's version.
///
/// # Errors
/// [`EngineError::NewerDatabase`], or the database's own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), EngineError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    aside_mls::migrate(connection)?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => {
            let transaction = connection.transaction()?;
            transaction.execute_batch(V1)?;
            transaction.commit()?;
            Ok(())
        }
        VERSION => Ok(()),
        _ => Err(EngineError::NewerDatabase { found, known: VERSION }),
    }
}

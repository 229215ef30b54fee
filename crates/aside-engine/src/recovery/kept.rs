//! Which rows a backup holds, and in what order their fields stand (P-10.3). Kinds and fields are only ever appended.
//!
//! Whatever stands in no list here is not in a backup: MLS state and device keys above all, which must never come back.

use super::fault::BackupFault;
use crate::context::Context;
use crate::error::EngineError;
use crate::input::ServerId;
use minicbor::{Decoder, Encoder, data::Type};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;

/// One kind of row.
pub(super) struct Kind {
    /// On the wire.
    pub number: u32,
    /// In the database.
    pub table: &'static str,
    /// Its fields, in their order. One named `server` is a place among the servers.
    pub fields: &'static [&'static str],
    /// Which rows.
    pub filter: &'static str,
    /// In which order: one that is the same on every device.
    pub order: &'static str,
}

/// A stranger's conversation that nobody accepted holds a Welcome that only the lost device could open; and the devices'
/// own channel is of the devices that were lost.
const KEPT_CONVERSATION: &str = "conversation IN (SELECT id FROM conversations WHERE state <> 2 AND kind <> 2)";

/// All kinds, in the order in which they are written. Servers come first: others refer to them.
pub(super) const KINDS: &[Kind] = &[
    Kind { number: 16, table: "servers", fields: &["id", "pin"], filter: "1", order: "id" },
    Kind { number: 17, table: "settings", fields: &["only_row", "body"], filter: "1", order: "only_row" },
    Kind {
        number: 18,
        table: "contacts",
        fields: &[
            "address",
            "server",
            "root_key",
            "by_name",
            "token",
            "introduction",
            "introduction_token",
            "conversation",
            "state",
            "failure",
            "verified",
            "name",
            "other",
        ],
        filter: "state <> 3",
        order: "address",
    },
    Kind {
        number: 19,
        table: "contact_links",
        fields: &["secret", "token_hash", "expires_day", "registered", "used", "made_ms"],
        filter: "1",
        order: "secret",
    },
    Kind {
        number: 20,
        table: "conversations",
        fields: &[
            "id",
            "kind",
            "title",
            "peer",
            "channel",
            "state",
            "updated_ms",
            "hidden",
            "draft",
            "read_position",
            "listened_position",
            "next_position",
            "picture",
            "picture_name",
            "paused",
        ],
        filter: "state <> 2 AND kind <> 2",
        order: "id",
    },
    Kind {
        number: 21,
        table: "members",
        fields: &["conversation", "address", "admin", "standing", "devices"],
        filter: KEPT_CONVERSATION,
        order: "conversation, address",
    },
    Kind {
        number: 22,
        table: "channels",
        fields: &[
            "id",
            "conversation",
            "server",
            "suite",
            "live",
            "epoch",
            "seq",
            "head",
            "received_seq",
            "seen_seq",
            "receipted_seq",
            "receipted_seen_seq",
            "peer_received_seq",
            "peer_seen_seq",
            "predecessor",
            "successor",
        ],
        filter: KEPT_CONVERSATION,
        order: "id",
    },
    Kind {
        number: 23,
        table: "roster",
        fields: &["channel", "address", "device", "server", "inbox_key", "token", "record"],
        filter: "1",
        order: "channel, device",
    },
    Kind {
        number: 24,
        table: "messages",
        fields: &[
            "id",
            "conversation",
            "channel",
            "seq",
            "position",
            "sender",
            "own",
            "kind",
            "text",
            "sent_ms",
            "reply_to",
            "acknowledged",
            "failure",
            "edited",
            "deleted",
        ],
        filter: KEPT_CONVERSATION,
        order: "conversation, position, id",
    },
    Kind {
        number: 25,
        table: "reactions",
        fields: &["message", "sender", "emoji", "id"],
        filter: "1",
        order: "message, sender, emoji",
    },
    Kind {
        number: 26,
        table: "people",
        fields: &["address", "root_key", "key_sets", "attention"],
        filter: "1",
        order: "address, root_key",
    },
    Kind {
        number: 27,
        table: "people_devices",
        fields: &["address", "root_key", "device"],
        filter: "1",
        order: "address, root_key, device",
    },
    Kind { number: 28, table: "blocked", fields: &["address", "since_ms"], filter: "1", order: "address" },
    Kind {
        number: 30,
        table: "group_links",
        fields: &["conversation", "secret", "expires_day", "registered", "uses"],
        filter: KEPT_CONVERSATION,
        order: "conversation",
    },
    Kind { number: 31, table: "findable", fields: &["only_row", "token"], filter: "1", order: "only_row" },
    Kind {
        number: 32,
        table: "read_cursors",
        fields: &["channel", "seen_seq", "cleared_seq"],
        filter: "1",
        order: "channel",
    },
    Kind { number: 29, table: "own_tokens", fields: &["whose", "token"], filter: "1", order: "whose" },
];

/// Gives every row that is kept to `take`, encoded, with its kind.
///
/// # Errors
/// The database's, or what `take` gives.
pub(super) fn each_row(
    db: &Connection,
    mut take: impl FnMut(&Kind, &[u8]) -> Result<(), BackupFault>,
) -> Result<(), BackupFault> {
    for kind in KINDS {
        let Kind { table, filter, order, .. } = kind;
        let fields = kind.fields.join(", ");
        let mut statement = db.prepare(&format!("SELECT {fields} FROM {table} WHERE {filter} ORDER BY {order}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut bytes = Vec::new();
            encode_row(kind, row, &mut bytes)?;
            take(kind, &bytes)?;
        }
    }
    Ok(())
}

fn encode_row(kind: &Kind, row: &rusqlite::Row<'_>, bytes: &mut Vec<u8>) -> Result<(), BackupFault> {
    let never = |_: minicbor::encode::Error<std::convert::Infallible>| EngineError::Damaged { what: "row" };
    let mut encoder = Encoder::new(bytes);
    encoder.array(2).and_then(|e| e.u32(kind.number)).and_then(|e| e.array(kind.fields.len() as u64)).map_err(never)?;
    for index in 0..kind.fields.len() {
        match row.get_ref(index)? {
            ValueRef::Null => encoder.null(),
            ValueRef::Integer(number) => encoder.i64(number),
            ValueRef::Blob(bytes) => encoder.bytes(bytes),
            ValueRef::Text(text) => encoder.str(std::str::from_utf8(text).map_err(|_| BackupFault::Damaged)?),
            ValueRef::Real(_) => return Err(EngineError::Damaged { what: "row" }.into()),
        }
        .map_err(never)?;
    }
    Ok(())
}

/// The fields of an encoded row, behind its kind. Fields of a later version are left out.
pub(super) fn decode_row(kind: &Kind, decoder: &mut Decoder<'_>) -> Result<Vec<Value>, BackupFault> {
    let count = decoder.array()?.ok_or(BackupFault::Damaged)?;
    let mut values = Vec::new();
    for index in 0..count {
        if values.len() == kind.fields.len() && index > 0 {
            decoder.skip()?;
            continue;
        }
        values.push(match decoder.datatype()? {
            Type::Null => decoder.null().map(|()| Value::Null)?,
            Type::Bytes => Value::Blob(decoder.bytes()?.to_vec()),
            Type::String => Value::Text(decoder.str()?.to_owned()),
            _ => Value::Integer(decoder.i64()?),
        });
    }
    Ok(values)
}

/// Writes rows of a backup down. What is there already stays as it is.
#[derive(Default)]
pub(super) struct Importer {
    /// A server's place in the backup, and here.
    servers: BTreeMap<i64, ServerId>,
}

impl Importer {
    /// Takes one row.
    ///
    /// # Errors
    /// [`BackupFault::Damaged`] for a row that refers to nothing; the database's.
    pub fn take(&mut self, context: &mut Context<'_>, kind: &Kind, mut values: Vec<Value>) -> Result<(), BackupFault> {
        if kind.table == "servers" {
            let [Value::Integer(place), Value::Blob(pin), ..] = values.as_slice() else {
                return Err(BackupFault::Damaged);
            };
            let pin = minicbor::decode(pin)?;
            self.servers.insert(*place, crate::server::remember(context, &pin)?);
            return Ok(());
        }
        for (field, value) in kind.fields.iter().zip(&mut values) {
            if let ("server", Value::Integer(place)) = (*field, &mut *value) {
                *place = self.servers.get(place).ok_or(BackupFault::Damaged)?.0;
            }
        }
        let fields = kind.fields.get(..values.len()).ok_or(BackupFault::Damaged)?;
        let places = vec!["?"; fields.len()].join(", ");
        let sql = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({places})", kind.table, fields.join(", "));
        context.db.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What a backup leaves out on purpose: keys of the device, MLS's own tables, and what is under way.
    const LEFT_OUT: &[&str] = &[
        "account",
        "attending",
        "asked_keys",
        "unheard",
        "device_links",
        "device_requests",
        "devices",
        "contents",
        "exports",
        "early_welcomes",
        "named_channels",
        "ended_channels",
        "evidence",
        "faults",
        "gap_answers",
        "gap_named",
        "gaps",
        "heal_asks",
        "heal_nonces",
        "heals",
        "join_requests",
        "joining",
        "key_change",
        "joins",
        "linking",
        "kept_welcomes",
        "readd_answers",
        "readds",
        "refounding",
        "refounding_members",
        "backup_parts",
        "backups",
        "chain",
        "channel_tokens",
        "epochs",
        "founding",
        "orphans",
        "intents",
        "jobs",
        "outbox",
        "pending_commits",
        "restores",
        "synced",
        "unsynced",
        "taken",
        "welcomes",
    ];
    /// Columns of kept tables that a backup leaves out: what is under way, and what the restored device makes anew.
    const LEFT_OUT_COLUMNS: &[&str] = &["conversations.request", "channels.rotate_at_ms", "channels.reported_day"];

    #[test]
    fn every_table_and_column_is_kept_or_left_out_on_purpose() {
        let mut db = Connection::open_in_memory().unwrap();
        crate::schema::migrate(&mut db).unwrap();
        let names = |sql: &str| -> BTreeSet<String> {
            db.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let mut group_state = Connection::open_in_memory().unwrap();
        aside_mls::migrate(&mut group_state).unwrap();
        let mut tables = names("SELECT name FROM sqlite_schema WHERE type = 'table'");
        let mut statement = group_state.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
        for table in statement.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            tables.remove(&table.unwrap());
        }
        tables.remove("sqlite_sequence");
        let kept: BTreeSet<String> = KINDS.iter().map(|kind| kind.table.to_owned()).collect();
        let decided = kept.iter().cloned().chain(LEFT_OUT.iter().map(|table| (*table).to_owned())).collect();
        let undecided: Vec<_> = tables.symmetric_difference(&decided).collect();
        assert!(undecided.is_empty(), "say in recovery/kept.rs whether a backup holds {undecided:?}");
        for kind in KINDS {
            for column in names(&format!("SELECT name FROM pragma_table_info('{}')", kind.table)) {
                let is_decided = kind.fields.contains(&column.as_str())
                    || LEFT_OUT_COLUMNS.contains(&format!("{}.{column}", kind.table).as_str());
                assert!(is_decided, "say in recovery/kept.rs whether a backup holds {}.{column}", kind.table);
            }
        }
    }

    #[test]
    fn no_table_of_the_group_state_is_kept() {
        assert!(KINDS.iter().all(|kind| !kind.table.contains("mls") && kind.table != "epochs"));
        let all: Vec<_> = KINDS.iter().flat_map(|kind| kind.fields).collect();
        assert!(all.iter().all(|field| !field.contains("seed") && !field.contains("private")));
    }
}

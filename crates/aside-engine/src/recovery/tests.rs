//! What a backup holds comes back as it was, and nothing but a whole and unchanged one comes back at all.

use super::fault::BackupFault;
use super::kept::KINDS;
use super::parts::{PartsReader, PartsWriter, Slot};
use super::phrase::{BackupKey, Entropy};
use super::snapshot::{self, Counts, Header};
use super::{parts, seal};
use crate::context::Context;
use crate::input::Now;
use aside_protocol::key::PublicKey;
use aside_protocol::limit::BACKUP_PART_BYTES_MAX;
use aside_protocol::link::{ServerPin, TlsTrust};
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;
use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use std::io::Write;

fn database() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    crate::schema::migrate(&mut db).unwrap();
    db
}

fn pin(port: u16) -> ServerPin {
    let address = format!("a.example:{port}").parse().unwrap();
    ServerPin { address, identity_key: PublicKey([port as u8; 32]), tls: TlsTrust::Pinned }
}

fn header(major: u32) -> Header {
    Header {
        major,
        minor: 7,
        generation: 5,
        made_ms: 5,
        address: "alice@a.example:1".parse().unwrap(),
        root_key: PublicKey([1; 32]),
        server: pin(1),
        key_sets: Vec::new(),
    }
}

fn key(byte: u8) -> BackupKey {
    Entropy::new([byte; 32]).backup_key().unwrap()
}

/// Fills a table with rows that the engine could have written, as far as their types go.
fn fill(db: &Connection, rows: &[(usize, i64, String)]) {
    for (port, _) in (1..=3).zip(rows) {
        db.execute(
            "INSERT INTO servers (id, pin) VALUES (?, ?)",
            params![port * 10, crate::context::to_store(&pin(port))],
        )
        .unwrap();
    }
    for (index, (kind, number, text)) in rows.iter().enumerate() {
        let kind = &KINDS[1 + kind % (KINDS.len() - 1)];
        let columns = |column: &str| -> Value {
            let sql = format!("SELECT type FROM pragma_table_info('{}') WHERE name = ?", kind.table);
            let of_type: String = db.query_row(&sql, [column], |row| row.get(0)).unwrap();
            match (column, of_type.as_str()) {
                ("only_row", _) => Value::Integer(1),
                ("server", _) => Value::Integer(10),
                ("state", _) => Value::Integer(1),
                (_, "INTEGER") => Value::Integer(*number),
                (_, "TEXT") => Value::Text(format!("{text}{index}")),
                _ => Value::Blob([index.to_be_bytes().as_slice(), text.as_bytes()].concat()),
            }
        };
        let values: Vec<_> = kind.fields.iter().map(|field| columns(field)).collect();
        let places = vec!["?"; values.len()].join(", ");
        let sql = format!("INSERT OR IGNORE INTO {} ({}) VALUES ({places})", kind.table, kind.fields.join(", "));
        db.execute(&sql, params_from_iter(values)).unwrap();
    }
    // Rows that belong to a conversation are only kept with it.
    for table in ["members", "channels", "messages"] {
        db.execute(
            &format!(
                "INSERT OR IGNORE INTO conversations (id, kind, title, state, updated_ms)
                 SELECT conversation, 1, '', 1, 0 FROM {table}"
            ),
            [],
        )
        .unwrap();
    }
}

fn written(db: &Connection) -> (Vec<u8>, Counts) {
    let mut bytes = Vec::new();
    let counts = snapshot::write(db, &header(snapshot::MAJOR), &mut bytes).unwrap();
    (bytes, counts)
}

fn import(db: &Connection, mut bytes: &[u8]) -> Result<(), BackupFault> {
    let mut randomness = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut context = Context::new(db, Now { unix_ms: 1 }, &mut randomness, crate::Defects::default());
    snapshot::import(&mut context, &mut bytes).map(drop)
}

fn rows() -> impl Strategy<Value = Vec<(usize, i64, String)>> {
    prop::collection::vec((0_usize..32, 0_i64..1_000_000, "[a-zA-Zäß€ ]{0,40}"), 3..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_comes_back_and_twice_is_the_same_as_once(rows in rows()) {
        let first = database();
        fill(&first, &rows);
        let (bytes, counts) = written(&first);
        prop_assert!(counts.values().sum::<u64>() >= 3);
        prop_assert_eq!(written(&first).0, bytes.clone(), "the same rows give the same bytes");
        let second = database();
        import(&second, &bytes).unwrap();
        import(&second, &bytes).unwrap();
        // Servers are counted anew on each device; everything else is as it was.
        second.execute_batch("UPDATE servers SET id = -id; UPDATE servers SET id = -id * 10").unwrap();
        for table in ["contacts", "channels", "roster"] {
            second.execute(&format!("UPDATE {table} SET server = server * 10"), []).unwrap();
        }
        prop_assert_eq!(written(&second), (bytes, counts));
    }

    #[test]
    fn a_backup_that_was_cut_off_anywhere_is_refused(cut in 0_usize..65_536) {
        let db = database();
        fill(&db, &[(0, 1, "a".into()), (9, 2, "b".into()), (8, 3, "c".into())]);
        let (bytes, _) = written(&db);
        let refused = snapshot::check(&mut &bytes[..cut.min(bytes.len() - 1)]);
        // Padding may be cut without harm here; below the encryption nothing may.
        if let Ok(found) = refused {
            prop_assert!(bytes[cut..].iter().all(|byte| *byte == 0));
            prop_assert_eq!(found.header, header(snapshot::MAJOR));
        }
    }
}

fn sealed(db: &Connection, content: &[u8]) -> u32 {
    let mut out = seal::seal(&key(1), PartsWriter::new(db, Slot::ToFile).unwrap()).unwrap();
    out.write_all(content).unwrap();
    out.finish().unwrap().finish().unwrap();
    parts::size(db, Slot::ToFile).unwrap().0
}

fn opened(db: &Connection, with: u8) -> Result<Vec<u8>, BackupFault> {
    let mut content = Vec::new();
    let mut reader = seal::open(&key(with), PartsReader::new(db, Slot::ToFile))?;
    std::io::Read::read_to_end(&mut reader, &mut content)?;
    Ok(content)
}

#[test]
fn a_large_backup_goes_through_parts_and_comes_back() {
    let db = database();
    let content: Vec<u8> = (0..3 * BACKUP_PART_BYTES_MAX + 17).map(|i| (i % 251) as u8).collect();
    assert_eq!(sealed(&db, &content), 4);
    assert!(opened(&db, 1).unwrap() == content);
}

#[test]
fn other_words_a_changed_bit_a_missing_part_or_end_are_refused() {
    let db = database();
    let parts = sealed(&db, &vec![7; 2 * BACKUP_PART_BYTES_MAX]);
    assert!(matches!(opened(&db, 2), Err(BackupFault::OtherWords)));
    for part in 0..parts {
        let whole = parts::get(&db, Slot::ToFile, part).unwrap().unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [changed, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            parts::put(&db, Slot::ToFile, part, &damaged).unwrap();
            assert!(matches!(opened(&db, 1), Err(BackupFault::Damaged)), "part {part}");
        }
        parts::put(&db, Slot::ToFile, part, &whole).unwrap();
    }
    assert!(opened(&db, 1).is_ok());
}

#[test]
fn fields_and_kinds_of_a_later_version_are_skipped_and_a_newer_major_version_is_refused_in_words() {
    let mut bytes = Vec::new();
    let mut record = |body: Vec<u8>| {
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
    };
    record(minicbor::to_vec((0_u32, header(snapshot::MAJOR))).unwrap());
    record(
        minicbor::to_vec((16_u32, (1_i64, minicbor::bytes::ByteVec::from(crate::context::to_store(&pin(1))), "more")))
            .unwrap(),
    );
    record(minicbor::to_vec((99_u32, ("what a later version keeps", 1_u8))).unwrap());
    record(minicbor::to_vec((1_u32, (Counts::from([(16, 1), (99, 1)]),))).unwrap());
    bytes.extend_from_slice(&[0; 64]);
    let db = database();
    import(&db, &bytes).unwrap();
    assert_eq!(crate::server::all(&db).unwrap().len(), 1);

    let mut newer = Vec::new();
    snapshot::write(&db, &header(snapshot::MAJOR + 1), &mut newer).unwrap();
    let refused = import(&database(), &newer).unwrap_err();
    assert!(refused.to_string().contains("newer Aside"), "{refused}");
}

#[test]
fn small_backups_all_have_the_same_size() {
    let db = database();
    let (empty, _) = written(&db);
    fill(&db, &[(0, 1, "a".into()), (9, 2, "b".into()), (8, 3, "c".into())]);
    assert_eq!(written(&db).0.len(), empty.len());
}

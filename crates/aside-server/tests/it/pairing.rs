//! Whoever is given the server's disk cannot pair accounts with channels.
//!
//! Forty people register in random order, on one day, each with a backup and a report; twenty of them make a channel and
//! a blob right after they registered, write, and invite somebody. An analyst then takes every file and every table, puts the accounts in every order that it
//! finds (columns, counts, sizes, places in the file and in the write-ahead log), the channels likewise, and looks
//! whether any order of the ones goes with any order of the others. Days are known to tell (the threat model says so);
//! everything else must not. Leaky stores show that the analyst would see it.

use crate::support::*;
use aside_protocol::blob::BlobCapability;
use aside_protocol::channel::Purpose;
use aside_protocol::frame::account::{BackupPart, KeyPackages, Request};
use aside_protocol::frame::anonymous::{self, Delivery, NewBlob};
use aside_protocol::id::{ChannelId, DeliveryId, ReportId};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::report::AbuseReport;
use aside_server::core::ConnectionKind;
use aside_server::store::sqlite::{ACCOUNTS_FILE, BACKUPS_FILE, CHANNELS_FILE, SqliteStore};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use rusqlite::types::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

const PEOPLE: usize = 40;
const CHANNELS: usize = 20;
const SEEDS: u64 = 6;
/// A rank correlation over so many pairs that chance does not reach: 0.23 / √6 is its spread, and this five of them.
const CHANCE_MAX: f64 = 0.47;

struct Account {
    person: Person,
    /// Byte strings that stand on the disk for this account, by what they are.
    traces: BTreeMap<String, Vec<u8>>,
}

struct Channel {
    id: ChannelId,
    founder: usize,
    traces: BTreeMap<String, Vec<u8>>,
}

/// A run of the server, and what really happened.
struct Story {
    world: World<SqliteStore>,
    upkeep: Upkeep,
    accounts: Vec<Account>,
    channels: Vec<Channel>,
}

fn random<const N: usize>(rng: &mut ChaCha20Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn below(rng: &mut ChaCha20Rng, n: usize) -> usize {
    rng.next_u32() as usize % n
}

/// Whether the store gets its ticks.
#[derive(Clone, Copy, PartialEq)]
enum Upkeep {
    Done,
    Omitted,
}

fn tell(dir: &Path, seed: u64, upkeep: Upkeep) -> Story {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let world = World::new(SqliteStore::open(dir).unwrap());
    let mut story = Story { world, upkeep, accounts: Vec::new(), channels: Vec::new() };
    for n in 0..PEOPLE {
        story.register(&mut rng, n);
        // Half of the people begin a conversation at once.
        if n % 2 == 1 {
            story.found(&mut rng, n);
        }
        story.pass(n);
    }
    // What happens later does not depend on who came first. In life it does a little: old accounts were invited more
    // often and old channels are longer, and both can be counted.
    let mut order: Vec<usize> = (0..CHANNELS).collect();
    for n in (1..CHANNELS).rev() {
        order.swap(n, below(&mut rng, n + 1));
    }
    for (n, channel) in order.into_iter().enumerate() {
        story.invite(&mut rng, channel);
        (0..3).for_each(|_| story.write(&mut rng));
        story.pass(n);
    }
    story
}

fn token(n: usize) -> DeliveryToken {
    DeliveryToken([n as u8 + 1; 32])
}

impl Story {
    fn register(&mut self, rng: &mut ChaCha20Rng, n: usize) {
        let name: String = random::<8>(rng).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
        let mut person = Person::new(&name, SERVER, n as u8 + 1);
        person.device.0 = random(rng);
        let c = self.world.register(&person, n as u8 + 1);
        let packages: Vec<Vec<u8>> = (0..6).map(|_| [random::<32>(rng).to_vec(), vec![7; 2_700]].concat()).collect();
        let once = packages.iter().map(|package| package.clone().into()).collect();
        let publish = KeyPackages {
            once,
            key_set: 0,
            last_resort: Some([random::<32>(rng).to_vec(), vec![8; 2_700]].concat().into()),
        };
        self.world.account(c, Request::PublishKeyPackages(publish)).unwrap();
        let put = Request::PutDeliveryToken { token: token(n).hash(), expires_day: None };
        self.world.account(c, put).unwrap();
        self.world.account(c, Request::DrawChannelTokens { count: 64 }).unwrap();
        let backup = random::<3_000>(rng).to_vec();
        let part = BackupPart { generation: 1, part: 0, parts: 1, bytes: backup.clone() };
        self.world.account(c, Request::PutBackup(part)).unwrap();
        let (id, findable) = (ReportId(random(rng)), DeliveryToken(random(rng)));
        let about = "somebody@else.example".parse().unwrap();
        let report = AbuseReport { id, about, note: "look".to_owned(), messages: Vec::new() };
        self.world.account(c, Request::Report(report)).unwrap();
        self.world.account(c, Request::SetFindable { token: Some(findable) }).unwrap();
        let traces = BTreeMap::from([
            ("root key".to_owned(), person.root.public_key().0.to_vec()),
            ("device key".to_owned(), person.device_key.public_key().0.to_vec()),
            ("device id".to_owned(), person.device.0.to_vec()),
            ("name".to_owned(), name.into_bytes()),
            ("key package".to_owned(), packages[0][..32].to_vec()),
            ("delivery token".to_owned(), token(n).hash().0.to_vec()),
            ("backup".to_owned(), backup[..32].to_vec()),
            ("report".to_owned(), id.0.to_vec()),
            ("findable".to_owned(), findable.0.to_vec()),
        ]);
        self.accounts.push(Account { person, traces });
    }

    /// A new channel with a message in it, and a blob that belongs to it.
    fn found(&mut self, rng: &mut ChaCha20Rng, founder: usize) {
        let w = &mut self.world;
        let c = w.connect(ConnectionKind::Anonymous);
        let id = ChannelId(random(rng));
        let keys = epoch_keys(&id, 1);
        let token_of_channel = w.channel_token(100 + self.channels.len() as u8);
        let create = anonymous::Request::CreateChannel { channel: id, token: token_of_channel, epoch: 1, keys };
        w.anonymous(c, create).unwrap();
        let (blob, bytes) = (BlobCapability(random(rng)).id(), random::<20_000>(rng).to_vec());
        let (token, expires_day) = (w.channel_token(200 + self.channels.len() as u8), TODAY + 30);
        let new = NewBlob { token, blob, expires_day, bytes: bytes.clone() };
        w.anonymous(c, anonymous::Request::PutBlob(new)).unwrap();
        let m = w.member(&id, 1);
        let mut entry = message(1, 1, &random::<60>(rng));
        entry.header.append_id.0 = random(rng);
        let traces = BTreeMap::from([
            ("channel id".to_owned(), id.0.to_vec()),
            ("read key".to_owned(), keys.read.0.to_vec()),
            ("append id".to_owned(), entry.header.append_id.0.to_vec()),
            ("body".to_owned(), entry.body[..32].to_vec()),
            ("blob id".to_owned(), blob.0.to_vec()),
            ("blob".to_owned(), bytes[..32].to_vec()),
        ]);
        w.append(m, id, vec![entry]).unwrap();
        self.channels.push(Channel { id, founder, traces });
    }

    /// The commit that adds somebody, and their Welcome.
    fn invite(&mut self, rng: &mut ChaCha20Rng, channel: usize) {
        let (w, id) = (&mut self.world, self.channels[channel].id);
        let guest = below(rng, self.accounts.len());
        let account = self.accounts[guest].person.name();
        let m = w.member(&id, 1);
        let fetch = anonymous::Request::FetchKeyPackages { account: account.clone(), token: token(guest) };
        w.anonymous(m, fetch).unwrap();
        let mut adds = commit(&id, 1, 2);
        adds.header.append_id.0 = random(rng);
        w.commit(m, id, adds).unwrap();
        let (device, envelope) = (self.accounts[guest].person.device, random::<900>(rng).to_vec());
        let delivery = Delivery { id: DeliveryId(random(rng)), account, device, token: token(guest), envelope };
        w.anonymous(m, anonymous::Request::Deliver(delivery)).unwrap();
    }

    /// Time goes on.
    fn pass(&mut self, n: usize) {
        self.world.now.unix_ms += 700;
        if n.is_multiple_of(7) && self.upkeep == Upkeep::Done {
            self.world.tick();
        }
    }

    /// A message in some channel, by whoever is in its current epoch.
    fn write(&mut self, rng: &mut ChaCha20Rng) {
        let channel = self.channels[below(rng, self.channels.len())].id;
        let m = self.world.connect(ConnectionKind::Anonymous);
        let epoch =
            if self.world.anonymous(m, proof(&channel, 2, Purpose::Append, &binding(m))).is_ok() { 2 } else { 1 };
        self.world.prove(m, &channel, epoch, Purpose::Append);
        let length = 50 + below(rng, 400);
        let mut entry = message(epoch, 1, &vec![rng.next_u32() as u8; length]);
        entry.header.append_id.0 = random(rng);
        self.world.append(m, channel, vec![entry]).unwrap();
    }
}

/// An order of accounts or of channels: a number for each of them, where there is one.
type Orders = BTreeMap<String, Vec<Option<f64>>>;

/// Where each trace stands in each file: the first and the last place.
fn places(dir: &Path, traces: &[&BTreeMap<String, Vec<u8>>], orders: &mut Orders) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut by_beginning = HashMap::new();
    for (owner, trace) in traces.iter().enumerate() {
        for (what, bytes) in *trace {
            by_beginning.insert(&bytes[..8], (owner, what, bytes));
        }
    }
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let file = file.file_name().unwrap().to_string_lossy().into_owned();
        let mut found = BTreeMap::new();
        for (place, window) in bytes.windows(8).enumerate() {
            let Some((owner, what, trace)) = by_beginning.get(window) else { continue };
            if bytes[place..].starts_with(trace) {
                let ends = found.entry((*what, *owner)).or_insert((place, place));
                ends.1 = place;
            }
        }
        for what in traces[0].keys() {
            let of = |pick: fn(&(usize, usize)) -> usize| {
                (0..traces.len()).map(|owner| found.get(&(what, owner)).map(|ends| pick(ends) as f64)).collect()
            };
            orders.insert(format!("first {what} in {file}"), of(|ends| ends.0));
            orders.insert(format!("last {what} in {file}"), of(|ends| ends.1));
        }
    }
}

/// Whose a row is, by its table and its columns.
type OwnerOf<'a> = &'a dyn Fn(&str, &[(String, Value)]) -> Option<usize>;

/// Every column of every table: count, least, greatest and sum for each owner, and the place of its first row.
fn columns(database: &Path, owner_of: OwnerOf<'_>, owners: usize, orders: &mut Orders) {
    let db = rusqlite::Connection::open(database).unwrap();
    let mut tables =
        db.prepare("SELECT name, sql LIKE '%WITHOUT ROWID' FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<(String, bool)> =
        tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    for (table, without_rowid) in tables {
        let rowid = if without_rowid { "" } else { ", rowid AS row_id" };
        let mut statement = db.prepare(&format!("SELECT *{rowid} FROM {table}")).unwrap();
        let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = statement.query([]).unwrap();
        let mut seen: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
        let mut place = 0.0;
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<(String, Value)> =
                names.iter().enumerate().map(|(i, name)| (name.clone(), row.get(i).unwrap())).collect();
            place += 1.0;
            let Some(owner) = owner_of(&table, &values) else { continue };
            let mut note = |what: String, number: f64, join: fn(f64, f64) -> f64| {
                let slot = &mut seen.entry(what).or_insert_with(|| vec![None; owners])[owner];
                *slot = Some(slot.map_or(number, |before| join(before, number)));
            };
            note(format!("{table}: place"), place, f64::min);
            note(format!("{table}: rows"), 1.0, |a, b| a + b);
            for (name, value) in &values {
                let number = match value {
                    Value::Integer(number) => *number as f64,
                    Value::Blob(bytes) => bytes.len() as f64,
                    Value::Real(number) => *number,
                    Value::Text(text) => text.len() as f64,
                    Value::Null => continue,
                };
                note(format!("{table}.{name}: least"), number, f64::min);
                note(format!("{table}.{name}: greatest"), number, f64::max);
                note(format!("{table}.{name}: sum"), number, |a, b| a + b);
            }
        }
        orders.extend(seen);
    }
}

fn ranks(numbers: &[f64]) -> Vec<f64> {
    let rank = |number: &f64| {
        let less = numbers.iter().filter(|other| *other < number).count();
        let same = numbers.iter().filter(|other| *other == number).count();
        less as f64 + (same as f64 - 1.0) / 2.0
    };
    numbers.iter().map(rank).collect()
}

/// Spearman's rank correlation; absent where one side says nothing.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < CHANNELS / 2 {
        return None;
    }
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let (a, b) = (ranks(&a), ranks(&b));
    let mean = (pairs.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

/// The analyst: every order of accounts against every order of channels.
fn analyse(dir: &Path, accounts: &[Account], channels: &[Channel]) -> BTreeMap<(String, String), f64> {
    let (mut of_accounts, mut of_channels) = (Orders::new(), Orders::new());
    places(dir, &accounts.iter().map(|a| &a.traces).collect::<Vec<_>>(), &mut of_accounts);
    places(dir, &channels.iter().map(|c| &c.traces).collect::<Vec<_>>(), &mut of_channels);
    let names: Vec<Vec<u8>> = accounts.iter().map(|a| a.traces["name"].clone()).collect();
    let account_of = |_: &str, row: &[(String, Value)]| {
        let column = row.iter().find(|(column, _)| column == "name" || column == "reporter")?;
        let Value::Text(name) = &column.1 else { return None };
        names.iter().position(|n| n == name.as_bytes())
    };
    columns(&dir.join(ACCOUNTS_FILE), &account_of, accounts.len(), &mut of_accounts);
    columns(&dir.join(BACKUPS_FILE), &account_of, accounts.len(), &mut of_accounts);
    let db = rusqlite::Connection::open(dir.join(CHANNELS_FILE)).unwrap();
    let mut numbers = BTreeMap::new();
    for (n, channel) in channels.iter().enumerate() {
        let sql = "SELECT number FROM channels WHERE channel = ?1";
        let number: i64 = db.query_row(sql, [&channel.id.0[..]], |row| row.get(0)).unwrap();
        numbers.insert(number, n);
    }
    drop(db);
    let channel_of = |table: &str, row: &[(String, Value)]| {
        if table == "blobs" {
            let Value::Blob(blob) = &row.iter().find(|(name, _)| name == "blob")?.1 else { return None };
            return channels.iter().position(|channel| channel.traces["blob id"] == *blob);
        }
        let column = if table == "entries" { "id" } else { "number" };
        let Value::Integer(number) = row.iter().find(|(name, _)| name == column)?.1 else { return None };
        numbers.get(&if table == "entries" { number >> 32 } else { number }).copied()
    };
    columns(&dir.join(CHANNELS_FILE), &channel_of, channels.len(), &mut of_channels);
    assert!(of_accounts.len() > 60 && of_channels.len() > 40, "the analyst sees hardly anything");
    let mut found = BTreeMap::new();
    for (account_order, account_numbers) in &of_accounts {
        for (channel_order, channel_numbers) in &of_channels {
            let pair = |(n, channel): (usize, &Channel)| Some((account_numbers[channel.founder]?, channel_numbers[n]?));
            let pairs: Vec<_> = channels.iter().enumerate().filter_map(pair).collect();
            if let Some(correlation) = correlation(&pairs) {
                found.insert((account_order.clone(), channel_order.clone()), correlation);
            }
        }
    }
    found
}

/// The strongest mean correlation over all seeds, and where it was found.
fn strongest(disks: impl Fn(u64) -> BTreeMap<(String, String), f64>) -> (f64, String) {
    let mut sums: BTreeMap<(String, String), (f64, u32)> = BTreeMap::new();
    for seed in 0..SEEDS {
        for (orders, correlation) in disks(seed) {
            let sum = sums.entry(orders).or_default();
            *sum = (sum.0 + correlation, sum.1 + 1);
        }
    }
    let always = sums.into_iter().filter(|(_, (_, count))| u64::from(*count) == SEEDS);
    let means = always.map(|((a, c), (sum, count))| ((sum / f64::from(count)).abs(), format!("{a} ~ {c}")));
    let strongest = means.max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap();
    println!("the strongest correlation: {:.2} in {}", strongest.0, strongest.1);
    strongest
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

#[test]
fn the_disk_of_a_stopped_server_pairs_nobody() {
    let (correlation, orders) = strongest(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let Story { world, accounts, channels, .. } = tell(dir.path(), seed, Upkeep::Done);
        world.core.into_store().close().unwrap();
        analyse(dir.path(), &accounts, &channels)
    });
    assert!(correlation < CHANCE_MAX, "{correlation} in {orders}");
}

#[test]
fn the_disk_of_a_running_server_pairs_nobody() {
    let (correlation, orders) = strongest(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let Story { mut world, accounts, channels, .. } = tell(dir.path(), seed, Upkeep::Done);
        // The next tick behind the last registration that is due to hide it.
        world.now.unix_ms += 5_000;
        world.tick();
        analyse(copy(dir.path()).path(), &accounts, &channels)
    });
    assert!(correlation < CHANCE_MAX, "{correlation} in {orders}");
}

#[test]
fn no_byte_string_stands_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let Story { world, accounts, channels, .. } = tell(dir.path(), 1, Upkeep::Done);
    drop(world);
    let found_in = |side: &str, trace: &[u8]| {
        let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(side));
        files.any(|path| std::fs::read(path).unwrap().windows(trace.len()).any(|window| window == trace))
    };
    for trace in accounts.iter().flat_map(|account| account.traces.values()) {
        assert!(!found_in(CHANNELS_FILE, trace));
    }
    for trace in channels.iter().flat_map(|channel| channel.traces.values()) {
        assert!(found_in(CHANNELS_FILE, trace) && !found_in(ACCOUNTS_FILE, trace) && !found_in(BACKUPS_FILE, trace));
    }
    let root_keys = accounts.iter().map(|account| account.traces["root key"].as_slice());
    assert!(root_keys.into_iter().all(|key| found_in(ACCOUNTS_FILE, key)));
}

#[test]
fn a_store_that_keeps_the_order_of_registrations_is_caught() {
    // The same store without its upkeep: SQLite leaves the order of insertion in pages and write-ahead logs.
    let (correlation, orders) = strongest(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let Story { world, accounts, channels, .. } = tell(dir.path(), seed, Upkeep::Omitted);
        let disk = copy(dir.path());
        drop(world);
        analyse(disk.path(), &accounts, &channels)
    });
    assert!(correlation > 0.8, "{correlation} in {orders}");
}

#[test]
fn a_store_with_fine_times_is_caught() {
    let (correlation, orders) = strongest(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let Story { world, accounts, channels, .. } = tell(dir.path(), seed, Upkeep::Done);
        world.core.into_store().close().unwrap();
        let db = rusqlite::Connection::open(dir.path().join(ACCOUNTS_FILE)).unwrap();
        db.execute_batch("CREATE TABLE seen (name TEXT PRIMARY KEY, at_ms INTEGER) WITHOUT ROWID").unwrap();
        for (n, account) in accounts.iter().enumerate() {
            db.execute("INSERT INTO seen VALUES (?1, ?2)", (account.person.name().as_str(), n as i64 * 700)).unwrap();
        }
        drop(db);
        let db = rusqlite::Connection::open(dir.path().join(CHANNELS_FILE)).unwrap();
        db.execute_batch("CREATE TABLE made (number INTEGER PRIMARY KEY, at_ms INTEGER)").unwrap();
        for channel in &channels {
            let sql = "INSERT INTO made SELECT number, ?2 FROM channels WHERE channel = ?1";
            db.execute(sql, (&channel.id.0[..], channel.founder as i64 * 700 + 20)).unwrap();
        }
        drop(db);
        analyse(dir.path(), &accounts, &channels)
    });
    assert!(correlation > 0.99, "{correlation} in {orders}");
}

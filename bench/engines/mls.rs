//! Times of commit, encrypt and decrypt, each in a transaction of its own as the engine does it, with and without waiting
//! for the disk. The founder adds everybody at once and does all commits, so that the tree stays blank elsewhere: the
//! dearest case.

use crate::device::{CHANNEL, Device, NOW_UNIX_S, follow};
use crate::store::{self, Sync};
use anyhow::{Context, Result, bail};
use aside_bench::record::Spread;
use aside_mls::{Group, GroupId, Metadata, Processed};
use rusqlite::Connection;
use std::path::Path;
use std::time::Instant;

/// A text of 256 bytes with what the client puts around it.
const PLAINTEXT_BYTES: usize = 400;
/// A commit at 100 members takes long; fewer of them tell as much.
const COMMITS_A_REPEAT: usize = 4;

/// Measures groups of these sizes and prints a block of lines for each.
///
/// # Errors
/// The folder, or a fault in what is measured.
pub fn run(folder: &Path, repeats: usize, members: &[u8]) -> Result<()> {
    println!("times in ms: median (least to greatest); every step is one transaction on SQLCipher");
    for members in members {
        let folder = folder.join(format!("mls-{members}"));
        std::fs::create_dir_all(&folder)?;
        let mut pair = Pair::found(&folder, *members)?;
        for sync in [Sync::Full, Sync::Off] {
            let label = if sync == Sync::Full { "synced" } else { "not synced" };
            store::set_sync(&pair.founder.connection, sync)?;
            store::set_sync(&pair.other.connection, sync)?;
            pair.talk(repeats)?.print(*members, label);
            pair.commit((repeats / COMMITS_A_REPEAT).max(1))?.print(*members, label);
        }
    }
    Ok(())
}

/// Samples of several steps, in milliseconds.
#[derive(Default)]
struct Times {
    steps: Vec<(&'static str, Vec<f64>)>,
    bytes: usize,
}

impl Times {
    fn add(&mut self, step: &'static str, begun: Instant) {
        let sample = begun.elapsed().as_secs_f64() * 1e3;
        match self.steps.iter_mut().find(|(known, _)| *known == step) {
            Some((_, samples)) => samples.push(sample),
            None => self.steps.push((step, vec![sample])),
        }
    }

    fn print(&self, members: u8, label: &str) {
        for (step, samples) in &self.steps {
            if let Some(spread) = Spread::of(samples) {
                let spread = spread.to_string();
                println!("{members:>4} members  {step:<24} {label:<11} {spread:<44} {} bytes", self.bytes);
            }
        }
    }
}

/// Who commits and writes, and who follows and reads.
struct Pair {
    founder: Device,
    founders: Group,
    other: Device,
    others: Group,
}

impl Pair {
    fn found(folder: &Path, members: u8) -> Result<Self> {
        let mut founder = Device::new(0, store::create(&folder.join("founder.db"))?)?;
        let mut other = Device::new(1, store::create(&folder.join("other.db"))?)?;
        let mut packages = vec![other.key_package()?];
        for number in 2..members {
            packages.push(Device::new(u16::from(number), Connection::open_in_memory()?)?.key_package()?);
        }
        let admins = [&founder, &other].map(|device| device.credential.address.clone()).into();
        let metadata = Metadata { title: String::new(), admins, picture: None };
        let (signer, credential) = (founder.signer.clone(), founder.credential.clone());
        let group = GroupId([members; 32]);
        let (founders, add) = founder.in_transaction(|session| {
            let mut founders = session.create_group(&signer, &credential, group, &metadata)?;
            let checked = packages.iter().map(|bytes| session.check_key_package(bytes, NOW_UNIX_S));
            let checked = checked.collect::<Result<Vec<_>, _>>()?;
            let add = founders.add(session, &signer, &checked)?;
            founders.merge_pending(session)?;
            Ok((founders, add))
        })?;
        let others = other.in_transaction(|session| Ok(session.join(&add.welcome, &add.ratchet_tree)?))?;
        Ok(Self { founder, founders, other, others })
    }

    fn talk(&mut self, repeats: usize) -> Result<Times> {
        let mut times = Times::default();
        let plaintext = [b'x'; PLAINTEXT_BYTES];
        for _ in 0..repeats {
            let (signer, group) = (self.founder.signer.clone(), &mut self.founders);
            let begun = Instant::now();
            let message = self.founder.in_transaction(|session| Ok(group.encrypt(session, &signer, &plaintext)?))?;
            times.add("encrypt", begun);
            times.bytes = message.len();
            let group = &mut self.others;
            let begun = Instant::now();
            let read = self.other.in_transaction(|session| Ok(group.process(session, &message)?))?;
            times.add("decrypt", begun);
            match read {
                Processed::Application { plaintext: read, .. } if read == plaintext => {}
                other => bail!("not what was written: {other:?}"),
            }
        }
        Ok(times)
    }

    fn commit(&mut self, repeats: usize) -> Result<Times> {
        let mut times = Times::default();
        for _ in 0..repeats {
            let (signer, credential) = (self.founder.signer.clone(), self.founder.credential.clone());
            let group = &mut self.founders;
            let begun = Instant::now();
            let (body, keys) = self.founder.in_transaction(|session| {
                let commit = group.self_update(session, &signer, &credential)?;
                let keys = group.pending_channel_keys(session, &CHANNEL)?.context("nothing is pending")?.public();
                Ok((group.seal_commit(session, &signer, &CHANNEL, &commit, &keys, [3; 12])?, keys))
            })?;
            times.add("commit: make", begun);
            times.bytes = body.len();
            let begun = Instant::now();
            self.founder.in_transaction(|session| Ok(group.merge_pending(session)?))?;
            times.add("commit: merge one's own", begun);
            let group = &mut self.others;
            let begun = Instant::now();
            self.other.in_transaction(|session| follow(group, session, &body, &keys))?;
            times.add("commit: follow another's", begun);
        }
        Ok(times)
    }
}

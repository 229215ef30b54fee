//! What membership costs at several sizes: time at whoever commits and at whoever follows, bytes up and bytes down to each
//! member. The tree is filled first, as it is in a group that has stood for some time: members came two by two, and one
//! of each two renewed its keys.

use crate::device::{CHANNEL, Device, NOW_UNIX_S, follow};
use crate::store::{self, Sync};
use anyhow::{Context, Result, bail};
use aside_bench::record::Spread;
use aside_mls::{Group, GroupId, Metadata, PendingAdd, Processed, welcome_for};
use aside_protocol::channel::EpochKeys;
use rusqlite::Connection;
use std::path::Path;
use std::time::Instant;

/// A text of 256 bytes with what the client puts around it.
const PLAINTEXT_BYTES: usize = 400;
const GROUP: GroupId = GroupId([9; 32]);
const NONCE: [u8; 12] = [3; 12];

/// Measures groups of these sizes and prints a block of lines for each.
///
/// # Errors
/// The folder, or a fault in what is measured.
pub fn run(folder: &Path, repeats: usize, members: &[u16]) -> Result<()> {
    println!("ms: median (least to greatest); kB: what the committer sends, and what each member gets");
    for size in members {
        let folder = folder.join(format!("groups-{size}"));
        std::fs::create_dir_all(&folder)?;
        found_at_once(&folder, *size)?;
        let mut pair = Pair::grow(&folder, *size)?;
        for device in [&pair.committer, &pair.follower] {
            store::set_sync(&device.connection, Sync::Full)?;
        }
        pair.measure(repeats)?;
    }
    Ok(())
}

/// One measured step.
#[derive(Default)]
struct Step {
    name: &'static str,
    made: Vec<f64>,
    followed: Vec<f64>,
    up: usize,
    down: usize,
    /// What only the joiner gets.
    joiner: usize,
}

impl Step {
    fn named(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn print(&self, size: u16) {
        let spread = |samples: &[f64]| Spread::of(samples).map_or_else(|| "-".to_owned(), |spread| spread.to_string());
        let kilobytes = |bytes: usize| format!("{:.1}", bytes as f64 / 1e3);
        println!(
            "{size:>5} members  {:<12} made {:<34} followed {:<34} up {:>8} kB  down {:>8} kB  joiner {:>8} kB",
            self.name,
            spread(&self.made),
            spread(&self.followed),
            kilobytes(self.up),
            kilobytes(self.down),
            kilobytes(self.joiner)
        );
    }
}

fn timed<T>(samples: &mut Vec<f64>, step: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let value = step()?;
    samples.push(begun.elapsed().as_secs_f64() * 1e3);
    Ok(value)
}

/// Founding with everybody at once, before the channel exists: no commit goes anywhere, only Welcomes.
fn found_at_once(folder: &Path, size: u16) -> Result<()> {
    let mut founder = Device::new(0, store::create(&folder.join("at-once.db"))?)?;
    let mut last = Device::new(size, Connection::open_in_memory()?)?;
    let mut packages = vec![last.key_package()?];
    for number in 2..size {
        packages.push(Device::new(number, Connection::open_in_memory()?)?.key_package()?);
    }
    let mut step = Step::named("found");
    let add = timed(&mut step.made, || {
        let mut group = found(&mut founder)?;
        let add = add_all(&mut founder, &mut group, &packages)?;
        founder.in_transaction(|session| Ok(group.merge_pending(session)?))?;
        Ok(add)
    })?;
    let slice = slice_for(&mut last, &add, packages.first())?;
    timed(&mut step.followed, || {
        last.in_transaction(|session| Ok(session.join(&slice, &add.ratchet_tree)?)).map(drop)
    })?;
    // Each member gets a slice of its own; the tree goes up once.
    step.up = slice.len() * packages.len() + add.ratchet_tree.len();
    step.down = slice.len();
    step.joiner = add.ratchet_tree.len();
    step.print(size);
    Ok(())
}

fn found(device: &mut Device) -> Result<Group> {
    let (signer, credential) = (device.signer.clone(), device.credential.clone());
    let metadata = Metadata { title: "Measured".into(), admins: vec![credential.address.clone()], picture: None };
    device.in_transaction(|session| Ok(session.create_group(&signer, &credential, GROUP, &metadata)?))
}

fn add_all(device: &mut Device, group: &mut Group, packages: &[Vec<u8>]) -> Result<PendingAdd> {
    let signer = device.signer.clone();
    device.in_transaction(|session| {
        let checked = packages.iter().map(|bytes| session.check_key_package(bytes, NOW_UNIX_S));
        Ok(group.add(session, &signer, &checked.collect::<Result<Vec<_>, _>>()?)?)
    })
}

/// A joiner's own part of a Welcome.
fn slice_for(joiner: &mut Device, add: &PendingAdd, package: Option<&Vec<u8>>) -> Result<Vec<u8>> {
    let package = package.context("nobody was added")?;
    joiner.in_transaction(|session| {
        let reference = session.check_key_package(package, NOW_UNIX_S)?.reference();
        Ok(welcome_for(&add.welcome, &reference)?)
    })
}

/// A commit as it goes over the wire, with the keys beside it.
struct Sealed {
    body: Vec<u8>,
    keys: EpochKeys,
}

/// Who commits, and a member who follows everything. The others exist as leaves only.
struct Pair {
    size: u16,
    committer: Device,
    committers: Group,
    follower: Device,
    followers: Group,
}

impl Pair {
    /// A group that grew two by two; of each two one renewed its keys, so that hardly a node is blank.
    fn grow(folder: &Path, size: u16) -> Result<Self> {
        let mut committer = Device::new(0, store::create(&folder.join("committer.db"))?)?;
        let mut follower = Device::new(1, store::create(&folder.join("follower.db"))?)?;
        for device in [&committer, &follower] {
            store::set_sync(&device.connection, Sync::Off)?;
        }
        let mut committers = found(&mut committer)?;
        let package = follower.key_package()?;
        let add = add_all(&mut committer, &mut committers, &[package])?;
        committer.in_transaction(|session| Ok(committers.merge_pending(session)?))?;
        let followers = follower.in_transaction(|session| Ok(session.join(&add.welcome, &add.ratchet_tree)?))?;
        let mut pair = Self { size, committer, committers, follower, followers };
        let mut number = 2;
        while number < size {
            let until = size.min(number.saturating_add(2));
            pair.grow_by(number..until)?;
            number = until;
        }
        Ok(pair)
    }

    fn grow_by(&mut self, numbers: std::ops::Range<u16>) -> Result<()> {
        let mut joiners =
            numbers.map(|number| Device::new(number, Connection::open_in_memory()?)).collect::<Result<Vec<_>>>()?;
        let packages = joiners.iter_mut().map(Device::key_package).collect::<Result<Vec<_>>>()?;
        let add = add_all(&mut self.committer, &mut self.committers, &packages)?;
        let sealed = self.seal(&add.commit)?;
        self.merge()?;
        self.follow(&sealed)?;
        let Some(joiner) = joiners.first_mut() else { return Ok(()) };
        let mut group = joiner.in_transaction(|session| Ok(session.join(&add.welcome, &add.ratchet_tree)?))?;
        let (signer, credential) = (joiner.signer.clone(), joiner.credential.clone());
        let commit = joiner.in_transaction(|session| Ok(group.self_update(session, &signer, &credential)?))?;
        let sealed = seal(joiner, &group, &commit)?;
        self.follow(&sealed)?;
        self.committer.in_transaction(|session| follow(&mut self.committers, session, &sealed.body, &sealed.keys))
    }

    fn seal(&mut self, commit: &[u8]) -> Result<Sealed> {
        seal(&mut self.committer, &self.committers, commit)
    }

    fn merge(&mut self) -> Result<()> {
        let group = &mut self.committers;
        self.committer.in_transaction(|session| Ok(group.merge_pending(session)?))
    }

    fn follow(&mut self, sealed: &Sealed) -> Result<()> {
        let group = &mut self.followers;
        self.follower.in_transaction(|session| follow(group, session, &sealed.body, &sealed.keys))
    }

    fn measure(&mut self, repeats: usize) -> Result<()> {
        let mut adding = Step::named("add one");
        let mut removing = Step::named("remove one");
        let mut renewing = Step::named("self-update");
        for number in 0..u16::try_from(repeats)? {
            let mut joiner =
                Device::new(self.size.saturating_add(1).saturating_add(number), Connection::open_in_memory()?)?;
            self.add_one(&mut adding, &mut joiner)?;
            self.remove_one(&mut removing, &joiner)?;
            self.renew(&mut renewing)?;
        }
        [adding, removing, renewing].iter().for_each(|step| step.print(self.size));
        self.send(repeats)?.print(self.size);
        self.load(repeats)?.print(self.size);
        Ok(())
    }

    fn add_one(&mut self, step: &mut Step, joiner: &mut Device) -> Result<()> {
        let package = joiner.key_package()?;
        let begun = Instant::now();
        let add = add_all(&mut self.committer, &mut self.committers, std::slice::from_ref(&package))?;
        let sealed = self.seal(&add.commit)?;
        self.merge()?;
        step.made.push(begun.elapsed().as_secs_f64() * 1e3);
        timed(&mut step.followed, || self.follow(&sealed))?;
        step.up = sealed.body.len() + slice_for(joiner, &add, Some(&package))?.len();
        step.down = sealed.body.len();
        step.joiner = add.ratchet_tree.len();
        Ok(())
    }

    fn remove_one(&mut self, step: &mut Step, gone: &Device) -> Result<()> {
        let members = self.committers.members()?;
        let is_gone = |credential: &aside_protocol::identity::MemberCredential| *credential == gone.credential;
        let leaf = members.iter().find(|member| is_gone(&member.credential)).context("nobody to remove")?.leaf;
        let begun = Instant::now();
        let (signer, group) = (self.committer.signer.clone(), &mut self.committers);
        let commit = self.committer.in_transaction(|session| Ok(group.remove(session, &signer, &[leaf])?))?;
        self.finish(step, begun, &commit)
    }

    fn renew(&mut self, step: &mut Step) -> Result<()> {
        let begun = Instant::now();
        let (signer, credential) = (self.committer.signer.clone(), self.committer.credential.clone());
        let group = &mut self.committers;
        let commit =
            self.committer.in_transaction(|session| Ok(group.self_update(session, &signer, &credential)?))?;
        self.finish(step, begun, &commit)
    }

    fn finish(&mut self, step: &mut Step, begun: Instant, commit: &[u8]) -> Result<()> {
        let sealed = self.seal(commit)?;
        self.merge()?;
        step.made.push(begun.elapsed().as_secs_f64() * 1e3);
        timed(&mut step.followed, || self.follow(&sealed))?;
        (step.up, step.down) = (sealed.body.len(), sealed.body.len());
        Ok(())
    }

    fn send(&mut self, repeats: usize) -> Result<Step> {
        let mut step = Step::named("send");
        let plaintext = [b'x'; PLAINTEXT_BYTES];
        for _ in 0..repeats {
            let (signer, group) = (self.committer.signer.clone(), &mut self.committers);
            let committer = &mut self.committer;
            let message = timed(&mut step.made, || {
                committer.in_transaction(|session| Ok(group.encrypt(session, &signer, &plaintext)?))
            })?;
            let (follower, group) = (&mut self.follower, &mut self.followers);
            let read =
                timed(&mut step.followed, || follower.in_transaction(|session| Ok(group.process(session, &message)?)))?;
            if !matches!(read, Processed::Application { plaintext: read, .. } if read == plaintext) {
                bail!("not what was written");
            }
            (step.up, step.down) = (message.len(), message.len());
        }
        Ok(step)
    }

    fn load(&mut self, repeats: usize) -> Result<Step> {
        let mut step = Step::named("load");
        for _ in 0..repeats {
            timed(&mut step.made, || self.committer.in_transaction(|session| Ok(session.load_group(&GROUP)?)))?
                .context("the group is gone")?;
            timed(&mut step.followed, || self.follower.in_transaction(|session| Ok(session.load_group(&GROUP)?)))?
                .context("the group is gone")?;
        }
        Ok(step)
    }
}

/// Derives the next epoch's keys and seals a pending commit for the channel.
fn seal(device: &mut Device, group: &Group, commit: &[u8]) -> Result<Sealed> {
    let signer = device.signer.clone();
    device.in_transaction(|session| {
        let keys = group.pending_channel_keys(session, &CHANNEL)?.context("nothing is pending")?.public();
        let body = group.seal_commit(session, &signer, &CHANNEL, commit, &keys, NONCE)?;
        Ok(Sealed { body, keys })
    })
}

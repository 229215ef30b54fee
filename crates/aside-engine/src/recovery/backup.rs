//! The account's backup on its server: made when changes have settled, sent part by part, and tried once a month.
//!
//! A backup is made in one transaction and sent as it was made: a crash goes on with the same bytes, and the server keeps
//! the backup before until the last part of the new one is in.

use super::fault::BackupFault;
use super::parts::{self, PartsReader, PartsWriter, Slot};
use super::phrase::BackupKey;
use super::snapshot::{self, Counts, Header};
use super::{BackupPace, Restored, seal};
use crate::Heart;
use crate::account::Identity;
use crate::context::{Context, stored, to_store};
use crate::error::{CommandError, EngineError};
use crate::input::{Answer, Change, ConnectionKind, Link};
use crate::network::{Flight, LinkState};
use aside_protocol::frame::account::{BackupPart, Request};
use aside_protocol::limit::BACKUP_PARTS_MAX;
use aside_protocol::refusal::{Refusal, Remedy};
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

const DAY_MS: i64 = 86_400_000;
/// How long a refused backup waits, if waiting may help.
const RETRY_MS: i64 = 60_000;
/// For each so many bytes of the last backup …
const SPACING_BYTES: u64 = 1024 * 1024;
/// … the next one waits so long, a day at most: large histories are not sent again for every message.
const SPACING_MS: i64 = 5 * 60_000;

/// How the account's backups stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Backups {
    /// When something changed first that no backup holds.
    #[n(0)]
    pub dirty_ms: Option<i64>,
    /// On its way.
    #[n(1)]
    pub sending: Option<Sending>,
    /// On the server, whole, as far as this device knows.
    #[n(2)]
    pub stored: Option<Stored>,
    /// Being fetched to be tried.
    #[n(3)]
    pub trial: Option<Trial>,
    /// When one was tried, or first stored.
    #[n(4)]
    pub tried_ms: Option<i64>,
    /// What came of the last trial; unknown again once another has taken the place of a bad one.
    #[n(5)]
    pub is_good: Option<bool>,
    /// What a person should know.
    #[n(6)]
    pub words: Option<String>,
    /// Nothing is sent before.
    #[n(7)]
    pub wait_until_ms: Option<i64>,
    /// The largest generation that was seen, of whatever device.
    #[n(8)]
    pub newest: u64,
    /// A person asked for one.
    #[n(9)]
    pub is_wanted: bool,
    /// How the account came to this device, if it was restored.
    #[n(10)]
    pub restored: Option<Restored>,
}

/// A backup on its way.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Sending {
    #[n(0)]
    pub what: Stored,
    /// The part that goes next.
    #[n(1)]
    pub next: u32,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Stored {
    #[n(0)]
    pub generation: u64,
    #[n(1)]
    pub made_ms: i64,
    #[n(2)]
    pub parts: u32,
    #[n(3)]
    pub bytes: u64,
    #[n(4)]
    pub counts: Counts,
}

/// A backup that is being fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Trial {
    #[n(0)]
    pub generation: u64,
    #[n(1)]
    pub parts: u32,
    #[n(2)]
    pub next: u32,
}

/// Reads how the backups stand.
pub(crate) fn load(db: &Connection) -> Result<Backups, EngineError> {
    let body: Option<Vec<u8>> =
        db.prepare_cached("SELECT body FROM backups")?.query_row([], |row| row.get(0)).optional()?;
    body.map_or_else(|| Ok(Backups::default()), |body| stored(&body, "backups"))
}

/// Writes how they stand.
pub(super) fn save(heart: &mut Heart, context: &mut Context<'_>, backups: &Backups) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached("INSERT OR REPLACE INTO backups (only_row, body) VALUES (1, ?)")?
        .execute(params![to_store(backups)])?;
    heart.recovery.backups = Some(backups.clone());
    Ok(())
}

/// The key of the account's row.
pub(super) fn key(db: &Connection) -> Result<BackupKey, EngineError> {
    Ok(BackupKey::new(db.prepare_cached("SELECT backup_key FROM account")?.query_row([], |row| row.get(0))?))
}

/// Makes a backup, into a slot.
pub(super) fn make(identity: &Identity, context: &Context<'_>, slot: Slot, newest: u64) -> Result<Stored, BackupFault> {
    let made_ms = context.now.unix_ms;
    let generation = made_ms.unsigned_abs().max(newest.saturating_add(1));
    let header = Header {
        major: snapshot::MAJOR,
        minor: snapshot::MINOR,
        generation,
        made_ms,
        address: identity.address.clone(),
        root_key: identity.root_key,
        server: identity.pin.clone(),
        key_sets: identity.key_sets.clone(),
    };
    let mut sealed = seal::seal(&key(context.db)?, PartsWriter::new(context.db, slot)?)?;
    let counts = snapshot::write(context.db, &header, &mut sealed)?;
    sealed.finish()?.finish()?;
    let (parts, bytes) = parts::size(context.db, slot)?;
    Ok(Stored { generation, made_ms, parts, bytes, counts })
}

/// A person wants a backup on the server now.
pub(crate) fn want(heart: &mut Heart, context: &mut Context<'_>) -> Result<Answer, CommandError> {
    if heart.identity.is_none() {
        return Err(CommandError::NotJoined);
    }
    crate::device::check_standing(heart, context)?;
    let backups = Backups { is_wanted: true, wait_until_ms: None, words: None, ..load(context.db)? };
    save(heart, context, &backups)?;
    Ok(Answer::Done)
}

/// A person wants a backup as a file.
pub(crate) fn make_file(heart: &mut Heart, context: &mut Context<'_>) -> Result<Answer, CommandError> {
    let identity = heart.identity.as_ref().filter(|identity| identity.registered).ok_or(CommandError::NotJoined)?;
    make(identity, context, Slot::ToFile, 0).map_err(CommandError::from)?;
    Ok(Answer::Done)
}

/// The end of every input: notes changes, makes a backup when one is due, and sends what is on its way. Gives when there
/// is something to do next.
pub(crate) fn pump(heart: &mut Heart, context: &mut Context<'_>) -> Result<Option<i64>, EngineError> {
    let Some(pace) = heart.options.backups else { return Ok(None) };
    let is_registered = heart.identity.as_ref().is_some_and(|identity| identity.registered);
    if !is_registered {
        return Ok(None);
    }
    let now = context.now.unix_ms;
    let mut backups = match heart.recovery.backups.take() {
        Some(backups) => backups,
        None => load(context.db)?,
    };
    let is_first = backups.stored.is_none() && backups.sending.is_none();
    if std::mem::take(&mut heart.recovery.is_changed) || context.has_changed_what_is_kept() || is_first {
        heart.recovery.changed_ms = Some(now);
        if backups.dirty_ms.is_none() {
            backups.dirty_ms = Some(now);
            save(heart, context, &backups)?;
        }
    }
    let next = step(heart, context, pace, &mut backups)?;
    heart.recovery.backups = Some(backups);
    Ok(next)
}

fn step(
    heart: &mut Heart,
    context: &mut Context<'_>,
    pace: BackupPace,
    backups: &mut Backups,
) -> Result<Option<i64>, EngineError> {
    let Some(link) = account_link(heart) else { return Ok(None) };
    let is_busy = |flight: &Flight| matches!(flight, Flight::PutBackup(_) | Flight::TryBackup(_));
    if heart.links.get(&link).is_some_and(|state| state.waits_for(is_busy)) {
        return Ok(None);
    }
    let now = context.now.unix_ms;
    if let Some(until) = backups.wait_until_ms.filter(|until| *until > now) {
        return Ok(Some(until));
    }
    let due = due(heart, pace, backups).filter(|_| backups.sending.is_none());
    if due.is_some_and(|due| due <= now) {
        begin(heart, context, backups)?;
    }
    if let (Some(sending), Some(state)) = (&backups.sending, heart.links.get_mut(&link)) {
        return send(context, link, state, sending).map(|()| None);
    }
    if backups.trial.is_none() {
        match trial_due(pace, backups) {
            Some(due) if due <= now => {
                backups.trial = Some(Trial::default());
                save(heart, context, backups)?;
            }
            trial => return Ok([trial, due].into_iter().flatten().filter(|at| *at > now).min()),
        }
    }
    let part = backups.trial.as_ref().map_or(0, |trial| trial.next);
    if let Some(state) = heart.links.get_mut(&link) {
        state.ask_account(context, link, Request::GetBackup { part }, Flight::TryBackup(part));
    }
    Ok(None)
}

fn account_link(heart: &Heart) -> Option<Link> {
    let home = heart.identity.as_ref().map(|identity| identity.server)?;
    let link = Link { server: home, kind: ConnectionKind::Account };
    heart.links.get(&link).filter(|state| state.ready).map(|_| link)
}

/// When the next backup is made: some time after the last change, a day after the first, and not too often.
fn due(heart: &Heart, pace: BackupPace, backups: &Backups) -> Option<i64> {
    if backups.is_wanted {
        return Some(0);
    }
    let dirty = backups.dirty_ms?;
    let Some(last) = &backups.stored else { return Some(dirty) };
    let settled = heart.recovery.changed_ms.unwrap_or(dirty).saturating_add(pace.settle_ms);
    let spacing = i64::try_from(last.bytes / SPACING_BYTES).unwrap_or(0).saturating_mul(SPACING_MS).min(DAY_MS);
    Some(settled.min(dirty.saturating_add(DAY_MS)).max(last.made_ms.saturating_add(spacing)))
}

fn trial_due(pace: BackupPace, backups: &Backups) -> Option<i64> {
    let stored = backups.stored.as_ref()?;
    Some(backups.tried_ms.unwrap_or(stored.made_ms).saturating_add(pace.try_every_ms))
}

fn begin(heart: &mut Heart, context: &mut Context<'_>, backups: &mut Backups) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let what = match make(identity, context, Slot::ToServer, backups.newest) {
        Ok(what) => what,
        Err(BackupFault::Engine(error)) => return Err(error),
        // A row that no backup can hold.
        Err(_) => return Err(EngineError::Damaged { what: "row" }),
    };
    backups.is_wanted = false;
    backups.dirty_ms = None;
    backups.newest = what.generation;
    let is_too_large = what.parts > BACKUP_PARTS_MAX;
    backups.sending = (!is_too_large).then_some(Sending { what, next: 0 });
    if is_too_large {
        let words = "this account has grown too large for a backup on the server: make backups to files";
        give_up(context, backups, words.to_owned())?;
    }
    save(heart, context, backups)
}

fn send(
    context: &mut Context<'_>,
    link: Link,
    state: &mut LinkState,
    Sending { what, next }: &Sending,
) -> Result<(), EngineError> {
    let (generation, part, parts) = (what.generation, *next, what.parts);
    let bytes = parts::get(context.db, Slot::ToServer, part)?;
    let bytes = bytes.ok_or(EngineError::Damaged { what: "backup on its way" })?;
    let request = Request::PutBackup(BackupPart { generation, part, parts, bytes });
    state.ask_account(context, link, request, Flight::PutBackup(generation));
    Ok(())
}

/// The server has a part.
pub(crate) fn part_is_put(heart: &mut Heart, context: &mut Context<'_>, generation: u64) -> Result<(), EngineError> {
    let mut backups = load(context.db)?;
    let Some(mut sending) = backups.sending.take().filter(|sending| sending.what.generation == generation) else {
        return Ok(());
    };
    sending.next = sending.next.saturating_add(1);
    if sending.next < sending.what.parts {
        backups.sending = Some(sending);
        return save(heart, context, &backups);
    }
    parts::clear(context.db, Slot::ToServer)?;
    // After one that could not have been restored, the next is tried at once.
    backups.tried_ms = match backups.is_good {
        Some(false) => Some(0),
        _ => backups.tried_ms.or(Some(context.now.unix_ms)),
    };
    backups.is_good = backups.is_good.filter(|is_good| *is_good);
    backups.words = None;
    backups.stored = Some(sending.what);
    context.changed(Change::State);
    save(heart, context, &backups)
}

/// The server does not take a part.
pub(crate) fn part_is_refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    refusal: &Refusal,
) -> Result<(), EngineError> {
    let mut backups = load(context.db)?;
    let Some(mut sending) = backups.sending.take() else { return Ok(()) };
    let wait_until = context.now.unix_ms.saturating_add(RETRY_MS);
    match refusal {
        // Another device of this person was faster. What it does not hold goes with the next.
        Refusal::StaleBackup { generation } => {
            backups.newest = backups.newest.max(*generation);
            backups.dirty_ms = Some(sending.what.made_ms);
            backups.wait_until_ms = Some(wait_until);
            parts::clear(context.db, Slot::ToServer)?;
        }
        Refusal::BackupPartMissing { next } if *next < sending.what.parts => {
            sending.next = *next;
            backups.sending = Some(sending);
        }
        refusal if refusal.remedy() == Remedy::RetryLater => {
            backups.wait_until_ms = Some(wait_until);
            backups.sending = Some(sending);
        }
        refusal => {
            backups.dirty_ms = Some(sending.what.made_ms);
            parts::clear(context.db, Slot::ToServer)?;
            give_up(context, &mut backups, refusal.to_string())?;
        }
    }
    save(heart, context, &backups)
}

/// Tells the person, and tries again tomorrow.
fn give_up(context: &mut Context<'_>, backups: &mut Backups, words: String) -> Result<(), EngineError> {
    backups.sending = None;
    backups.is_good = Some(false);
    backups.words = Some(words);
    backups.wait_until_ms = Some(context.now.unix_ms.saturating_add(DAY_MS));
    context.changed(Change::State);
    Ok(())
}

/// A part of the backup that is being tried came.
pub(crate) fn part_is_fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (part, generation, parts): (u32, u64, u32),
    bytes: &[u8],
) -> Result<(), EngineError> {
    let mut backups = load(context.db)?;
    let Some(trial) = backups.trial.take() else { return Ok(()) };
    if parts == 0 || parts > BACKUP_PARTS_MAX {
        return end_trial(heart, context, backups, Err(BackupFault::Damaged));
    }
    if part > 0 && (generation, parts) != (trial.generation, trial.parts) {
        // A newer one came meanwhile.
        backups.trial = Some(Trial::default());
        return save(heart, context, &backups);
    }
    if part == 0 {
        parts::clear(context.db, Slot::Trial)?;
    }
    parts::put(context.db, Slot::Trial, part, bytes)?;
    let next = part.saturating_add(1);
    if next < parts {
        backups.trial = Some(Trial { generation, parts, next });
        return save(heart, context, &backups);
    }
    let verdict = try_it(context.db, &backups, generation);
    end_trial(heart, context, backups, verdict)
}

/// The server shows no backup to try.
pub(crate) fn trial_is_refused(
    heart: &mut Heart,
    context: &mut Context<'_>,
    refusal: &Refusal,
) -> Result<(), EngineError> {
    let mut backups = load(context.db)?;
    backups.trial = None;
    if refusal.remedy() == Remedy::RetryLater {
        backups.wait_until_ms = Some(context.now.unix_ms.saturating_add(RETRY_MS));
        return save(heart, context, &backups);
    }
    let words = format!("the backup on the server cannot be fetched: {refusal}");
    end_trial(heart, context, backups, Err(BackupFault::Refused(words)))
}

/// Decrypts and reads it all, as a restore would, and compares what it holds with what was put in.
fn try_it(db: &Connection, backups: &Backups, generation: u64) -> Result<(), BackupFault> {
    let own = backups.stored.as_ref();
    if own.is_some_and(|own| generation < own.generation) {
        return Err(BackupFault::Older);
    }
    let mut opened = seal::open(&key(db)?, PartsReader::new(db, Slot::Trial))?;
    let found = snapshot::check(&mut opened)?;
    if found.header.generation != generation {
        return Err(BackupFault::Mislabelled);
    }
    match own {
        Some(own) if own.generation == generation && own.counts != found.counts => Err(BackupFault::Incomplete),
        _ => Ok(()),
    }
}

fn end_trial(
    heart: &mut Heart,
    context: &mut Context<'_>,
    mut backups: Backups,
    verdict: Result<(), BackupFault>,
) -> Result<(), EngineError> {
    parts::clear(context.db, Slot::Trial)?;
    backups.trial = None;
    backups.tried_ms = Some(context.now.unix_ms);
    match verdict {
        Ok(()) => (backups.is_good, backups.words) = (Some(true), None),
        Err(BackupFault::Engine(error)) => return Err(error),
        Err(fault) => {
            backups.is_good = Some(false);
            backups.words = Some(format!("The backup on the server could not be restored: {fault}"));
            // A fresh one takes its place.
            backups.dirty_ms = Some(context.now.unix_ms);
            backups.wait_until_ms = Some(context.now.unix_ms.saturating_add(RETRY_MS));
        }
    }
    context.changed(Change::State);
    save(heart, context, &backups)
}

//! Jobs: requests that have to be made until they succeed, kept in the database so that a crash forgets none.

use crate::blob::SealedBlob;
use crate::context::{Context, stored, to_store};
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::inbox::tree::Arriving;
use crate::inbox::welcome::Welcomes;
use crate::input::{ConnectionKind, Link, ServerId};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::EpochKeys;
use aside_protocol::frame::anonymous::Delivery;
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::identity::DeviceRecord;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::report::AbuseReport;
use minicbor::{Decode, Encode};
use rusqlite::{OptionalExtension, params};

/// The first wait after a retryable refusal, in milliseconds; it doubles with each.
const BACKOFF_MS: i64 = 500;
/// The longest wait.
const BACKOFF_MS_MAX: i64 = 3_600_000;
/// The longest wait of what somebody waits for, for so many tries.
const SOON_MS: i64 = 2_000;
const SOON_TRIES: u32 = 30;
/// Jobs that are on their way at once on one link.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

/// Names a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct JobId(pub i64);

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Job {
    /// Let the home server know a delivery token (by its hash).
    #[n(0)]
    PutDeliveryToken(#[n(0)] Hash, #[n(1)] Option<u32>),
    /// Get somebody's KeyPackages, to found this conversation with.
    #[n(1)]
    FetchKeyPackages(#[n(0)] ConversationId, #[n(1)] AccountAddress),
    /// Make the channel; then the Welcomes go out.
    #[n(2)]
    CreateChannel(#[n(0)] ChannelId, #[n(1)] NewChannel),
    /// Put an envelope into an inbox.
    #[n(3)]
    Deliver(#[n(0)] Delivery),
    /// Store blobs; then the letters that name them go out.
    #[n(4)]
    PutBlobs(#[n(0)] Vec<SealedBlob>, #[n(1)] Vec<Posted>),
    /// Fetch the ratchet tree of a group that this device was added to; then it joins.
    #[n(5)]
    FetchTree(#[n(0)] Box<Arriving>),
    /// Let the home server forget a delivery token (by its hash).
    #[n(6)]
    RevokeDeliveryToken(#[n(0)] Hash),
    /// Find the inboxes of the admin who gave a link to a group, and ask there.
    #[n(7)]
    AskToJoin(#[n(0)] ConversationId),
    /// Find somebody on the home server by name, to found this conversation with.
    #[n(10)]
    FindByName(#[n(0)] ConversationId, #[n(1)] AccountAddress),
    /// Let the home server know whether this person can be found.
    #[n(11)]
    SetFindable(#[n(0)] Option<DeliveryToken>),
    /// Look at the directory's view of a contact's account.
    #[n(12)]
    FetchAccount(#[n(0)] AccountAddress),
    /// Tell the home server's administrator.
    #[n(13)]
    Report(#[n(0)] AbuseReport),
    /// Get a member's KeyPackages, to found the conversation anew with.
    #[n(20)]
    FetchForSuccessor(#[n(0)] ConversationId, #[n(1)] AccountAddress, #[n(2)] DeliveryToken),
    /// Get a member's KeyPackages, to put those of their devices in anew that are lost in this conversation.
    #[n(21)]
    FetchToReplace(#[n(0)] ConversationId, #[n(1)] AccountAddress),
    /// Let the home server know a further device of this account; the hash names the link that it used.
    #[n(30)]
    AddDevice(#[n(0)] DeviceRecord, #[n(1)] Hash),
    /// Get KeyPackages of this account's own devices, for a channel that lacks some.
    #[n(31)]
    FetchOwnKeyPackages(#[n(0)] ChannelId),
    /// Put the key set that stands in `key_change`.
    #[n(32)]
    PutKeySet,
}

/// A sealed letter, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Posted {
    #[n(0)]
    pub server: ServerId,
    #[n(1)]
    pub delivery: Delivery,
}

/// A channel that is not on its server yet, with everything that its Welcomes need.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct NewChannel {
    #[n(0)]
    pub epoch: u64,
    #[n(1)]
    pub keys: EpochKeys,
    #[n(2)]
    pub welcomes: Welcomes,
}

impl Job {
    fn kind(&self) -> ConnectionKind {
        match self {
            Job::PutDeliveryToken(..)
            | Job::RevokeDeliveryToken(_)
            | Job::SetFindable(_)
            | Job::Report(_)
            | Job::AddDevice(..)
            | Job::PutKeySet => ConnectionKind::Account,
            Job::FindByName(..)
            | Job::FetchAccount(_)
            | Job::FetchOwnKeyPackages(_)
            | Job::FetchKeyPackages(..)
            | Job::CreateChannel(..)
            | Job::Deliver(..)
            | Job::FetchForSuccessor(..)
            | Job::FetchToReplace(..)
            | Job::PutBlobs(..)
            | Job::FetchTree(..)
            | Job::AskToJoin(_) => ConnectionKind::Anonymous,
        }
    }
}

/// Writes a job down.
pub(crate) fn add(context: &mut Context<'_>, server: ServerId, job: &Job) -> Result<(), EngineError> {
    add_at(context, server, job, context.now.unix_ms)
}

/// As [`add`], but not before a time.
pub(crate) fn add_at(context: &mut Context<'_>, server: ServerId, job: &Job, due_ms: i64) -> Result<(), EngineError> {
    let anonymous = job.kind() == ConnectionKind::Anonymous;
    context
        .db
        .prepare_cached("INSERT INTO jobs (server, anonymous, body, due_ms) VALUES (?, ?, ?, ?)")?
        .execute(params![server.0, anonymous, to_store(job), due_ms])?;
    Ok(())
}

/// As [`add_at`], unless the same is to be done already.
pub(crate) fn add_once_at(
    context: &mut Context<'_>,
    server: ServerId,
    job: &Job,
    due_ms: i64,
) -> Result<(), EngineError> {
    let mut same = context.db.prepare_cached("SELECT 1 FROM jobs WHERE server = ? AND body = ?")?;
    match same.exists(params![server.0, to_store(job)])? {
        true => Ok(()),
        false => add_at(context, server, job, due_ms),
    }
}

/// The jobs of a link that are due, oldest first.
pub(crate) fn due(context: &Context<'_>, link: Link) -> Result<Vec<(JobId, Job)>, EngineError> {
    let mut statement = context.db.prepare_cached(
        "SELECT id, body FROM jobs WHERE server = ? AND anonymous = ? AND due_ms <= ? ORDER BY id LIMIT 64",
    )?;
    let anonymous = link.kind == ConnectionKind::Anonymous;
    let rows = statement.query_map(params![link.server.0, anonymous, context.now.unix_ms], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    rows.map(|row| {
        let (id, body) = row?;
        Ok((JobId(id), stored(&body, "job")?))
    })
    .collect()
}

/// Everything that is to be done.
pub(crate) fn all(context: &Context<'_>) -> Result<Vec<(JobId, Job)>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT id, body FROM jobs ORDER BY id")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
    rows.map(|row| {
        let (id, body) = row?;
        Ok((JobId(id), stored(&body, "job")?))
    })
    .collect()
}

/// Reads one job again; absent once it is done.
pub(crate) fn find(context: &Context<'_>, id: JobId) -> Result<Option<Job>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT body FROM jobs WHERE id = ?")?;
    let mut rows = statement.query(params![id.0])?;
    match rows.next()? {
        Some(row) => Ok(Some(stored(&row.get::<_, Vec<u8>>(0)?, "job")?)),
        None => Ok(None),
    }
}

/// Puts what remains of a job in its place.
pub(crate) fn replace(context: &Context<'_>, id: JobId, rest: &Job) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("UPDATE jobs SET body = ?, attempts = 0 WHERE id = ?")?;
    statement.execute(params![to_store(rest), id.0])?;
    Ok(())
}

/// Changes how a job is done, which was tried so often.
pub(crate) fn change(context: &Context<'_>, id: JobId, job: &Job) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("UPDATE jobs SET body = ? WHERE id = ?")?;
    statement.execute(params![to_store(job), id.0])?;
    Ok(())
}

/// The server that a job asks.
pub(crate) fn server(context: &Context<'_>, id: JobId) -> Result<Option<ServerId>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT server FROM jobs WHERE id = ?")?;
    Ok(statement.query_row(params![id.0], |row| row.get(0).map(ServerId)).optional()?)
}

/// Strikes a job out.
pub(crate) fn done(context: &Context<'_>, id: JobId) -> Result<(), EngineError> {
    context.db.prepare_cached("DELETE FROM jobs WHERE id = ?")?.execute(params![id.0])?;
    Ok(())
}

/// Puts a job off, longer each time. Returns how often that was done.
pub(crate) fn later(context: &mut Context<'_>, id: JobId) -> Result<u32, EngineError> {
    later_between(context, id, (0, BACKOFF_MS_MAX))
}

/// The same for a job that a server refused for so many seconds: before, it would only refuse it again.
pub(crate) fn later_than(context: &mut Context<'_>, id: JobId, seconds: u32) -> Result<u32, EngineError> {
    let shortest_ms = i64::from(seconds).saturating_mul(1_000).min(BACKOFF_MS_MAX);
    later_between(context, id, (shortest_ms, BACKOFF_MS_MAX))
}

/// The same for something that somebody waits for at this moment: for the first tries only so long.
pub(crate) fn soon_again(context: &mut Context<'_>, id: JobId) -> Result<u32, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT attempts FROM jobs WHERE id = ?")?;
    let attempts: u32 = statement.query_row(params![id.0], |row| row.get(0))?;
    drop(statement);
    later_between(context, id, (0, if attempts < SOON_TRIES { SOON_MS } else { BACKOFF_MS_MAX }))
}

fn later_between(
    context: &mut Context<'_>,
    id: JobId,
    (shortest_ms, longest_ms): (i64, i64),
) -> Result<u32, EngineError> {
    let attempts: u32 = context
        .db
        .prepare_cached("UPDATE jobs SET attempts = attempts + 1 WHERE id = ? RETURNING attempts")?
        .query_row(params![id.0], |row| row.get(0))?;
    let backoff = BACKOFF_MS.saturating_mul(1_i64.checked_shl(attempts.min(20)).unwrap_or(i64::MAX));
    let wait = backoff.min(longest_ms).max(shortest_ms);
    let jitter = context.random_ms(wait);
    let due = context.now.unix_ms.saturating_add(wait).saturating_add(jitter);
    context.db.prepare_cached("UPDATE jobs SET due_ms = ? WHERE id = ?")?.execute(params![due, id.0])?;
    Ok(attempts)
}

/// Makes a job due that waits for its time, or for its next attempt.
pub(crate) fn hurry(context: &Context<'_>, server: ServerId, job: &Job) -> Result<(), EngineError> {
    let sql = "UPDATE jobs SET due_ms = ?1 WHERE server = ?2 AND body = ?3 AND due_ms > ?1";
    context.db.prepare_cached(sql)?.execute(params![context.now.unix_ms, server.0, to_store(job)])?;
    Ok(())
}

/// Whether a job was tried and put off.
pub(crate) fn was_put_off(context: &Context<'_>, server: ServerId, job: &Job) -> Result<bool, EngineError> {
    let sql = "SELECT 1 FROM jobs WHERE server = ? AND body = ? AND attempts > 0";
    Ok(context.db.prepare_cached(sql)?.exists(params![server.0, to_store(job)])?)
}

/// When the next job that was put off is due.
pub(crate) fn next_due(context: &Context<'_>) -> Result<Option<i64>, EngineError> {
    let mut statement = context.db.prepare_cached("SELECT MIN(due_ms) FROM jobs WHERE due_ms > ?")?;
    Ok(statement.query_row(params![context.now.unix_ms], |row| row.get(0))?)
}

//! How often what was healed. Local only: nobody is told.

use crate::Engine;
use crate::context::Context;
use crate::error::EngineError;
use rusqlite::params;

/// What can be healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heal {
    /// A fresh leaf in the place of lost state.
    ReAdded = 0,
    /// A fresh leaf given to somebody else. Counted when it is asked for, so a lost race counts as well.
    Answered = 1,
    /// A gap that was filled.
    Messages = 2,
    /// A conversation that moved to a new channel.
    ReFounded = 3,
    /// Something that was gone for good, and was said so.
    Gone = 4,
}

/// How often each was done in this profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct HealCounts {
    /// Fresh leaves that this device got.
    pub re_added: u64,
    /// Fresh leaves that it set out to give others.
    pub answered: u64,
    /// Gaps that were filled, whole.
    pub messages: u64,
    /// Conversations that moved to a new channel.
    pub re_founded: u64,
    /// Lines that say that something is gone.
    pub gone: u64,
}

pub(super) fn add(context: &Context<'_>, heal: Heal) -> Result<(), EngineError> {
    context
        .db
        .prepare_cached(
            "INSERT INTO heals (kind, count) VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET count = count + 1",
        )?
        .execute(params![heal as i64])?;
    Ok(())
}

impl Engine {
    /// How often something was healed in this profile since it was made.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn heal_counts(&self) -> Result<HealCounts, EngineError> {
        let mut counts = HealCounts::default();
        let mut statement = self.db.prepare_cached("SELECT kind, count FROM heals")?;
        for row in statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u64>(1)?)))? {
            let (kind, count) = row?;
            match kind {
                0 => counts.re_added = count,
                1 => counts.answered = count,
                2 => counts.messages = count,
                3 => counts.re_founded = count,
                _ => counts.gone = count,
            }
        }
        Ok(counts)
    }
}

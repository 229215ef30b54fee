//! The promises, checked when nothing moves any more.
//!
//! [`seen`] reads what every device shows and what the servers hold, but for whoever does ill, of whom nothing is expected;
//! [`hostile`] asks whether that was noticed; [`members`] and [`timelines`] hold that against
//! each other and against the world's ledger; [`wishes`] asks whether people got what they wished.

mod hostile;
mod members;
mod own;
mod seen;
mod timelines;
mod wishes;

pub(crate) use seen::whole_timeline;

use crate::world::World;
use std::fmt;

/// Lines of the trace that are shown of a broken world.
const TRACE_LINES: usize = 80;

/// A promise that was not kept.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which world.
    pub seed: u64,
    /// What.
    pub promise: String,
    /// What the seed had decided.
    pub plan: String,
    /// What happened, the last thing last.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {}: {}", self.seed, self.promise)?;
        writeln!(f, "    {}", self.plan)?;
        let from = self.trace.len().saturating_sub(TRACE_LINES);
        self.trace.iter().skip(from).try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Checks all devices against each other, against the servers, and against what was seen to happen; counts what there
/// is to count.
///
/// # Errors
/// The first promise that was not kept, in words.
pub(crate) fn all(world: &mut World) -> Result<(), String> {
    for (_, device) in world.devices.iter().enumerate().filter(|(who, _)| !world.is_hostile(*who)) {
        if let Some(error) = device.client.engine_errors.first() {
            return Err(format!("{}'s engine failed: {error}", device.name()));
        }
    }
    count_heals(world)?;
    let mut seen = seen::everything(world)?;
    hostile::check(world, &mut seen)?;
    members::check(world, &seen)?;
    timelines::check(world, &seen)?;
    wishes::check(world, &seen)?;
    own::check(world, &seen)
}

/// Healing is counted, and never silent: where nothing was damaged, nothing is given a fresh leaf or a new channel.
fn count_heals(world: &mut World) -> Result<(), String> {
    for device in &world.devices {
        let Some(engine) = device.client.engine() else { continue };
        let counts = engine.heal_counts().map_err(|error| error.to_string())?;
        world.report.re_added += counts.re_added;
        world.report.gaps_filled += counts.messages;
        world.report.re_founded += counts.re_founded;
        // Where devices are taken out, a leaf may be given anew to one that stays and that the other's Welcome never reached.
        let is_whole = world.report.damages == 0
            && world.ledger.revocations.is_empty()
            && world.ledger.restored.is_empty()
            && world.ledger.hostile.is_none();
        if is_whole && (counts.re_added, counts.re_founded) != (0, 0) {
            return Err(format!("{} healed what nobody had damaged: {counts:?}", device.name()));
        }
    }
    Ok(())
}

//! The whole world in one process: several engines, server cores, a network that delays and breaks, and crashes before
//! and after every transaction and every output. Everything is decided by a seed, so every failure replays.
//!
//! A [`World`] runs in two parts. First come the troubles: people write and change their groups, devices and servers
//! crash, connections break, some are away for weeks; in some worlds people have several devices, lose group state, are set
//! back to older copies, or have ill will ([`Plan::mixed`]). Then everything is mended and runs until nothing moves, and the
//! promises are checked ([`check`]). MLS bytes differ from run to run; no decision depends on them.

pub mod calm;
pub mod check;
mod client;
mod database;
mod dice;
mod link;
pub mod plan;
pub mod report;
mod server;
pub mod world;

pub use check::Broken;
pub use plan::{PLAN_VERSION, Plan, PlantedDefect};
pub use report::Report;
pub use world::World;

/// Lives through the world of a seed.
///
/// # Errors
/// [`Broken`]: the promise that was broken, with the plan and what happened last.
pub fn run(seed: u64, defect: Option<PlantedDefect>) -> Result<Report, Broken> {
    World::new(seed, &Plan::of(seed, defect)).run()
}

//! The whole world in one process: several engines, one server core, a network that delays and breaks, and crashes
//! before and after every transaction and every output. Everything is decided by a seed, so every failure replays.
//!
//! A [`World`] runs in two parts. First come the troubles: people write, devices and the server crash, connections
//! break. Then everything is mended and runs until nothing moves, and the promises are checked ([`check`]). MLS bytes
//! differ from run to run; no decision depends on them.

pub mod calm;
pub mod check;
mod client;
mod dice;
mod link;
mod server;
mod world;

pub use check::Broken;
pub use world::{Plan, PlantedDefect, World};

/// Runs one world.
///
/// # Errors
/// [`Broken`]: the promise that was broken, with what happened last.
pub fn run(seed: u64, plan: &Plan) -> Result<world::Report, Broken> {
    World::new(seed, plan).run()
}

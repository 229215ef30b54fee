//! `cargo xtask soak`: many worlds in the simulator, each from a seed of its own.

use crate::steps;
use crate::workspace::cargo;
use anyhow::Result;

/// Options of `soak`.
#[derive(clap::Args)]
pub struct Options {
    /// How many worlds
    #[arg(long, default_value_t = 2_000)]
    worlds: u64,
    /// Passed on to the simulator as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    more: Vec<String>,
}

/// The command.
///
/// # Errors
/// The simulator found a fault, or does not build.
pub fn run(options: &Options) -> Result<()> {
    let worlds = options.worlds.to_string();
    let mut command = cargo(&["run", "--profile", "dev", "-p", "aside-simulator", "--", "--worlds", &worlds])?;
    steps::run(&format!("{worlds} simulated worlds"), command.args(&options.more))
}

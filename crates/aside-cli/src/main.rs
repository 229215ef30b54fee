//! The program `aside`. Every command speaks the loopback API of the profile's running client, or of one that it starts
//! for itself; nothing here touches the profile's database.

mod api;
mod browser;
mod cli;
mod command;
mod failure;
mod resolve;
mod session;
mod signals;
mod terminal;
mod unlock;

use clap::Parser;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Says how much of what happens is written to standard error: `error` (the default), `warn`, `info`, `debug`.
const LOG_VARIABLE: &str = "ASIDE_LOG";

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let level = std::env::var(LOG_VARIABLE).ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::ERROR);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("no threads can be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::complain(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

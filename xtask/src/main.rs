//! The project's one tool: `cargo xtask COMMAND`. One file a command; this one only reads the command line.

mod bench;
mod build;
mod count;
mod demo;
mod http;
mod install;
mod lint;
mod process;
mod soak;
mod steps;
mod test;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Everything that is done to this project, by one tool")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds everything, starts a server and two people's clients, and prints the addresses to open
    Demo(demo::Options),
    /// Runs every test there is; the last line says how many passed
    Test(test::Options),
    /// Checks what the compiler does not: arrows between crates, sizes, names, rule numbers, versions in documents
    Tidy,
    /// Runs rustfmt and clippy, both in checking mode
    Lint,
    /// Measures: runs what stands in bench/
    Bench(bench::Options),
    /// Runs many seeded worlds in the simulator
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        // Its last line is its verdict, so nothing is printed after it.
        Command::Test(options) => return test::run(&options),
        Command::Tidy => tidy::run(),
        Command::Lint => lint::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Soak(options) => soak::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! The program `aside-server`.

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aside-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

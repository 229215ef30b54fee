//! `cargo xtask test`: every test there is. Ends with one plain line, `N passed, N failed`.

use crate::build::{self, Programs};
use crate::count::{Runner, Tally, tally};
use crate::lint::{self, Verdict};
use crate::process::run_and_keep;
use crate::workspace::{cargo, npm, ui};
use crate::{demo, install, steps, tidy};
use anyhow::{Context, Result};
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Options of `test`.
#[derive(clap::Args)]
pub struct Options {
    /// Leave out the demo, which starts a server and two clients
    #[arg(long)]
    without_demo: bool,
}

/// The command. Prints its own errors, since its last line is the verdict.
pub fn run(options: &Options) -> ExitCode {
    let begin = Instant::now();
    let mut sum = Tally::default();
    if let Err(error) = everything(options, &mut sum) {
        eprintln!("xtask: {error:#}");
        sum += Tally::FAILED;
    }
    println!("All of it took {}.", steps::spoken(begin.elapsed()));
    println!("{} passed, {} failed", sum.passed, sum.failed);
    match sum.failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn everything(options: &Options, sum: &mut Tally) -> Result<()> {
    steps::step("look for what is needed", install::what_is_missing)?;
    // The client embeds ui/dist, so the UI is built before any Rust is.
    build::build_ui()?;
    let tidy = steps::step("tidy", || Ok(tidy::report(&tidy::check_all()?)))?;
    *sum += tidy;
    for (_, verdict) in lint::verdicts()? {
        match verdict {
            Verdict::Passed => *sum += Tally::PASSED,
            Verdict::Failed => *sum += Tally::FAILED,
            Verdict::NotInstalled => {}
        }
    }
    // Tests of real processes, in Rust and in the browser, drive the built programs.
    let programs = build::build_programs()?;
    rust(sum, &programs)?;
    interface(sum, &programs)?;
    if !options.without_demo {
        match steps::step("the demo, checked", || demo::check(&programs)) {
            Ok(()) => *sum += Tally::PASSED,
            Err(error) => {
                eprintln!("xtask: demo: {error:#}");
                *sum += Tally::FAILED;
            }
        }
    }
    Ok(())
}

/// Every Rust test. nextest runs them faster where it is installed, but leaves out those in documentation.
fn rust(sum: &mut Tally, programs: &Programs) -> Result<()> {
    let has_nextest = cargo(&["nextest", "--version"])?.output().is_ok_and(|output| output.status.success());
    if has_nextest {
        let mut tests = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"])?;
        drive(&mut tests, programs);
        *sum += counted("Rust tests (nextest)", Runner::Nextest, &mut tests)?;
        let mut documentation = cargo(&["test", "--workspace", "--doc"])?;
        *sum += counted("Rust tests in documentation", Runner::CargoTest, &mut documentation)?;
    } else {
        let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"])?;
        drive(&mut tests, programs);
        *sum += counted("Rust tests", Runner::CargoTest, &mut tests)?;
    }
    Ok(())
}

/// The UI's tests: those scripts of this list that `ui/package.json` has. The last one drives the built programs.
fn interface(sum: &mut Tally, programs: &Programs) -> Result<()> {
    let manifest = std::fs::read_to_string(ui()?.join("package.json")).context("ui/package.json")?;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).context("ui/package.json")?;
    let scripts = [
        ("check", Runner::ExitStatus),
        ("test", Runner::Vitest),
        ("test:visual", Runner::Playwright),
        ("test:e2e", Runner::Playwright),
    ];
    for (script, runner) in scripts {
        if manifest.get("scripts").and_then(|scripts| scripts.get(script)).is_none() {
            println!("    ui/package.json has no script {script:?}: left out");
            continue;
        }
        let mut command = npm(&["run", script])?;
        command.env("NO_COLOR", "1").env("CI", "1");
        drive(&mut command, programs);
        *sum += counted(&format!("UI: npm run {script}"), runner, &mut command)?;
    }
    Ok(())
}

/// Tells tests where the built programs are.
fn drive(command: &mut Command, programs: &Programs) {
    command.env("ASIDE_BIN", &programs.client).env("ASIDE_SERVER_BIN", &programs.server);
}

fn counted(name: &str, runner: Runner, command: &mut Command) -> Result<Tally> {
    let tally = steps::step(name, || Ok(tally(runner, &run_and_keep(command)?)))?;
    println!("    {name}: {} passed, {} failed", tally.passed, tally.failed);
    Ok(tally)
}

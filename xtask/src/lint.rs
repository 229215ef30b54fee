//! `cargo xtask lint`: rustfmt and clippy in checking mode. `cargo xtask test` runs both.

use crate::steps;
use crate::workspace::cargo;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// One tool with what it is called with.
struct Linter {
    name: &'static str,
    component: &'static str,
    arguments: &'static [&'static str],
}

const LINTERS: [Linter; 2] = [
    Linter { name: "formatting", component: "fmt", arguments: &["fmt", "--all", "--check"] },
    Linter {
        name: "clippy",
        component: "clippy",
        // The purity of the pure crates hangs on these lints (clippy.toml), which are mere warnings by default.
        arguments: &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "clippy::disallowed_methods",
            "-D",
            "clippy::disallowed_types",
        ],
    },
];

/// How a linter ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say.
    Passed,
    /// Something to mend; it is on the terminal.
    Failed,
    /// Not part of this machine's Rust.
    NotInstalled,
}

/// Runs every linter that is installed.
///
/// # Errors
/// cargo does not start.
pub fn verdicts() -> Result<Vec<(&'static str, Verdict)>> {
    LINTERS.iter().map(|linter| Ok((linter.name, verdict(linter)?))).collect()
}

fn verdict(linter: &Linter) -> Result<Verdict> {
    let mut probe: Command = cargo(&[linter.component, "--version"])?;
    let installed = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    if !installed {
        println!("    {}: `cargo {}` is not installed, skipped", linter.name, linter.component);
        return Ok(Verdict::NotInstalled);
    }
    match steps::run(linter.name, &mut cargo(linter.arguments)?) {
        Ok(()) => Ok(Verdict::Passed),
        Err(_) => Ok(Verdict::Failed),
    }
}

/// The command.
///
/// # Errors
/// A linter failed.
pub fn run() -> Result<()> {
    let failed = verdicts()?.into_iter().filter(|(_, verdict)| *verdict == Verdict::Failed);
    match failed.map(|(name, _)| name).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => Ok(()),
        names => bail!("to mend: {names} (`cargo fmt --all` mends formatting by itself)"),
    }
}

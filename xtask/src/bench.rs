//! `cargo xtask bench`: runs the measurements in `bench/`, one executable script each.

use crate::steps;
use crate::workspace::{root, target_dir};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options of `bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Only scripts whose name contains this
    #[arg(default_value = "")]
    name: String,
}

/// The command.
///
/// # Errors
/// There is nothing to measure, or a measurement failed.
pub fn run(options: &Options) -> Result<()> {
    let folder = root()?.join("bench");
    let scripts = scripts(&folder, &options.name)?;
    for script in &scripts {
        let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(script);
        steps::run(&name, command.current_dir(root()?).env("CARGO_TARGET_DIR", target_dir()?))?;
    }
    Ok(())
}

/// The scripts `bench/*.sh` whose name contains `name`, in order.
fn scripts(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        bail!("there is no bench/ folder yet, so nothing to measure");
    };
    let mut scripts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_script = path.extension().is_some_and(|extension| extension == "sh");
        if is_script && path.file_name().unwrap_or_default().to_string_lossy().contains(name) {
            scripts.push(path);
        }
    }
    scripts.sort();
    match scripts.is_empty() {
        true => bail!("bench/ has no script `*.sh` with {name:?} in its name"),
        false => Ok(scripts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_folder_is_said_clearly() {
        let error = scripts(Path::new("/no/such/bench"), "").unwrap_err();
        assert!(error.to_string().contains("no bench/ folder"));
    }
}

//! Where things are: the repository's root, the target directory, and commands that run in the right place.

use anyhow::{Context, Result, anyhow};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root. xtask is compiled in it, so its own manifest says where it is.
pub fn root() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().ok_or_else(|| anyhow!("xtask's manifest has no folder above it"))?;
    match root.join("Cargo.toml").is_file() {
        true => Ok(root.to_owned()),
        false => Err(anyhow!("{} is gone: was the checkout moved? Run `cargo clean -p xtask` there", root.display())),
    }
}

/// The folder with the UI.
pub fn ui() -> Result<PathBuf> {
    Ok(root()?.join("ui"))
}

/// Where cargo builds: outside the checkout, so that clones share it and a clean clone stays small.
pub fn target_dir() -> Result<PathBuf> {
    if let Some(set) = std::env::var_os("CARGO_TARGET_DIR") {
        return Ok(PathBuf::from(set));
    }
    let home = std::env::var_os("HOME").context("HOME is not set: set CARGO_TARGET_DIR to where cargo shall build")?;
    Ok(Path::new(&home).join(".cache").join("aside-target"))
}

/// A program that `cargo build` made in the dev profile.
pub fn built(program: &str) -> Result<PathBuf> {
    Ok(target_dir()?.join("debug").join(program))
}

/// `cargo …`, from the root, building into [`target_dir`].
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root()?).env("CARGO_TARGET_DIR", target_dir()?);
    // What cargo set for xtask itself means nothing to the cargo that it starts, and would make it rebuild.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// `npm …`, in the UI's folder.
pub fn npm(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(ui()?);
    Ok(command)
}

/// Whether a program is on the PATH.
pub fn has_program(name: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

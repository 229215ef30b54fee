//! Building: the UI, then the two programs. The client embeds the UI, so the UI comes first.

use crate::steps;
use crate::workspace::{built, cargo, npm, ui};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

/// The two programs.
pub struct Programs {
    /// `aside`.
    pub client: PathBuf,
    /// `aside-server`.
    pub server: PathBuf,
}

/// Fetches what the UI is made with, and builds it into `ui/dist`.
///
/// # Errors
/// npm fails.
pub fn build_ui() -> Result<()> {
    if !ui()?.join("package-lock.json").is_file() {
        bail!("ui/package-lock.json is missing: the checkout is not whole");
    }
    // `npm ci` starts from nothing each time, which is slow: once is enough for a lockfile.
    let stamp = ui()?.join("node_modules").join(".aside-lockfile");
    let lockfile = std::fs::read(ui()?.join("package-lock.json"))?;
    if std::fs::read(&stamp).ok().as_ref() == Some(&lockfile) {
        println!("    ui/node_modules is what the lockfile says");
    } else {
        let mut install = npm(&["ci", "--no-audit", "--no-fund"])?;
        // The tests drive the system's Chromium; Playwright shall not download one of its own.
        install.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
        steps::run("fetch what the UI is made with (npm ci)", &mut install)?;
        std::fs::write(&stamp, &lockfile).context("remembering which lockfile was installed")?;
    }
    steps::run("build the UI (npm run build)", &mut npm(&["run", "build"])?)
}

/// Builds the two programs in the dev profile, each by itself: together, cargo would unify their features, and the
/// server would inherit the client's SQLCipher.
///
/// `ASIDE_BIN` and `ASIDE_SERVER_BIN`, when both are set, name programs that exist; then nothing is built.
///
/// # Errors
/// cargo fails.
pub fn build_programs() -> Result<Programs> {
    if let Some(given) = given_programs() {
        println!("    using ASIDE_BIN and ASIDE_SERVER_BIN");
        return Ok(given);
    }
    steps::run("build the server", &mut cargo(&["build", "-p", "aside-server"])?)?;
    steps::run("build the client", &mut cargo(&["build", "-p", "aside-cli"])?)?;
    Ok(Programs { client: built("aside")?, server: built("aside-server")? })
}

/// The programs that the environment names.
pub fn given_programs() -> Option<Programs> {
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(Programs { client: path("ASIDE_BIN")?, server: path("ASIDE_SERVER_BIN")? })
}

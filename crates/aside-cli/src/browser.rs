//! Opens the person's own browser: as a window of its own where a browser can do that, else as a page.

use std::process::{Command, Stdio};

/// Browsers with an app mode, by the names that they have on different systems.
const WITH_APP_MODE: &[&str] = &[
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "microsoft-edge-stable",
    "brave-browser",
];

/// What opens a page on this kind of system.
#[cfg(target_os = "macos")]
const OPENER: &str = "open";
#[cfg(not(target_os = "macos"))]
const OPENER: &str = "xdg-open";

/// Opens an address; whether something was found that takes it.
pub fn open(address: &str) -> bool {
    let app = format!("--app={address}");
    WITH_APP_MODE.iter().any(|browser| start(browser, &app)) || start(OPENER, address)
}

/// The browser goes on when this program ends.
fn start(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}

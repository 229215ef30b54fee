//! What the build and the tests need from the system, and installing what is missing (Debian and its kin, by apt).

use crate::steps;
use crate::workspace::has_program;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};

/// One thing that must be there.
struct Need {
    package: &'static str,
    why: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: [Need; 6] = [
    Need { package: "build-essential", why: "compiles SQLite and the cryptography that is C", is_there: has_compiler },
    Need { package: "pkg-config", why: "finds libraries", is_there: || has_program("pkg-config") },
    Need { package: "libssl-dev", why: "SQLCipher, the client's encrypted database, uses it", is_there: has_libssl },
    Need {
        package: "fonts-noto-color-emoji",
        why: "the pictures that the UI is compared with show emoji",
        is_there: || has_font("noto/NotoColorEmoji.ttf"),
    },
    Need {
        package: "fonts-dejavu-core",
        why: "they show Arabic and Hebrew as well",
        is_there: || has_font("dejavu/DejaVuSans.ttf"),
    },
    Need { package: "chromium", why: "the browser that the UI is tested in", is_there: || has_program("chromium") },
];

fn has_compiler() -> bool {
    has_program("cc")
}

fn has_font(file: &str) -> bool {
    std::path::Path::new("/usr/share/fonts/truetype").join(file).exists()
}

fn has_libssl() -> bool {
    let mut command = Command::new("pkg-config");
    let found = command.args(["--exists", "openssl"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// Makes sure that everything is there; installs what is missing, where that is possible.
///
/// # Errors
/// Node is missing, or something is missing that cannot be installed from here; the text says what to type.
pub fn what_is_missing() -> Result<()> {
    if !has_program("npm") || !has_program("node") {
        bail!("Node.js with npm is missing: install Node 20.19 or later (https://nodejs.org), then run this again");
    }
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        println!("    missing: {} ({})", need.package, need.why);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let typed = format!("apt-get install -y {}", packages.join(" "));
    if !has_program("apt-get") {
        bail!("install these with your system's package manager, then run this again: {}", packages.join(" "));
    }
    if !is_root()? {
        bail!("run `sudo {typed}`, then run this again (as root, this command does it by itself)");
    }
    steps::run("ask apt for its current package lists", &mut apt(&["update"]))?;
    let arguments: Vec<&str> = ["install", "-y", "--no-install-recommends"].into_iter().chain(packages).collect();
    steps::run(&format!("install: {typed}"), &mut apt(&arguments))?;
    match NEEDS.iter().find(|need| !(need.is_there)()) {
        None => Ok(()),
        Some(need) => bail!("{} was installed and is still not found", need.package),
    }
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(id.stdout.trim_ascii() == b"0")
}

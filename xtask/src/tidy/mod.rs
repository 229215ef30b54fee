//! `cargo xtask tidy`: what can be counted in STYLE.md, and what documents claim of the code, checked. It runs with the tests.
//!
//! Each check looks at the tree's text and returns failures; none changes anything. A failure names the place, the rule
//! and what to do.

mod arrows;
mod colours;
mod facts;
mod forbidden;
mod layout;
mod rules;
mod rust_source;
mod sizes;
mod tree;

use crate::count::Tally;
use anyhow::{Result, bail};
use std::fmt;
use tree::Tree;

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure {
    /// `path:line`, or just the path.
    place: String,
    /// The rule that is broken.
    rule: String,
    /// What to do.
    remedy: String,
}

impl Failure {
    fn at(place: impl Into<String>, rule: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.remedy)
    }
}

/// A check with what it found.
pub struct Checked {
    name: &'static str,
    failures: Vec<Failure>,
}

/// Runs every check on the checkout.
///
/// # Errors
/// A file cannot be read, or cargo cannot say what the workspace holds.
pub fn check_all() -> Result<Vec<Checked>> {
    let tree = Tree::read(&crate::workspace::root()?)?;
    let packages = arrows::packages()?;
    let checks: [(&'static str, Vec<Failure>); 13] = [
        ("crates import only what they may", arrows::check(&packages)),
        ("Rust files and functions are small", sizes::check_rust(&tree)),
        ("UI files are small", sizes::check_ui(&tree)),
        ("raw colours stand in tokens.css only", colours::check(&tree)),
        ("every cited rule exists, once", rules::check(&tree)),
        ("no test is switched off, nothing is left to do", forbidden::check_unfinished(&tree)),
        ("pure crates are pure", forbidden::check_purity(&tree)),
        ("versions in documents are those of Cargo.lock", facts::check_versions(&tree)),
        ("limits in documents are those of the code", facts::check_limits(&tree)),
        ("links between documents lead somewhere", facts::check_links(&tree)),
        ("tests that the threat model names exist", facts::check_tests(&tree)),
        ("every Rust file says its place", layout::check_headers(&tree)),
        ("no module is named after nothing", layout::check_names(&tree)),
    ];
    Ok(checks.into_iter().map(|(name, failures)| Checked { name, failures }).collect())
}

/// Prints what was found; each check counts as one test.
pub fn report(checks: &[Checked]) -> Tally {
    let mut tally = Tally::default();
    for check in checks {
        if check.failures.is_empty() {
            tally += Tally::PASSED;
            continue;
        }
        tally += Tally::FAILED;
        println!("tidy: not so: {}", check.name);
        for failure in &check.failures {
            println!("  {failure}");
        }
    }
    tally
}

/// The command.
///
/// # Errors
/// Something is to be mended.
pub fn run() -> Result<()> {
    let tally = report(&check_all()?);
    println!("tidy: {} checks passed, {} failed", tally.passed, tally.failed);
    match tally.failed {
        0 => Ok(()),
        _ => bail!("the tree is not tidy"),
    }
}

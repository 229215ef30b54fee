//! Words that may not stand in the code: tests switched off, work left to do, and in the pure crates everything that
//! would make a run differ from its replay (STYLE.md 15, 26).

use super::Failure;
use super::rust_source::{lines_without_tests, masked};
use super::tree::Tree;

const PURE_FOLDERS: [&str; 5] = [
    "crates/aside-protocol/src/",
    "crates/aside-mls/src/",
    "crates/aside-engine/src/",
    "crates/aside-sfu/src/",
    "crates/aside-server/src/core/",
];
/// What a pure crate may not say. The clippy.toml of each bans the same by meaning; this also sees macros and imports.
const IMPURE: [&str; 10] = [
    "SystemTime::now",
    "Instant::now",
    "OsRng",
    "thread_rng",
    "getrandom::",
    "thread::spawn",
    "std::env",
    "std::fs",
    "tokio",
    "std::process",
];
const UNFINISHED_RUST: [&str; 3] = ["#[ignore", "todo!(", "unimplemented!("];
const SWITCHED_OFF_UI: [&str; 5] = [".skip(", ".only(", ".fixme(", ".todo(", ".skipIf("];

/// Nothing is left to do, and no test is switched off.
pub fn check_unfinished(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    // xtask is not looked at: this list stands in it.
    for file in tree.below(&["crates/", "fuzz/", "bench/"], &["rs"]) {
        let remedy = "do it, or take it out; a test that cannot pass is a fault to mend";
        failures.extend(words(&file.path, &masked(&file.text), &UNFINISHED_RUST, "may not stand (STYLE 26)", remedy));
    }
    for file in tree.below(&["ui/"], &["ts", "svelte"]).filter(|file| file.is_test()) {
        let remedy = "let the test run, or take it out";
        failures.extend(words(&file.path, &file.text, &SWITCHED_OFF_UI, "switches tests off (STYLE 26)", remedy));
    }
    failures
}

/// Protocol, MLS, engine, SFU and the server's core have no clock, socket, thread, environment or randomness of their own.
pub fn check_purity(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    for file in tree.below(&PURE_FOLDERS, &["rs"]).filter(|file| !file.is_test()) {
        let masked = masked(&file.text);
        let lines = lines_without_tests(&masked);
        let code: String = masked.split_inclusive('\n').take(lines).collect();
        let remedy = "take time and randomness as arguments; sockets, files and threads belong into the shell";
        failures.extend(words(&file.path, &code, &IMPURE, "in pure code (STYLE 15)", remedy));
    }
    failures
}

fn words(path: &str, text: &str, words: &[&str], rule: &str, remedy: &str) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(*word)) {
            failures.push(Failure::at(format!("{path}:{}", at + 1), format!("{word} {rule}"), remedy));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_left_to_do_and_ignored_tests_are_found() {
        let text =
            "//! todo!( in a comment is fine\nfn a() { todo!() }\n#[ignore = \"later\"]\nfn b() { unimplemented!() }\n";
        let found = check_unfinished(&Tree::of(&[("crates/a/src/a.rs", text)]));
        let places: Vec<&str> = found.iter().map(|failure| failure.place.as_str()).collect();
        assert_eq!(places, ["crates/a/src/a.rs:2", "crates/a/src/a.rs:3", "crates/a/src/a.rs:4"]);
    }

    #[test]
    fn ui_tests_that_are_switched_off_are_found() {
        let text = "test.skip('x', () => {});\ndescribe.only('y', () => {});\n";
        assert_eq!(check_unfinished(&Tree::of(&[("ui/tests/a.spec.ts", text)])).len(), 2);
        assert_eq!(check_unfinished(&Tree::of(&[("ui/src/list.ts", "rows.skip(3)")])), []);
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found_and_one_in_its_tests_is_not() {
        let impure = "//! tokio is not used.\nfn now() { SystemTime::now() }\n";
        let tested = "//! x\n\n#[cfg(test)]\nmod tests {\n    fn now() { SystemTime::now() }\n}\n";
        assert_eq!(check_purity(&Tree::of(&[("crates/aside-engine/src/a.rs", impure)])).len(), 1);
        assert_eq!(check_purity(&Tree::of(&[("crates/aside-engine/src/a.rs", tested)])), []);
        assert_eq!(check_purity(&Tree::of(&[("crates/aside-client/src/a.rs", impure)])), []);
    }
}

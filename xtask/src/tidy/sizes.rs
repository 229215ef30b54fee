//! STYLE.md 6: a function is at most 70 lines, a file at most 600 without its tests.

use super::Failure;
use super::rust_source::{functions, lines_without_tests, masked};
use super::tree::Tree;

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// Rust files and functions, apart from tests.
pub fn check_rust(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    for file in tree.below(&["crates/", "xtask/", "fuzz/", "bench/"], &["rs"]).filter(|file| !file.is_test()) {
        let masked = masked(&file.text);
        let lines = lines_without_tests(&masked);
        if lines > FILE_LINES_MAX {
            failures.push(too_long_a_file(&file.path, lines));
        }
        for function in functions(&masked) {
            if function.line <= lines && function.lines > FUNCTION_LINES_MAX {
                failures.push(Failure::at(
                    format!("{}:{}", file.path, function.line),
                    format!("{}() has {} lines, at most {FUNCTION_LINES_MAX} (STYLE 6)", function.name, function.lines),
                    "split it where it does a second thing; the parent branches, the leaves stay pure",
                ));
            }
        }
    }
    failures
}

/// Svelte and TypeScript files, apart from tests.
pub fn check_ui(tree: &Tree) -> Vec<Failure> {
    let files = tree.below(&["ui/"], &["svelte", "ts"]).filter(|file| !file.is_test());
    let long = files.map(|file| (file, file.text.lines().count())).filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(file, lines)| too_long_a_file(&file.path, lines)).collect()
}

fn too_long_a_file(path: &str, lines: usize) -> Failure {
    Failure::at(
        path,
        format!("{lines} lines without tests, at most {FILE_LINES_MAX} (STYLE 6)"),
        "move what has an owner of its own into a file beside it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found_where_it_begins() {
        let text = format!("//! x\n\nfn long() {{\n{}}}\n", "    step();\n".repeat(69));
        let found = check_rust(&Tree::of(&[("crates/a/src/a.rs", &text)]));
        assert_eq!(found.first().map(|failure| failure.place.as_str()), Some("crates/a/src/a.rs:3"));
        let short = text.replacen("    step();\n", "", 1);
        assert_eq!(check_rust(&Tree::of(&[("crates/a/src/a.rs", &short)])), []);
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let code = "const A: u8 = 1;\n".repeat(601);
        assert_eq!(check_rust(&Tree::of(&[("crates/a/src/a.rs", &code)])).len(), 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(check_rust(&Tree::of(&[("crates/a/src/a.rs", &tests), ("crates/a/tests/b.rs", &code)])), []);
    }

    #[test]
    fn a_long_ui_file_is_found() {
        let text = "<p></p>\n".repeat(601);
        assert_eq!(check_ui(&Tree::of(&[("ui/src/A.svelte", &text), ("ui/src/a.test.ts", &text)])).len(), 1);
    }
}

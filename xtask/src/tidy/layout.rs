//! STYLE.md 5 and 20: names that say something, and files that say their place.

use super::Failure;
use super::tree::Tree;

const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "misc", "helpers", "helper", "types", "shared"];

/// Every Rust file begins with `//!`.
pub fn check_headers(tree: &Tree) -> Vec<Failure> {
    let silent = tree.files.iter().filter(|file| file.extension() == "rs" && !file.text.starts_with("//!"));
    let failures = silent.map(|file| {
        Failure::at(
            format!("{}:1", file.path),
            "a Rust file begins with //! (STYLE 20)",
            "say its place in a message's path, and what it must not do",
        )
    });
    failures.collect()
}

/// No Rust module is called `utils` or the like.
pub fn check_names(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "rs") {
        let module = file.path.trim_end_matches(".rs").split('/').find(|part| EMPTY_NAMES.contains(part));
        if let Some(module) = module {
            failures.push(Failure::at(
                file.path.clone(),
                format!("{module:?} says nothing about what is in it (STYLE 5)"),
                "move the code beside its owner, or name the file after its one subject",
            ));
        }
    }
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_place_is_found() {
        let tree = Tree::of(&[("crates/a/src/a.rs", "use b;\n"), ("crates/a/src/b.rs", "//! Here.\n")]);
        assert_eq!(check_headers(&tree).first().map(|failure| failure.place.as_str()), Some("crates/a/src/a.rs:1"));
        assert_eq!(check_headers(&tree).len(), 1);
    }

    #[test]
    fn empty_names_are_found_as_file_and_as_folder() {
        let tree = Tree::of(&[
            ("crates/a/src/utils.rs", ""),
            ("crates/a/tests/common/mod.rs", ""),
            ("crates/a/src/typesetting.rs", ""),
            ("ui/src/api/types.ts", ""),
        ]);
        assert_eq!(check_names(&tree).len(), 2);
    }
}

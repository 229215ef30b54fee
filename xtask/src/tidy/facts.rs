//! STYLE.md 22: a fact stands once, or a machine compares the two places. Versions and limits that documents quote stand
//! in tables between marks; links lead to files that exist.

use super::Failure;
use super::tree::{File, Tree};
use std::collections::{BTreeMap, BTreeSet};

const LIMITS: &str = "crates/aside-protocol/src/limit.rs";
const THREAT_MODEL: &str = "docs/threat-model.md";

/// Rows `` | `name version` | … `` between `<!-- versions:begin -->` and `<!-- versions:end -->`.
pub fn check_versions(tree: &Tree) -> Vec<Failure> {
    let locked = tree.file("Cargo.lock").map(|file| locked_versions(&file.text)).unwrap_or_default();
    let mut failures = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        for (line, quoted) in marked_rows(file, "versions") {
            let (name, version) = quoted.split_once(' ').unwrap_or((quoted.as_str(), ""));
            let versions = locked.get(name).cloned().unwrap_or_default();
            if !versions.contains(version) {
                let known = versions.into_iter().collect::<Vec<_>>().join(", ");
                let remedy = match known.is_empty() {
                    true => format!("Cargo.lock has no {name}: take the row out"),
                    false => format!("Cargo.lock has {name} {known}: write that"),
                };
                failures.push(Failure::at(
                    format!("{}:{line}", file.path),
                    format!("{quoted:?} is not locked"),
                    remedy,
                ));
            }
        }
    }
    failures
}

/// Rows `` | `NAME = value` | … `` between `<!-- limits:begin -->` and `<!-- limits:end -->`; all limits, each as it is.
pub fn check_limits(tree: &Tree) -> Vec<Failure> {
    let limits = tree.file(LIMITS).map(|file| constants(&file.text)).unwrap_or_default();
    let mut failures = Vec::new();
    let mut quoted_names = BTreeSet::new();
    let mut page = None;
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        for (line, quoted) in marked_rows(file, "limits") {
            let (name, value) = quoted.split_once(" = ").unwrap_or((quoted.as_str(), ""));
            page = Some(file.path.clone());
            quoted_names.insert(name.to_owned());
            let actual = limits.get(name).copied();
            if actual.is_none() || actual != number(value) {
                let remedy = match actual {
                    Some(actual) => format!("{LIMITS} says {name} = {actual}: write that"),
                    None => format!("{LIMITS} has no {name}: take the row out"),
                };
                failures.push(Failure::at(format!("{}:{line}", file.path), format!("{quoted:?} is not so"), remedy));
            }
        }
    }
    for (page, name) in page.iter().flat_map(|page| limits.keys().map(move |name| (page, name))) {
        if !quoted_names.contains(name) {
            let remedy = "add its row to the table, so that whoever writes another client knows it";
            failures.push(Failure::at(page.clone(), format!("the limit {name} is missing"), remedy));
        }
    }
    failures
}

/// Links `[text](path)` in documents lead to files or folders of the tree.
pub fn check_links(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    for file in tree.files.iter().filter(|file| file.extension() == "md") {
        for (at, line) in file.text.lines().enumerate() {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let path = target.split('#').next().unwrap_or_default();
                if path.is_empty() || path.contains("://") || path.starts_with("mailto:") || leads(tree, file, path) {
                    continue;
                }
                failures.push(Failure::at(
                    format!("{}:{}", file.path, at + 1),
                    format!("the link to {target:?} leads nowhere"),
                    "name the file where it lies, as seen from this document",
                ));
            }
        }
    }
    failures
}

/// Code spans `` `crate::test_name` `` in the threat model name tests that exist in that crate (or in `ui`).
pub fn check_tests(tree: &Tree) -> Vec<Failure> {
    let Some(file) = tree.file(THREAT_MODEL) else { return Vec::new() };
    let mut failures = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for (owner, test) in line.split('`').skip(1).step_by(2).filter_map(|span| span.split_once("::")) {
            let folder = if owner == "ui" { "ui/".to_owned() } else { format!("crates/{owner}/") };
            // A claim on each of several stores has the store as its type parameter.
            let declared = [format!("fn {test}("), format!("fn {test}<")];
            if !tree
                .files
                .iter()
                .any(|file| file.path.starts_with(&folder) && declared.iter().any(|name| file.text.contains(name)))
            {
                failures.push(Failure::at(
                    format!("{}:{}", file.path, at + 1),
                    format!("{folder} has no test {test}()"),
                    "name the test that tries this, or leave the column empty",
                ));
            }
        }
    }
    failures
}

fn leads(tree: &Tree, from: &File, path: &str) -> bool {
    let mut parts: Vec<&str> = from.path.split('/').collect();
    parts.pop();
    for part in path.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let target = parts.join("/");
    // Files of other kinds than the tree reads (LICENSE, pictures) are looked up where they lie.
    let on_disk = || crate::workspace::root().is_ok_and(|root| root.join(&target).exists());
    tree.files.iter().any(|file| file.path == target || file.path.starts_with(&format!("{target}/"))) || on_disk()
}

/// The first code span of each table row between a document's marks, with its line.
fn marked_rows(file: &File, mark: &str) -> Vec<(usize, String)> {
    let (begin, end) = (format!("<!-- {mark}:begin -->"), format!("<!-- {mark}:end -->"));
    let mut inside = false;
    let mut rows = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        inside = (inside || line.trim() == begin) && line.trim() != end;
        if inside && let Some(quoted) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            rows.push((at + 1, quoted.to_owned()));
        }
    }
    rows
}

/// `name` to versions, of a Cargo.lock.
fn locked_versions(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = "";
    for line in lock.lines() {
        let value = line.split('"').nth(1).unwrap_or_default();
        if line.starts_with("name = ") {
            name = value;
        } else if line.starts_with("version = ") && !name.is_empty() {
            versions.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
    }
    versions
}

/// `NAME` to value, of the constants whose value is a number or a product of numbers.
fn constants(source: &str) -> BTreeMap<String, u64> {
    let declared = source.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("pub const ")?.split_once(": ")?;
        let value = rest.split_once(" = ")?.1.trim_end_matches(';');
        Some((name.to_owned(), number(value)?))
    });
    declared.collect()
}

/// `2 * 1024` and `1_536`, as a number.
fn number(text: &str) -> Option<u64> {
    let mut factors = text.split('*').map(|factor| factor.trim().replace('_', "").parse::<u64>().ok());
    factors.try_fold(1u64, |product, factor| product.checked_mul(factor?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: (&str, &str) = ("Cargo.lock", "[[package]]\nname = \"openmls\"\nversion = \"0.9.2\"\n");
    const LIMIT: (&str, &str) = (LIMITS, "pub const FRAME_BYTES_MAX: usize = 2 * 1_024;\n");

    fn page(mark: &str, row: &str) -> String {
        format!("<!-- {mark}:begin -->\n| `{row}` | why |\n<!-- {mark}:end -->\n| `outside 1.0` | |\n")
    }

    #[test]
    fn a_version_that_is_not_locked_is_found() {
        let check = |row: &str| check_versions(&Tree::of(&[LOCK, ("A.md", &page("versions", row))]));
        assert_eq!(check("openmls 0.9.2"), []);
        assert!(check("openmls 0.9.1").first().is_some_and(|failure| failure.remedy.contains("0.9.2")));
        assert_eq!(check("nothing 1.0").len(), 1);
    }

    #[test]
    fn a_limit_that_is_not_so_or_missing_is_found() {
        let check = |row: &str| check_limits(&Tree::of(&[LIMIT, ("docs/a.md", &page("limits", row))]));
        assert_eq!(check("FRAME_BYTES_MAX = 2048"), []);
        assert_eq!(check("FRAME_BYTES_MAX = 2 * 1024"), []);
        assert_eq!(check("FRAME_BYTES_MAX = 2047").len(), 1);
        assert_eq!(check("NO_LIMIT = 1").len(), 2);
    }

    #[test]
    fn a_test_that_the_threat_model_names_in_vain_is_found() {
        let model =
            (THREAT_MODEL, "| cannot | why | `aside-mls::a_test_that_is_there`, `aside-mls::one_that_is_not` |\n");
        let code = ("crates/aside-mls/src/tests.rs", "#[test]\nfn a_test_that_is_there() {}\n");
        let found = check_tests(&Tree::of(&[model, code]));
        assert_eq!(found.len(), 1);
        assert!(found.first().is_some_and(|failure| failure.rule.contains("one_that_is_not")));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let text = "[a](b.md), [c](../x/), [d](https://example.org/), [e](#here), [f](gone.md)\n";
        let found = check_links(&Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("x/y.md", "")]));
        assert_eq!(found.len(), 1);
        assert!(found.first().is_some_and(|failure| failure.rule.contains("gone.md")));
    }
}

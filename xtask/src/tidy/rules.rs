//! STYLE.md 23: rules are numbered in docs/protocol/ (`**P-3.4**` at the beginning of a paragraph), and cited by number.

use super::Failure;
use super::tree::{File, Tree};
use std::collections::BTreeMap;

const WHERE_RULES_STAND: &str = "docs/protocol/";
/// Where rules are cited. xtask is not among them: its tests cite rules that do not exist.
const WHERE_RULES_ARE_CITED: [&str; 7] =
    ["crates/", "ui/src/", "ui/tests/", "docs/", "fuzz/", "ARCHITECTURE.md", "README.md"];

/// Each rule stands once, in the file of its number, and each citation names a rule that stands.
pub fn check(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    for file in tree.below(&[WHERE_RULES_STAND], &["md"]) {
        for (line, rule) in definitions(file) {
            let place = format!("{}:{line}", file.path);
            let chapter = rule.trim_start_matches("P-").split('.').next().unwrap_or_default();
            if !file.name().starts_with(&format!("{chapter}-")) {
                let remedy =
                    format!("move it into the file that begins with {chapter}-, or give it this file's number");
                failures.push(Failure::at(place.clone(), format!("{rule} stands in another chapter's file"), remedy));
            }
            if let Some(first) = rules.insert(rule.clone(), place.clone()) {
                let remedy = format!("it stands at {first} already: give one of them a number that is free");
                failures.push(Failure::at(place, format!("{rule} stands twice"), remedy));
            }
        }
    }
    for file in tree.below(&WHERE_RULES_ARE_CITED, &["rs", "ts", "svelte", "md"]) {
        for (line, rule) in citations(file).into_iter().filter(|(_, rule)| !rules.contains_key(rule)) {
            let remedy = "write the rule into docs/protocol/, or cite the one that is meant";
            failures.push(Failure::at(format!("{}:{line}", file.path), format!("{rule} does not exist"), remedy));
        }
    }
    failures
}

fn definitions(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().enumerate();
    let rules = lines.filter_map(|(at, line)| {
        let (rule, _) = line.strip_prefix("**")?.split_once("**")?;
        (numbers(rule).first()? == rule).then(|| (at + 1, rule.to_owned()))
    });
    rules.collect()
}

fn citations(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().enumerate();
    lines.flat_map(|(at, line)| numbers(line).into_iter().map(move |rule| (at + 1, rule))).collect()
}

/// Every `P-<chapter>.<rule>` in a text.
fn numbers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut before = None;
    for (at, part) in text.split("P-").enumerate() {
        let chapter: String = part.chars().take_while(char::is_ascii_digit).collect();
        let rest = part.get(chapter.len()..).unwrap_or_default();
        let rule: String = rest.chars().skip(1).take_while(char::is_ascii_digit).collect();
        let starts_word = !before.is_some_and(|c: char| c.is_alphanumeric());
        if at > 0 && starts_word && !chapter.is_empty() && rest.starts_with('.') && !rule.is_empty() {
            found.push(format!("P-{chapter}.{rule}"));
        }
        before = part.chars().next_back();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: (&str, &str) = ("docs/protocol/2-connections.md", "**P-2.1** One.\n\n**P-2.2** Two, see P-2.1.\n");

    #[test]
    fn citations_of_rules_that_stand_are_fine() {
        let tree = Tree::of(&[RULES, ("crates/a/src/a.rs", "/// Rules P-2.1 to P-2.2 (P-2.1).\n// HTTP-2.9 is none.")]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn a_citation_of_no_rule_is_found() {
        let tree = Tree::of(&[RULES, ("crates/a/src/a.rs", "//! x\n/// See P-2.10.\n")]);
        let found = check(&tree);
        assert_eq!(found.first().map(|failure| failure.place.as_str()), Some("crates/a/src/a.rs:2"));
    }

    #[test]
    fn a_number_that_stands_twice_is_found() {
        let tree = Tree::of(&[RULES, ("docs/protocol/2-other.md", "**P-2.2** Again.\n")]);
        assert!(check(&tree).first().is_some_and(|failure| failure.rule.contains("twice")));
    }

    #[test]
    fn a_rule_in_another_chapters_file_is_found() {
        let tree = Tree::of(&[("docs/protocol/3-identity.md", "**P-4.1** One.\n")]);
        assert!(check(&tree).first().is_some_and(|failure| failure.rule.contains("another chapter")));
    }
}

//! Colours stand in `ui/src/styles/tokens.css` and nowhere else, so that light, dark and forced colours stay whole.

use super::Failure;
use super::tree::{File, Tree};

const TOKENS: &str = "ui/src/styles/tokens.css";
const FUNCTIONS: [&str; 10] = ["rgb(", "rgba(", "hsl(", "hsla(", "hwb(", "lab(", "lch(", "oklab(", "oklch(", "color("];
const NAMES: [&str; 20] = [
    "white", "black", "red", "green", "blue", "gray", "grey", "orange", "yellow", "purple", "pink", "silver", "navy",
    "teal", "maroon", "olive", "lime", "aqua", "fuchsia", "crimson",
];

/// Every raw colour outside the tokens.
pub fn check(tree: &Tree) -> Vec<Failure> {
    let mut failures = Vec::new();
    for file in tree.below(&["ui/src/"], &["css", "svelte", "ts"]) {
        if file.path == TOKENS || file.is_test() {
            continue;
        }
        for (line, colour) in raw_colours(file) {
            failures.push(Failure::at(
                format!("{}:{line}", file.path),
                format!("{colour} is a raw colour"),
                format!("use a variable of {TOKENS}, or add one there for light and dark"),
            ));
        }
    }
    failures
}

fn raw_colours(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_styles = file.extension() == "css";
    for (at, line) in file.text.lines().enumerate() {
        in_styles = (in_styles || line.contains("<style")) && !line.contains("</style");
        let colour = hexadecimal(line, in_styles).or_else(|| function(line)).or_else(|| match in_styles {
            true => named(line),
            false => None,
        });
        found.extend(colour.map(|colour| (at + 1, colour)));
    }
    found
}

/// `#fff` and its longer forms. Outside styles only inside quotes: elsewhere `#` begins other things.
fn hexadecimal(line: &str, in_styles: bool) -> Option<String> {
    for (at, _) in line.match_indices('#') {
        let (before, after) = (line.get(..at).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
        let word: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
        let is_colour = matches!(word.len(), 3 | 4 | 6 | 8) && word.chars().all(|c| c.is_ascii_hexdigit());
        let in_quotes = before.matches(['"', '\'', '`']).count() % 2 == 1;
        let begins_value =
            before.chars().next_back().is_some_and(|c| matches!(c, ' ' | ':' | '(' | ',' | '"' | '\'' | '`'));
        // In styles, a colour stands behind the colon of a declaration; an id selector does not.
        let placed = if in_styles { before.contains(':') } else { in_quotes };
        if is_colour && begins_value && placed {
            return Some(format!("#{word}"));
        }
    }
    None
}

/// `rgb(…)` and its kin.
fn function(line: &str) -> Option<String> {
    let found = FUNCTIONS.iter().find(|function| {
        line.match_indices(**function).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '$'))
        })
    });
    found.map(|function| format!("{function}…)"))
}

/// A colour's name in a declaration.
fn named(line: &str) -> Option<String> {
    let (_, value) = line.split_once(':')?;
    let mut words = value.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_')));
    words.find(|word| NAMES.contains(word)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn raw_colours_are_found_in_every_form() {
        assert_eq!(found("ui/src/a.css", "a { color: #fff; }"), 1);
        assert_eq!(found("ui/src/a.css", "a {\n  border: 1px solid rgb(0 0 0 / 10%);\n}"), 1);
        assert_eq!(found("ui/src/A.svelte", "<style>\n  a { background: white; }\n</style>"), 1);
        assert_eq!(found("ui/src/A.svelte", "<i style=\"color: #12ab34\"></i>"), 1);
        assert_eq!(found("ui/src/a.ts", "const accent = '#12ab34';"), 1);
    }

    #[test]
    fn variables_blocks_and_private_methods_are_no_colours() {
        assert_eq!(
            found("ui/src/a.css", "a { color: var(--text-1); border-color: color-mix(in srgb, var(--a), var(--b)); }"),
            0
        );
        assert_eq!(found("ui/src/a.css", "#add {\n  white-space: nowrap;\n}"), 0);
        assert_eq!(found("ui/src/A.svelte", "{#each rows as row}<a href=\"#x\">white</a>{/each}"), 0);
        assert_eq!(found("ui/src/a.ts", "class A { #add() { this.#add(); } }"), 0);
        assert_eq!(found("ui/src/styles/tokens.css", ":root { --accent: #12ab34; }"), 0);
    }
}

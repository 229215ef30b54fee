//! Just enough reading of Rust to count in it: code without its comments and texts, where the tests at a file's end
//! begin, and where each function begins and ends.

/// A function.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// The code with comments and the insides of texts blanked; lines stay where they are.
pub fn masked(source: &str) -> String {
    let mut rest = source;
    let mut masked = String::with_capacity(source.len());
    while let Some(first) = rest.chars().next() {
        let (taken, is_code) = token(rest, first, masked.chars().next_back());
        let (text, after) = rest.split_at(taken);
        match is_code {
            true => masked.push_str(text),
            false => masked.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = after;
    }
    masked
}

/// How many bytes belong together at the beginning of `rest`, and whether they are code.
fn token(rest: &str, first: char, before: Option<char>) -> (usize, bool) {
    let ends_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if ends_word && let Some(bytes) = raw_text(rest) {
        return (bytes, false);
    }
    if first == '"' {
        return (quoted(rest, '"'), false);
    }
    if first == '\'' && is_character(rest) {
        return (quoted(rest, '\''), false);
    }
    (first.len_utf8(), true)
}

/// Length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if left.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += left.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#` and the same with `b` or `c` before them.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let opening = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |found| opening + found + end.len()))
}

/// Length of a text or character with escapes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether a `'` begins a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    match characters.next() {
        Some('\\') => true,
        Some(_) => characters.next() == Some('\''),
        None => false,
    }
}

/// How many lines stand before the tests at the file's end (`#[cfg(test)]` and then a module with a body).
pub fn lines_without_tests(masked: &str) -> usize {
    let lines: Vec<&str> = masked.lines().collect();
    let begin = lines.iter().zip(lines.iter().skip(1)).position(|(attribute, module)| {
        attribute.trim_end() == "#[cfg(test)]" && module.starts_with("mod ") && module.trim_end().ends_with('{')
    });
    begin.unwrap_or(lines.len())
}

/// Every function with a body, in order. `masked` is what [`masked`] returned.
pub fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = masked.get(at..).and_then(|rest| rest.find("fn ")) {
        let begin = at + next;
        at = begin + "fn ".len();
        let before = masked.get(..begin).and_then(|text| text.chars().next_back());
        let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let name: String =
            masked.get(at..).unwrap_or_default().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(masked.get(at..).unwrap_or_default()) {
            let line = masked.get(..begin).unwrap_or_default().matches('\n').count() + 1;
            let lines = masked.get(begin..at + end).unwrap_or_default().matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// Where the body that begins after a signature ends; nothing for a signature without a body.
fn body_end(signature: &str) -> Option<usize> {
    let (mut brackets, mut braces) = (0i32, 0i32);
    for (at, character) in signature.char_indices() {
        match character {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
                if braces < 0 {
                    return None;
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_blanked_and_lines_stay() {
        let source = "let a = \"}\\\"{\"; // {\n/* { /* { */ */ let b = '{'; let c: &'static str = r#\"{\"#;\n";
        let masked = masked(source);
        assert!(!masked.contains('{') && !masked.contains('}'));
        assert!(masked.contains("let c: &'static str"));
        assert_eq!(masked.matches('\n').count(), 2);
        assert_eq!(masked.len(), source.len());
    }

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let source =
            "trait T { fn without_body(&self); }\nfn one(\n  a: [u8; 4],\n) -> u8 {\n  { 1 }\n}\nfn two() {}\n";
        let found = functions(&masked(source));
        let one = Function { name: "one".into(), line: 2, lines: 5 };
        assert_eq!(found, [one, Function { name: "two".into(), line: 7, lines: 1 }]);
    }

    #[test]
    fn tests_at_the_end_do_not_count() {
        assert_eq!(lines_without_tests("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(lines_without_tests("#[cfg(test)]\nmod tests;\nfn a() {}\n"), 3);
    }
}

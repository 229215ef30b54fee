//! What stands on the terminal. Names, titles and texts come from other people: what a terminal would take for commands
//! is not printed.

use std::io::Write;

/// A text of somebody else's on one line, without control characters.
pub fn line(text: &str) -> String {
    let one = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || is_direction(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(one).collect()
}

/// A text of somebody else's with its line breaks.
pub fn lines(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Marks that turn the direction of what follows, and could make one name look like another.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// One line on standard output, at once.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// A sentence on standard error.
pub fn complain(text: &str) {
    // Where standard error is closed nobody reads it.
    let _ = writeln!(std::io::stderr(), "aside: {}", lines(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_not_printed() {
        assert_eq!(line("a\x1b[2Jb\r\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd} c\u{fffd}d");
        assert_eq!(lines("a\nb\x07"), "a\nb\u{fffd}");
    }
}

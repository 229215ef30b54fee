//! Figures of several runs and servers, kept in a file until they can be printed side by side: rounds are made one after
//! the other, and what a table says of a server is the median over all of its rounds.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Others who use more than this share of one processor make a figure doubtful.
const OTHERS_MAX: f64 = 0.15;
const ASIDE: &str = "aside";
const PROSODY: &str = "prosody";
const REFERENCE: &str = "reference";

/// One row of the file: `server, what, value, value…`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which server, and how it was used.
    pub server: String,
    /// What was measured, with its unit.
    pub what: String,
    /// Samples.
    pub values: Vec<f64>,
}

impl Row {
    /// Appends it to a file.
    ///
    /// # Errors
    /// The file.
    pub fn append(&self, path: &Path) -> Result<()> {
        let values: Vec<String> = self.values.iter().map(f64::to_string).collect();
        let mut file = OpenOptions::new().create(true).append(true).open(path).context("opening the record")?;
        Ok(writeln!(file, "{}\t{}\t{}", self.server, self.what, values.join(" "))?)
    }
}

/// Median, least, greatest and mean of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// A server that works in bursts of seconds is better told by this than by its median.
    pub mean: f64,
}

impl Spread {
    /// Of samples; `None` of nothing.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Some(Self { median: *sorted.get(sorted.len() / 2)?, min, max, mean })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 100.0 { 2 } else { 0 };
        let Self { median, min, max, mean } = self;
        write!(f, "{median:.digits$} ({min:.digits$} to {max:.digits$}, mean {mean:.digits$})")
    }
}

/// The table of a file.
///
/// # Errors
/// The file, or a line that is none of ours.
pub fn table(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).context("reading the record")?;
    let mut samples: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    for line in text.lines() {
        let row = parse(line).with_context(|| format!("no line of a record: {line:?}"))?;
        samples.entry((row.what, row.server)).or_default().extend(row.values);
    }
    render(&samples)
}

fn parse(line: &str) -> Option<Row> {
    let mut parts = line.split('\t');
    let (server, what) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let values = parts.next()?.split(' ').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    Some(Row { server, what, values })
}

fn render(samples: &BTreeMap<(String, String), Vec<f64>>) -> Result<String> {
    let whats: BTreeSet<&String> = samples.keys().map(|(what, _)| what).collect();
    let mut table = String::new();
    for what in whats {
        let of_what = samples.iter().filter(|((other, _), _)| other == what);
        let spreads: BTreeMap<&str, Spread> =
            of_what.filter_map(|((_, server), values)| Some((server.as_str(), Spread::of(values)?))).collect();
        writeln!(table, "{what}")?;
        for (server, spread) in &spreads {
            let line = format!("  {server:<20} {:<44}", spread.to_string());
            writeln!(table, "{}", format!("{line}{}", ratios(what, server, spread, &spreads)).trim_end())?;
        }
    }
    Ok(table)
}

/// How Aside's throughput compares with the others'.
fn ratios(what: &str, server: &str, spread: &Spread, spreads: &BTreeMap<&str, Spread>) -> String {
    let mut ratios = String::new();
    if !server.starts_with(ASIDE) || !what.starts_with("throughput") {
        return ratios;
    }
    for other in [PROSODY, REFERENCE] {
        if let Some(found) = spreads.get(other) {
            let ratio = spread.median / found.median;
            // Writing into a String cannot fail.
            let _ = write!(ratios, "  {ratio:.2} x {other}");
        }
    }
    ratios
}

/// What to print of others on the machine.
pub fn disturbance(others: f64) -> &'static str {
    if others > OTHERS_MAX { "  DISTURBED: others used the machine, do not trust this line" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_of_a_server_are_one_median_and_ratios_are_of_medians() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let row = |server: &str, values: &[f64]| Row {
            server: server.into(),
            what: "throughput, 256 B, msg/s".into(),
            values: values.to_vec(),
        };
        for row in [row(PROSODY, &[500.0]), row(ASIDE, &[9_000.0, 20_000.0]), row(ASIDE, &[10_000.0])] {
            row.append(file.path()).unwrap();
        }
        let table = table(file.path()).unwrap();
        assert!(table.contains("10000 (9000 to 20000, mean 13000)"), "{table}");
        assert!(table.contains("20.00 x prosody"), "{table}");
    }

    #[test]
    fn a_line_of_something_else_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "no record\n").unwrap();
        assert!(table(file.path()).is_err());
    }
}

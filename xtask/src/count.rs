//! How many tests passed and failed, read from what the test runners print.

use crate::process::Finished;
use std::ops::AddAssign;

/// Tests that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Those that passed.
    pub passed: u64,
    /// Those that did not, whatever the way.
    pub failed: u64,
}

impl Tally {
    /// One test that passed.
    pub const PASSED: Tally = Tally { passed: 1, failed: 0 };
    /// One test that failed.
    pub const FAILED: Tally = Tally { passed: 0, failed: 1 };
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed = self.passed.saturating_add(other.passed);
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// A test runner, by the summary that it prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// `cargo nextest run`.
    Nextest,
    /// `cargo test`; a crate without tests is no fault there.
    CargoTest,
    /// `vitest run`.
    Vitest,
    /// `playwright test`.
    Playwright,
    /// A check that prints no counts: it is one test.
    ExitStatus,
}

/// Reads what a runner left. A failing exit status is at least one failure, and a summary that cannot be found is one
/// too: a test that did not run must not look like one that passed.
pub fn tally(runner: Runner, finished: &Finished) -> Tally {
    let ok = finished.status.success();
    let output = without_colours(&finished.output);
    let mut tally = match runner {
        Runner::Nextest => sum(output.lines().filter_map(nextest_line)),
        Runner::CargoTest => sum(output.lines().filter_map(cargo_test_line)),
        Runner::Vitest => sum(output.lines().filter_map(vitest_line)),
        Runner::Playwright => sum(output.lines().filter_map(playwright_line)),
        Runner::ExitStatus if ok => Tally::PASSED,
        Runner::ExitStatus => Tally::FAILED,
    };
    let may_be_empty = runner == Runner::CargoTest;
    if ok && tally == Tally::default() && !may_be_empty {
        println!("    no summary of {runner:?} found in its output: counted as one failure");
    }
    if tally.failed == 0 && (!ok || (tally.passed == 0 && !may_be_empty)) {
        tally += Tally::FAILED;
    }
    tally
}

fn sum(tallies: impl Iterator<Item = Tally>) -> Tally {
    tallies.fold(Tally::default(), |mut sum, one| {
        sum += one;
        sum
    })
}

/// `3 passed`, `1 timed out`: a number and what became of so many tests.
fn counted(text: &str) -> Option<Tally> {
    let (number, outcome) = text.trim().split_once(' ')?;
    let number = number.parse().ok()?;
    let outcome = outcome.split('(').next().unwrap_or_default().trim();
    match outcome {
        // "flaky" passed on a later try; which tests those were stands in the runner's own output.
        "passed" | "flaky" => Some(Tally { passed: number, failed: 0 }),
        "failed" | "timed out" | "exec failed" | "aborted" | "interrupted" | "did not run" => {
            Some(Tally { passed: 0, failed: number })
        }
        _ => None,
    }
}

/// `Summary [   0.009s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`
fn nextest_line(line: &str) -> Option<Tally> {
    let summary = line.trim().strip_prefix("Summary [")?;
    let (_, outcomes) = summary.split_once(" run: ")?;
    Some(sum(outcomes.split(',').filter_map(counted)))
}

/// `test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`
fn cargo_test_line(line: &str) -> Option<Tally> {
    let (_, outcomes) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    Some(sum(outcomes.split(';').filter_map(counted)))
}

/// `Tests  1 failed | 11 passed (12)`
fn vitest_line(line: &str) -> Option<Tally> {
    let outcomes = line.trim().strip_prefix("Tests  ")?;
    Some(sum(outcomes.split('|').filter_map(counted)))
}

/// `11 passed (10.2s)`, a line for each outcome.
fn playwright_line(line: &str) -> Option<Tally> {
    counted(line)
}

/// Removes terminal colour sequences.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => {
                let _sequence = rest.by_ref().find(char::is_ascii_alphabetic);
            }
            _ => plain.push(character),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn finished(code: i32, output: &str) -> Finished {
        Finished { status: ExitStatus::from_raw(code << 8), output: output.to_owned() }
    }

    #[test]
    fn each_runners_summary_is_read() {
        let nextest =
            "     Summary [   0.009s] 8 tests run: 5 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(tally(Runner::Nextest, &finished(100, nextest)), Tally { passed: 5, failed: 3 });
        let cargo = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n\
                     test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(tally(Runner::CargoTest, &finished(101, cargo)), Tally { passed: 6, failed: 2 });
        let vitest = " Test Files  1 failed | 3 passed (4)\n      Tests  1 failed | 11 passed (12)\n";
        assert_eq!(tally(Runner::Vitest, &finished(1, vitest)), Tally { passed: 11, failed: 1 });
        let playwright = "  1 failed\n    [x] › a.spec.ts:3:1 › it works\n  4 passed (10.2s)\n";
        assert_eq!(tally(Runner::Playwright, &finished(1, playwright)), Tally { passed: 4, failed: 1 });
    }

    #[test]
    fn colours_do_not_hide_a_summary() {
        let vitest = "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[32m12 passed\u{1b}[39m\u{1b}[22m (12)\n";
        assert_eq!(tally(Runner::Vitest, &finished(0, vitest)), Tally { passed: 12, failed: 0 });
    }

    #[test]
    fn a_runner_that_fails_without_a_summary_is_a_failure() {
        assert_eq!(tally(Runner::Nextest, &finished(101, "error: could not compile")), Tally::FAILED);
        assert_eq!(tally(Runner::Playwright, &finished(1, "  4 passed (1s)\nError")), Tally { passed: 4, failed: 1 });
    }

    #[test]
    fn a_runner_that_ran_nothing_is_a_failure_except_for_doc_tests() {
        assert_eq!(tally(Runner::Vitest, &finished(0, "")), Tally::FAILED);
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(tally(Runner::CargoTest, &finished(0, none)), Tally::default());
    }
}

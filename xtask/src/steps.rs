//! Steps: each prints what it does before it does it, and how long it took. Every command is made of these.

use crate::process;
use anyhow::{Result, bail};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Does one step, between a line that names it and a line with its duration.
///
/// # Errors
/// What the step failed with.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let begin = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    println!("    {outcome} in {}: {name}", spoken(begin.elapsed()));
    result
}

/// Runs a program as a step; its output goes through. Anything but exit code 0 is an error.
///
/// # Errors
/// The program does not start, or fails.
pub fn run(name: &str, command: &mut Command) -> Result<()> {
    step(name, || {
        command.stdin(Stdio::null());
        let status = process::start_error(command, |command| command.status())?;
        match status.success() {
            true => Ok(()),
            false => bail!("`{}` failed ({status})", process::line(command)),
        }
    })
}

/// A duration as people say it: `0.4 s`, `75 s`, `3 min 20 s`.
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken_at_their_own_scale() {
        assert_eq!(spoken(Duration::from_millis(420)), "0.4 s");
        assert_eq!(spoken(Duration::from_secs(75)), "75 s");
        assert_eq!(spoken(Duration::from_secs(200)), "3 min 20 s");
    }
}

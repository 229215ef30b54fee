//! Who used the machine while something was measured: the server, this process, or others.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::time::Instant;

/// Linux counts processor time in hundredths of a second here (`USER_HZ`, the same on every architecture of today).
const TICKS_A_SECOND: f64 = 100.0;
const PAGE_KIB: u64 = 4;

/// What the processes of a server take.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_kib: u64,
}

/// Adds up processes and all that descend from them.
pub fn usage(roots: &[u32]) -> Usage {
    let processes = processes();
    let mut usage = Usage::default();
    for (id, process) in &processes {
        let mut ancestor = *id;
        while ancestor > 1 && !roots.contains(&ancestor) {
            ancestor = processes.get(&ancestor).map_or(0, |process| process.parent);
        }
        if roots.contains(&ancestor) {
            usage.cpu_seconds += process.ticks as f64 / TICKS_A_SECOND;
            usage.resident_kib += process.pages * PAGE_KIB;
        }
    }
    usage
}

struct Process {
    parent: u32,
    ticks: u64,
    pages: u64,
}

fn processes() -> HashMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    // A process may end while it is looked at.
    ids.filter_map(|id| Some((id, read_process(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?))).collect()
}

/// proc_pid_stat(5); the name in brackets may hold anything, so that counting begins behind it.
fn read_process(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let parent = u32::try_from(number(1)?).ok()?;
    Some(Process { parent, ticks: number(11)? + number(12)?, pages: number(21)? })
}

/// Busy and stolen seconds of all processors together.
fn machine() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    let at = |index: usize| ticks.get(index).copied().unwrap_or_default() / TICKS_A_SECOND;
    // user, nice, system, idle, iowait, irq, softirq, steal
    Ok((at(0) + at(1) + at(2) + at(5) + at(6), at(7)))
}

/// Runs while something is measured.
#[derive(Debug)]
pub struct Meter {
    server: Vec<u32>,
    begun: Instant,
    server_before: f64,
    own_before: f64,
    machine_before: (f64, f64),
}

/// What a [`Meter`] saw: shares are of one processor, so that two full ones are 2.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// How long it ran.
    pub seconds: f64,
    /// By the server.
    pub server: f64,
    /// By this process.
    pub generator: f64,
    /// By everything else on the machine, and taken away from it by its host. Figures with much of it are worth little.
    pub others: f64,
    /// The server's memory at the end.
    pub server_resident_kib: u64,
}

impl Meter {
    /// Begins. `server` are process ids.
    ///
    /// # Errors
    /// This is no Linux.
    pub fn start(server: &[u32]) -> Result<Self> {
        Ok(Self {
            server: server.to_vec(),
            begun: Instant::now(),
            server_before: usage(server).cpu_seconds,
            own_before: usage(&[std::process::id()]).cpu_seconds,
            machine_before: machine()?,
        })
    }

    /// Ends.
    ///
    /// # Errors
    /// As [`Meter::start`].
    pub fn stop(&self) -> Result<Used> {
        let (seconds, server) = (self.begun.elapsed().as_secs_f64(), usage(&self.server));
        let (busy, stolen) = machine()?;
        let (busy, stolen) = (busy - self.machine_before.0, stolen - self.machine_before.1);
        let server_cpu = server.cpu_seconds - self.server_before;
        let own_cpu = usage(&[std::process::id()]).cpu_seconds - self.own_before;
        let share = |cpu: f64| (cpu / seconds).max(0.0);
        Ok(Used {
            seconds,
            server: share(server_cpu),
            generator: share(own_cpu),
            others: share(busy - server_cpu - own_cpu + stolen),
            server_resident_kib: server.resident_kib,
        })
    }
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: f64| share * 100.0;
        write!(
            f,
            "server {:.0} % of a core and {:.1} MiB, generator {:.0} %, others {:.0} %",
            percent(self.server),
            self.server_resident_kib as f64 / 1024.0,
            percent(self.generator),
            percent(self.others)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = "42 (a) b (c)) S 7 1 1 0 -1 0 0 0 0 0 11 22 0 0 20 0 1 0 99 1000 333 0";
        let process = read_process(stat).unwrap();
        assert_eq!((process.parent, process.ticks, process.pages), (7, 33, 333));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(usage(&[std::process::id()]).resident_kib > 100);
    }
}

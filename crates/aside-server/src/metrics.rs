//! Counters for Prometheus. Counts only: no label says who or which.

use crate::core::CoreCounters;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// The process's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that are open.
    pub connections: AtomicU64,
    /// Connections that were taken.
    pub accepted: AtomicU64,
    /// Connections that were turned away because there were too many.
    pub turned_away: AtomicU64,
    /// Connections that were closed because they did not read.
    pub slow_consumers: AtomicU64,
    /// WebSocket messages that came.
    pub frames_in: AtomicU64,
    /// WebSocket messages that went out.
    pub frames_out: AtomicU64,
    core: [AtomicU64; 8],
}

/// Adds one.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

const CORE: [(&str, &str); 9] = [
    ("requests_answered_total", "Requests that were done."),
    ("requests_refused_total", "Requests that were refused."),
    ("entries_appended_total", "Entries that were stored in channels."),
    ("envelopes_deposited_total", "Envelopes that were stored in inboxes."),
    ("frames_pushed_total", "Frames that were pushed."),
    ("commits_total", "Transactions that were synced."),
    ("commits_failed_total", "Transactions that failed."),
    ("requests_damaged_total", "Requests that met a damaged row of the database."),
    ("maintenance_failed_total", "Failures of the store's upkeep."),
];

impl Metrics {
    /// Takes over the core's counters.
    pub fn set_core(&self, counters: CoreCounters) {
        let values = [
            counters.answered,
            counters.refused,
            counters.appended,
            counters.deposited,
            counters.pushed,
            counters.commits,
            counters.commits_failed,
            counters.damaged,
            counters.maintenance_failed,
        ];
        for (counter, value) in self.core.iter().zip(values) {
            counter.store(value, Ordering::Relaxed);
        }
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, kind: &str, help: &str, value: u64| {
            // Writing to a String cannot fail.
            let _ = write!(text, "# HELP aside_{name} {help}\n# TYPE aside_{name} {kind}\naside_{name} {value}\n");
        };
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        line("connections", "gauge", "Connections that are open.", value(&self.connections));
        line("connections_accepted_total", "counter", "Connections that were taken.", value(&self.accepted));
        line("connections_turned_away_total", "counter", "Connections beyond the limit.", value(&self.turned_away));
        line("slow_consumers_total", "counter", "Connections closed for not reading.", value(&self.slow_consumers));
        line("frames_in_total", "counter", "WebSocket messages that came.", value(&self.frames_in));
        line("frames_out_total", "counter", "WebSocket messages that went out.", value(&self.frames_out));
        for ((name, help), counter) in CORE.iter().zip(&self.core) {
            line(name, "counter", help, value(counter));
        }
        text
    }
}

//! Logs that can hold no content, name or address, by construction: an event is one of a closed list, its fields are
//! numbers and words of this program, and [`log`] is the only function that emits one. A test looks for others.

use crate::config::{LogFormat, LogLevel};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;

const TARGET: &str = "aside_server";

/// What is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEvent {
    /// The server takes connections.
    Started {
        /// On this many addresses.
        listeners: usize,
    },
    /// The server was told to stop.
    Stopping {
        /// Connections that are closed for it.
        connections: usize,
    },
    /// Everything is stored and closed.
    Stopped,
    /// The store did not close as it should; what was acknowledged is safe.
    StopFailed {
        /// What the store said.
        fault: &'static str,
    },
    /// The online certificate or the TLS certificate ends soon.
    CertificateEndsSoon {
        /// Days left.
        days: u32,
    },
    /// The server renewed its certificates by itself.
    CertificateRenewed {
        /// Days for which they hold.
        days: u32,
    },
    /// The certificates cannot be read or renewed; those that were read before are used on.
    CertificateFailed,
    /// The administrator's commands cannot reach the running server; they take hold all the same, within seconds.
    ControlFailed,
    /// A transaction failed; nothing of it was acknowledged.
    StoreFailed {
        /// Requests that were refused for it.
        requests: usize,
    },
    /// The store's upkeep failed; it is tried again.
    MaintenanceFailed,
    /// No more connections are taken until some end.
    ConnectionsFull {
        /// The limit.
        max: usize,
    },
    /// The system does not hand out a connection (too many open files, for instance).
    AcceptFailed {
        /// The system's error number, 0 where there is none.
        errno: i32,
    },
    /// A connection was closed because it did not read what was sent to it.
    SlowConsumerClosed {
        /// Bytes that waited.
        bytes: usize,
    },
    /// A connection was closed because it sent what no client of ours sends.
    MalformedClosed,
}

impl LogEvent {
    fn level(self) -> Level {
        match self {
            Self::Started { .. } | Self::Stopping { .. } | Self::Stopped => Level::INFO,
            Self::CertificateEndsSoon { .. } | Self::ConnectionsFull { .. } | Self::ControlFailed => Level::WARN,
            Self::CertificateRenewed { .. } => Level::INFO,
            Self::CertificateFailed => Level::ERROR,
            Self::SlowConsumerClosed { .. } | Self::MalformedClosed => Level::INFO,
            Self::StopFailed { .. } | Self::StoreFailed { .. } => Level::ERROR,
            Self::MaintenanceFailed | Self::AcceptFailed { .. } => Level::ERROR,
        }
    }

    /// The event's name and sentence, its number if it has one, and its word.
    fn parts(self) -> (&'static str, &'static str, u64, &'static str) {
        let number = |n: usize| n as u64;
        match self {
            Self::Started { listeners } => ("started", "the server takes connections", number(listeners), ""),
            Self::Stopping { connections } => ("stopping", "the server stops", number(connections), ""),
            Self::Stopped => ("stopped", "everything is stored and closed", 0, ""),
            Self::StopFailed { fault } => ("stop_failed", "the store did not close as it should", 0, fault),
            Self::CertificateEndsSoon { days } => {
                ("certificate_ends_soon", "run `aside-server certify` within so many days", days.into(), "")
            }
            Self::CertificateRenewed { days } => {
                ("certificate_renewed", "the server renewed its certificates for so many days", days.into(), "")
            }
            Self::CertificateFailed => {
                ("certificate_failed", "the certificates cannot be read or renewed; run `aside-server certify`", 0, "")
            }
            Self::ControlFailed => ("control_failed", "control.sock cannot be made", 0, ""),
            Self::StoreFailed { requests } => {
                ("store_failed", "a transaction failed; look at the disk", number(requests), "")
            }
            Self::MaintenanceFailed => ("maintenance_failed", "the store's upkeep failed; look at the disk", 0, ""),
            Self::ConnectionsFull { max } => ("connections_full", "limits.connections_max is reached", number(max), ""),
            Self::AcceptFailed { errno } => {
                let errno = u64::try_from(errno).unwrap_or(0);
                ("accept_failed", "the system hands out no connection; see the limit on open files", errno, "")
            }
            Self::SlowConsumerClosed { bytes } => {
                ("slow_consumer_closed", "a connection did not read what was sent", number(bytes), "")
            }
            Self::MalformedClosed => ("malformed_closed", "a connection sent what no client sends", 0, ""),
        }
    }
}

/// Emits an event.
pub fn log(event: LogEvent) {
    let (name, sentence, number, fault) = event.parts();
    match event.level() {
        Level::ERROR => tracing::error!(target: TARGET, event = name, number, fault, "{sentence}"),
        Level::WARN => tracing::warn!(target: TARGET, event = name, number, fault, "{sentence}"),
        _ => tracing::info!(target: TARGET, event = name, number, fault, "{sentence}"),
    }
}

/// Sends events to standard error. Only this crate's: what libraries would say might name an address.
pub fn init(level: LogLevel, format: LogFormat) {
    let filter = match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
    };
    let ours = Targets::new().with_target(TARGET, filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(ours);
    // A second call, in a process with several servers, keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => tracing::subscriber::set_global_default(registry.with(layer.json())),
        LogFormat::Plain => tracing::subscriber::set_global_default(registry.with(layer.with_ansi(false))),
    };
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn sources(dir: &Path, found: &mut Vec<(std::path::PathBuf, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn nothing_but_the_log_function_writes_a_line() {
        let mut found = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 10);
        for (path, text) in found {
            let is_log = path.ends_with("log.rs");
            let is_command = path.ends_with("main.rs") || path.ends_with("commands.rs");
            for word in ["tracing::", "log::info", "dbg!"] {
                assert!(is_log || !text.contains(word), "{} in {}", word, path.display());
            }
            for word in ["println!", "eprintln!"] {
                assert!(is_log || is_command || !text.contains(word), "{} in {}", word, path.display());
            }
        }
    }
}

//! The one configuration file, `aside-server.toml`: every key has a default but the address, and a key that is not known
//! is an error, because a misspelt limit is no limit.

use crate::core::CoreConfig;
use aside_protocol::address::ServerAddress;
use aside_protocol::limit::{
    BACKUP_BYTES_DEFAULT, BACKUP_PART_BYTES_MAX, BACKUP_PARTS_MAX, CHANNEL_TOKENS_A_DAY, INBOX_ENVELOPES_MAX,
    MESSAGE_DAYS_DEFAULT, MESSAGE_DAYS_MAX,
};
use aside_protocol::link::TlsTrust;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The file's name in the server's directory.
pub const CONFIG_FILE: &str = "aside-server.toml";

/// What a limit on the bytes of a backup may be.
pub const BACKUP_BYTES_RANGE: std::ops::RangeInclusive<u64> =
    BACKUP_PART_BYTES_MAX as u64..=BACKUP_PART_BYTES_MAX as u64 * BACKUP_PARTS_MAX as u64;

/// A configuration that cannot be used. Each variant is a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {cause}. Make a server with `aside-server init DIR --address HOST[:PORT]`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong kind; the text has line, column and key.
    #[error("{path} has a mistake:\n{cause}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        cause: Box<toml::de::Error>,
    },
    /// A value that is not possible.
    #[error("{path}: `{key}` {what}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What is wrong with it, as the end of a sentence.
        what: String,
    },
}

/// Where TLS ends, and with whose certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsMode {
    /// Here, with a certificate that the server's own identity key signed.
    Pinned,
    /// Here, with a certificate from an authority.
    Certificate {
        /// The chain, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
    /// In a reverse proxy in front of this server.
    Plain,
}

impl TlsMode {
    /// How clients check this server's TLS, as links say it.
    pub fn trust(&self) -> TlsTrust {
        match self {
            TlsMode::Pinned => TlsTrust::Pinned,
            TlsMode::Certificate { .. } | TlsMode::Plain => TlsTrust::CertificateAuthority,
        }
    }
}

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line of words.
    Plain,
    /// A JSON object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What needs somebody to act.
    Error,
    /// What may need it.
    Warn,
    /// Starts and stops as well.
    Info,
}

/// What the file says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where people reach the server.
    pub address: ServerAddress,
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// Where it serves metrics besides, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// TLS.
    pub tls: TlsMode,
    /// Connections at a time.
    pub connections_max: usize,
    /// What the core is told.
    pub core: CoreConfig,
    /// How logs are written.
    pub log_format: LogFormat,
    /// How much is logged.
    pub log_level: LogLevel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    address: String,
    listen: Option<Vec<SocketAddr>>,
    metrics_listen: Option<SocketAddr>,
    #[serde(default)]
    tls: TlsTable,
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    retention: RetentionTable,
    #[serde(default)]
    log: LogTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsTable {
    #[serde(default)]
    mode: TlsWord,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TlsWord {
    #[default]
    Pinned,
    Certificate,
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    connections_max: usize,
    channel_tokens_a_day: u32,
    inbox_envelopes_max: usize,
    key_package_fetches_a_minute: u32,
    backup_bytes_max: u64,
}

impl Default for LimitsTable {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            channel_tokens_a_day: CHANNEL_TOKENS_A_DAY,
            inbox_envelopes_max: INBOX_ENVELOPES_MAX,
            key_package_fetches_a_minute: 30,
            backup_bytes_max: BACKUP_BYTES_DEFAULT,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RetentionTable {
    message_days_max: u32,
}

impl Default for RetentionTable {
    fn default() -> Self {
        Self { message_days_max: MESSAGE_DAYS_MAX }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LogTable {
    level: LogLevel,
    format: LogFormat,
}

impl Default for LogTable {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Plain }
    }
}

/// Where a server listens unless it is told otherwise: on its own address where that is an IP address or `localhost`,
/// on every interface otherwise.
pub fn default_listen(address: &ServerAddress) -> SocketAddr {
    let every = IpAddr::from([0, 0, 0, 0]);
    let ip = match address.host() {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => host.parse().unwrap_or(every),
    };
    SocketAddr::new(ip, address.port())
}

impl Config {
    /// Reads and checks `DIR/aside-server.toml`.
    ///
    /// # Errors
    /// [`ConfigError`], naming file and key.
    pub fn read(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).map_err(|cause| ConfigError::Read { path: path.clone(), cause })?;
        Self::parse(&text, dir)
    }

    /// Checks the text of `DIR/aside-server.toml`.
    ///
    /// # Errors
    /// [`ConfigError`], naming file and key.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(CONFIG_FILE);
        let file: File =
            toml::from_str(text).map_err(|cause| ConfigError::Parse { path: path.clone(), cause: Box::new(cause) })?;
        let value = |key, what: String| ConfigError::Value { path: path.clone(), key, what };
        let address: ServerAddress =
            file.address.parse().map_err(|error| value("address", format!("is wrong: {error}")))?;
        let listen = file.listen.unwrap_or_else(|| vec![default_listen(&address)]);
        if listen.is_empty() {
            return Err(value("listen", "names no address to listen on".to_owned()));
        }
        let tls = match (file.tls.mode, file.tls.certificate, file.tls.key) {
            (TlsWord::Pinned, None, None) => TlsMode::Pinned,
            (TlsWord::Plain, None, None) => TlsMode::Plain,
            (TlsWord::Certificate, Some(certificate), Some(key)) => {
                TlsMode::Certificate { certificate: dir.join(certificate), key: dir.join(key) }
            }
            (TlsWord::Certificate, ..) => {
                return Err(value("tls.mode", "is \"certificate\", which needs `certificate` and `key`".to_owned()));
            }
            _ => {
                let what = "and `key` mean something only where mode is \"certificate\"".to_owned();
                return Err(value("tls.certificate", what));
            }
        };
        let between = |key, number: u64, range: std::ops::RangeInclusive<u64>| match range.contains(&number) {
            true => Ok(()),
            false => Err(value(key, format!("is {number}; it lies between {} and {}", range.start(), range.end()))),
        };
        let (limits, days) = (&file.limits, file.retention.message_days_max);
        between("limits.connections_max", limits.connections_max as u64, 1..=1_000_000)?;
        between("limits.channel_tokens_a_day", limits.channel_tokens_a_day.into(), 1..=CHANNEL_TOKENS_A_DAY.into())?;
        between("limits.inbox_envelopes_max", limits.inbox_envelopes_max as u64, 1..=INBOX_ENVELOPES_MAX as u64)?;
        between("limits.key_package_fetches_a_minute", limits.key_package_fetches_a_minute.into(), 1..=10_000)?;
        between("limits.backup_bytes_max", limits.backup_bytes_max, BACKUP_BYTES_RANGE)?;
        let days_range = u64::from(MESSAGE_DAYS_DEFAULT)..=u64::from(MESSAGE_DAYS_MAX);
        between("retention.message_days_max", days.into(), days_range)?;
        let core = CoreConfig {
            channel_tokens_a_day: limits.channel_tokens_a_day,
            inbox_envelopes_max: limits.inbox_envelopes_max,
            fetches_a_minute: limits.key_package_fetches_a_minute,
            message_days_max: days,
            backup_bytes_max: limits.backup_bytes_max,
            ..CoreConfig::new(address.clone())
        };
        Ok(Self {
            address,
            listen,
            metrics_listen: file.metrics_listen,
            tls,
            connections_max: file.limits.connections_max,
            core,
            log_format: file.log.format,
            log_level: file.log.level,
        })
    }
}

/// The text of a new server's file: every key, with its default and what it does.
pub fn template(address: &ServerAddress) -> String {
    let listen = default_listen(address);
    let limits = LimitsTable::default();
    format!(
        r#"# The configuration of an Aside server. Every key but `address` may be left out; what stands
# behind a # is its default. A change takes effect when the server is started again.

# Where people reach this server: HOST or HOST:PORT. It is part of every account's address and
# of every link, so that it cannot be changed once somebody has joined.
address = "{address}"

# Where the server listens.
#listen = ["{listen}"]

# Where else the counters for Prometheus are served, for instance "127.0.0.1:9600". On the
# addresses above, /metrics answers callers on this machine only (and nobody where
# tls.mode is "plain", because a reverse proxy is on this machine too).
#metrics_listen = "127.0.0.1:9600"

[tls]
# "pinned":      this server's own certificate, which the links vouch for. No authority needed.
# "certificate": a certificate from an authority; name its files below.
# "plain":       no TLS here, because a reverse proxy on this machine does it.
#mode = "pinned"

# For "certificate": PEM files; a relative path counts from this directory.
#certificate = "fullchain.pem"
#key = "privkey.pem"

[limits]
# Connections at a time; each client has two. The system's limit on open files has to be higher.
#connections_max = {}

# New conversations that an account may begin a day (at most {CHANNEL_TOKENS_A_DAY}).
#channel_tokens_a_day = {}

# Envelopes that wait in one device's inbox (at most {INBOX_ENVELOPES_MAX}).
#inbox_envelopes_max = {}

# How often a minute one contact link can ask for a person's keys.
#key_package_fetches_a_minute = {}

# Bytes of one account's backup. `aside-server admin quota` sets it and channel_tokens_a_day for one account.
#backup_bytes_max = {}

[retention]
# The longest that a message may be kept, in days ({MESSAGE_DAYS_DEFAULT} to {MESSAGE_DAYS_MAX}). Clients ask for
# {MESSAGE_DAYS_DEFAULT} unless told otherwise.
#message_days_max = {MESSAGE_DAYS_MAX}

[log]
# "off", "error", "warn" or "info". Logs hold no content, name or address at any level.
#level = "info"

# "plain" or "json".
#format = "plain"
"#,
        limits.connections_max,
        limits.channel_tokens_a_day,
        limits.inbox_envelopes_max,
        limits.key_package_fetches_a_minute,
        limits.backup_bytes_max,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/srv/aside"))
    }

    #[test]
    fn the_template_says_the_defaults() {
        let address: ServerAddress = "chat.example.org:8443".parse().unwrap();
        let template = template(&address);
        let plain = parse(&template).unwrap();
        let uncommented: String = template
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if key.contains(" = ") && !key.starts_with(' ') => key.to_owned() + "\n",
                _ => line.to_owned() + "\n",
            })
            .filter(|line| !line.starts_with("certificate") && !line.starts_with("key ="))
            .collect();
        let spelt_out = parse(&uncommented).unwrap();
        assert_eq!(Config { metrics_listen: None, ..spelt_out }, plain);
    }

    #[test]
    fn a_mistake_is_named_by_file_and_key() {
        let fault = |text: &str| parse(text).unwrap_err().to_string();
        assert!(fault("addres = \"a\"").contains("addres"));
        assert!(fault("address = \"a b\"").contains("/srv/aside/aside-server.toml: `address`"));
        assert!(fault("address = \"a\"\n[limits]\nconnections_max = 0").contains("limits.connections_max"));
        assert!(fault("address = \"a\"\n[tls]\nmode = \"certificate\"").contains("tls.mode"));
        assert!(fault("address = \"a\"\n[tls]\nmode = \"none\"").contains("none"));
        assert!(fault("address = \"a\"\nlisten = []").contains("`listen`"));
    }

    #[test]
    fn a_server_listens_on_its_own_address_where_that_is_one() {
        let listen = |text: &str| default_listen(&text.parse().unwrap()).to_string();
        assert_eq!(listen("127.0.0.1:7000"), "127.0.0.1:7000");
        assert_eq!(listen("localhost:7000"), "127.0.0.1:7000");
        assert_eq!(listen("[::1]:7000"), "[::1]:7000");
        assert_eq!(listen("chat.example.org"), "0.0.0.0:443");
    }
}

//! The administrator's commands. They write to the account side beside a running server, and have it look at once.

use super::{Form, accounts};
use anyhow::{Context, bail};
use aside_protocol::address::AccountName;
use aside_protocol::codec;
use aside_protocol::limit::FRAME_BYTES_MAX;
use aside_protocol::report::AbuseReport;
use aside_server::config::{BACKUP_BYTES_RANGE, Config};
use aside_server::control::{self, Answer};
use aside_server::day::Date;
use aside_server::shell;
use aside_server::store::sqlite::{ACCOUNTS_FILE, BACKUPS_FILE, CHANNELS_FILE, Pick, SqliteStore};
use aside_server::store::{ChannelStore, Quota, Standing, Store, StoredReport};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The most channel tokens a day that a quota may say.
const CHANNELS_A_DAY_MAX: u32 = 10_000;

/// Look after accounts, invites, quotas and reports
#[derive(Args)]
pub(super) struct Admin {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Subcommand)]
enum AdminCommand {
    /// List the accounts
    List {
        /// The server's directory
        dir: PathBuf,
    },
    /// Look after invites (`aside-server invite` makes them)
    Invites {
        #[command(subcommand)]
        command: Invites,
    },
    /// Shut an account out, until it is unsuspended
    Suspend {
        /// The server's directory
        dir: PathBuf,
        /// The account's name, without @ and host
        name: AccountName,
    },
    /// Let a suspended account in again
    Unsuspend {
        /// The server's directory
        dir: PathBuf,
        /// The account's name, without @ and host
        name: AccountName,
    },
    /// Show or change what an account may use; without a name, what all may use
    Quota(QuotaArguments),
    /// Show how much there is on the server
    Stats {
        /// The server's directory
        dir: PathBuf,
    },
    /// Look after what people reported
    Reports {
        #[command(subcommand)]
        command: Reports,
    },
}

#[derive(Subcommand)]
enum Invites {
    /// List the invites that nobody used yet
    List {
        /// The server's directory
        dir: PathBuf,
    },
    /// Take an invite back
    Revoke {
        /// The server's directory
        dir: PathBuf,
        /// The invite's id, or its beginning
        id: String,
    },
}

#[derive(Subcommand)]
enum Reports {
    /// List the open reports
    List {
        /// The server's directory
        dir: PathBuf,
    },
    /// Show what a report says
    Show {
        /// The server's directory
        dir: PathBuf,
        /// The report's id, or its beginning
        id: String,
    },
    /// Delete a report
    Close {
        /// The server's directory
        dir: PathBuf,
        /// The report's id, or its beginning
        id: String,
    },
}

#[derive(Args)]
struct QuotaArguments {
    /// The server's directory
    dir: PathBuf,
    /// The account's name, without @ and host
    name: Option<AccountName>,
    /// New conversations and blobs a day: a number, or `default`
    #[arg(long, value_name = "N", requires = "name")]
    channels_a_day: Option<Amount>,
    /// Bytes of the account's backup: a number, or `default`
    #[arg(long, value_name = "N", requires = "name")]
    backup_bytes: Option<Amount>,
}

/// A number, or what the configuration says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Default,
    Number(u64),
}

impl std::str::FromStr for Amount {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            number => number.parse().map(Self::Number).map_err(|_| format!("{text:?} is no number, nor `default`")),
        }
    }
}

/// What a command found or did: for people, and for programs.
struct Said {
    words: String,
    json: Value,
}

/// Does what the command says, and returns what is to be printed.
pub(super) fn run(admin: Admin) -> anyhow::Result<String> {
    let form = if admin.json { Form::Json } else { Form::Words };
    let said = match admin.command {
        AdminCommand::List { dir } => list(&dir),
        AdminCommand::Invites { command: Invites::List { dir } } => invites(&dir),
        AdminCommand::Invites { command: Invites::Revoke { dir, id } } => revoke_invite(&dir, &id),
        AdminCommand::Suspend { dir, name } => set_standing(&dir, &name, Standing::Suspended),
        AdminCommand::Unsuspend { dir, name } => set_standing(&dir, &name, Standing::Good),
        AdminCommand::Quota(arguments) => quota(arguments),
        AdminCommand::Stats { dir } => stats(&dir),
        AdminCommand::Reports { command: Reports::List { dir } } => reports(&dir),
        AdminCommand::Reports { command: Reports::Show { dir, id } } => show_report(&dir, &id),
        AdminCommand::Reports { command: Reports::Close { dir, id } } => close_report(&dir, &id),
    }?;
    Ok(match form {
        Form::Words => said.words.trim_end().to_owned(),
        Form::Json => said.json.to_string(),
    })
}

/// The beginning of an id: enough to tell a few thousand apart.
pub(super) fn short(id: &[u8]) -> String {
    id.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn date(day: u32) -> String {
    Date::of_day(day).to_string()
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let (mut amount, mut unit) = (bytes as f64, 0);
    while amount >= 1_024.0 && unit + 1 < UNITS.len() {
        amount /= 1_024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} {name}") } else { format!("{amount:.1} {name}") }
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Good => "good",
        Standing::Suspended => "suspended",
    }
}

fn no_account(name: &AccountName) -> anyhow::Error {
    anyhow::anyhow!("there is no account {:?} here; `aside-server admin list` shows all", name.as_str())
}

fn list(dir: &Path) -> anyhow::Result<Said> {
    let config = Config::read(dir)?;
    let mut words =
        format!("{:<32}  {:>7}  {:<10}  {:<10}  {:>10}  STANDING\n", "NAME", "DEVICES", "SINCE", "LAST SEEN", "STORED");
    let mut all = Vec::new();
    for (account, backup_bytes) in accounts(dir)?.list_accounts()? {
        let (since, seen, standing) = (date(account.created_day), date(account.seen_day), word(account.standing));
        let stored = account.envelope_bytes.saturating_add(backup_bytes);
        let name = account.name.as_str();
        words.push_str(&format!(
            "{name:<32}  {:>7}  {since:<10}  {seen:<10}  {:>10}  {standing}\n",
            account.devices,
            size(stored)
        ));
        all.push(json!({
            "name": name, "devices": account.devices, "created": since, "last_sign_in": seen, "standing": standing,
            "stored_bytes": stored, "backup_bytes": backup_bytes, "inbox_bytes": account.envelope_bytes,
            "quota": quota_json(account.quota, &config),
        }));
    }
    Ok(Said { words, json: Value::Array(all) })
}

fn set_standing(dir: &Path, name: &AccountName, standing: Standing) -> anyhow::Result<Said> {
    Config::read(dir)?;
    if !accounts(dir)?.set_standing(name, standing)? {
        return Err(no_account(name));
    }
    control::ask(dir);
    let json = json!({ "name": name.as_str(), "standing": word(standing) });
    Ok(Said { words: String::new(), json })
}

fn invites(dir: &Path) -> anyhow::Result<Said> {
    Config::read(dir)?;
    let mut words = format!("{:<12}  GOOD UNTIL\n", "ID");
    let mut all = Vec::new();
    for (token, expires_day) in accounts(dir)?.list_invites(shell::now().day())? {
        let (id, until) = (short(&token.0), date(expires_day.saturating_sub(1)));
        words.push_str(&format!("{id:<12}  {until}\n"));
        all.push(json!({ "id": id, "good_until": until }));
    }
    Ok(Said { words, json: Value::Array(all) })
}

fn revoke_invite(dir: &Path, id: &str) -> anyhow::Result<Said> {
    Config::read(dir)?;
    let mut accounts = accounts(dir)?;
    let digits = id.to_ascii_lowercase();
    let full = |token: &[u8]| token.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut found = accounts.list_invites(0)?;
    found.retain(|(token, _)| !digits.is_empty() && full(&token.0).starts_with(&digits));
    match found.as_slice() {
        [(token, _)] => accounts.remove_invite(token)?,
        [] => bail!("there is no invite {id:?}; `aside-server admin invites list` shows all"),
        _ => bail!("several invites begin with {id:?}: give more of the id"),
    }
    Ok(Said { words: String::new(), json: json!({ "revoked": digits }) })
}

fn quota_json(quota: Quota, config: &Config) -> Value {
    json!({
        "channels_a_day": quota.channels_a_day.unwrap_or(config.core.channel_tokens_a_day),
        "channels_a_day_is_default": quota.channels_a_day.is_none(),
        "backup_bytes": quota.backup_bytes.unwrap_or(config.core.backup_bytes_max),
        "backup_bytes_is_default": quota.backup_bytes.is_none(),
    })
}

fn quota(arguments: QuotaArguments) -> anyhow::Result<Said> {
    let QuotaArguments { dir, name, channels_a_day, backup_bytes } = arguments;
    let config = Config::read(&dir)?;
    let Some(name) = name else { return Ok(said_quota("all accounts", Quota::default(), &config)) };
    let mut accounts = accounts(&dir)?;
    let mut quota = accounts.find_quota(&name)?.ok_or_else(|| no_account(&name))?;
    match channels_a_day {
        None => {}
        Some(Amount::Default) => quota.channels_a_day = None,
        Some(Amount::Number(number)) => {
            let number = u32::try_from(number).ok().filter(|number| *number <= CHANNELS_A_DAY_MAX);
            let Some(number) = number else { bail!("--channels-a-day lies between 0 and {CHANNELS_A_DAY_MAX}") };
            quota.channels_a_day = Some(number);
        }
    }
    match backup_bytes {
        None => {}
        Some(Amount::Default) => quota.backup_bytes = None,
        Some(Amount::Number(bytes)) if bytes <= *BACKUP_BYTES_RANGE.end() => quota.backup_bytes = Some(bytes),
        Some(Amount::Number(_)) => bail!("--backup-bytes lies between 0 and {}", BACKUP_BYTES_RANGE.end()),
    }
    if channels_a_day.is_some() || backup_bytes.is_some() {
        accounts.set_quota(&name, quota)?;
    }
    Ok(said_quota(name.as_str(), quota, &config))
}

fn said_quota(whose: &str, quota: Quota, config: &Config) -> Said {
    let note = |of_its_own: bool| if of_its_own { "" } else { " (the default, from aside-server.toml)" };
    let channels = quota.channels_a_day.unwrap_or(config.core.channel_tokens_a_day);
    let bytes = quota.backup_bytes.unwrap_or(config.core.backup_bytes_max);
    let words = format!(
        "Quota of {whose}:\nnew conversations and blobs a day: {channels}{}\nbytes of a backup: {bytes}{}",
        note(quota.channels_a_day.is_some()),
        note(quota.backup_bytes.is_some()),
    );
    Said { words, json: quota_json(quota, config) }
}

/// What only the server itself can count, or whoever opens its database while it does not run.
fn totals(dir: &Path) -> anyhow::Result<Answer> {
    if let Some(answer) = control::ask(dir) {
        return Ok(answer);
    }
    let mut store = SqliteStore::open(dir).context("the channels cannot be counted")?;
    store.begin()?;
    let totals = store.channel_totals();
    store.rollback();
    store.close()?;
    Ok(totals?.into())
}

fn stats(dir: &Path) -> anyhow::Result<Said> {
    Config::read(dir)?;
    let totals = totals(dir)?;
    let mut admin = accounts(dir)?;
    let all = admin.list_accounts()?;
    let (envelopes, drawn) = admin.counts(shell::now().day())?;
    let reports = admin.list_reports()?.len();
    let suspended = all.iter().filter(|(account, _)| account.standing == Standing::Suspended).count();
    let devices: u32 = all.iter().map(|(account, _)| account.devices).sum();
    let backup_bytes: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    let file = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    let disk_bytes: u64 = [ACCOUNTS_FILE, BACKUPS_FILE, CHANNELS_FILE].into_iter().map(file).sum();
    let Answer { channels, entries, entry_bytes, blobs, blob_bytes } = totals;
    let lines = [
        ("accounts", "accounts", json!(all.len())),
        ("suspended", "of these suspended", json!(suspended)),
        ("devices", "devices", json!(devices)),
        ("channels", "channels", json!(channels)),
        ("entries", "entries", json!(entries)),
        ("entry_bytes", "bytes of entries", json!(entry_bytes)),
        ("blobs", "blobs", json!(blobs)),
        ("blob_bytes", "bytes of blobs", json!(blob_bytes)),
        ("backup_bytes", "bytes of backups", json!(backup_bytes)),
        ("inbox_envelopes", "envelopes that wait", json!(envelopes)),
        ("tokens_drawn_today", "channel tokens drawn today", json!(drawn)),
        ("reports_open", "open reports", json!(reports)),
        ("disk_bytes", "bytes on disk", json!(disk_bytes)),
    ];
    let words = lines.iter().map(|(_, name, value)| format!("{name:<28}{value:>16}\n")).collect();
    let json = lines.into_iter().map(|(key, _, value)| (key.to_owned(), value)).collect();
    Ok(Said { words, json: Value::Object(json) })
}

fn decode(report: &StoredReport) -> anyhow::Result<AbuseReport> {
    codec::decode(&report.report, FRAME_BYTES_MAX).context("the report is damaged")
}

/// What somebody else wrote, with nothing in it that moves a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n').collect()
}

fn reports(dir: &Path) -> anyhow::Result<Said> {
    Config::read(dir)?;
    let mut words = format!("{:<12}  {:<10}  {:<32}  {:>8}  ABOUT\n", "ID", "DAY", "FROM", "MESSAGES");
    let mut all = Vec::new();
    for stored in accounts(dir)?.list_reports()? {
        let report = decode(&stored)?;
        let (id, day, from) = (short(&stored.id.0), date(stored.day), stored.reporter.as_str());
        let (about, messages) = (report.about.to_string(), report.messages.len());
        words.push_str(&format!("{id:<12}  {day:<10}  {from:<32}  {messages:>8}  {about}\n"));
        all.push(json!({ "id": id, "day": day, "from": from, "about": about, "messages": messages }));
    }
    Ok(Said { words, json: Value::Array(all) })
}

fn pick(dir: &Path, id: &str) -> anyhow::Result<StoredReport> {
    Config::read(dir)?;
    match accounts(dir)?.find_report(id)? {
        Pick::One(report) => Ok(report),
        Pick::None => bail!("there is no open report {id:?}; `aside-server admin reports list` shows all"),
        Pick::Several => bail!("several reports begin with {id:?}: give more of the id"),
    }
}

fn show_report(dir: &Path, id: &str) -> anyhow::Result<Said> {
    let stored = pick(dir, id)?;
    let report = decode(&stored)?;
    let (day, from, about) = (date(stored.day), stored.reporter.as_str(), report.about.to_string());
    let mut words = format!("{from} reported {about} on {day}:\n{}\n", printable(&report.note));
    let mut messages = Vec::new();
    for message in &report.messages {
        let (sender, sent_at) = (message.sender.to_string(), message.sent_at_unix_ms);
        let sent = date(u32::try_from(sent_at / 86_400_000).unwrap_or(u32::MAX));
        words.push_str(&format!("\n{sender}, {sent}:\n{}\n", printable(&message.text)));
        messages.push(json!({ "sender": sender, "sent_at": sent_at, "text": message.text }));
    }
    let id = short(&stored.id.0);
    let json = json!({ "id": id, "day": day, "from": from, "about": about, "note": report.note, "messages": messages });
    Ok(Said { words, json })
}

fn close_report(dir: &Path, id: &str) -> anyhow::Result<Said> {
    let stored = pick(dir, id)?;
    accounts(dir)?.close_report(&stored.reporter, &stored.id)?;
    Ok(Said { words: String::new(), json: json!({ "closed": short(&stored.id.0) }) })
}

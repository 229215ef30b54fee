//! The command line: one subcommand a function, each reading like its help.

use anyhow::Context;
use aside_protocol::address::{AccountName, ServerAddress};
use aside_protocol::inbox::InviteToken;
use aside_protocol::link::{InviteLink, ServerPin, TlsTrust};
use aside_server::config::{Config, TlsMode};
use aside_server::day::Date;
use aside_server::keys::{Seed, Seeds, ServerDir};
use aside_server::log;
use aside_server::shell::{self, Server};
use aside_server::store::Standing;
use aside_server::store::sqlite::{AccountsFile, SqliteStore};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The longest that an invite may hold, in days.
const INVITE_DAYS_MAX: u32 = 365;

#[derive(Parser)]
#[command(name = "aside-server", version, about = "A server for Aside that can read nothing of what it carries")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a server in a new directory
    Init {
        /// The directory, which is made
        dir: PathBuf,
        /// Where people will reach the server: HOST or HOST:PORT
        #[arg(long, value_name = "HOST[:PORT]")]
        address: ServerAddress,
    },
    /// Run a server until SIGTERM or Ctrl-C
    Run {
        /// The server's directory
        dir: PathBuf,
    },
    /// Print a link that lets one person make an account
    Invite {
        /// The server's directory
        dir: PathBuf,
        /// How many days the link holds
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=i64::from(INVITE_DAYS_MAX)))]
        days: u32,
    },
    /// Look after accounts
    Admin {
        #[command(subcommand)]
        command: Admin,
    },
    /// Renew the server's certificates (needs identity.key in the directory)
    Certify {
        /// The server's directory
        dir: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Subcommand)]
enum Admin {
    /// List the accounts
    List {
        /// The server's directory
        dir: PathBuf,
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
}

/// Does what the command line says.
///
/// # Errors
/// Whatever went wrong, as a sentence that names the file, key or port, and what to do.
pub fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Init { dir, address } => init(&dir, &address),
        Command::Run { dir } => serve(&dir),
        Command::Invite { dir, days } => invite(&dir, days),
        Command::Admin { command: Admin::List { dir } } => list(&dir),
        Command::Admin { command: Admin::Suspend { dir, name } } => set_standing(&dir, &name, Standing::Suspended),
        Command::Admin { command: Admin::Unsuspend { dir, name } } => set_standing(&dir, &name, Standing::Good),
        Command::Certify { dir } => certify(&dir),
        Command::Completions { shell } => {
            let mut out = std::io::stdout();
            clap_complete::generate(shell, &mut Arguments::command(), "aside-server", &mut out);
            Ok(())
        }
    }
}

fn random_seed() -> anyhow::Result<Seed> {
    let mut seed = Seed::new([0; 32]);
    getrandom::fill(seed.as_mut_slice()).context("the operating system gives no randomness")?;
    Ok(seed)
}

fn init(dir: &Path, address: &ServerAddress) -> anyhow::Result<()> {
    let seeds = Seeds { identity: random_seed()?, online: random_seed()? };
    ServerDir::init(dir, address, shell::now().day(), seeds)?;
    // The databases are made here, so that `run` and `invite`, which may begin at the same moment, both find them whole.
    let made = SqliteStore::open(dir).and_then(SqliteStore::close);
    made.with_context(|| format!("the databases in {} cannot be made", dir.display()))?;
    let dir = dir.display();
    eprintln!(
        "Made a server for {address} in {dir}.\n\
         Run it:        aside-server run {dir}\n\
         Invite people: aside-server invite {dir}\n\
         Settings:      {dir}/aside-server.toml\n\
         {dir}/identity.key is who this server is. Keep a copy in a safe place; only `certify` needs it."
    );
    Ok(())
}

fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    log::init(config.log_level, config.log_format);
    let dir = ServerDir::at(path);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let stop = shell::stop_signal()?;
        Server::prepare(&dir, config).await?.serve(stop).await?;
        Ok(())
    });
    runtime.shutdown_background();
    result
}

/// The account side of an existing server; a mistyped directory is not made into one.
fn accounts(dir: &Path) -> anyhow::Result<AccountsFile> {
    AccountsFile::open(dir).with_context(|| format!("the accounts in {} cannot be opened", dir.display()))
}

fn invite(path: &Path, days: u32) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let tls = match config.tls {
        TlsMode::Pinned => TlsTrust::Pinned,
        TlsMode::Certificate { .. } | TlsMode::Plain => TlsTrust::CertificateAuthority,
    };
    let identity_key = ServerDir::at(path).identity_key()?;
    let mut token = InviteToken([0; 16]);
    getrandom::fill(&mut token.0).context("the operating system gives no randomness")?;
    let expires_day = shell::now().day().saturating_add(days).saturating_add(1);
    accounts(path)?.put_invite(&token.hash(), expires_day).context("the invite cannot be stored")?;
    let server = ServerPin { address: config.address, identity_key, tls };
    println!("{}", InviteLink { server, token });
    Ok(())
}

fn list(path: &Path) -> anyhow::Result<()> {
    Config::read(path)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<32}  {:>7}  {:<10}  STANDING", "NAME", "DEVICES", "SINCE")?;
    for account in accounts(path)?.list_accounts()? {
        let standing = match account.standing {
            Standing::Good => "good",
            Standing::Suspended => "suspended",
        };
        let since = Date::of_day(account.created_day).to_string();
        writeln!(out, "{:<32}  {:>7}  {since:<10}  {standing}", account.name.as_str(), account.devices)?;
    }
    Ok(())
}

fn set_standing(path: &Path, name: &AccountName, standing: Standing) -> anyhow::Result<()> {
    Config::read(path)?;
    if !accounts(path)?.set_standing(name, standing)? {
        anyhow::bail!("there is no account {name:?} here; `aside-server admin list` shows all", name = name.as_str());
    }
    Ok(())
}

fn certify(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    ServerDir::at(path).certify(&config.address, shell::now().day(), &random_seed()?)?;
    eprintln!("Renewed. Start the server again to use the new certificates.");
    Ok(())
}

//! The command line: one subcommand a function, each reading like its help.

mod admin;

use anyhow::Context;
use aside_protocol::address::ServerAddress;
use aside_protocol::inbox::InviteToken;
use aside_protocol::link::{InviteLink, ServerPin};
use aside_server::config::Config;
use aside_server::control;
use aside_server::day::Date;
use aside_server::keys::{Seed, Seeds, ServerDir};
use aside_server::log;
use aside_server::shell::{self, Server};
use aside_server::store::sqlite::{AdminFiles, SqliteStore};
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
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
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Look after accounts, invites, quotas and reports
    Admin(admin::Admin),
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

/// Does what the command line says.
///
/// # Errors
/// Whatever went wrong, as a sentence that names the file, key or port, and what to do.
pub fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Init { dir, address } => init(&dir, &address),
        Command::Run { dir } => serve(&dir),
        Command::Invite { dir, days, json } => invite(&dir, days, if json { Form::Json } else { Form::Words }),
        Command::Admin(command) => {
            let said = admin::run(command)?;
            if !said.is_empty() {
                println!("{said}");
            }
            Ok(())
        }
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

/// How a command prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Words,
    Json,
}

/// The account side of an existing server; a mistyped directory is not made into one.
fn accounts(dir: &Path) -> anyhow::Result<AdminFiles> {
    AdminFiles::open(dir).with_context(|| format!("the accounts in {} cannot be opened", dir.display()))
}

fn invite(path: &Path, days: u32, form: Form) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    let tls = config.tls.trust();
    let identity_key = ServerDir::at(path).identity_key()?;
    let mut token = InviteToken([0; 16]);
    getrandom::fill(&mut token.0).context("the operating system gives no randomness")?;
    let expires_day = shell::now().day().saturating_add(days).saturating_add(1);
    accounts(path)?.put_invite(&token.hash(), expires_day).context("the invite cannot be stored")?;
    let server = ServerPin { address: config.address, identity_key, tls };
    let link = InviteLink { server, token }.to_string();
    match form {
        Form::Words => println!("{link}"),
        Form::Json => {
            let ends = Date::of_day(expires_day).to_string();
            println!("{}", serde_json::json!({ "id": admin::short(&token.hash().0), "link": link, "ends": ends }));
        }
    }
    Ok(())
}

fn certify(path: &Path) -> anyhow::Result<()> {
    let config = Config::read(path)?;
    ServerDir::at(path).certify(&config.address, shell::now().day(), &random_seed()?)?;
    match control::ask(path) {
        Some(_) => eprintln!("Renewed. The running server uses the new certificates."),
        None => eprintln!("Renewed."),
    }
    Ok(())
}

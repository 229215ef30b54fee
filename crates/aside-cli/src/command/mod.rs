//! The commands, one file each.

mod app;
mod chats;
mod completions;
mod contacts;
mod device;
mod group;
mod heal;
mod join;
mod listen;
mod quit;
mod recovery;
mod report;
mod requests;
mod safety;
mod send;
mod status;

use crate::api::{Api, CallFailure, Contact, Conversation};
use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::resolve::{ResolveError, Target, resolve, targets};
use crate::session::Session;
use std::time::Duration;

/// Time for catching up before something is shown.
const CATCH_UP: Duration = Duration::from_secs(5);
/// Time for what a command caused to reach the server.
const DELIVER: Duration = Duration::from_secs(15);

/// Runs a command.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Join { invite, name } => join::run(&global, &invite, name).await,
        Command::App { no_browser } => {
            app::run(&global, if no_browser { app::Show::Address } else { app::Show::Window }).await
        }
        Command::Contacts(command) => contacts::run(&global, command).await,
        Command::Requests(command) => requests::run(&global, command).await,
        Command::Report { name, note, messages } => report::run(&global, &name, &note, &messages).await,
        Command::AcceptKeys { name } => safety::accept_keys(&global, &name).await,
        Command::Continue { name } => heal::go_on(&global, &name).await,
        Command::Evidence { name } => heal::evidence(&global, &name).await,
        Command::Chats => chats::run(&global).await,
        Command::Send { name, text, timeout } => send::run(&global, &name, text, timeout).await,
        Command::Listen { no_follow } => {
            listen::run(&global, if no_follow { listen::Until::NothingIsLeft } else { listen::Until::Stopped }).await
        }
        Command::Group(command) => group::run(&global, command).await,
        Command::Device(command) => device::run(&global, command).await,
        Command::Safety { name, compared, scan, not_compared } => {
            let verdict = match (compared, not_compared, scan) {
                (_, _, Some(code)) => safety::Wish::Scan(code),
                (true, _, _) => safety::Wish::Remember(true),
                (_, true, _) => safety::Wish::Remember(false),
                _ => safety::Wish::Show,
            };
            safety::run(&global, &name, verdict).await
        }
        Command::Recovery(command) => recovery::run(&global, command).await,
        Command::Backup { file } => recovery::back_up(&global, file.as_deref()).await,
        Command::Restore { file, lost } => recovery::restore_file(&global, &file, lost).await,
        Command::Status => status::run(&global).await,
        Command::Quit => quit::run(&global).await,
        Command::Completions { shell } => completions::run(shell),
    }
}

/// Everybody whom NAME can mean.
async fn everybody(api: &Api) -> Result<Vec<Target>, CallFailure> {
    let contacts: Vec<Contact> = api.get("/contacts").await?;
    let conversations: Vec<Conversation> = api.get("/conversations").await?;
    Ok(targets(&contacts, &conversations))
}

/// The ones that names mean. Somebody who is not known may have written while nothing ran here, so a client that was
/// just started fetches that first, and only then is the name unknown.
async fn find(session: &Session, names: &[&str]) -> Result<Vec<Target>, CallFailure> {
    let among = |targets: Vec<Target>| -> Result<Vec<Target>, ResolveError> {
        names.iter().map(|name| resolve(name, &targets).cloned()).collect()
    };
    match among(everybody(session.api()).await?) {
        Err(ResolveError::Unknown(_)) => session.settle(CATCH_UP).await,
        found => return Ok(found.map_err(Failure::from)?),
    }
    Ok(among(everybody(session.api()).await?).map_err(Failure::from)?)
}

/// One line of JSON.
fn json(value: &crate::api::Raw) -> Result<(), Failure> {
    crate::terminal::print(&value.to_string()).map_err(Failure::from)
}

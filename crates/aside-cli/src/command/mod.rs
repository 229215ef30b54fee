//! The commands, one file each.

mod app;
mod chats;
mod completions;
mod contacts;
mod group;
mod join;
mod listen;
mod quit;
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
        Command::Chats => chats::run(&global).await,
        Command::Send { name, text, timeout } => send::run(&global, &name, text, timeout).await,
        Command::Listen { no_follow } => {
            listen::run(&global, if no_follow { listen::Until::NothingIsLeft } else { listen::Until::Stopped }).await
        }
        Command::Group(command) => group::run(&global, command).await,
        Command::Safety { name, compared, not_compared } => {
            let verdict = match (compared, not_compared) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            };
            safety::run(&global, &name, verdict).await
        }
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

//! `aside join INVITE --name NAME`

use super::DELIVER;
use crate::api::{CallFailure, Raw, State};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Makes the account, and prints its address. Returns when others can write to it.
pub async fn run(global: &Global, invite: &str, name: Option<String>) -> Result<(), Failure> {
    let name = match name {
        Some(name) => name,
        None => ask_for_name()?,
    };
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let body = json!({ "invite": invite, "name": name });
    let raw: Raw = with_client(global, settling, async |session: &Session| -> Result<Raw, CallFailure> {
        session.api().post("/join", &body).await
    })
    .await?;
    if global.json {
        return super::json(&raw);
    }
    let state: State = serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))?;
    let address = state.account.map(|account| account.address).unwrap_or_default();
    Ok(terminal::print(&address)?)
}

fn ask_for_name() -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("say which name to have there: --name NAME"));
    }
    eprint!("The name to have there: ");
    std::io::stderr().flush()?;
    let mut name = String::new();
    std::io::stdin().read_line(&mut name)?;
    Ok(name.trim().to_owned())
}

//! `aside status`

use super::CATCH_UP;
use crate::api::{CallFailure, Raw, State};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal::{line, print};
use std::time::Duration;

/// Prints the account and how its servers are reached.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/state").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let state: State = serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))?;
    match state.account {
        Some(account) => print(&format!("{}  {} unread", line(&account.address), state.unread_total))?,
        None => print("no account yet: join a server with `aside join INVITE --name NAME`")?,
    }
    if state.device.is_some_and(|device| device.revoked_at.is_some()) {
        print("this device was removed from the account: it keeps what it holds, and sends and receives nothing more")?;
    }
    for server in state.connections {
        let advice = server.advice.map(|advice| format!("  {}", line(&advice))).unwrap_or_default();
        print(&format!("{}: {}{advice}", line(&server.server), server.status))?;
    }
    for healing in state.healing {
        print(&format!("{}: {}", line(&healing.title), line(&healing.notice.text)))?;
    }
    Ok(())
}

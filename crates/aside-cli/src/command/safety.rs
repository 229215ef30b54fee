//! `aside safety NAME`

use super::find;
use crate::api::{CallFailure, Raw, SafetyNumber};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde_json::json;

/// Groups of digits on one line.
const GROUPS_A_LINE: usize = 4;

/// Prints the number, after noting what the person says about it.
pub async fn run(global: &Global, name: &str, verdict: Option<bool>) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let path = format!("/conversations/{}/safety", target.conversation_id);
        match verdict {
            Some(verified) => session.api().put(&path, &json!({ "verified": verified })).await,
            None => session.api().get(&path).await,
        }
    };
    let raw = with_client(global, Settling::default(), call).await?;
    if global.json {
        return super::json(&raw);
    }
    let number: SafetyNumber = serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))?;
    for groups in number.digits.chunks(GROUPS_A_LINE) {
        terminal::print(&groups.join(" "))?;
    }
    Ok(terminal::print(if number.verified { "compared" } else { "not compared yet" })?)
}

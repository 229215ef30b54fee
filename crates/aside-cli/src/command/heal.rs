//! `aside continue NAME` and `aside evidence NAME`

use super::{DELIVER, find};
use crate::api::{CallFailure, Raw};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use serde_json::json;

/// Goes on in spite of a fork.
pub async fn go_on(global: &Global, name: &str) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let path = format!("/conversations/{}/notice", target.conversation_id);
        session.api().post(&path, &json!({ "action": "continue" })).await
    };
    let raw = with_client(global, Settling { after: DELIVER, ..Settling::default() }, call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(()),
    }
}

/// Prints what was seen of forks and lies.
pub async fn evidence(global: &Global, name: &str) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        session.api().get(&format!("/conversations/{}/evidence", target.conversation_id)).await
    };
    let raw = with_client(global, Settling::default(), call).await?;
    super::json(&raw)
}

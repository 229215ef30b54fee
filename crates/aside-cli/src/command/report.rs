//! `aside report NAME [--note TEXT] [--message ID]…`

use super::{DELIVER, find};
use crate::api::CallFailure;
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use serde_json::json;
use std::time::Duration;

/// Reports, and prints nothing.
pub async fn run(global: &Global, name: &str, note: &str, messages: &[String]) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<(), CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let body = json!({ "conversation": target.conversation_id, "messages": messages, "note": note });
        session.api().tell("/reports", &body).await
    };
    with_client(global, settling, call).await
}

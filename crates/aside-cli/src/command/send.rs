//! `aside send NAME [TEXT]`

use super::find;
use crate::api::{CallFailure, Raw};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use serde_json::json;
use std::io::Read;

/// More than any message may have; the engine names the true limit.
const INPUT_BYTES_MAX: u64 = 256 * 1024;

/// Sends, and returns when the server has acknowledged.
pub async fn run(global: &Global, name: &str, text: Option<String>, seconds: u64) -> Result<(), Failure> {
    let text = match text {
        Some(text) => text,
        None => tokio::task::spawn_blocking(from_standard_input)
            .await
            .map_err(|error| Failure::Stopped(error.to_string()))??,
    };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let path = format!("/conversations/{}/messages?wait=sent&seconds={seconds}", target.conversation_id);
        session.api().post(&path, &json!({ "text": text })).await
    };
    let raw = with_client(global, Settling::default(), call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(()),
    }
}

/// All of standard input, without the line break that programs put at the end.
fn from_standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().take(INPUT_BYTES_MAX).read_to_string(&mut text)?;
    let without = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
    Ok(without.map(str::to_owned).unwrap_or(text))
}

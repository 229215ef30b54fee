//! `aside chats`

use super::CATCH_UP;
use crate::api::{CallFailure, Conversation, Raw};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal::{line, print};
use std::time::Duration;

/// The longest preview, in characters.
const PREVIEW_CHARS_MAX: usize = 60;

/// Lists the conversations, newest first.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/conversations").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let conversations: Vec<Conversation> =
        serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))?;
    for conversation in &conversations {
        print(&row(conversation))?;
    }
    Ok(())
}

fn row(conversation: &Conversation) -> String {
    let name = line(conversation.peer.as_ref().unwrap_or(&conversation.title));
    let unread = match conversation.unread_count {
        0 => String::new(),
        count => format!(" ({count})"),
    };
    let note = match conversation.state.as_str() {
        "pending" => "  [being set up]".to_owned(),
        "request" => "  [asks to talk with you]".to_owned(),
        "paused" => format!("  [paused: {}]", line(conversation.paused_reason.as_deref().unwrap_or("see `aside app`"))),
        _ => String::new(),
    };
    let note = match &conversation.notice {
        Some(notice) => format!("  [{}]", line(&notice.text)),
        None => note,
    };
    let last = conversation.last_message.as_ref().map(|last| {
        let text: String = line(&last.text).chars().take(PREVIEW_CHARS_MAX).collect();
        let sender = if last.sender.is_self { "you".to_owned() } else { line(&last.sender.display_name) };
        format!("  {sender}: {text}")
    });
    format!("{name}{unread}{note}{}", last.unwrap_or_default())
}

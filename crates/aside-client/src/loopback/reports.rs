//! Reports to the home server's administrator.

use super::App;
use super::answer::{ApiError, Body};
use super::conversations::conversation_id;
use aside_engine::content::MessageId;
use aside_engine::error::CommandError;
use aside_engine::input::Command;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

/// `POST /api/reports`
#[derive(Deserialize, JsonSchema)]
pub struct NewReport {
    conversation: String,
    #[serde(default)]
    messages: Vec<String>,
    #[serde(default)]
    note: String,
}

/// `POST /api/reports`
pub async fn make(State(app): State<App>, Body(body): Body<NewReport>) -> Result<StatusCode, ApiError> {
    let conversation = conversation_id(&body.conversation)?;
    let messages = body.messages.iter().map(|text| text.parse()).collect::<Result<Vec<MessageId>, _>>();
    let messages = messages.map_err(|_| ApiError::from(CommandError::UnknownMessage))?;
    app.engine.command(Command::Report { conversation, messages, note: body.note }).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Typing: told to the others while it lasts, kept nowhere.

use super::App;
use super::answer::ApiError;
use super::conversations::conversation_id;
use aside_engine::input::Command;
use axum::extract::{Path, State};
use axum::http::StatusCode;

/// `POST /api/conversations/{id}/typing`
pub async fn tell(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.engine.command(Command::Typing { conversation: conversation_id(&id)? }).await?;
    Ok(StatusCode::NO_CONTENT)
}

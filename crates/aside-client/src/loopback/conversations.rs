//! Conversations: the list, and what a person does with one as a whole.

use super::App;
use super::answer::{Answer, ApiError, Body, unexpected};
use aside_engine::conversation::ConversationId;
use aside_engine::error::CommandError;
use aside_engine::heal::Evidence;
use aside_engine::input::{Answer as EngineAnswer, Command, Presence};
use aside_engine::view::{Conversation, NoticeAction};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;

/// Reads a conversation's id from a path.
pub fn conversation_id(text: &str) -> Result<ConversationId, ApiError> {
    text.parse().map_err(|_| CommandError::UnknownConversation.into())
}

impl App {
    /// A conversation that exists.
    pub async fn conversation(&self, id: ConversationId) -> Result<Conversation, ApiError> {
        let found = self.engine.ask(move |engine| engine.conversation(&id)).await?;
        found.ok_or_else(|| CommandError::UnknownConversation.into())
    }

    async fn done(&self, command: Command) -> Result<StatusCode, ApiError> {
        self.engine.command(command).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

/// `GET /api/conversations`
pub async fn list(State(app): State<App>) -> Answer<Vec<Conversation>> {
    Ok(Json(app.engine.ask(|engine| engine.conversations()).await?))
}

/// `GET /api/conversations/{id}`
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Conversation> {
    Ok(Json(app.conversation(conversation_id(&id)?).await?))
}

/// `DELETE /api/conversations/{id}`
pub async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.done(Command::RemoveConversation { conversation: conversation_id(&id)? }).await
}

/// `POST /api/conversations/{id}/accept`
pub async fn accept(State(app): State<App>, Path(id): Path<String>) -> Answer<Conversation> {
    let conversation = conversation_id(&id)?;
    app.engine.command(Command::Accept { conversation }).await?;
    Ok(Json(app.conversation(conversation).await?))
}

/// `POST /api/conversations/{id}/decline`
#[derive(Deserialize, JsonSchema)]
pub struct Refusal {
    #[serde(default)]
    block: bool,
    #[serde(default)]
    report: bool,
}

/// `POST /api/conversations/{id}/decline`
pub async fn decline(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<Refusal>,
) -> Result<StatusCode, ApiError> {
    let conversation = conversation_id(&id)?;
    // Declining forgets what was asked.
    if body.report {
        app.engine.command(Command::ReportRequest { conversation }).await?;
    }
    let command = Command::Decline { conversation };
    let EngineAnswer::Asker(address) = app.engine.command(command).await? else { return Err(unexpected()) };
    if body.block {
        app.engine.command(Command::SetBlocked { address, blocked: Presence::Present }).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/conversations/{id}/notice`
#[derive(Deserialize, JsonSchema)]
pub struct Act {
    action: NoticeAction,
}

/// `POST /api/conversations/{id}/notice`
pub async fn act(State(app): State<App>, Path(id): Path<String>, Body(body): Body<Act>) -> Answer<Conversation> {
    let conversation = conversation_id(&id)?;
    app.engine.command(Command::ActOnNotice { conversation, action: body.action }).await?;
    Ok(Json(app.conversation(conversation).await?))
}

/// `GET /api/conversations/{id}/evidence`
pub async fn evidence(State(app): State<App>, Path(id): Path<String>) -> Answer<Vec<Evidence>> {
    let id = conversation_id(&id)?;
    app.conversation(id).await?;
    Ok(Json(app.engine.ask(move |engine| engine.evidence(&id)).await?))
}

/// `POST /api/conversations/{id}/read` and `/listened`
#[derive(Deserialize, JsonSchema)]
pub struct Through {
    through: i64,
}

/// `POST /api/conversations/{id}/read`
pub async fn read(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<Through>,
) -> Result<StatusCode, ApiError> {
    app.done(Command::MarkRead { conversation: conversation_id(&id)?, through: body.through }).await
}

/// `POST /api/conversations/{id}/listened`
pub async fn listened(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<Through>,
) -> Result<StatusCode, ApiError> {
    app.done(Command::MarkListened { conversation: conversation_id(&id)?, through: body.through }).await
}

/// `PUT /api/conversations/{id}/draft`
#[derive(Deserialize, JsonSchema)]
pub struct Draft {
    text: String,
}

/// `PUT /api/conversations/{id}/draft`
pub async fn draft(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<Draft>,
) -> Result<StatusCode, ApiError> {
    app.done(Command::SetDraft { conversation: conversation_id(&id)?, text: body.text }).await
}

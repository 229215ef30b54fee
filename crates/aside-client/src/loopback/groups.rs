//! Groups: founding one, and what admins and members change about it.

use super::App;
use super::answer::{Answer, ApiError, Body, sentence, unexpected};
use super::conversations::conversation_id;
use aside_engine::input::{Answer as EngineAnswer, Command, GroupChange};
use aside_engine::view::{Conversation, Role};
use aside_protocol::address::{AccountAddress, AddressError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

/// `POST /api/groups`
#[derive(Deserialize, JsonSchema)]
pub struct NewGroup {
    title: String,
    members: Vec<String>,
}

/// Reads somebody's address.
pub fn address(text: &str) -> Result<AccountAddress, ApiError> {
    text.parse().map_err(|error: AddressError| ApiError::invalid("bad_address", sentence(&error.to_string())))
}

impl App {
    async fn change_group(&self, id: &str, change: GroupChange) -> Answer<Conversation> {
        let conversation = conversation_id(id)?;
        self.engine.command(Command::ChangeGroup { conversation, change }).await?;
        Ok(Json(self.conversation(conversation).await?))
    }
}

/// `POST /api/groups`
pub async fn create(State(app): State<App>, Body(body): Body<NewGroup>) -> Answer<Conversation> {
    let members = body.members.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
    match app.engine.command(Command::CreateGroup { title: body.title, members }).await? {
        EngineAnswer::Conversation(id) => Ok(Json(app.conversation(id).await?)),
        _ => Err(unexpected()),
    }
}

/// `PUT /api/conversations/{id}/group`
#[derive(Deserialize, JsonSchema)]
pub struct NewTitle {
    title: String,
}

/// `PUT /api/conversations/{id}/group`
pub async fn rename(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<NewTitle>,
) -> Answer<Conversation> {
    app.change_group(&id, GroupChange::Title(body.title)).await
}

/// `PUT /api/conversations/{id}/picture`. The media type that the caller names is not asked: the bytes say it.
#[derive(Deserialize, JsonSchema)]
pub struct NewPicture {
    image: Option<String>,
}

/// `PUT /api/conversations/{id}/picture`
pub async fn set_picture(
    State(app): State<App>,
    Path(id): Path<String>,
    Body(body): Body<NewPicture>,
) -> Answer<Conversation> {
    let image = body.image.map(|text| STANDARD.decode(text)).transpose();
    let image = image.map_err(|_| ApiError::invalid("bad_picture", "The image is not base64."))?;
    app.change_group(&id, GroupChange::Picture(image)).await
}

/// `GET /api/conversations/{id}/picture`
pub async fn picture(State(app): State<App>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = conversation_id(&id)?;
    let picture = app.engine.ask(move |engine| engine.picture(&id)).await?;
    let picture = picture.ok_or_else(|| ApiError::unknown("no_picture", "This conversation has no picture."))?;
    // The path that a conversation names changes with the picture.
    let headers = [(CONTENT_TYPE, picture.media_type), (CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((StatusCode::OK, headers, picture.bytes).into_response())
}

/// `POST /api/conversations/{id}/members`
#[derive(Deserialize, JsonSchema)]
pub struct NewMembers {
    members: Vec<String>,
}

/// `POST /api/conversations/{id}/members`
pub async fn add(State(app): State<App>, Path(id): Path<String>, Body(body): Body<NewMembers>) -> Answer<Conversation> {
    let members = body.members.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
    app.change_group(&id, GroupChange::Add(members)).await
}

/// `DELETE /api/conversations/{id}/members/{address}`
pub async fn remove(State(app): State<App>, Path((id, member)): Path<(String, String)>) -> Answer<Conversation> {
    app.change_group(&id, GroupChange::Remove(address(&member)?)).await
}

/// What a member may do, as the contract writes it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewRole {
    /// Change the group.
    Admin,
    /// Talk.
    Member,
}

/// `PUT /api/conversations/{id}/members/{address}`
#[derive(Deserialize, JsonSchema)]
pub struct ChangedMember {
    role: NewRole,
}

/// `PUT /api/conversations/{id}/members/{address}`
pub async fn appoint(
    State(app): State<App>,
    Path((id, member)): Path<(String, String)>,
    Body(body): Body<ChangedMember>,
) -> Answer<Conversation> {
    let role = match body.role {
        NewRole::Admin => Role::Admin,
        NewRole::Member => Role::Member,
    };
    app.change_group(&id, GroupChange::Role(address(&member)?, role)).await
}

/// `POST /api/conversations/{id}/leave`
pub async fn leave(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    app.change_group(&id, GroupChange::Leave).await.map(|_| StatusCode::NO_CONTENT)
}

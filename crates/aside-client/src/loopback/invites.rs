//! Links to groups: making one, withdrawing it, asking by one, and answering those who ask.

use super::answer::{Answer, ApiError, Body, sentence, unexpected};
use super::conversations::conversation_id;
use super::groups::address;
use super::{App, qr};
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer as EngineAnswer, Command, Decision};
use aside_engine::view::{Conversation, GroupInvite as Invite, JoinRequest};
use aside_protocol::link::{GroupLink, LinkError};
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long making a link waits for the server to know it.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// `GroupInvite` of the contract.
#[derive(Serialize, JsonSchema)]
pub struct GroupInvite {
    link: String,
    qr: String,
    expires_at: i64,
    uses: u32,
}

fn shown(invite: Invite) -> Result<GroupInvite, ApiError> {
    let link = invite.link.to_string();
    Ok(GroupInvite { qr: qr::svg(&link)?, link, expires_at: invite.expires_unix_ms, uses: invite.uses })
}

impl App {
    async fn invite(&self, id: ConversationId) -> Result<Option<Invite>, ApiError> {
        self.conversation(id).await?;
        Ok(self.engine.ask(move |engine| engine.group_invite(&id)).await?)
    }
}

/// `GET /api/conversations/{id}/invite`
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<Option<GroupInvite>> {
    let invite = app.invite(conversation_id(&id)?).await?;
    Ok(Json(invite.map(shown).transpose()?))
}

/// `POST /api/conversations/{id}/invite`. Answers when the link works.
pub async fn make(State(app): State<App>, Path(id): Path<String>) -> Answer<GroupInvite> {
    let conversation = conversation_id(&id)?;
    app.engine.command(Command::MakeGroupLink { conversation }).await?;
    let working = move |engine: &aside_engine::Engine| {
        Ok(engine.group_invite(&conversation)?.filter(|invite| invite.is_registered))
    };
    let invite = app.until(WAIT_TIME_MAX, working).await?.ok_or_else(|| {
        let words = format!("{} The link works as soon as the server knows it.", app.connection_trouble());
        ApiError::too_late("not_acknowledged", words)
    })?;
    Ok(Json(shown(invite)?))
}

/// `DELETE /api/conversations/{id}/invite`
pub async fn withdraw(State(app): State<App>, Path(id): Path<String>) -> Answer<Option<GroupInvite>> {
    let conversation = conversation_id(&id)?;
    app.engine.command(Command::WithdrawGroupLink { conversation }).await?;
    Ok(Json(None))
}

/// `GET /api/conversations/{id}/join-requests`
pub async fn requests(State(app): State<App>, Path(id): Path<String>) -> Answer<Vec<JoinRequest>> {
    let id = conversation_id(&id)?;
    app.conversation(id).await?;
    Ok(Json(app.engine.ask(move |engine| engine.join_requests(&id)).await?))
}

/// `POST /api/conversations/{id}/join-requests/{address}`
#[derive(Deserialize, JsonSchema)]
pub struct Decided {
    accept: bool,
}

/// `POST /api/conversations/{id}/join-requests/{address}`
pub async fn decide(
    State(app): State<App>,
    Path((id, asker)): Path<(String, String)>,
    Body(body): Body<Decided>,
) -> Answer<Conversation> {
    let (conversation, address) = (conversation_id(&id)?, address(&asker)?);
    let decision = if body.accept { Decision::Accept } else { Decision::Decline };
    app.engine.command(Command::AnswerJoinRequest { conversation, address, decision }).await?;
    Ok(Json(app.conversation(conversation).await?))
}

/// `POST /api/groups/join`
#[derive(Deserialize, JsonSchema)]
pub struct Asking {
    link: String,
}

/// `POST /api/groups/join`
pub async fn join(State(app): State<App>, Body(body): Body<Asking>) -> Answer<Conversation> {
    let link: GroupLink =
        body.link.parse().map_err(|error: LinkError| ApiError::invalid("bad_link", sentence(&error.to_string())))?;
    match app.engine.command(Command::JoinByLink { link }).await? {
        EngineAnswer::Conversation(id) => Ok(Json(app.conversation(id).await?)),
        _ => Err(unexpected()),
    }
}

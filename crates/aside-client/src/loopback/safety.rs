//! The safety number of a direct conversation.

use super::answer::{Answer, ApiError, Body, unexpected};
use super::conversations::conversation_id;
use super::{App, qr};
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer as EngineAnswer, Command, Verification};
use axum::Json;
use axum::extract::{Path, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `SafetyNumber` of the contract.
#[derive(Serialize, JsonSchema)]
pub struct SafetyNumber {
    digits: Vec<String>,
    code: String,
    qr_svg: String,
    verified: bool,
    /// Only as the answer to a scan.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<bool>,
}

/// `GET /api/conversations/{id}/safety`
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<SafetyNumber> {
    number(&app, conversation_id(&id)?, None).await
}

/// `PUT /api/conversations/{id}/safety`
#[derive(Deserialize, JsonSchema)]
pub struct Verdict {
    verified: bool,
}

/// `PUT /api/conversations/{id}/safety`
pub async fn verify(State(app): State<App>, Path(id): Path<String>, Body(body): Body<Verdict>) -> Answer<SafetyNumber> {
    let conversation = conversation_id(&id)?;
    let verified = if body.verified { Verification::Verified } else { Verification::Unverified };
    app.engine.command(Command::SetVerified { conversation, verified }).await?;
    number(&app, conversation, None).await
}

/// `POST /api/conversations/{id}/safety/scan`
#[derive(Deserialize, JsonSchema)]
pub struct Scan {
    code: String,
}

/// `POST /api/conversations/{id}/safety/scan`
pub async fn scan(State(app): State<App>, Path(id): Path<String>, Body(body): Body<Scan>) -> Answer<SafetyNumber> {
    let conversation = conversation_id(&id)?;
    let command = Command::ScanSafety { conversation, code: body.code };
    let EngineAnswer::Compared(verification) = app.engine.command(command).await? else { return Err(unexpected()) };
    number(&app, conversation, Some(verification == Verification::Verified)).await
}

async fn number(app: &App, id: ConversationId, matches: Option<bool>) -> Answer<SafetyNumber> {
    app.conversation(id).await?;
    let found = app.engine.ask(move |engine| engine.safety_number(&id)).await?;
    let number = found.ok_or_else(|| {
        ApiError::unknown("no_safety_number", "Safety numbers are between two people; this is a group.")
    })?;
    let (digits, code, verified) = (number.digits, number.code, number.verified);
    Ok(Json(SafetyNumber { digits, qr_svg: qr::svg(&code)?, code, verified, matches }))
}

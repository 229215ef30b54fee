//! The safety number of a direct conversation.

use super::answer::{Answer, ApiError, Body};
use super::conversations::conversation_id;
use super::{App, qr};
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Command, Verification};
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

/// `SafetyNumber` of the contract.
#[derive(Serialize)]
pub struct SafetyNumber {
    digits: Vec<String>,
    qr_svg: String,
    verified: bool,
}

/// `GET /api/conversations/{id}/safety`
pub async fn show(State(app): State<App>, Path(id): Path<String>) -> Answer<SafetyNumber> {
    number(&app, conversation_id(&id)?).await
}

/// `PUT /api/conversations/{id}/safety`
#[derive(Deserialize)]
pub struct Verdict {
    verified: bool,
}

/// `PUT /api/conversations/{id}/safety`
pub async fn verify(State(app): State<App>, Path(id): Path<String>, Body(body): Body<Verdict>) -> Answer<SafetyNumber> {
    let conversation = conversation_id(&id)?;
    let verified = if body.verified { Verification::Verified } else { Verification::Unverified };
    app.engine.command(Command::SetVerified { conversation, verified }).await?;
    number(&app, conversation).await
}

async fn number(app: &App, id: ConversationId) -> Answer<SafetyNumber> {
    app.conversation(id).await?;
    let found = app.engine.ask(move |engine| engine.safety_number(&id)).await?;
    let number = found.ok_or_else(|| {
        ApiError::unknown("no_safety_number", "Safety numbers are between two people; this is a group.")
    })?;
    let qr_svg = qr::svg(&number.digits.concat())?;
    Ok(Json(SafetyNumber { digits: number.digits, qr_svg, verified: number.verified }))
}

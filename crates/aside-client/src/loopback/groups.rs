//! Groups: founding one.

use super::App;
use super::answer::{Answer, ApiError, Body, sentence, unexpected};
use aside_engine::input::{Answer as EngineAnswer, Command};
use aside_engine::view::Conversation;
use aside_protocol::address::{AccountAddress, AddressError};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

/// `POST /api/groups`
#[derive(Deserialize)]
pub struct NewGroup {
    title: String,
    members: Vec<String>,
}

/// `POST /api/groups`
pub async fn create(State(app): State<App>, Body(body): Body<NewGroup>) -> Answer<Conversation> {
    let members = body.members.iter().map(|text| text.parse()).collect::<Result<Vec<AccountAddress>, AddressError>>();
    let members = members.map_err(|error| ApiError::invalid("bad_address", sentence(&error.to_string())))?;
    match app.engine.command(Command::CreateGroup { title: body.title, members }).await? {
        EngineAnswer::Conversation(id) => Ok(Json(app.conversation(id).await?)),
        EngineAnswer::Done | EngineAnswer::ContactLink { .. } | EngineAnswer::Message(_) => Err(unexpected()),
    }
}

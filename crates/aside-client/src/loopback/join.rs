//! Joining a server with an invite.

use super::App;
use super::answer::{Answer, ApiError, Body, sentence};
use super::state::State;
use aside_engine::Engine;
use aside_engine::input::Command;
use aside_engine::view::JoinState;
use aside_protocol::address::AccountName;
use aside_protocol::link::InviteLink;
use aside_protocol::refusal::Refusal;
use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a join waits for the server.
const JOIN_TIME_MAX: Duration = Duration::from_secs(30);

/// `POST /api/invites/inspect`
#[derive(Deserialize, JsonSchema)]
pub struct Inspection {
    invite: String,
}

/// `InviteInfo` of the contract.
#[derive(Serialize, JsonSchema)]
pub struct InviteInfo {
    server: String,
}

fn read_invite(text: &str) -> Result<InviteLink, ApiError> {
    text.parse()
        .map_err(|error: aside_protocol::link::LinkError| ApiError::invalid("bad_invite", sentence(&error.to_string())))
}

/// `POST /api/invites/inspect`: what an invite says, without any network.
pub async fn inspect(Body(body): Body<Inspection>) -> Answer<InviteInfo> {
    let invite = read_invite(&body.invite)?;
    Ok(Json(InviteInfo { server: invite.server.address.to_string() }))
}

/// `POST /api/join`
#[derive(Deserialize, JsonSchema)]
pub struct JoinBody {
    invite: String,
    name: String,
}

/// `POST /api/join`: answers when the account stands, or the server refused it.
pub async fn join(Extract(app): Extract<App>, Body(body): Body<JoinBody>) -> Answer<State> {
    let invite = read_invite(&body.invite)?;
    let name: AccountName = body.name.trim().parse().map_err(|error: aside_protocol::address::AddressError| {
        ApiError::invalid("bad_name", sentence(&error.to_string()))
    })?;
    let _one_at_a_time = app.joining.lock().await;
    begin(&app, invite, name).await?;
    let decided = |engine: &Engine| Ok(Some(engine.join_state()?).filter(|state| *state != JoinState::Registering));
    let outcome = app.until(JOIN_TIME_MAX, decided).await?;
    match outcome {
        Some(JoinState::Joined(_)) => Ok(Json(app.state().await?)),
        Some(JoinState::Refused { refusal }) => {
            app.engine.command(Command::ForgetJoin).await?;
            Err(refused(&refusal))
        }
        Some(JoinState::NotJoined | JoinState::Registering) | None => Err(ApiError::too_late(
            "not_connected",
            format!("{} Joining again with the same invite and name is safe.", app.connection_trouble()),
        )),
    }
}

/// Begins a join, or goes on with the same one. Another one that was never answered is given up.
async fn begin(app: &App, invite: InviteLink, name: AccountName) -> Result<(), ApiError> {
    let join = Command::Join { invite, name };
    let Err(error) = app.engine.command(join.clone()).await else { return Ok(()) };
    match app.engine.ask(|engine| engine.join_state()).await? {
        JoinState::Registering | JoinState::Refused { .. } => {
            app.engine.command(Command::ForgetJoin).await?;
            app.engine.command(join).await?;
            Ok(())
        }
        JoinState::NotJoined | JoinState::Joined(_) => Err(error.into()),
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    let code = match refusal {
        Refusal::BadInvite => "invite_refused",
        Refusal::NameTaken => "name_taken",
        _ => "join_refused",
    };
    ApiError::new(StatusCode::CONFLICT, code, sentence(&refusal.to_string()))
}

//! The devices of this account: linking a further one, naming, revoking; and becoming one.

use super::answer::{Answer, ApiError, Body, sentence, unexpected};
use super::{App, qr, state};
use aside_engine::Engine;
use aside_engine::error::CommandError;
use aside_engine::input::{Answer as EngineAnswer, Command, DeviceCommand, History};
use aside_engine::recovery::TypedPhrase;
use aside_engine::view::{Device, DeviceRequest, LinkingState, parse_device_id};
use aside_protocol::id::DeviceId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a call waits for the server.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

fn id(text: &str) -> Result<DeviceId, ApiError> {
    parse_device_id(text).ok_or_else(|| CommandError::UnknownDevice.into())
}

/// `GET /api/devices`
pub async fn list(State(app): State<App>) -> Answer<Vec<Device>> {
    Ok(Json(app.engine.ask(Engine::devices).await?))
}

/// `PUT /api/devices/{id}`
#[derive(Deserialize, JsonSchema)]
pub struct Naming {
    name: String,
}

/// `PUT /api/devices/{id}`
pub async fn rename(State(app): State<App>, Path(device): Path<String>, Body(body): Body<Naming>) -> Answer<Device> {
    let command = DeviceCommand::Rename { device: id(&device)?, name: body.name };
    app.engine.command(Command::Device(command)).await?;
    let found = app.engine.ask(Engine::devices).await?.into_iter().find(|other| other.id == device);
    Ok(Json(found.ok_or_else(unexpected)?))
}

/// `DELETE /api/devices/{id}`
#[derive(Deserialize, JsonSchema)]
pub struct Revocation {
    phrase: Option<String>,
}

/// `DELETE /api/devices/{id}`: answers when the home server has forgotten the device.
pub async fn revoke(
    State(app): State<App>,
    Path(device): Path<String>,
    body: Option<Json<Revocation>>,
) -> Answer<Vec<Device>> {
    let phrase = body.and_then(|Json(body)| body.phrase).map(TypedPhrase::new);
    let command = DeviceCommand::Revoke { device: id(&device)?, phrase };
    app.engine.command(Command::Device(command)).await?;
    let done = move |engine: &Engine| {
        let devices = engine.devices()?;
        let is_revoked = devices.iter().any(|other| other.id == device && other.revoked_at.is_some());
        let trouble = engine.revocation_trouble()?;
        Ok(if is_revoked { Some(Ok(devices)) } else { trouble.map(Err) })
    };
    match app.until(WAIT_TIME_MAX, done).await? {
        Some(Ok(devices)) => Ok(Json(devices)),
        Some(Err(words)) => Err(ApiError::new(StatusCode::CONFLICT, "not_revoked", words)),
        None => {
            let words =
                format!("{} The device is revoked as soon as the server hears of it.", app.connection_trouble());
            Err(ApiError::too_late("not_acknowledged", words))
        }
    }
}

/// `DeviceLink` of the contract.
#[derive(Serialize, JsonSchema)]
pub struct DeviceLink {
    link: String,
    qr: String,
    expires_at: i64,
}

/// `POST /api/devices/link`: answers when the link works.
pub async fn link(State(app): State<App>) -> Answer<DeviceLink> {
    let answer = app.engine.command(Command::Device(DeviceCommand::MakeLink)).await?;
    let EngineAnswer::DeviceLink(link) = answer else { return Err(unexpected()) };
    let text = link.to_string();
    let expires_at = i64::try_from(link.expires_unix_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    let known = move |engine: &Engine| Ok(engine.device_link_is_registered(&link)?.then_some(()));
    app.until(WAIT_TIME_MAX, known).await?.ok_or_else(|| {
        ApiError::too_late("not_acknowledged", format!("{} Make another link then.", app.connection_trouble()))
    })?;
    Ok(Json(DeviceLink { qr: qr::svg(&text)?, link: text, expires_at }))
}

/// `GET /api/devices/requests`
pub async fn requests(State(app): State<App>) -> Answer<Vec<DeviceRequest>> {
    Ok(Json(app.engine.ask(Engine::device_requests).await?))
}

/// `POST /api/devices/requests/{id}`
#[derive(Deserialize, JsonSchema)]
pub struct Decision {
    accept: bool,
    history: Option<History>,
}

/// `POST /api/devices/requests/{id}`
pub async fn answer(
    State(app): State<App>,
    Path(device): Path<String>,
    Body(body): Body<Decision>,
) -> Result<StatusCode, ApiError> {
    let given = body.accept.then(|| body.history.unwrap_or(History::All));
    let command = DeviceCommand::Answer { device: id(&device)?, given };
    app.engine.command(Command::Device(command)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/devices/accept`
#[derive(Deserialize, JsonSchema)]
pub struct Accepting {
    link: String,
    name: String,
}

/// `POST /api/devices/accept`: answers when there is a code to compare, or something went wrong; `linking` in the state
/// tells the rest.
pub async fn accept(State(app): State<App>, Body(body): Body<Accepting>) -> Answer<state::State> {
    let link = body.link.parse().map_err(|error: aside_protocol::link::LinkError| {
        ApiError::invalid("bad_link", sentence(&error.to_string()))
    })?;
    let _one_at_a_time = app.joining.lock().await;
    app.engine.command(Command::Device(DeviceCommand::AcceptLink { link, name: body.name })).await?;
    let shown = |engine: &Engine| {
        let linking = engine.linking()?;
        let is_shown = linking.as_ref().is_none_or(|linking| linking.state != LinkingState::Asking);
        Ok(is_shown.then_some(()))
    };
    match app.until(WAIT_TIME_MAX, shown).await? {
        Some(()) => Ok(Json(app.state().await?)),
        None => Err(ApiError::too_late(
            "not_connected",
            format!("{} Accepting the same link again is safe.", app.connection_trouble()),
        )),
    }
}

//! This person's own links: the newest, a fresh one, all of them, and their end.

use super::answer::{Answer, ApiError, Parameters, unexpected};
use super::{App, qr};
use aside_engine::contact::LinkId;
use aside_engine::error::CommandError;
use aside_engine::input::{Answer as EngineAnswer, Command};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long `?wait=` waits.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// `ContactLink` of the contract.
#[derive(Serialize, JsonSchema)]
pub struct ContactLink {
    id: LinkId,
    link: String,
    qr_svg: String,
    expires_at: i64,
    used: u32,
}

/// What to wait for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkWait {
    /// The server knows the link.
    Registered,
}

/// `?wait=registered`
#[derive(Deserialize, JsonSchema)]
pub struct LinkWaiting {
    wait: Option<LinkWait>,
}

/// `POST /api/contacts/link`
#[derive(Deserialize, JsonSchema)]
pub struct Wish {
    #[serde(default)]
    fresh: bool,
}

/// `POST /api/contacts/link`
pub async fn make(
    State(app): State<App>,
    Parameters(waiting): Parameters<LinkWaiting>,
    wish: Option<Json<Wish>>,
) -> Answer<ContactLink> {
    let command = if wish.is_some_and(|Json(wish)| wish.fresh) {
        Command::MakeFreshContactLink
    } else {
        Command::MakeContactLink
    };
    let EngineAnswer::ContactLink { id, link, expires_unix_ms, used } = app.engine.command(command).await? else {
        return Err(unexpected());
    };
    let text = link.to_string();
    if let Some(LinkWait::Registered) = waiting.wait {
        let known = move |engine: &aside_engine::Engine| Ok(engine.link_is_registered(&link)?.then_some(()));
        app.until(WAIT_TIME_MAX, known).await?.ok_or_else(|| {
            ApiError::too_late(
                "not_acknowledged",
                format!("{} The link works as soon as the server knows it.", app.connection_trouble()),
            )
        })?;
    }
    Ok(Json(ContactLink { id, qr_svg: qr::svg(&text)?, link: text, expires_at: expires_unix_ms, used }))
}

/// `GET /api/contacts/links`
pub async fn list(State(app): State<App>) -> Answer<Vec<ContactLink>> {
    let links = app.engine.ask(|engine| engine.contact_links()).await?;
    let shown = links.into_iter().map(|own| {
        let link = own.link.to_string();
        let (qr_svg, expires_at) = (qr::svg(&link)?, own.expires_unix_ms);
        Ok(ContactLink { id: own.id, qr_svg, link, expires_at, used: own.used })
    });
    Ok(Json(shown.collect::<Result<_, ApiError>>()?))
}

/// `DELETE /api/contacts/links/{id}`
pub async fn withdraw(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let link = id.parse().map_err(|_| ApiError::from(CommandError::UnknownLink))?;
    app.engine.command(Command::WithdrawContactLink { link }).await?;
    Ok(StatusCode::NO_CONTENT)
}

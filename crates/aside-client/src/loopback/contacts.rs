//! Contacts: the list, adding one by a link, and one's own link.

use super::answer::{Answer, ApiError, Body, Parameters, sentence, unexpected};
use super::{App, qr};
use aside_engine::input::{Answer as EngineAnswer, Command};
use aside_engine::view::{Contact, ContactState};
use aside_protocol::address::AccountAddress;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long `?wait=` waits.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// `GET /api/contacts`
pub async fn list(State(app): State<App>) -> Answer<Vec<Contact>> {
    Ok(Json(app.engine.ask(|engine| engine.contacts()).await?))
}

/// `POST /api/contacts`
#[derive(Deserialize)]
pub struct NewContact {
    link: String,
}

/// What to wait for.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddedWait {
    /// The contact can be written to.
    Active,
}

/// `?wait=active`
#[derive(Deserialize)]
pub struct AddWaiting {
    wait: Option<AddedWait>,
}

/// `POST /api/contacts`
pub async fn add(
    State(app): State<App>,
    Parameters(waiting): Parameters<AddWaiting>,
    Body(body): Body<NewContact>,
) -> Answer<Contact> {
    let link: aside_protocol::link::ContactLink =
        body.link.parse().map_err(|error: aside_protocol::link::LinkError| {
            ApiError::invalid("bad_link", sentence(&error.to_string()))
        })?;
    let address = link.address.clone();
    app.engine.command(Command::AddContact { link }).await?;
    if let Some(AddedWait::Active) = waiting.wait {
        wait_until_active(&app, address.clone()).await?;
    }
    let found = app.engine.ask(move |engine| engine.contact(&address)).await?;
    found.map(Json).ok_or_else(unexpected)
}

async fn wait_until_active(app: &App, address: AccountAddress) -> Result<(), ApiError> {
    let decided = move |engine: &aside_engine::Engine| {
        Ok(engine.contact(&address)?.filter(|contact| contact.state != ContactState::Adding))
    };
    match app.until(WAIT_TIME_MAX, decided).await? {
        Some(Contact { state: ContactState::Failed, failure, .. }) => {
            let why = failure.unwrap_or_else(|| "the server refused".to_owned());
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_added", sentence(&why)))
        }
        Some(_) => Ok(()),
        None => Err(ApiError::too_late(
            "not_acknowledged",
            format!(
                "{} The contact is kept, and added when Aside runs and the server answers.",
                app.connection_trouble()
            ),
        )),
    }
}

/// `ContactLink` of the contract.
#[derive(Serialize)]
pub struct ContactLink {
    link: String,
    qr_svg: String,
    expires_at: i64,
}

/// What to wait for.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkWait {
    /// The server knows the link.
    Registered,
}

/// `?wait=registered`
#[derive(Deserialize)]
pub struct LinkWaiting {
    wait: Option<LinkWait>,
}

/// `POST /api/contacts/link`
pub async fn link(State(app): State<App>, Parameters(waiting): Parameters<LinkWaiting>) -> Answer<ContactLink> {
    let EngineAnswer::ContactLink { link, expires_unix_ms } = app.engine.command(Command::MakeContactLink).await?
    else {
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
    Ok(Json(ContactLink { qr_svg: qr::svg(&text)?, link: text, expires_at: expires_unix_ms }))
}

//! Contacts: the list, adding one, and what a person decides about one.

use super::App;
use super::answer::{Answer, ApiError, Body, Parameters, sentence, unexpected};
use aside_engine::input::{Answer as EngineAnswer, Command, Presence};
use aside_engine::view::{Contact, ContactState};
use aside_protocol::address::{AccountAddress, AddressError};
use aside_protocol::link::{ContactLink, LinkError};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// How long `?wait=` waits.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// `GET /api/contacts`
pub async fn list(State(app): State<App>) -> Answer<Vec<Contact>> {
    Ok(Json(app.engine.ask(|engine| engine.contacts()).await?))
}

/// `POST /api/contacts`
#[derive(Deserialize, JsonSchema)]
pub struct NewContact {
    /// A link, or a name on one's own server.
    link: Option<String>,
    name: Option<String>,
    /// The person has asked: it is right that the link shows other keys than those that are known.
    #[serde(default)]
    accept_other_keys: bool,
}

/// What to wait for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddedWait {
    /// The contact can be written to.
    Active,
}

/// `?wait=active`
#[derive(Deserialize, JsonSchema)]
pub struct AddWaiting {
    wait: Option<AddedWait>,
}

/// `POST /api/contacts`
pub async fn add(
    State(app): State<App>,
    Parameters(waiting): Parameters<AddWaiting>,
    Body(body): Body<NewContact>,
) -> Answer<Contact> {
    let address = match (body.link, body.name) {
        (Some(link), None) => add_by_link(&app, &link, body.accept_other_keys).await?,
        (None, Some(name)) => add_by_name(&app, &name).await?,
        _ => return Err(ApiError::invalid("link_or_name", "A contact is added by a link or by a name.")),
    };
    if let Some(AddedWait::Active) = waiting.wait {
        wait_until_active(&app, address.clone()).await?;
    }
    let found = app.engine.ask(move |engine| engine.contact(&address)).await?;
    found.map(Json).ok_or_else(unexpected)
}

async fn add_by_link(app: &App, link: &str, accept_other_keys: bool) -> Result<AccountAddress, ApiError> {
    let link: ContactLink =
        link.parse().map_err(|error: LinkError| ApiError::invalid("bad_link", sentence(&error.to_string())))?;
    let address = link.address.clone();
    app.engine
        .command(match accept_other_keys {
            true => Command::AddContactWithOtherKeys { link },
            false => Command::AddContact { link },
        })
        .await?;
    Ok(address)
}

async fn add_by_name(app: &App, name: &str) -> Result<AccountAddress, ApiError> {
    let bad = |error: AddressError| ApiError::invalid("bad_name", sentence(&error.to_string()));
    let name = name.trim().parse().map_err(bad)?;
    let added = app.engine.command(Command::AddByName { name }).await?;
    let EngineAnswer::Conversation(id) = added else { return Err(unexpected()) };
    app.conversation(id).await?.peer.ok_or_else(unexpected)
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

/// Reads an address from a path.
pub fn address(text: &str) -> Result<AccountAddress, ApiError> {
    text.parse().map_err(|error: AddressError| ApiError::invalid("bad_address", sentence(&error.to_string())))
}

/// `PUT /api/contacts/{address}`
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    display_name: Option<String>,
    blocked: Option<bool>,
}

/// `PUT /api/contacts/{address}`
pub async fn change(
    State(app): State<App>,
    Path(text): Path<String>,
    Body(Decision { display_name, blocked }): Body<Decision>,
) -> Answer<Option<Contact>> {
    let address = address(&text)?;
    if let Some(name) = display_name {
        app.engine.command(Command::RenameContact { address: address.clone(), name }).await?;
    }
    if let Some(blocked) = blocked {
        let blocked = if blocked { Presence::Present } else { Presence::Absent };
        app.engine.command(Command::SetBlocked { address: address.clone(), blocked }).await?;
    }
    Ok(Json(app.engine.ask(move |engine| engine.contact(&address)).await?))
}

/// `DELETE /api/contacts/{address}`
pub async fn remove(State(app): State<App>, Path(text): Path<String>) -> Result<StatusCode, ApiError> {
    app.engine.command(Command::RemoveContact { address: address(&text)? }).await?;
    Ok(StatusCode::NO_CONTENT)
}

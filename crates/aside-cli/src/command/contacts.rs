//! `aside contacts add LINK | link | list`

use super::{CATCH_UP, DELIVER};
use crate::api::{CallFailure, Contact, ContactLink, Raw};
use crate::cli::{Contacts, Global};
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

/// Runs one of them.
pub async fn run(global: &Global, command: Contacts) -> Result<(), Failure> {
    match command {
        Contacts::Add { link } => add(global, &link).await,
        Contacts::Link => link(global).await,
        Contacts::List => list(global).await,
    }
}

/// Prints the contact's address when they can be written to.
async fn add(global: &Global, link: &str) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let body = json!({ "link": link });
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        session.api().post("/contacts?wait=active", &body).await
    };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let contact: Contact = read(raw)?;
    Ok(terminal::print(&terminal::line(&contact.address))?)
}

/// Prints a link, and nothing else, when the server knows it.
async fn link(global: &Global) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        session.api().post("/contacts/link?wait=registered", &json!({})).await
    };
    let raw = with_client(global, Settling::default(), call).await?;
    if global.json {
        return super::json(&raw);
    }
    let link: ContactLink = read(raw)?;
    Ok(terminal::print(&link.link)?)
}

async fn list(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/contacts").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let contacts: Vec<Contact> = read(raw)?;
    for contact in contacts {
        let note = match contact.state.as_str() {
            "adding" => "  being added".to_owned(),
            "failed" => format!("  not added: {}", terminal::line(contact.failure.as_deref().unwrap_or("refused"))),
            _ if contact.verified => "  compared".to_owned(),
            _ => String::new(),
        };
        terminal::print(&format!("{}{note}", terminal::line(&contact.address)))?;
    }
    Ok(())
}

fn read<T: DeserializeOwned>(raw: Raw) -> Result<T, Failure> {
    serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))
}

//! `aside contacts add LINK | by-name NAME | link | links | list | rename | block | unblock | remove`

use super::{CATCH_UP, DELIVER, find};
use crate::api::{CallFailure, Contact, ContactLink, Raw};
use crate::cli::{Contacts, Global};
use crate::failure::Failure;
use crate::resolve::ResolveError;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;

/// Runs one of them.
pub async fn run(global: &Global, command: Contacts) -> Result<(), Failure> {
    match command {
        Contacts::Add { link, other_keys } => {
            add(global, &json!({ "link": link, "accept_other_keys": other_keys })).await
        }
        Contacts::ByName { name } => add(global, &json!({ "name": name })).await,
        Contacts::Link { fresh } => link(global, fresh).await,
        Contacts::Links { withdraw: Some(id) } => withdraw(global, &id).await,
        Contacts::Links { withdraw: None } => links(global).await,
        Contacts::List => list(global).await,
        Contacts::Rename { name, given } => {
            change(global, &name, &json!({ "display_name": given.unwrap_or_default() })).await
        }
        Contacts::Block { name } => change(global, &name, &json!({ "blocked": true })).await,
        Contacts::Unblock { name } => change(global, &name, &json!({ "blocked": false })).await,
        Contacts::Remove { name } => remove(global, &name).await,
    }
}

/// Prints the contact's address when they can be written to.
async fn add(global: &Global, body: &Raw) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        session.api().post("/contacts?wait=active", body).await
    };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let contact: Contact = read(raw)?;
    if let Some(words) = &contact.unvouched {
        terminal::complain(&terminal::line(words));
    }
    Ok(terminal::print(&terminal::line(&contact.address))?)
}

/// Prints a link, and nothing else, when the server knows it.
async fn link(global: &Global, fresh: bool) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        session.api().post("/contacts/link?wait=registered", &json!({ "fresh": fresh })).await
    };
    let raw = with_client(global, Settling::default(), call).await?;
    if global.json {
        return super::json(&raw);
    }
    let link: ContactLink = read(raw)?;
    Ok(terminal::print(&link.link)?)
}

/// One line for each: id, days left, how often it was used, and the link.
async fn links(global: &Global) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: Duration::ZERO };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { session.api().get("/contacts/links").await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let links: Vec<ContactLink> = read(raw)?;
    for ContactLink { id, link, expires_at, used } in links {
        let left = expires_at.saturating_sub(now_unix_ms()) / DAY_MS;
        terminal::print(&format!("{id}  {left} days left  used {used} times  {link}"))?;
    }
    Ok(())
}

fn now_unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn withdraw(global: &Global, id: &str) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let path = format!("/contacts/links/{id}");
    let call = async |session: &Session| -> Result<(), CallFailure> { session.api().delete(&path).await };
    with_client(global, settling, call).await
}

/// Whom a name means: a contact, or an address of anybody.
async fn address(session: &Session, name: &str) -> Result<String, CallFailure> {
    let contacts: Vec<Contact> = session.api().get("/contacts").await?;
    if contacts.iter().any(|contact| contact.address == name) {
        return Ok(name.to_owned());
    }
    match find(session, &[name]).await {
        Ok(found) => match found.into_iter().next() {
            Some(target) if target.is_person => Ok(target.label),
            Some(group) => Err(Failure::Name(ResolveError::NotAPerson(group.label)).into()),
            None => Err(Failure::Gone.into()),
        },
        Err(_) if name.contains('@') => Ok(name.to_owned()),
        Err(failure) => Err(failure),
    }
}

async fn change(global: &Global, name: &str, body: &Raw) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let address = address(session, name).await?;
        session.api().put(&format!("/contacts/{address}"), body).await
    };
    let raw = with_client(global, settling, call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(()),
    }
}

async fn remove(global: &Global, name: &str) -> Result<(), Failure> {
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let call = async |session: &Session| -> Result<(), CallFailure> {
        let address = address(session, name).await?;
        session.api().delete(&format!("/contacts/{address}")).await
    };
    with_client(global, settling, call).await
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
            _ if contact.blocked => "  blocked".to_owned(),
            _ if contact.key_changed => "  keys changed: see `aside chats`".to_owned(),
            _ if contact.unvouched.is_some() => "  not compared; only the server says who they are".to_owned(),
            _ if contact.verified => "  compared".to_owned(),
            _ => String::new(),
        };
        let given = match contact.address.split_once('@') {
            Some((name, _)) if name != contact.display_name => format!("  ({})", terminal::line(&contact.display_name)),
            _ => String::new(),
        };
        terminal::print(&format!("{}{given}{note}", terminal::line(&contact.address)))?;
    }
    Ok(())
}

fn read<T: DeserializeOwned>(raw: Raw) -> Result<T, Failure> {
    serde_json::from_value(raw).map_err(|error| Failure::Strange(error.to_string()))
}

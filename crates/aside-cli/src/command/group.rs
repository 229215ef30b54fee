//! `aside group create TITLE NAME…`

use super::{DELIVER, find};
use crate::api::{CallFailure, Raw};
use crate::cli::{Global, Group};
use crate::failure::Failure;
use crate::resolve::ResolveError;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde_json::json;
use std::time::Duration;

/// Founds a group, and prints its title.
pub async fn run(global: &Global, command: Group) -> Result<(), Failure> {
    let Group::Create { title, names } = command;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let found = find(session, &names).await?;
        if let Some(group) = found.iter().find(|target| !target.is_person) {
            return Err(Failure::Name(ResolveError::NotAPerson(group.label.clone())).into());
        }
        let members: Vec<&str> = found.iter().map(|person| person.label.as_str()).collect();
        session.api().post("/groups", &json!({ "title": title, "members": members })).await
    };
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let raw = with_client(global, settling, call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(terminal::print(&terminal::line(&title))?),
    }
}

//! `aside group create TITLE NAME…`

use super::{DELIVER, everybody};
use crate::api::{CallFailure, Raw};
use crate::cli::{Global, Group};
use crate::failure::Failure;
use crate::resolve::{Target, resolve};
use crate::session::{Settling, with_client};
use crate::terminal;
use serde_json::json;
use std::time::Duration;

/// Founds a group, and prints its title.
pub async fn run(global: &Global, command: Group) -> Result<(), Failure> {
    let Group::Create { title, names } = command;
    let call = async |api: &crate::api::Api| -> Result<Raw, CallFailure> {
        let people: Vec<Target> = everybody(api).await?.into_iter().filter(|target| target.is_person).collect();
        let members: Result<Vec<_>, _> =
            names.iter().map(|name| resolve(name, &people).map(|target| target.label.clone())).collect();
        let members = members.map_err(Failure::from)?;
        api.post("/groups", &json!({ "title": title, "members": members })).await
    };
    let settling = Settling { before: Duration::ZERO, after: DELIVER };
    let raw = with_client(global, settling, call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(terminal::print(&terminal::line(&title))?),
    }
}

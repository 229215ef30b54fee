//! `aside requests list | accept NAME | decline NAME`

use super::{CATCH_UP, DELIVER};
use crate::api::{CallFailure, Conversation, Raw};
use crate::cli::{Global, Requests};
use crate::failure::Failure;
use crate::resolve::{ResolveError, resolve, targets};
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde_json::json;

/// Runs one of them.
pub async fn run(global: &Global, command: Requests) -> Result<(), Failure> {
    let settling = Settling { before: CATCH_UP, after: DELIVER };
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let api = session.api();
        match &command {
            Requests::List => api.get("/conversations").await,
            Requests::Accept { name } => {
                let id = one(session, name).await?;
                api.post(&format!("/conversations/{id}/accept"), &json!({})).await
            }
            Requests::Decline { name, block, report } => {
                let id = one(session, name).await?;
                api.tell(&format!("/conversations/{id}/decline"), &json!({ "block": block, "report": report })).await?;
                Ok(Raw::Null)
            }
        }
    };
    let raw = with_client(global, settling, call).await?;
    match command {
        Requests::List => list(global, raw),
        Requests::Accept { .. } if global.json => super::json(&raw),
        Requests::Accept { .. } | Requests::Decline { .. } => Ok(()),
    }
}

/// Whom a name means among those who ask; nobody else is meant.
async fn one(session: &Session, name: &str) -> Result<String, CallFailure> {
    let mut asking: Vec<Conversation> = session.api().get("/conversations").await?;
    asking.retain(is_request);
    let targets = targets(&[], &asking);
    let found = resolve(name, &targets).map_err(|error| match error {
        ResolveError::Unknown(name) => Failure::Name(ResolveError::NobodyAsks(name)),
        error => error.into(),
    })?;
    Ok(found.conversation_id.clone())
}

fn is_request(conversation: &Conversation) -> bool {
    conversation.state == "request"
}

fn list(global: &Global, raw: Raw) -> Result<(), Failure> {
    let Raw::Array(mut all) = raw else { return Err(Failure::Strange("no list".to_owned())) };
    all.retain(|conversation| conversation["state"] == "request");
    let asking = Raw::Array(all);
    if global.json {
        return super::json(&asking);
    }
    let asking: Vec<Conversation> =
        serde_json::from_value(asking).map_err(|error| Failure::Strange(error.to_string()))?;
    for conversation in &asking {
        let who = match (&conversation.peer, conversation.members.iter().find(|member| !member.is_self)) {
            (Some(peer), _) => terminal::line(peer),
            (None, Some(member)) => format!("{}  asks you into a group", terminal::line(&member.address)),
            (None, None) => terminal::line(&conversation.title),
        };
        terminal::print(&who)?;
    }
    Ok(())
}

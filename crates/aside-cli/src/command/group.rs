//! `aside group …`

use super::{CATCH_UP, DELIVER, find};
use crate::api::{CallFailure, Conversation, GroupInvite, JoinRequest, Raw};
use crate::cli::{Global, Group};
use crate::failure::Failure;
use crate::resolve::{ResolveError, Target};
use crate::session::{Session, Settling, with_client};
use crate::terminal::{line, print};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// Does something with a group, and prints what it is afterwards: its title, or with `members` who is in it.
pub async fn run(global: &Global, command: Group) -> Result<(), Failure> {
    // Who may do what is known once it is known what others did meanwhile.
    let settling = Settling { before: CATCH_UP, after: DELIVER };
    let image = match &command {
        Group::Picture { file: Some(file), .. } => Some(
            std::fs::read(file)
                .map(|bytes| STANDARD.encode(bytes))
                .map_err(|error| Failure::Unreadable { path: file.clone(), error: error.to_string() })?,
        ),
        _ => None,
    };
    let call = async |session: &Session| -> Result<Raw, CallFailure> { change(session, &command, &image).await };
    let raw = with_client(global, settling, call).await?;
    if global.json {
        return super::json(&raw);
    }
    let strange = |error: serde_json::Error| Failure::Strange(error.to_string());
    match &command {
        Group::Invite { withdraw: false, .. } => {
            let invite: GroupInvite = serde_json::from_value(raw).map_err(strange)?;
            return Ok(print(&invite.link)?);
        }
        Group::Requests { .. } => {
            let requests: Vec<JoinRequest> = serde_json::from_value(raw).map_err(strange)?;
            return Ok(requests.iter().try_for_each(|request| print(&line(&request.address)))?);
        }
        _ => {}
    }
    let group: Conversation = serde_json::from_value(raw).map_err(strange)?;
    if !matches!(command, Group::Members { .. }) {
        return Ok(print(&line(&group.title))?);
    }
    for member in &group.members {
        let role = if member.role.as_deref() == Some("admin") { "  [admin]" } else { "" };
        let state = match member.state.as_deref() {
            Some("adding") => "  [being added]",
            Some("leaving") => "  [leaving]",
            _ => "",
        };
        print(&format!("{}{role}{state}", line(&member.address)))?;
    }
    Ok(())
}

async fn change(session: &Session, command: &Group, image: &Option<String>) -> Result<Raw, CallFailure> {
    let api = session.api();
    match command {
        Group::Create { title, names } => {
            let members = people(session, names).await?;
            api.post("/groups", &json!({ "title": title, "members": members })).await
        }
        Group::Members { title } => api.get(&path(&group(session, title).await?, "")).await,
        Group::Add { title, names } => {
            let group = group(session, title).await?;
            let members = people(session, names).await?;
            api.post(&path(&group, "/members"), &json!({ "members": members })).await
        }
        Group::Remove { title, name } => {
            let (group, member) = member(session, title, name).await?;
            api.remove(&path(&group, &format!("/members/{member}"))).await
        }
        Group::Promote { title, name } | Group::Demote { title, name } => {
            let role = if matches!(command, Group::Promote { .. }) { "admin" } else { "member" };
            let (group, member) = member(session, title, name).await?;
            api.put(&path(&group, &format!("/members/{member}")), &json!({ "role": role })).await
        }
        Group::Rename { title, new_title } => {
            let group = group(session, title).await?;
            api.put(&path(&group, "/group"), &json!({ "title": new_title })).await
        }
        Group::Picture { title, .. } => {
            let group = group(session, title).await?;
            api.put(&path(&group, "/picture"), &json!({ "image": image })).await
        }
        Group::Invite { title, withdraw: true } => {
            let group = group(session, title).await?;
            api.remove::<Raw>(&path(&group, "/invite")).await?;
            api.get(&path(&group, "")).await
        }
        Group::Invite { title, withdraw: false } => {
            api.post(&path(&group(session, title).await?, "/invite"), &json!({})).await
        }
        Group::Join { link } => api.post("/groups/join", &json!({ "link": link })).await,
        Group::Requests { title } => api.get(&path(&group(session, title).await?, "/join-requests")).await,
        Group::Approve { title, name } | Group::Decline { title, name } => {
            let (group, asker) = asker(session, title, name).await?;
            let accept = matches!(command, Group::Approve { .. });
            api.post(&path(&group, &format!("/join-requests/{asker}")), &json!({ "accept": accept })).await
        }
        Group::Leave { title } => {
            let group = group(session, title).await?;
            api.tell(&path(&group, "/leave"), &json!({})).await?;
            api.get(&path(&group, "")).await
        }
    }
}

fn path(conversation: &str, rest: &str) -> String {
    format!("/conversations/{conversation}{rest}")
}

/// The conversation of a group's title.
async fn group(session: &Session, title: &str) -> Result<String, CallFailure> {
    let found = find(session, &[title]).await?;
    match found.into_iter().next() {
        Some(target) if !target.is_person => Ok(target.conversation_id),
        Some(target) => Err(Failure::Name(ResolveError::NotAGroup(target.label)).into()),
        None => Err(Failure::Name(ResolveError::Unknown(title.to_owned())).into()),
    }
}

/// The addresses that names of contacts mean.
async fn people(session: &Session, names: &[String]) -> Result<Vec<String>, CallFailure> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = find(session, &names).await?;
    match found.iter().find(|target| !target.is_person) {
        Some(group) => Err(Failure::Name(ResolveError::NotAPerson(group.label.clone())).into()),
        None => Ok(found.into_iter().map(|person| person.label).collect()),
    }
}

/// A group and one of its members, who need not be a contact.
async fn member(session: &Session, title: &str, name: &str) -> Result<(String, String), CallFailure> {
    let id = group(session, title).await?;
    let group: Conversation = session.api().get(&path(&id, "")).await?;
    let members: Vec<Target> = group.members.iter().map(|member| Target::person(&member.address)).collect();
    let found = crate::resolve::resolve(name, &members).map_err(Failure::from)?;
    Ok((id, found.label.clone()))
}

/// A group and somebody who asks to be added to it.
async fn asker(session: &Session, title: &str, name: &str) -> Result<(String, String), CallFailure> {
    let id = group(session, title).await?;
    let requests: Vec<JoinRequest> = session.api().get(&path(&id, "/join-requests")).await?;
    let askers: Vec<Target> = requests.iter().map(|request| Target::person(&request.address)).collect();
    let found = crate::resolve::resolve(name, &askers).map_err(Failure::from)?;
    Ok((id, found.label.clone()))
}

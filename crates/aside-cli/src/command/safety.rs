//! `aside safety NAME`

use super::{DELIVER, find};
use crate::api::{CallFailure, Raw, SafetyNumber};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::{Session, Settling, with_client};
use crate::terminal;
use serde_json::json;

const DIFFERS: &str = "The codes differ. Either this is the code of another person or conversation, or somebody stands \
    between you: don't write anything that they must not read, and compare the digits in person.";
/// Groups of digits on one line.
const GROUPS_A_LINE: usize = 4;

/// What a person wants with the number.
pub enum Wish {
    /// To see it.
    Show,
    /// To note whether they have compared it.
    Remember(bool),
    /// To compare it with what the other person sees.
    Scan(String),
}

/// Prints the number, after noting what the person says about it.
pub async fn run(global: &Global, name: &str, wish: Wish) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let path = format!("/conversations/{}/safety", target.conversation_id);
        match &wish {
            Wish::Remember(verified) => session.api().put(&path, &json!({ "verified": verified })).await,
            Wish::Scan(code) => session.api().post(&format!("{path}/scan"), &json!({ "code": code })).await,
            Wish::Show => session.api().get(&path).await,
        }
    };
    let raw = with_client(global, Settling::default(), call).await?;
    let number: SafetyNumber =
        serde_json::from_value(raw.clone()).map_err(|error| Failure::Strange(error.to_string()))?;
    if global.json {
        super::json(&raw)?;
    }
    if number.matches == Some(false) {
        return Err(Failure::Refused { code: "differs".to_owned(), message: DIFFERS.to_owned() });
    }
    if global.json {
        return Ok(());
    }
    for groups in number.digits.chunks(GROUPS_A_LINE) {
        terminal::print(&groups.join(" "))?;
    }
    Ok(terminal::print(if number.verified { "compared" } else { "not compared yet" })?)
}

/// Goes on with the keys as they are now, and prints what the notice had said.
pub async fn accept_keys(global: &Global, name: &str) -> Result<(), Failure> {
    let call = async |session: &Session| -> Result<Raw, CallFailure> {
        let mut found = find(session, &[name]).await?;
        let target = found.pop().ok_or(Failure::Gone)?;
        let path = format!("/conversations/{}/notice", target.conversation_id);
        session.api().post(&path, &json!({ "action": "accept_keys" })).await
    };
    let raw = with_client(global, Settling { after: DELIVER, ..Settling::default() }, call).await?;
    match global.json {
        true => super::json(&raw),
        false => Ok(()),
    }
}

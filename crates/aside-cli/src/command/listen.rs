//! `aside listen`

use super::CATCH_UP;
use crate::api::{Api, CallFailure};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::Session;
use crate::{signals, terminal};
use aside_client::profile::Stay;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;

/// The longest line that is waited for, in bytes.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// When to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When everything that is there was printed.
    NothingIsLeft,
    /// When somebody stops it.
    Stopped,
}

/// A line, as far as this command reads it.
#[derive(Deserialize)]
struct Heard {
    conversation: String,
    conversation_id: String,
    sender: String,
    text: String,
    position: i64,
}

/// Prints what others write. A message counts as listened to once its line is written.
///
/// While it runs it is the profile's client. If another client runs, it listens there, and takes over when that ends.
pub async fn run(global: &Global, until: Until) -> Result<(), Failure> {
    loop {
        let session = Session::open(global, Stay::UntilStopped).await?;
        let ended = tokio::select! {
            ended = listen(&session, global, until) => Some(ended),
            () = signals::asked_to_stop() => None,
        };
        let is_own = matches!(session, Session::Own(..));
        session.close().await?;
        match ended {
            None => return Ok(()),
            Some(Err(CallFailure::Other(Failure::Gone) | CallFailure::NobodyThere)) if !is_own => {}
            Some(Err(CallFailure::NobodyThere)) => return Err(Failure::Gone),
            Some(Err(CallFailure::Other(failure))) => return Err(failure),
            Some(Ok(())) if is_own || until == Until::NothingIsLeft => return Ok(()),
            Some(Ok(())) => {}
        }
    }
}

async fn listen(session: &Session, global: &Global, until: Until) -> Result<(), CallFailure> {
    let follow = until == Until::Stopped;
    session.settle(if follow { Duration::ZERO } else { CATCH_UP }).await;
    let api = session.api();
    let response = api.open(&format!("/listen?follow={follow}&mark=caller")).await?;
    let mut chunks = response.bytes_stream();
    let mut buffer = Vec::new();
    while let Some(chunk) = chunks.next().await {
        buffer.extend_from_slice(&chunk.map_err(|_| Failure::Gone)?);
        let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
            if buffer.len() > LINE_BYTES_MAX {
                return Err(Failure::Strange("a line without end".to_owned()).into());
            }
            continue;
        };
        let rest = buffer.split_off(end + 1);
        let whole = std::mem::replace(&mut buffer, rest);
        print_and_mark(api, global, &String::from_utf8_lossy(&whole)).await?;
    }
    Ok(())
}

/// First the lines, then the marks: whoever stops in between hears something twice, and misses nothing.
async fn print_and_mark(api: &Api, global: &Global, lines: &str) -> Result<(), CallFailure> {
    let mut through: HashMap<String, i64> = HashMap::new();
    for line in lines.lines() {
        let heard: Heard = serde_json::from_str(line).map_err(|error| Failure::Strange(error.to_string()))?;
        let printed = match global.json {
            true => line.to_owned(),
            false => for_people(&heard),
        };
        terminal::print(&printed).map_err(Failure::from)?;
        through.insert(heard.conversation_id, heard.position);
    }
    for (conversation, position) in through {
        api.tell(&format!("/conversations/{conversation}/listened"), &json!({ "through": position })).await?;
    }
    Ok(())
}

fn for_people(heard: &Heard) -> String {
    let text = terminal::lines(&heard.text);
    match heard.conversation == heard.sender {
        true => format!("{}: {text}", terminal::line(&heard.sender)),
        false => format!("{} / {}: {text}", terminal::line(&heard.conversation), terminal::line(&heard.sender)),
    }
}

//! The promises, checked when nothing moves any more.

use crate::client::Client;
use aside_engine::conversation::ConversationId;
use aside_engine::view::{ConversationState, Delivery, Message, MessageKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A promise that was not kept.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Which world.
    pub seed: u64,
    /// What.
    pub promise: String,
    /// What happened last.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {}: {}", self.seed, self.promise)?;
        let from = self.trace.len().saturating_sub(60);
        self.trace.iter().skip(from).try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// A written message with the name by which all members know its conversation.
type Place = (String, String);

/// What order all members must agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// One channel, one log, one order.
    OfTheLog,
    /// Both sides founded a channel at once: what was written before they settled on one stands in two logs.
    Any,
}

/// Checks all clients against each other, and against what they said was sent.
///
/// # Errors
/// The first promise that was not kept, in words.
pub(crate) fn all(clients: &[Client], acknowledged: &BTreeSet<Place>, order: Order) -> Result<usize, String> {
    let mut timelines: BTreeMap<String, Vec<(String, Vec<String>)>> = BTreeMap::new();
    for client in clients {
        if let Some(error) = client.engine_errors.first() {
            return Err(format!("{}'s engine failed: {error}", client.name));
        }
        for (conversation, texts) in read(client)? {
            timelines.entry(conversation).or_default().push((client.name.clone(), texts));
        }
    }
    let mut messages = 0_usize;
    for (conversation, sides) in &timelines {
        let Some((first, texts)) = sides.first() else { continue };
        messages = messages.saturating_add(texts.len());
        let distinct: BTreeSet<&String> = texts.iter().collect();
        if distinct.len() != texts.len() {
            return Err(format!("{first} sees a message of {conversation} twice: {texts:?}"));
        }
        for (other, others) in sides.iter().skip(1) {
            let is_same = match order {
                Order::OfTheLog => others == texts,
                Order::Any => distinct == others.iter().collect() && others.len() == texts.len(),
            };
            if !is_same {
                return Err(format!("{first} and {other} disagree on {conversation}: {texts:?} against {others:?}"));
            }
        }
    }
    for (conversation, text) in acknowledged {
        let sides = timelines.get(conversation).map(Vec::as_slice).unwrap_or_default();
        if sides.len() < 2 {
            return Err(format!("{conversation} has an acknowledged message and {} sides", sides.len()));
        }
        if let Some((who, _)) = sides.iter().find(|(_, texts)| !texts.contains(text)) {
            return Err(format!("{who} lacks {text:?} in {conversation}, which was acknowledged"));
        }
    }
    Ok(messages)
}

/// The name that a conversation has among its members: both people, or the title.
pub(crate) fn place(client: &Client, id: &ConversationId) -> Option<String> {
    let conversation = client.engine()?.conversation(id).ok()??;
    Some(match &conversation.peer {
        Some(peer) => {
            let mut both = [client.name.clone(), peer.name.to_string()];
            both.sort();
            both.join("+")
        }
        None => conversation.title,
    })
}

/// Everything that one client shows, in its order.
fn read(client: &Client) -> Result<Vec<(String, Vec<String>)>, String> {
    let Some(engine) = client.engine() else { return Err(format!("{} does not run", client.name)) };
    let mut timelines = Vec::new();
    for conversation in engine.conversations().map_err(|error| error.to_string())? {
        let name = place(client, &conversation.id).unwrap_or_default();
        if conversation.state == ConversationState::Paused {
            let reason = conversation.paused_reason.unwrap_or_default();
            return Err(format!("{}'s conversation {name} is paused: {reason}", client.name));
        }
        let mut texts = Vec::new();
        for message in whole_timeline(client, &conversation.id)? {
            match message.kind {
                MessageKind::Event if message.text.contains("could not be") => {
                    return Err(format!("{} reads in {name}: {}", client.name, message.text));
                }
                MessageKind::Event => {}
                MessageKind::Text => {
                    if matches!(message.delivery, Some(Delivery::Queued | Delivery::Failed)) {
                        return Err(format!("{}'s {:?} in {name} was not sent", client.name, message.text));
                    }
                    texts.push(format!("{}: {}", message.sender.address.name, message.text));
                }
            }
        }
        timelines.push((name, texts));
    }
    Ok(timelines)
}

/// All rows of a conversation, page by page.
pub(crate) fn whole_timeline(client: &Client, id: &ConversationId) -> Result<Vec<Message>, String> {
    let Some(engine) = client.engine() else { return Ok(Vec::new()) };
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let before = messages.first().map(|message| message.position);
        let page = engine.messages(id, before, 200).map_err(|error| error.to_string())?;
        let has_more = page.has_more;
        messages.splice(0..0, page.messages);
        if !has_more {
            return Ok(messages);
        }
    }
}

//! The event stream: what changed, as the views show it now. Nothing is replayed; after every opening the page reads
//! again what it shows.

use super::answer::ApiError;
use super::{App, state};
use aside_engine::Engine;
use aside_engine::conversation::ConversationId;
use aside_engine::input::Change;
use aside_engine::view::{Contact, Conversation, Device, DeviceRequest, Member, Message, Person};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// A comment goes out this often, so that both ends notice a stream that is gone.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Changes that are looked at together: several of one thing become one event.
const BATCH_MAX: usize = 256;

/// `GET /api/events`
pub async fn stream(State(app): State<App>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let feed = Feed { changes: app.engine.changes(), app, ready: VecDeque::new() };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE_EVERY))
}

/// What an event says. Its name stands in the stream's own field, and not in the data.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub enum ServerEvent {
    /// Account, connections, settings.
    State(Box<state::State>),
    /// One that stands in the list.
    Conversation(Box<Conversation>),
    /// It stands there no more.
    ConversationRemoved {
        /// Which.
        id: ConversationId,
    },
    /// A message, or a note.
    Message(Box<Message>),
    /// A contact.
    Contact(Box<Contact>),
    /// All devices of the account.
    Device(Vec<Device>),
    /// All that wait to be let in.
    DeviceRequest(Vec<DeviceRequest>),
    /// Somebody writes.
    Typing {
        /// Where.
        conversation_id: ConversationId,
        /// Who.
        person: Person,
        /// Until when that holds, if nothing more comes.
        until: i64,
    },
}

struct Feed {
    app: App,
    changes: Receiver<Change>,
    ready: VecDeque<Event>,
}

impl Feed {
    /// The next event; `None` ends the stream, and the page opens another.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let first = tokio::select! {
                change = self.changes.recv() => change,
                () = self.app.stop.cancelled() => return None,
            };
            let first = match first {
                Ok(change) => change,
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            };
            for change in self.with_all_others(first)? {
                if let Some(event) = self.event(change).await.ok()? {
                    self.ready.push_back(event);
                }
            }
        }
    }

    /// The changes that are there already, each once.
    fn with_all_others(&mut self, first: Change) -> Option<Vec<Change>> {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            match self.changes.try_recv() {
                Ok(change) if batch.contains(&change) => {}
                Ok(change) => batch.push(change),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => return None,
            }
        }
        Some(batch)
    }

    async fn event(&self, change: Change) -> Result<Option<Event>, ApiError> {
        let engine = &self.app.engine;
        let event = match change {
            Change::State => Some(ServerEvent::State(Box::new(self.app.state().await?))),
            Change::Conversation(id) => {
                let found = engine.ask(move |engine| engine.listed_conversation(&id)).await?;
                found.map(|found| ServerEvent::Conversation(Box::new(found)))
            }
            Change::ConversationRemoved(id) => Some(ServerEvent::ConversationRemoved { id }),
            Change::Message(id) => {
                let found = engine.ask(move |engine| engine.message(&id)).await?;
                found.map(|found| ServerEvent::Message(Box::new(found)))
            }
            Change::Contact(address) => {
                let found = engine.ask(move |engine| engine.contact(&address)).await?;
                found.map(|found| ServerEvent::Contact(Box::new(found)))
            }
            Change::Devices => Some(ServerEvent::Device(engine.ask(Engine::devices).await?)),
            Change::DeviceRequests => Some(ServerEvent::DeviceRequest(engine.ask(Engine::device_requests).await?)),
            Change::Typing { conversation, person, until_unix_ms: until } => {
                let found = engine.ask(move |engine| engine.conversation(&conversation)).await?;
                let members = found.map(|found| found.members).unwrap_or_default();
                let writer = members.into_iter().find(|member| member.person.address == person);
                writer.map(|Member { person, .. }| ServerEvent::Typing { conversation_id: conversation, person, until })
            }
        };
        Ok(event.map(|event| written(&event)))
    }
}

fn written(event: &ServerEvent) -> Event {
    // Views are structs of texts and numbers: they have a JSON form.
    let mut value = serde_json::to_value(event).unwrap_or_default();
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let data = value.get_mut("data").map(Value::take).unwrap_or_default();
    Event::default().event(name).data(data.to_string())
}

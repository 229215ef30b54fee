//! The event stream: what changed, as the views show it now. Nothing is replayed; after every opening the page reads
//! again what it shows.

use super::App;
use super::answer::ApiError;
use aside_engine::input::Change;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream;
use serde::Serialize;
use serde_json::json;
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
            Change::State => Some(event("state", &self.app.state().await?)),
            Change::Conversation(id) => engine
                .ask(move |engine| engine.listed_conversation(&id))
                .await?
                .map(|found| event("conversation", &found)),
            Change::ConversationRemoved(id) => Some(event("conversation_removed", &json!({ "id": id }))),
            Change::Message(id) => {
                engine.ask(move |engine| engine.message(&id)).await?.map(|found| event("message", &found))
            }
            Change::Contact(address) => {
                engine.ask(move |engine| engine.contact(&address)).await?.map(|found| event("contact", &found))
            }
            Change::Devices => Some(event("device", &engine.ask(aside_engine::Engine::devices).await?)),
            Change::DeviceRequests => {
                Some(event("device_request", &engine.ask(aside_engine::Engine::device_requests).await?))
            }
            Change::Typing { conversation, person, until_unix_ms } => {
                let found = engine.ask(move |engine| engine.conversation(&conversation)).await?;
                let members = found.map(|found| found.members).unwrap_or_default();
                members.into_iter().find(|member| member.person.address == person).map(|member| {
                    let until = until_unix_ms;
                    event(
                        "typing",
                        &json!({ "conversation_id": conversation, "person": member.person, "until": until }),
                    )
                })
            }
        };
        Ok(event)
    }
}

fn event(name: &'static str, data: &impl Serialize) -> Event {
    // Views are structs of texts and numbers: they have a JSON form.
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

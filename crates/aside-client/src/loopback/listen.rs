//! Listening: others' messages, one JSON object a line, from what had not been listened to.

use super::App;
use super::answer::{ApiError, Parameters};
use aside_engine::conversation::ConversationId;
use aside_engine::input::Command;
use aside_engine::view::Heard;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

/// Messages that are read at once.
const PAGE_MAX: u32 = 100;
/// How long a listener that marks by itself may leave a whole page unmarked before the page is read again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// Who says that a message was listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The client does, once the line has been handed to the connection and the next one is asked for.
    #[default]
    Sent,
    /// The caller does, with `POST /api/conversations/{id}/listened`.
    Caller,
}

/// `GET /api/listen?follow=BOOL&mark=sent|caller`
#[derive(Deserialize, JsonSchema)]
pub struct Listening {
    #[serde(default = "yes")]
    follow: bool,
    #[serde(default)]
    mark: Mark,
}

fn yes() -> bool {
    true
}

/// A line.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Heard")]
pub struct Line<'a> {
    #[serde(flatten)]
    heard: &'a Heard,
    position: i64,
}

/// `GET /api/listen`
pub async fn stream(
    State(app): State<App>,
    Parameters(Listening { follow, mark }): Parameters<Listening>,
) -> Result<Response, ApiError> {
    let changes = app.engine.changes();
    let listener =
        Listener { app, changes, follow, mark, given: HashMap::new(), page: VecDeque::new(), unmarked: None };
    let lines = stream::unfold(listener, |mut listener| async move {
        let line = listener.next().await?;
        Some((Ok::<_, Infallible>(line), listener))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

struct Listener {
    app: App,
    changes: tokio::sync::broadcast::Receiver<aside_engine::input::Change>,
    follow: bool,
    mark: Mark,
    /// Up to where each conversation was given out here, whether marked or not.
    given: HashMap<ConversationId, i64>,
    page: VecDeque<Heard>,
    /// Given out, and not yet asked to be marked.
    unmarked: Option<(ConversationId, i64)>,
}

impl Listener {
    /// The next line; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        self.mark_the_last().await?;
        loop {
            if let Some(heard) = self.page.pop_front() {
                let (conversation, position) = (heard.conversation_id, heard.position);
                self.given.insert(conversation, position);
                self.unmarked = Some((conversation, position));
                let mut line = serde_json::to_vec(&Line { heard: &heard, position }).ok()?;
                line.push(b'\n');
                return Some(line.into());
            }
            let all = self.app.engine.ask(|engine| engine.heard(PAGE_MAX)).await.ok()?;
            let is_full = all.len() >= PAGE_MAX as usize;
            let given = &self.given;
            let is_new = |heard: &Heard| given.get(&heard.conversation_id).is_none_or(|at| heard.position > *at);
            self.page.extend(all.into_iter().filter(is_new));
            if self.page.is_empty() {
                if !self.follow && !is_full {
                    return None;
                }
                self.wait(is_full).await?;
            }
        }
    }

    async fn mark_the_last(&mut self) -> Option<()> {
        let Some((conversation, through)) = self.unmarked.take() else { return Some(()) };
        if self.mark == Mark::Sent {
            self.app.engine.command(Command::MarkListened { conversation, through }).await.ok()?;
        }
        Some(())
    }

    /// Waits for a change. A full page of what was given out hides what stands behind it until the caller marks it.
    async fn wait(&mut self, is_full: bool) -> Option<()> {
        let again = async {
            match is_full {
                true => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            change = self.changes.recv() => match change {
                Err(tokio::sync::broadcast::error::RecvError::Closed) => None,
                Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => Some(()),
            },
            () = again => Some(()),
            () = self.app.stop.cancelled() => None,
        }
    }
}

//! Messages of one conversation.

use super::App;
use super::answer::{Answer, ApiError, Body, Parameters, sentence, unexpected};
use super::conversations::conversation_id;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::error::CommandError;
use aside_engine::input::{Answer as EngineAnswer, Command, Presence};
use aside_engine::view::{Delivery, Message, MessagePage};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// Messages of a page that names no number.
const PAGE_DEFAULT: u32 = 50;
/// Messages of a page at most.
const PAGE_MAX: u32 = 200;
/// How long `?wait=sent` waits.
const WAIT_TIME_MAX: Duration = Duration::from_secs(30);

/// `GET …/messages?before=POSITION&limit=N`, or `after` a position, or `around` a message.
#[derive(Deserialize, JsonSchema)]
pub struct Page {
    before: Option<i64>,
    after: Option<i64>,
    around: Option<String>,
    limit: Option<u32>,
}

/// `GET /api/conversations/{id}/messages`
pub async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    Parameters(page): Parameters<Page>,
) -> Answer<MessagePage> {
    let id = conversation_id(&id)?;
    let limit = page.limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ApiError::invalid("bad_limit", format!("A page has 1 to {PAGE_MAX} messages.")));
    }
    app.conversation(id).await?;
    let around = page.around.as_deref().map(message_id).transpose()?;
    match (page.before, page.after, around) {
        (before, None, None) => Ok(Json(app.engine.ask(move |engine| engine.messages(&id, before, limit)).await?)),
        (None, Some(after), None) => {
            Ok(Json(app.engine.ask(move |engine| engine.messages_after(&id, after, limit)).await?))
        }
        (None, None, Some(middle)) => {
            let page = app.engine.ask(move |engine| engine.messages_around(&id, &middle, limit)).await?;
            page.map(Json).ok_or_else(|| CommandError::UnknownMessage.into())
        }
        _ => Err(ApiError::invalid("bad_page", "Give one of `before`, `after` and `around`, or none.")),
    }
}

/// `POST …/messages`
#[derive(Deserialize, JsonSchema)]
pub struct NewMessage {
    text: String,
    reply_to: Option<String>,
}

/// What to wait for.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// The server's acknowledgement.
    Sent,
}

/// `?wait=sent&seconds=N`
#[derive(Deserialize, JsonSchema)]
pub struct Waiting {
    wait: Option<WaitFor>,
    seconds: Option<u64>,
}

/// `POST /api/conversations/{id}/messages`
pub async fn send(
    State(app): State<App>,
    Path(id): Path<String>,
    Parameters(waiting): Parameters<Waiting>,
    Body(body): Body<NewMessage>,
) -> Answer<Message> {
    let conversation = conversation_id(&id)?;
    let reply_to = body.reply_to.as_deref().map(message_id).transpose()?;
    let sent = app.engine.command(Command::SendText { conversation, text: body.text, reply_to }).await?;
    let id = named(&sent)?;
    if let Some(WaitFor::Sent) = waiting.wait {
        let seconds = waiting.seconds.map_or(WAIT_TIME_MAX, Duration::from_secs);
        wait_until_sent(&app, id, seconds.min(WAIT_TIME_MAX)).await?;
    }
    message(&app, id).await
}

async fn wait_until_sent(app: &App, id: MessageId, time_max: Duration) -> Result<(), ApiError> {
    let left_the_queue = move |engine: &aside_engine::Engine| {
        let message = engine.message(&id)?;
        Ok(message.filter(|message| message.delivery != Some(Delivery::Queued)))
    };
    match app.until(time_max, left_the_queue).await? {
        Some(Message { delivery: Some(Delivery::Failed), failure, .. }) => {
            let why = failure.unwrap_or_else(|| "the server refused it".to_owned());
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_sent", sentence(&why)))
        }
        Some(_) => Ok(()),
        None => Err(ApiError::too_late(
            "not_acknowledged",
            format!(
                "{} The message stays queued, and goes out when Aside runs and the server answers.",
                app.connection_trouble()
            ),
        )),
    }
}

/// `PUT …/messages/{message}`
#[derive(Deserialize, JsonSchema)]
pub struct Edit {
    text: String,
}

/// `PUT /api/conversations/{id}/messages/{message}`
pub async fn edit(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    Body(body): Body<Edit>,
) -> Answer<Message> {
    let id = within(&app, &path).await?;
    app.engine.command(Command::EditText { message: id, text: body.text }).await?;
    message(&app, id).await
}

/// `DELETE /api/conversations/{id}/messages/{message}`
pub async fn delete(State(app): State<App>, Path(path): Path<(String, String)>) -> Result<StatusCode, ApiError> {
    let message = within(&app, &path).await?;
    app.engine.command(Command::DeleteMessage { message }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/messages/{message}/reactions`
#[derive(Deserialize, JsonSchema)]
pub struct NewReaction {
    emoji: String,
    present: bool,
}

/// `POST /api/conversations/{id}/messages/{message}/reactions`
pub async fn react(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    Body(body): Body<NewReaction>,
) -> Answer<Message> {
    let id = within(&app, &path).await?;
    let presence = if body.present { Presence::Present } else { Presence::Absent };
    app.engine.command(Command::React { message: id, emoji: body.emoji, presence }).await?;
    message(&app, id).await
}

/// `POST /api/conversations/{id}/messages/{message}/retry`
pub async fn retry(State(app): State<App>, Path(path): Path<(String, String)>) -> Answer<Message> {
    let id = within(&app, &path).await?;
    app.engine.command(Command::Retry { message: id }).await?;
    message(&app, id).await
}

fn message_id(text: &str) -> Result<MessageId, ApiError> {
    text.parse().map_err(|_| CommandError::UnknownMessage.into())
}

fn named(answer: &EngineAnswer) -> Result<MessageId, ApiError> {
    match answer {
        EngineAnswer::Message(id) => Ok(*id),
        _ => Err(unexpected()),
    }
}

/// The message of a path, which has to stand in the conversation of that path.
async fn within(app: &App, (conversation, message): &(String, String)) -> Result<MessageId, ApiError> {
    let (conversation, id): (ConversationId, _) = (conversation_id(conversation)?, message_id(message)?);
    let found = app.engine.ask(move |engine| engine.message(&id)).await?;
    match found.is_some_and(|message| message.conversation_id == conversation) {
        true => Ok(id),
        false => Err(CommandError::UnknownMessage.into()),
    }
}

async fn message(app: &App, id: MessageId) -> Answer<Message> {
    let found = app.engine.ask(move |engine| engine.message(&id)).await?;
    found.map(Json).ok_or_else(|| CommandError::UnknownMessage.into())
}

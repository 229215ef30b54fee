//! The recovery phrase, backups, and the way back from one.

use super::App;
use super::answer::{Answer, ApiError, Body, sentence};
use super::state::State;
use crate::connection::ask_who_it_is;
use aside_engine::Engine;
use aside_engine::error::CommandError;
use aside_engine::input::{Command, Look, LostDevices, RestoreFrom};
use aside_engine::recovery::{FoundBackup, RestoreState, TypedPhrase};
use aside_engine::view::JoinState;
use aside_protocol::address::{AccountAddress, AddressError};
use aside_protocol::limit::BACKUP_PART_BYTES_MAX;
use aside_protocol::link::{ContactLink, InviteLink, ServerPin};
use axum::Json;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest file that is taken as a stream, in bytes.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024 * 1024;
/// The largest body of a restore, with a file in it as base64, in bytes.
pub const RESTORE_BODY_BYTES_MAX: usize = 96 * 1024 * 1024;
/// How long a backup may take to reach the server before the call gives up; it goes on all the same.
const BACKUP_TIME_MAX: Duration = Duration::from_secs(120);
/// How long a restore may take before the call gives up.
const RESTORE_TIME_MAX: Duration = Duration::from_secs(600);

/// The words to write down.
#[derive(Serialize, JsonSchema)]
pub struct Words {
    words: Vec<&'static str>,
}

/// `GET /api/recovery/phrase`: until they were confirmed.
pub async fn phrase(Extract(app): Extract<App>) -> Answer<Words> {
    let read = |engine: &Engine| Ok((engine.phrase()?, engine.join_state()?));
    match app.engine.ask(read).await? {
        (Some(words), _) => Ok(Json(Words { words: words.to_vec() })),
        (None, JoinState::Joined(_)) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "already_confirmed",
            "The words were confirmed and erased from this device: only your own paper has them.",
        )),
        (None, _) => Err(ApiError::new(StatusCode::CONFLICT, "not_joined", "This profile has no account yet.")),
    }
}

/// `POST /api/recovery/confirm`
#[derive(Deserialize, JsonSchema)]
pub struct Confirmation {
    words: Vec<String>,
}

/// `POST /api/recovery/confirm`: compares all the words, and erases them here.
pub async fn confirm(Extract(app): Extract<App>, Body(body): Body<Confirmation>) -> Answer<State> {
    let phrase = TypedPhrase::new(body.words.join(" "));
    app.engine.command(Command::ConfirmPhrase { phrase }).await?;
    Ok(Json(app.state().await?))
}

/// A backup that is on the server.
#[derive(Serialize, JsonSchema)]
pub struct BackedUp {
    at: i64,
    bytes: u64,
}

/// `POST /api/backups`: makes a backup and answers when the server has it.
pub async fn back_up(Extract(app): Extract<App>) -> Answer<BackedUp> {
    let before = app.engine.ask(Engine::recovery_state).await?.backup.at;
    app.engine.command(Command::BackUp).await?;
    let done = move |engine: &Engine| {
        let backup = engine.recovery_state()?.backup;
        Ok(Some(backup).filter(|backup| backup.at != before || backup.words.is_some()))
    };
    match app.until(BACKUP_TIME_MAX, done).await? {
        Some(backup) if backup.at != before => {
            Ok(Json(BackedUp { at: backup.at.unwrap_or_default(), bytes: backup.bytes }))
        }
        Some(backup) => {
            Err(ApiError::new(StatusCode::CONFLICT, "not_backed_up", sentence(&backup.words.unwrap_or_default())))
        }
        None => Err(ApiError::too_late("not_connected", app.connection_trouble())),
    }
}

/// `GET /api/backups/file`: an `age` file, which the 24 words open.
pub async fn file(Extract(app): Extract<App>) -> Result<Response, ApiError> {
    app.engine.command(Command::MakeBackupFile).await?;
    let (parts, bytes) = app.engine.ask(Engine::backup_file_size).await?;
    let engine = app.engine.clone();
    let parts = stream::unfold(0, move |part| {
        let engine = engine.clone();
        async move {
            if part >= parts {
                // A copy that stays is replaced by the next.
                let _ = engine.command(Command::DropBackupFile).await;
                return None;
            }
            let read = engine.ask(move |engine| engine.backup_file_part(part)).await;
            let bytes = match read {
                Ok(Some(bytes)) => Ok(Bytes::from(bytes)),
                Ok(None) => Err(std::io::Error::other("another backup was begun")),
                Err(error) => Err(std::io::Error::other(error.to_string())),
            };
            Some((bytes, part + 1))
        }
    });
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, bytes.to_string()),
        (CONTENT_DISPOSITION, "attachment; filename=\"aside-backup.age\"".to_owned()),
    ];
    Ok((head, HttpBody::from_stream(parts)).into_response())
}

/// `PUT /api/recovery/file`: takes a file of any size, to be restored by the next call.
pub async fn take_file(Extract(app): Extract<App>, body: HttpBody) -> Result<StatusCode, ApiError> {
    let mut stream = body.into_data_stream();
    let (mut part, mut buffer) = (0, Vec::new());
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| ApiError::invalid("bad_request", sentence(&error.to_string())))?;
        buffer.extend_from_slice(&bytes);
        while buffer.len() >= BACKUP_PART_BYTES_MAX {
            let rest = buffer.split_off(BACKUP_PART_BYTES_MAX);
            put_part(&app, &mut part, std::mem::replace(&mut buffer, rest)).await?;
        }
    }
    if !buffer.is_empty() || part == 0 {
        put_part(&app, &mut part, buffer).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn put_part(app: &App, part: &mut u32, bytes: Vec<u8>) -> Result<(), ApiError> {
    app.engine.command(Command::TakeBackupFile { part: *part, bytes }).await?;
    *part += 1;
    Ok(())
}

/// `POST /api/recovery/restore`
#[derive(Deserialize, JsonSchema)]
pub struct Restore {
    /// From the server, without a file.
    address: Option<String>,
    /// Any link of the server, for who has one.
    server_link: Option<String>,
    phrase: String,
    /// base64.
    file: Option<String>,
    /// The file came by `PUT /api/recovery/file`.
    #[serde(default)]
    file_was_put: bool,
    #[serde(default)]
    keep_devices: bool,
}

/// `POST /api/recovery/restore`: answers when the account is back, or says why not.
pub async fn restore(Extract(app): Extract<App>, Body(body): Body<Restore>) -> Answer<State> {
    let _one_at_a_time = app.joining.lock().await;
    begin(&app, body, Look::UseAtOnce).await?;
    ended(&app).await?;
    Ok(Json(app.state().await?))
}

/// `POST /api/recovery/look`: which backup a restore would use. Nothing of the account is changed before it is used.
pub async fn look(Extract(app): Extract<App>, Body(body): Body<Restore>) -> Answer<FoundBackup> {
    let _one_at_a_time = app.joining.lock().await;
    begin(&app, body, Look::First).await?;
    match ended(&app).await? {
        RestoreState::Found(found) => Ok(Json(found)),
        _ => Err(CommandError::NothingFound.into()),
    }
}

/// `POST /api/recovery/use`
#[derive(Deserialize, JsonSchema)]
pub struct Use {
    /// Absent: as the call said that found the backup.
    keep_devices: Option<bool>,
}

/// `POST /api/recovery/use`: goes on with the backup that was found; answers when the account is back.
pub async fn use_found(Extract(app): Extract<App>, body: Option<Json<Use>>) -> Answer<State> {
    let _one_at_a_time = app.joining.lock().await;
    let lost = body.and_then(|Json(body)| body.keep_devices).map(lost_devices);
    app.engine.command(Command::UseBackup { lost }).await?;
    ended(&app).await?;
    Ok(Json(app.state().await?))
}

/// `DELETE /api/recovery/restore`: gives up what was found.
pub async fn forget(Extract(app): Extract<App>) -> Result<StatusCode, ApiError> {
    app.engine.command(Command::ForgetRestore).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn lost_devices(keep: bool) -> LostDevices {
    if keep { LostDevices::Keep } else { LostDevices::Revoke }
}

async fn begin(app: &App, body: Restore, look: Look) -> Result<(), ApiError> {
    let from = source(app, &body).await?;
    let lost = lost_devices(body.keep_devices);
    let phrase = TypedPhrase::new(body.phrase);
    // One that only looked, and was left, is not in the way.
    app.engine.command(Command::ForgetRestore).await?;
    app.engine.command(Command::Restore { phrase, from, lost, look }).await?;
    Ok(())
}

/// Waits until a restore is through, or waits for the person.
async fn ended(app: &App) -> Result<RestoreState, ApiError> {
    let ended = |engine: &Engine| match engine.restore_state() {
        RestoreState::Working => Ok(None),
        other => Ok(Some(other)),
    };
    let outcome = app.until(RESTORE_TIME_MAX, ended).await?;
    match outcome {
        Some(RestoreState::Failed { words }) => {
            app.engine.command(Command::ForgetRestore).await?;
            Err(ApiError::new(StatusCode::CONFLICT, "not_restored", sentence(&words)))
        }
        Some(RestoreState::Working) | None => {
            let trouble = app.connection_trouble();
            app.engine.command(Command::ForgetRestore).await?;
            Err(ApiError::too_late("not_connected", format!("{trouble} Restoring again is safe.")))
        }
        Some(other) => Ok(other),
    }
}

async fn source(app: &App, body: &Restore) -> Result<RestoreFrom, ApiError> {
    if let Some(file) = &body.file {
        let bytes = STANDARD.decode(file).map_err(|_| ApiError::invalid("bad_backup", "The file is not base64."))?;
        let mut part = 0;
        for chunk in bytes.chunks(BACKUP_PART_BYTES_MAX) {
            put_part(app, &mut part, chunk.to_vec()).await?;
        }
    }
    if body.file.is_some() || body.file_was_put {
        return Ok(RestoreFrom::File);
    }
    let Some(address) = &body.address else {
        return Err(ApiError::invalid("bad_address", "Say which account, or give a file."));
    };
    let address: AccountAddress = address
        .trim()
        .parse()
        .map_err(|error: AddressError| ApiError::invalid("bad_address", sentence(&error.to_string())))?;
    match &body.server_link {
        Some(link) => {
            let server = pin_of(link)?;
            Ok(RestoreFrom::Server { address, server, is_claimed: false })
        }
        None => {
            let asked = ask_who_it_is(&address.server).await;
            let server = asked.map_err(|error| ApiError::too_late("not_connected", error.advice(&address.server)))?;
            Ok(RestoreFrom::Server { address, server, is_claimed: true })
        }
    }
}

/// The server of an invite or a contact link.
fn pin_of(link: &str) -> Result<ServerPin, ApiError> {
    if let Ok(invite) = link.parse::<InviteLink>() {
        return Ok(invite.server);
    }
    let link: ContactLink = link.parse().map_err(|error: aside_protocol::link::LinkError| {
        ApiError::invalid("bad_link", sentence(&error.to_string()))
    })?;
    Ok(link.server)
}

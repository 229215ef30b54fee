//! Answers and bodies: JSON, and one shape for everything that goes wrong.

use crate::runtime::CallError;
use aside_engine::error::{CommandError, EngineError};
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// What a call answers when it did not do what was asked: `{"error":{"code","message"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

/// The same as it goes out.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiError")]
pub struct ErrorBody {
    error: ErrorWords,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct ErrorWords {
    /// Stable, snake_case.
    code: &'static str,
    /// A sentence for a person: what was wrong and what to do.
    message: Cow<'static, str>,
}

/// What a call gives.
pub type Answer<T> = Result<Json<T>, ApiError>;

impl ApiError {
    /// `code` is stable and snake_case; `message` is a sentence for a person.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// Something in the request is not what it should be.
    pub fn invalid(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// Nothing has this name.
    pub fn unknown(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// The network did not do it in time.
    pub fn too_late(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, code, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorWords { code: self.code, message: self.message } };
        (self.status, Json(body)).into_response()
    }
}

impl From<CallError> for ApiError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Command(error) => error.into(),
            CallError::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "Aside is stopping; start it again.")
            }
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let (status, code) = match &error {
            CommandError::NotJoined => (StatusCode::CONFLICT, "not_joined"),
            CommandError::AlreadyJoined { .. } => (StatusCode::CONFLICT, "already_joined"),
            CommandError::OwnLink => (StatusCode::UNPROCESSABLE_ENTITY, "own_link"),
            CommandError::OtherKeys { .. } => (StatusCode::CONFLICT, "other_keys"),
            CommandError::TooManyLinks { .. } => (StatusCode::CONFLICT, "too_many_links"),
            CommandError::UnknownLink => (StatusCode::NOT_FOUND, "unknown_link"),
            CommandError::OneselfBlocked => (StatusCode::UNPROCESSABLE_ENTITY, "oneself"),
            CommandError::NotASafetyCode => (StatusCode::UNPROCESSABLE_ENTITY, "not_a_safety_code"),
            CommandError::NobodyReported => (StatusCode::UNPROCESSABLE_ENTITY, "nobody_reported"),
            CommandError::ReportTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "report_too_large"),
            CommandError::NotARequest => (StatusCode::CONFLICT, "not_a_request"),
            CommandError::NothingToAccept => (StatusCode::CONFLICT, "nothing_to_accept"),
            CommandError::Name { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad_name"),
            CommandError::UnknownConversation => (StatusCode::NOT_FOUND, "unknown_conversation"),
            CommandError::UnknownMessage => (StatusCode::NOT_FOUND, "unknown_message"),
            CommandError::UnknownContact { .. } => (StatusCode::NOT_FOUND, "unknown_contact"),
            CommandError::CannotSend { .. } => (StatusCode::CONFLICT, "cannot_send"),
            CommandError::Empty => (StatusCode::UNPROCESSABLE_ENTITY, "empty"),
            CommandError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
            CommandError::Title { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad_title"),
            CommandError::GroupSize { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "group_size"),
            CommandError::NotAGroup => (StatusCode::CONFLICT, "not_a_group"),
            CommandError::NotAdmin => (StatusCode::FORBIDDEN, "not_admin"),
            CommandError::LastAdmin => (StatusCode::CONFLICT, "last_admin"),
            CommandError::TooManyAdmins { .. } => (StatusCode::CONFLICT, "too_many_admins"),
            CommandError::NotAMember { .. } => (StatusCode::NOT_FOUND, "not_a_member"),
            CommandError::NoRequest { .. } => (StatusCode::NOT_FOUND, "no_request"),
            CommandError::Picture { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad_picture"),
            CommandError::CannotChange { .. } => (StatusCode::CONFLICT, "cannot_change"),
            CommandError::NotOwn => (StatusCode::FORBIDDEN, "not_own"),
            CommandError::NotAnEmoji => (StatusCode::UNPROCESSABLE_ENTITY, "not_an_emoji"),
            CommandError::NotFailed => (StatusCode::CONFLICT, "not_failed"),
            CommandError::PhraseConfirmed => (StatusCode::CONFLICT, "already_confirmed"),
            CommandError::Backup(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_backup"),
            CommandError::Phrase(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad_phrase"),
            CommandError::TooManyDevices { .. } => (StatusCode::CONFLICT, "too_many_devices"),
            CommandError::UnknownDevice => (StatusCode::NOT_FOUND, "unknown_device"),
            CommandError::DeviceName { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad_device_name"),
            CommandError::LinkEnded => (StatusCode::CONFLICT, "link_ended"),
            CommandError::Revoked => (StatusCode::CONFLICT, "revoked"),
            CommandError::ThisDevice => (StatusCode::CONFLICT, "this_device"),
            CommandError::RevokingAlready => (StatusCode::CONFLICT, "revoking_already"),
            CommandError::NothingFound => (StatusCode::CONFLICT, "not_found_yet"),
            CommandError::WrongPhrase => (StatusCode::UNPROCESSABLE_ENTITY, "bad_phrase"),
            CommandError::Engine(_) => (StatusCode::INTERNAL_SERVER_ERROR, "engine_failed"),
        };
        Self::new(status, code, sentence(&error.to_string()))
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        CommandError::Engine(error).into()
    }
}

/// Capital letter, full stop: errors are written to stand inside sentences, answers are sentences.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

/// The command did something else than it always does.
pub fn unexpected() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected", "Aside has a fault here; please report it.")
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::new(rejection.status(), "bad_request", rejection.body_text())),
        }
    }
}

/// Parameters behind the `?`.
pub struct Parameters<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::new(rejection.status(), "bad_request", rejection.body_text())),
        }
    }
}

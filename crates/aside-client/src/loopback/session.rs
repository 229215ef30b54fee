//! Browsers' sessions. They outlive a restart of the client, so that a tab that was left open gets back by itself: their
//! hashes stand in the profile's `sessions.json`.

use super::App;
use super::answer::{ApiError, Parameters};
use crate::profile::{ProfileError, file};
use crate::randomness::SystemRandomness;
use aside_protocol::codec::labelled_hash;
use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions of one profile; a further one ends the oldest.
const SESSIONS_MAX: usize = 32;
/// How long a browser stays signed in.
const SESSION_DAYS: u32 = 365;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    token_hash: String,
    since_day: u32,
}

/// The sessions of one profile.
#[derive(Debug)]
pub struct Sessions {
    path: PathBuf,
    sessions: Mutex<Vec<Session>>,
}

fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(labelled_hash("aside loopback session v1", &[token.as_bytes()]))
}

impl Sessions {
    /// Reads the sessions of earlier starts.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn open(path: PathBuf) -> Result<Self, ProfileError> {
        let sessions = file::read_json::<Vec<Session>>(&path)?.unwrap_or_default();
        Ok(Self { path, sessions: Mutex::new(sessions) })
    }

    /// Whether this token's session was begun and has not ended. The comparison is of hashes, so its time tells nothing.
    pub fn knows(&self, token: &str) -> bool {
        let (hash, today) = (hash(token), crate::runtime::now().day());
        self.sessions()
            .iter()
            .any(|session| session.token_hash == hash && today.saturating_sub(session.since_day) < SESSION_DAYS)
    }

    /// Begins a session, and gives its token, which is kept nowhere here.
    ///
    /// # Errors
    /// [`ProfileError`]: the session could not be written down, and does not exist.
    pub fn begin(&self, today: u32) -> Result<String, ProfileError> {
        let token = URL_SAFE_NO_PAD.encode(SystemRandomness.bytes::<32>());
        let mut sessions = self.sessions();
        let mut next = sessions.clone();
        next.push(Session { token_hash: hash(&token), since_day: today });
        let surplus = next.len().saturating_sub(SESSIONS_MAX);
        next.drain(..surplus);
        file::write_json(&self.path, &next)?;
        *sessions = next;
        Ok(token)
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /open?secret=…`
#[derive(Deserialize)]
pub struct Opening {
    secret: String,
}

/// Signs a browser in: the address that `aside app` prints.
pub async fn open(
    State(app): State<App>,
    Parameters(opening): Parameters<Opening>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // An address of an earlier start, from the browser's history, still leads a signed-in browser to its page.
    if app.guard.has_session(&headers) {
        return Ok((StatusCode::SEE_OTHER, [(LOCATION, "/".to_owned())]).into_response());
    }
    if !app.guard.is_secret(&opening.secret) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "wrong_secret",
            "This address is of an earlier start of Aside: open the one that `aside app` prints now.",
        ));
    }
    let token = app.guard.sessions().begin(crate::runtime::now().day()).map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "profile_failed", super::answer::sentence(&error.to_string()))
    })?;
    let (name, age_s) = (app.guard.cookie(), u64::from(SESSION_DAYS) * 86_400);
    let cookie = format!("{name}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict");
    Ok((StatusCode::SEE_OTHER, [(SET_COOKIE, cookie), (LOCATION, "/".to_owned())]).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_survives_a_restart_and_its_token_is_not_on_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.json");
        let today = crate::runtime::now().day();
        let token = Sessions::open(path.clone()).unwrap().begin(today).unwrap();
        let sessions = Sessions::open(path.clone()).unwrap();
        assert!(sessions.knows(&token));
        assert!(!sessions.knows("another"));
        assert!(!std::fs::read_to_string(path).unwrap().contains(&token));
    }

    #[test]
    fn a_session_ends_with_its_year() {
        let directory = tempfile::tempdir().unwrap();
        let sessions = Sessions::open(directory.path().join("sessions.json")).unwrap();
        let token = sessions.begin(crate::runtime::now().day() - SESSION_DAYS).unwrap();
        assert!(!sessions.knows(&token));
    }
}

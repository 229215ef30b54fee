//! A hold: while one is open, a client that was asked to stop goes on serving. A command that makes several calls of
//! another command's client holds it, or the client could end between two of them.

use super::App;
use super::answer::ApiError;
use crate::runtime::CallError;
use axum::body::{Body, Bytes};
use axum::extract::State;
use futures_util::stream;
use std::convert::Infallible;

/// `GET /api/hold`: an answer whose body stays empty and open. Dropping it ends the hold.
///
/// # Errors
/// `stopping` from a client that is about to end: it takes no new holds.
pub async fn hold(State(app): State<App>) -> Result<Body, ApiError> {
    // The token comes first: a client that stops after it was taken waits for it.
    let token = app.holds.token();
    if app.holds.is_closed() {
        return Err(CallError::Stopped.into());
    }
    let open = stream::once(async move {
        app.stop.cancelled().await;
        drop(token);
        Ok::<_, Infallible>(Bytes::new())
    });
    Ok(Body::from_stream(open))
}

//! `aside quit`

use crate::api::{Api, CallFailure};
use crate::cli::Global;
use crate::failure::Failure;
use crate::session::place;
use aside_client::profile::ProfileError;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the client may take to end.
const END_TIME_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stops the profile's running client, and returns when the profile is free. Nothing running is success.
pub async fn run(global: &Global) -> Result<(), Failure> {
    let deadline = Instant::now() + END_TIME_MAX;
    if !place(global)?.exists() {
        return Ok(());
    }
    loop {
        match place(global)?.take() {
            Ok(_) => return Ok(()),
            Err(ProfileError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(running) = place(global)?.running()? {
            match Api::new(&running)?.tell("/quit", &json!({})).await {
                Ok(()) | Err(CallFailure::NobodyThere | CallFailure::Other(Failure::Gone)) => {}
                Err(CallFailure::Other(failure)) => return Err(failure),
            }
        }
        if Instant::now() >= deadline {
            return Err(Failure::Held { profile: global.profile.to_string() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

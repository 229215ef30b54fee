//! The client that a command speaks to: the profile's running one, or one that lives as long as the command.

use crate::api::{Api, CallFailure, Hold};
use crate::cli::Global;
use crate::failure::Failure;
use crate::{signals, unlock};
use aside_client::Client;
use aside_client::profile::{Place, ProfileError, Stay, home};
use std::time::{Duration, Instant};

/// How long a process that holds the profile may take to answer (it may just be starting, or ending).
const HOLDER_TIME_MAX: Duration = Duration::from_secs(15);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A running client may end between two calls; then the command starts over, this often at most.
const ATTEMPTS_MAX: usize = 3;

/// How much has to be done before and after a command in a client of its own. A client that runs anyway has done the
/// one and will do the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settling {
    /// Time for fetching what others did meanwhile.
    pub before: Duration,
    /// Time for what the command caused to reach the server.
    pub after: Duration,
}

/// A client to speak to.
pub enum Session {
    /// The profile's running one, held so that it does not end meanwhile.
    Attached { api: Api, _held: Option<Hold> },
    /// One of one's own.
    Own(Api, Box<Client>),
}

/// The place of the profile that the command line names.
pub fn place(global: &Global) -> Result<Place, Failure> {
    Ok(Place::new(&home()?, global.profile.clone()))
}

impl Session {
    /// Finds or starts a client. One that another command has started for itself counts only for commands that are
    /// short themselves.
    pub async fn open(global: &Global, stay: Stay) -> Result<Self, Failure> {
        let deadline = Instant::now() + HOLDER_TIME_MAX;
        loop {
            match place(global)?.take() {
                Ok(profile) => {
                    let (profile, key) = unlock::key(profile).await?;
                    let client = Client::start(profile, key, stay).await?;
                    return Ok(Self::Own(Api::new(client.running())?, Box::new(client)));
                }
                Err(ProfileError::InUse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(running) = place(global)?.running()?
                && (stay == Stay::ForOneCommand || running.stay == Stay::UntilStopped)
            {
                let api = Api::new(&running)?;
                match stay {
                    Stay::ForOneCommand => {
                        if let Ok(hold) = api.hold().await {
                            return Ok(Self::Attached { api, _held: Some(hold) });
                        }
                    }
                    Stay::UntilStopped => {
                        if api.get::<serde::de::IgnoredAny>("/state").await.is_ok() {
                            return Ok(Self::Attached { api, _held: None });
                        }
                    }
                }
            }
            if Instant::now() >= deadline {
                return Err(Failure::Held { profile: global.profile.to_string() });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What to call.
    pub fn api(&self) -> &Api {
        match self {
            Self::Attached { api, .. } | Self::Own(api, _) => api,
        }
    }

    /// Waits, in a client of one's own, until everything is done or the time is up.
    pub async fn settle(&self, time_max: Duration) {
        if let (Self::Own(_, client), false) = (self, time_max.is_zero()) {
            client.settled(time_max).await;
        }
    }

    /// Leaves the client; stops it if it is one's own.
    pub async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Attached { .. } => Ok(()),
            Self::Own(_, client) => client.stop().await.map_err(|error| Failure::Stopped(error.to_string())),
        }
    }
}

/// Does a command's work with a client. A signal ends it, and with it the client.
pub async fn with_client<T>(
    global: &Global,
    settling: Settling,
    work: impl AsyncFn(&Session) -> Result<T, CallFailure>,
) -> Result<T, Failure> {
    let mut attempt = 1;
    loop {
        let session = Session::open(global, Stay::ForOneCommand).await?;
        let outcome = tokio::select! {
            outcome = async {
                session.settle(settling.before).await;
                let outcome = work(&session).await;
                // What was refused may have left something to do as well: a message that waits in its queue.
                session.settle(settling.after).await;
                outcome
            } => outcome,
            () = signals::asked_to_stop() => {
                session.close().await?;
                return Err(Failure::Stopped("it was interrupted".to_owned()));
            }
        };
        session.close().await?;
        match outcome {
            Ok(value) => return Ok(value),
            Err(CallFailure::Other(failure)) => return Err(failure),
            Err(CallFailure::NobodyThere) if attempt >= ATTEMPTS_MAX => return Err(Failure::Gone),
            Err(CallFailure::NobodyThere) => attempt += 1,
        }
    }
}

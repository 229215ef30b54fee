//! What the client is: account, connections, settings. And its end.

use super::App;
use super::answer::{Answer, ApiError};
use crate::connection::{Prospect, ServerConnection};
use aside_engine::Engine;
use aside_engine::conversation::GROUP_MEMBERS_MAX;
use aside_engine::error::EngineError;
use aside_engine::heal::Healing;
use aside_engine::recovery::RecoveryState;
use aside_engine::settings::Settings;
use aside_engine::view::{Account, Device, JoinState, LinkingView};
use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// How often a call that waits looks whether waiting can help.
const HOPE_LOOK_EVERY: Duration = Duration::from_millis(300);

/// `State` of the contract.
#[derive(Debug, Serialize, JsonSchema)]
pub struct State {
    version: &'static str,
    profile: String,
    account: Option<Account>,
    connections: Vec<ServerConnection>,
    settings: Settings,
    unread_total: u32,
    requests_total: u32,
    healing: Vec<Healing>,
    recovery: RecoveryState,
    limits: Limits,
    #[serde(skip_serializing_if = "Option::is_none")]
    linking: Option<LinkingView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Device>,
}

/// Numbers that a screen needs before a call is refused.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Limits {
    /// People in a group, oneself included.
    group_members: usize,
}

impl App {
    /// The state as it is now.
    pub async fn state(&self) -> Result<State, ApiError> {
        let read = |engine: &Engine| {
            let account = match engine.join_state()? {
                JoinState::Joined(account) => Some(account),
                JoinState::NotJoined | JoinState::Registering | JoinState::Refused { .. } => None,
            };
            let totals = (engine.unread_total()?, engine.requests_total()?);
            let troubles = (engine.healing()?, engine.recovery_state()?);
            let own = engine.devices()?.into_iter().find(|device| device.is_this);
            Ok((account, engine.settings()?, totals, troubles, (engine.linking()?, own)))
        };
        let (account, settings, (unread_total, requests_total), (healing, recovery), (linking, device)) =
            self.engine.ask(read).await?;
        let (profile, connections) = (self.profile.clone(), self.board.servers());
        let version = env!("CARGO_PKG_VERSION");
        Ok(State {
            version,
            profile,
            account,
            connections,
            settings,
            unread_total,
            requests_total,
            healing,
            limits: Limits { group_members: GROUP_MEMBERS_MAX },
            recovery,
            linking,
            device,
        })
    }

    /// Looks after every change until `check` finds something; for `time_max` at most, and not where every server
    /// waits for somebody to do something first.
    pub async fn until<T: Send + 'static>(
        &self,
        time_max: Duration,
        check: impl Fn(&Engine) -> Result<Option<T>, EngineError> + Clone + Send + 'static,
    ) -> Result<Option<T>, ApiError> {
        tokio::select! {
            found = self.engine.until(time_max, check) => Ok(found?),
            () = self.no_hope() => Ok(None),
        }
    }

    async fn no_hope(&self) {
        loop {
            tokio::time::sleep(HOPE_LOOK_EVERY).await;
            let servers = self.board.servers();
            if !servers.is_empty() && servers.iter().all(|server| server.prospect == Prospect::Hopeless) {
                return;
            }
        }
    }

    /// What stands between this client and its servers, in words; for calls that waited in vain.
    pub fn connection_trouble(&self) -> String {
        let advice: Vec<_> = self.board.servers().into_iter().filter_map(|server| server.advice).collect();
        match advice.is_empty() {
            true => "The server has not answered yet.".to_owned(),
            false => advice.join(" "),
        }
    }
}

/// `GET /api/state`
pub async fn show(Extract(app): Extract<App>) -> Answer<State> {
    Ok(Json(app.state().await?))
}

/// `POST /api/quit`
pub async fn quit(Extract(app): Extract<App>) -> StatusCode {
    app.quit.cancel();
    StatusCode::NO_CONTENT
}

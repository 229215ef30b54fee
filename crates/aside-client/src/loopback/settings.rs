//! The settings.

use super::App;
use super::answer::{Answer, Body};
use aside_engine::input::Command;
use aside_engine::settings::{Settings, Theme};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Deserialize;

/// Any subset of the settings.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subset {
    theme: Option<Theme>,
    read_receipts: Option<bool>,
    typing_indicators: Option<bool>,
    notifications: Option<bool>,
    findable: Option<bool>,
}

/// `PUT /api/settings`
pub async fn change(State(app): State<App>, Body(subset): Body<Subset>) -> Answer<Settings> {
    let current = app.engine.ask(|engine| engine.settings()).await?;
    let settings = Settings {
        theme: subset.theme.unwrap_or(current.theme),
        read_receipts: subset.read_receipts.unwrap_or(current.read_receipts),
        typing_indicators: subset.typing_indicators.unwrap_or(current.typing_indicators),
        notifications: subset.notifications.unwrap_or(current.notifications),
        findable: subset.findable.unwrap_or(current.findable),
    };
    app.engine.command(Command::PutSettings(settings.clone())).await?;
    Ok(Json(settings))
}

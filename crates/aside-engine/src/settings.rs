//! The person's settings, one row in the database.

use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Light, dark, or as the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Theme {
    /// As the system says.
    #[n(0)]
    System,
    /// Light.
    #[n(1)]
    Light,
    /// Dark.
    #[n(2)]
    Dark,
}

/// The settings, as the loopback API shows them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// Appearance.
    #[n(0)]
    pub theme: Theme,
    /// Whether others learn what was read, and this person what they read.
    #[n(1)]
    pub read_receipts: bool,
    /// Likewise, for typing.
    #[n(2)]
    pub typing_indicators: bool,
    /// System notifications.
    #[n(3)]
    pub notifications: bool,
    /// Whether people on the same server can add this person by name.
    #[n(4)]
    pub findable: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            theme: Theme::System,
            read_receipts: true,
            typing_indicators: true,
            notifications: false,
            findable: true,
        }
    }
}

//! Who lives in a world: accounts, the devices of each, and the servers that they have their accounts on.

use crate::client::Client;
use crate::server::Server;
use aside_protocol::address::{AccountAddress, ServerAddress};
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::inbox::InviteToken;
use aside_protocol::link::{ContactLink, DeviceLink, ServerPin};
use std::collections::BTreeSet;

/// A server with what people know of it.
pub(crate) struct Site {
    pub server: Server,
    pub pin: ServerPin,
    /// Nobody starts it again before the end of the chapter.
    pub is_held_down: bool,
    /// Connections that broke without the server having noticed.
    pub unnoticed: Vec<aside_server::core::ConnectionId>,
}

impl Site {
    pub fn address(&self) -> &ServerAddress {
        &self.pin.address
    }
}

/// Somebody.
pub(crate) struct Person {
    pub address: AccountAddress,
    pub invite: InviteToken,
    /// The home server's place among the sites.
    pub home: usize,
    /// What they hand to others.
    pub link: Option<ContactLink>,
    /// Whom they are to know, by place among the people.
    pub friends: Vec<usize>,
}

/// A copy of a device's database, with what the ledger had of the device when it was made.
pub(crate) struct Copy {
    pub bytes: Vec<u8>,
    pub wishes: usize,
    pub revocations: usize,
    /// The epochs that the device had been in, and the channels that it was in: whatever it entered since, also once more, it
    /// knows nothing of.
    pub reached: BTreeSet<(ChannelId, u64)>,
    pub channels: BTreeSet<ChannelId>,
}

/// A device: a program over a database, which crashes, and is switched off for days.
pub(crate) struct Device {
    /// Whose.
    pub person: usize,
    pub client: Client,
    /// Switched off until the chapter's end.
    pub is_away: bool,
    /// Itself, as others see it; known once it has an account.
    pub id: Option<(AccountAddress, DeviceId)>,
    /// The link by which it is to become a device of its person, and whose screen it was on.
    pub offer: Option<(usize, DeviceLink)>,
    /// An older copy of it.
    pub copy: Option<Copy>,
    /// Links that it was offered after the troubles.
    pub tries: usize,
    /// Connections that it gave up after the troubles.
    pub given_up: usize,
}

impl Device {
    /// For the trace.
    pub fn name(&self) -> &str {
        &self.client.name
    }
}

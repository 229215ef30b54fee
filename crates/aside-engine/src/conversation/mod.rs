//! Conversations: what a person sees as one, whatever channels it has moved through.

pub(crate) mod found;
pub(crate) mod grow;
mod member;
pub(crate) mod replace;
mod row;

pub(crate) use found::{begin_after, begin_group, channel_is_made, fetch_failed, fetched};
pub(crate) use member::{
    MemberRow, Standing, add_member, forget_standings, is_current, leavers, members, nobody_leaves, set_adding,
    set_admin, set_leaving, set_not_added, set_staying, show_current, show_group,
};
pub(crate) use row::{
    Conversation, IsAdmin, State, all, find, insert, insert_own, next_position, pause, picture, set_channel, set_out,
    set_state, stop, touch,
};

use aside_protocol::address::AccountAddress;
use aside_protocol::codec::labelled_hash;
use aside_protocol::key::PublicKey;

crate::id::row_id!(
    /// A conversation. Groups share it among their members; of a direct one each side has its own.
    ConversationId
);

impl ConversationId {
    /// A conversation of two, the same on all devices of one side: whichever device hears of it first.
    pub(crate) fn direct(own_root: &PublicKey, peer: &AccountAddress) -> Self {
        Self(labelled_hash("aside direct conversation v1", &[&own_root.0, peer.to_string().as_bytes()]))
    }
}

/// Accounts in a group, oneself included.
pub const GROUP_MEMBERS_MAX: usize = 256;

//! Conversations: what a person sees as one, whatever channels it has moved through.

mod found;
pub(crate) mod grow;
mod member;
mod row;

pub(crate) use found::{begin_group, channel_is_made, fetch_failed, fetched};
pub(crate) use member::{
    MemberRow, Standing, add_member, leavers, members, set_adding, set_leaving, set_not_added, show_group,
};
pub(crate) use row::{
    Conversation, IsAdmin, State, all, find, insert, next_position, pause, set_channel, set_out, set_state, stop, touch,
};

crate::id::row_id!(
    /// A conversation. Groups share it among their members; of a direct one each side has its own.
    ConversationId
);

/// Accounts in a group, oneself included.
pub const GROUP_MEMBERS_MAX: usize = 256;

//! Conversations: what a person sees as one, whatever channels it has moved through.

mod found;
mod row;

pub(crate) use found::{begin_direct, begin_group, channel_is_made, fetch_failed, fetched};
pub(crate) use row::{
    Conversation, IsAdmin, State, add_member, all, clear_members, find, insert, next_position, pause, set_channel,
    set_state, set_title, touch,
};

crate::id::row_id!(
    /// A conversation. Groups share it among their members; of a direct one each side has its own.
    ConversationId
);

/// Others in a group, at most; larger ones come with the tactics that they need.
pub const GROUP_OTHERS_MAX: usize = 31;

//! Subscriptions: how a member reads a channel's log, epoch by epoch, and then gets what comes.

use super::connection::{Live, remove_from};
use super::{Batch, ConnectionId, Core, Fault};
use crate::store::{Page, Store};
use aside_protocol::channel::Purpose;
use aside_protocol::frame::anonymous::Answer;
use aside_protocol::id::ChannelId;
use aside_protocol::limit::{PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use aside_protocol::refusal::Refusal;

impl<S: Store> Core<S> {
    /// One page of what an epoch's read key opens: the epoch's entries, and the commit that ended it (P-4.7). The last
    /// page of the current epoch makes the subscription live.
    pub(super) fn subscribe(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        channel: ChannelId,
        epoch: u64,
        after: u64,
    ) -> Result<Answer, Fault> {
        let state = self.head(&channel)?;
        self.expect_proof(connection, &channel, epoch, Purpose::Read)?;
        let gone = Refusal::BadProof { purpose: Purpose::Read };
        let stored = self.store.find_epoch(state.number, epoch)?.ok_or(gone)?;
        // Whoever was removed learns of the removal and of nothing later, not even how much came.
        let end = stored.ended.unwrap_or(state.end);
        let after = after.max(stored.begins_after);
        let page = Page { items_max: PAGE_ENTRIES_MAX, bytes_max: PAGE_BYTES_MAX };
        let entries = self.store.read_entries(state.number, after, end.seq, page)?;
        let reached = entries.last().map_or(after, |entry| entry.seq);
        let live = stored.ended.is_none() && reached >= end.seq;
        if live {
            self.go_live(batch, connection, channel);
        }
        Ok(Answer::Entries { entries, end, live })
    }

    fn go_live(&mut self, batch: &mut Batch<'_>, connection: ConnectionId, channel: ChannelId) {
        let Some(access) = self.connections.get_mut(&connection).and_then(|known| known.access(&channel)) else {
            return;
        };
        if access.live.replace(Live).is_none() {
            self.subscribers.entry(channel).or_default().push(connection);
            batch.changed.insert(connection);
        }
    }

    /// Ends a subscription, if there is one.
    pub(super) fn unsubscribe(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        channel: &ChannelId,
    ) -> Answer {
        let access = self.connections.get_mut(&connection).and_then(|known| known.access(channel));
        if access.and_then(|access| access.live.take()).is_some() {
            remove_from(&mut self.subscribers, channel, connection);
            batch.changed.insert(connection);
        }
        Answer::Done
    }
}

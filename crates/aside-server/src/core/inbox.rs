//! Inboxes: envelopes from whom the server is not told, kept until the device has dealt with them.

use super::append::check_size;
use super::{Batch, ConnectionId, Core, Fault, FrameClass};
use crate::store::{Admission, Deposit, DeviceKey, Page, Store, Tally};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::account::{self, FromServer, Push};
use aside_protocol::frame::anonymous::{Answer, Delivery};
use aside_protocol::inbox::InboxEntry;
use aside_protocol::limit::{ENVELOPE_BYTES_MAX, FOUND_ENVELOPES_A_DAY, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;

impl<S: Store> Core<S> {
    /// Puts an envelope into a device's inbox, once for each delivery id.
    pub(super) fn deliver(&mut self, batch: &mut Batch<'_>, delivery: Delivery) -> Result<Answer, Fault> {
        let Delivery { id, account, device, token, envelope } = delivery;
        check_size(envelope.len(), ENVELOPE_BYTES_MAX)?;
        let (key, today) = (DeviceKey { name: account, device }, batch.now.day());
        let admission = self.admission(&key.name, &token.hash(), today)?;
        if self.store.find_device(&key)?.is_none() {
            return Err(Refusal::UnknownAccountOrToken.into());
        }
        let found = match admission {
            Admission::Given => 0,
            Admission::Found => self.store.tally(&key.name, Tally::FoundEnvelopes, today)?,
        };
        if found >= FOUND_ENVELOPES_A_DAY {
            return Err(Refusal::DailyLimit { a_day: FOUND_ENVELOPES_A_DAY }.into());
        }
        let max = self.config.inbox_envelopes_max;
        match self.store.deposit(&key, &id, &envelope, today, max)? {
            Deposit::Full => Err(Refusal::InboxFull { max: max as u64 }.into()),
            Deposit::Repeated => Ok(Answer::Done),
            Deposit::Stored(seq) => {
                if admission == Admission::Found {
                    self.store.set_tally(&key.name, Tally::FoundEnvelopes, today, found.saturating_add(1))?;
                }
                self.counters.deposited = self.counters.deposited.saturating_add(1);
                self.push_envelope(batch, &key, InboxEntry { seq, envelope });
                Ok(Answer::Done)
            }
        }
    }

    fn push_envelope(&mut self, batch: &mut Batch<'_>, device: &DeviceKey, entry: InboxEntry) {
        let Some(connections) = self.inboxes.get(device) else { return };
        let frame: FromServer = ServerFrame::Push(Push::Envelope(entry));
        let bytes = Bytes::from(frame.encode());
        for connection in connections {
            batch.send(*connection, bytes.clone(), FrameClass::Push);
            self.counters.pushed = self.counters.pushed.saturating_add(1);
        }
    }

    /// One page of the inbox; the last one makes it live.
    pub(super) fn read_inbox(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        device: DeviceKey,
        after: u64,
    ) -> Result<account::Answer, Fault> {
        let page = Page { items_max: PAGE_ENTRIES_MAX, bytes_max: PAGE_BYTES_MAX };
        let entries = self.store.read_inbox(&device, after, page)?;
        let reached = entries.last().map_or(after, |entry| entry.seq);
        let one = Page { items_max: 1, bytes_max: 0 };
        let live = entries.is_empty() || self.store.read_inbox(&device, reached, one)?.is_empty();
        if live {
            let connections = self.inboxes.entry(device).or_default();
            if !connections.contains(&connection) {
                connections.push(connection);
                batch.changed.insert(connection);
            }
        }
        Ok(account::Answer::Inbox { entries, live })
    }
}

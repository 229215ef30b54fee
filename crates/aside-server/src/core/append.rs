//! Appends, commits and ephemerals: the middle of a message's path. Here the log gets its order.

use super::{Batch, ConnectionId, Core, Fault, FrameClass};
use crate::store::{ChannelState, Due, KnownAppend, Store};
use aside_protocol::channel::{Body, Entry, EntryHeader, EpochKeys, Position, Purpose, body_hash, next_head};
use aside_protocol::frame::anonymous::{Answer, FromServer, NewEntry, Push};
use aside_protocol::frame::{RequestId, ServerFrame};
use aside_protocol::id::{ChannelId, Hash};
use aside_protocol::limit::{APPEND_ENTRIES_MAX, COMMIT_DAYS, ENTRY_BODY_BYTES_MAX, EPHEMERAL_BYTES_MAX};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;

/// Entries that one channel ever takes: a place is the 32 lower bits of a row's key.
const LOG_ENTRIES_MAX: u64 = u32::MAX as u64;

/// What is to be done with one entry of a request.
enum Plan {
    /// It stands in the log already.
    Known(Position),
    /// It repeats an entry of the same request, by index.
    Same(usize),
    /// It takes the next place.
    New(Hash),
}

/// What an append answers: the request's connection and number.
type Asker = (ConnectionId, RequestId);

impl<S: Store> Core<S> {
    /// Appends messages, all or none.
    pub(super) fn append(
        &mut self,
        batch: &mut Batch<'_>,
        asker: Asker,
        channel: ChannelId,
        entries: Vec<NewEntry>,
    ) -> Result<(), Fault> {
        if entries.is_empty() || entries.iter().any(|entry| entry.header.is_commit()) {
            return Err(malformed("an append without entries, or with a commit among them"));
        }
        if entries.len() > APPEND_ENTRIES_MAX {
            return Err(Refusal::TooMany { max: APPEND_ENTRIES_MAX as u64 }.into());
        }
        let state = self.head(&channel)?;
        let plans = self.plan(batch, asker.0, (&channel, state), &entries, Purpose::Append)?;
        let mut positions: Vec<Position> = Vec::with_capacity(entries.len());
        for (entry, plan) in entries.into_iter().zip(plans) {
            let position = match plan {
                Plan::Known(position) => position,
                Plan::Same(index) => *positions.get(index).ok_or_else(|| malformed("an append out of order"))?,
                Plan::New(hash) => self.store_entry(batch, channel, entry, &hash)?,
            };
            positions.push(position);
        }
        self.answer_anonymous(batch, asker, Answer::Appended(positions));
        Ok(())
    }

    /// Appends the commit that ends the epoch: a compare-and-swap.
    pub(super) fn commit_epoch(
        &mut self,
        batch: &mut Batch<'_>,
        asker: Asker,
        channel: ChannelId,
        entry: NewEntry,
    ) -> Result<(), Fault> {
        let Some(next_keys) = entry.header.next_keys else {
            return Err(malformed("a commit without the next epoch's keys"));
        };
        let state = self.head(&channel)?;
        let plans = self.plan(batch, asker.0, (&channel, state), std::slice::from_ref(&entry), Purpose::Commit)?;
        let position = match plans.first() {
            Some(Plan::Known(position)) => *position,
            Some(Plan::New(hash)) => {
                let epoch = entry.header.epoch;
                let position = self.store_entry(batch, channel, entry, hash)?;
                self.begin_next_epoch(batch, channel, epoch, position, &next_keys)?;
                position
            }
            _ => return Err(malformed("a commit that repeats itself")),
        };
        self.answer_anonymous(batch, asker, Answer::Appended(vec![position]));
        Ok(())
    }

    fn begin_next_epoch(
        &mut self,
        batch: &mut Batch<'_>,
        channel: ChannelId,
        epoch: u64,
        commit: Position,
        next_keys: &EpochKeys,
    ) -> Result<(), Fault> {
        let state = self.head(&channel)?;
        let next = epoch.checked_add(1).ok_or_else(|| malformed("the last epoch of all"))?;
        self.store.end_epoch(state.number, epoch, commit, next, next_keys)?;
        self.move_head(&channel, ChannelState { epoch: next, ..state });
        // The commit is the last that the epoch's read key opens: live again after the next epoch's proof.
        for connection in self.subscribers.remove(&channel).unwrap_or_default() {
            batch.changed.insert(connection);
            if let Some(access) = self.connections.get_mut(&connection).and_then(|known| known.access(&channel)) {
                access.live = None;
            }
        }
        Ok(())
    }

    /// Decides about every entry before any is stored. What is known is known whatever the epoch (P-4.4); the rest has
    /// to be of the current epoch, proved, and within its limits.
    fn plan(
        &mut self,
        batch: &Batch<'_>,
        connection: ConnectionId,
        (channel, state): (&ChannelId, ChannelState),
        entries: &[NewEntry],
        purpose: Purpose,
    ) -> Result<Vec<Plan>, Fault> {
        if state.end.seq.saturating_add(entries.len() as u64) > LOG_ENTRIES_MAX {
            return Err(Refusal::TooMany { max: LOG_ENTRIES_MAX }.into());
        }
        let mut plans = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            check_size(entry.body.len(), ENTRY_BODY_BYTES_MAX)?;
            let hash = body_hash(&entry.body);
            let earlier = entries.iter().take(index).position(|e| e.header.append_id == entry.header.append_id);
            let plan = match (earlier, self.store.find_append(state.number, &entry.header.append_id)?) {
                (_, Some(KnownAppend { position, body_hash })) if body_hash == hash => Plan::Known(position),
                (_, Some(_)) => return Err(Refusal::AppendIdReused.into()),
                (Some(earlier), None) if entries.get(earlier).is_some_and(|e| e.body == entry.body) => {
                    Plan::Same(earlier)
                }
                (Some(_), None) => return Err(Refusal::AppendIdReused.into()),
                (None, None) => Plan::New(hash),
            };
            plans.push(plan);
        }
        for (entry, plan) in entries.iter().zip(&plans) {
            if matches!(plan, Plan::New(_)) {
                self.check_new(batch, connection, (channel, state), &entry.header, purpose)?;
            }
        }
        Ok(plans)
    }

    fn check_new(
        &self,
        batch: &Batch<'_>,
        connection: ConnectionId,
        (channel, state): (&ChannelId, ChannelState),
        header: &EntryHeader,
        purpose: Purpose,
    ) -> Result<(), Fault> {
        if header.epoch != state.epoch && !self.ignores_epoch(purpose) {
            return Err(Refusal::StaleEpoch { current: state.epoch }.into());
        }
        self.expect_proof(connection, channel, header.epoch, purpose)?;
        let days_max = if header.is_commit() { COMMIT_DAYS } else { self.config.message_days_max };
        let today = batch.now.day();
        let last = today.saturating_add(days_max);
        if header.expires_day <= today || header.expires_day > last {
            return Err(Refusal::BadExpiry { days_max }.into());
        }
        Ok(())
    }

    #[cfg(feature = "planted-defects")]
    fn ignores_epoch(&self, purpose: Purpose) -> bool {
        self.defect == Some(super::Defect::NoCompareAndSwap) && purpose == Purpose::Commit
    }

    #[cfg(not(feature = "planted-defects"))]
    fn ignores_epoch(&self, _: Purpose) -> bool {
        false
    }

    /// Gives an entry its place, stores it, and pushes it to everybody who is subscribed.
    fn store_entry(
        &mut self,
        batch: &mut Batch<'_>,
        channel: ChannelId,
        entry: NewEntry,
        hash: &Hash,
    ) -> Result<Position, Fault> {
        let state = self.head(&channel)?;
        let NewEntry { header, body } = entry;
        let seq = state.end.seq.saturating_add(1);
        let position = Position { seq, head: next_head(&channel, &state.end.head, seq, &header, hash) };
        let today = batch.now.day();
        self.note_due(&channel, state.number, header.expires_day, Due::Bodies)?;
        self.note_due(&channel, state.number, today.saturating_add(COMMIT_DAYS), Due::Headers)?;
        let entry = Entry { seq, header, body: Body::Present(body) };
        self.store.append(state.number, &entry, position, today)?;
        self.move_head(&channel, ChannelState { end: position, ..state });
        self.counters.appended = self.counters.appended.saturating_add(1);
        if self.subscribers.contains_key(&channel) {
            let frame: FromServer = ServerFrame::Push(Push::Entry(channel, entry));
            self.fan_out(batch, &channel, &frame, None);
        }
        Ok(position)
    }

    /// Hands bytes to everybody else who is subscribed, and stores nothing.
    pub(super) fn ephemeral(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        channel: ChannelId,
        epoch: u64,
        body: Vec<u8>,
    ) -> Result<(), Fault> {
        check_size(body.len(), EPHEMERAL_BYTES_MAX)?;
        let state = self.head(&channel)?;
        if epoch != state.epoch {
            return Err(Refusal::StaleEpoch { current: state.epoch }.into());
        }
        self.expect_proof(connection, &channel, epoch, Purpose::Append)?;
        let frame: FromServer = ServerFrame::Push(Push::Ephemeral { channel, epoch, body });
        self.fan_out(batch, &channel, &frame, Some(connection));
        Ok(())
    }

    /// Encodes a push once and sends it to the subscribers, but not to `sender`.
    fn fan_out(
        &mut self,
        batch: &mut Batch<'_>,
        channel: &ChannelId,
        frame: &FromServer,
        sender: Option<ConnectionId>,
    ) {
        let Some(subscribers) = self.subscribers.get(channel) else { return };
        let bytes = Bytes::from(frame.encode());
        for connection in subscribers.iter().filter(|connection| Some(**connection) != sender) {
            batch.send(*connection, bytes.clone(), FrameClass::Push);
            self.counters.pushed = self.counters.pushed.saturating_add(1);
        }
    }
}

pub(super) fn malformed(what: &str) -> Fault {
    Fault::Refused(Refusal::Malformed { what: what.to_owned() })
}

/// Refuses what is larger than allowed.
pub(super) fn check_size(bytes: usize, bytes_max: usize) -> Result<(), Refusal> {
    if bytes > bytes_max {
        return Err(Refusal::TooLarge { bytes: bytes as u64, bytes_max: bytes_max as u64 });
    }
    Ok(())
}

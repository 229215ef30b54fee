//! Channels: how they are made, and how their keys are proved.

use super::{Batch, Core, Fault, HEADS_MAX};
use crate::core::ConnectionId;
use crate::store::{
    CHANNEL_UNUSED_DAYS, CHANNEL_USE_NOTED_DAYS, ChannelNumber, ChannelState, Creation, Due, Store, StoreError,
};
use aside_protocol::channel::{EpochKeys, Position, Proof, first_head};
use aside_protocol::frame::anonymous::Answer;
use aside_protocol::id::ChannelId;
use aside_protocol::inbox::ChannelToken;
use aside_protocol::refusal::Refusal;
use std::collections::BTreeSet;

/// Draws of a random number before a channel is given up: each fails once in 2,000 when a million channels exist.
const NUMBER_DRAWS_MAX: usize = 16;
/// Epochs are stored as 63-bit numbers.
const EPOCH_MAX: u64 = i64::MAX as u64;

/// Where a channel stands, and what is noted as due in it, so that the store is asked once.
pub(super) struct Head {
    pub(super) state: ChannelState,
    noted: BTreeSet<(u32, Due)>,
}

impl<S: Store> Core<S> {
    /// Where a channel stands.
    pub(super) fn head(&mut self, channel: &ChannelId) -> Result<ChannelState, Fault> {
        if let Some(head) = self.heads.get(channel) {
            return Ok(head.state);
        }
        let state = self.store.find_channel(channel)?.ok_or(Refusal::UnknownChannel)?;
        if self.heads.len() >= HEADS_MAX {
            self.heads.clear();
        }
        self.heads.insert(*channel, Head { state, noted: BTreeSet::new() });
        Ok(state)
    }

    /// Moves the head in memory; the store was told already.
    pub(super) fn move_head(&mut self, channel: &ChannelId, state: ChannelState) {
        if let Some(head) = self.heads.get_mut(channel) {
            head.state = state;
        }
    }

    /// Tells the store what falls due in a channel and when, once.
    pub(super) fn note_due(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        day: u32,
        due: Due,
    ) -> Result<(), StoreError> {
        let is_noted = self.heads.get_mut(channel).is_some_and(|head| !head.noted.insert((day, due)));
        if is_noted { Ok(()) } else { self.store.note_due(number, day, due) }
    }

    /// Makes a channel; a repeat with the same keys succeeds again, without another token.
    pub(super) fn create_channel(
        &mut self,
        batch: &mut Batch<'_>,
        channel: ChannelId,
        token: &ChannelToken,
        epoch: u64,
        keys: &EpochKeys,
    ) -> Result<Answer, Fault> {
        if epoch >= EPOCH_MAX {
            return Err(Refusal::Malformed { what: "an epoch that no group reaches".to_owned() }.into());
        }
        if let Some(state) = self.store.find_channel(&channel)? {
            let same = self.store.find_epoch(state.number, epoch)?.is_some_and(|stored| stored.keys == *keys);
            return if same { Ok(Answer::Done) } else { Err(Refusal::ChannelExists.into()) };
        }
        if !self.store.take_channel_token(&token.hash(), batch.now.day())? {
            return Err(Refusal::BadChannelToken.into());
        }
        let today = batch.now.day();
        let start = Position { seq: 0, head: first_head(&channel, epoch, keys) };
        for _ in 0..NUMBER_DRAWS_MAX {
            let number = ChannelNumber::from_random(batch.randomness.next_u32());
            match self.store.create_channel(&channel, number, start, (epoch, keys), today)? {
                Creation::Created => {
                    self.store.note_due(number, today.saturating_add(CHANNEL_UNUSED_DAYS), Due::Channel)?;
                    return Ok(Answer::Done);
                }
                Creation::NumberTaken => {}
            }
        }
        Err(Fault::Store(StoreError::Corrupt))
    }

    /// Checks a proof of a channel key against the epoch's keys and this connection's binding (P-4.3).
    pub(super) fn prove(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        proof: &Proof,
    ) -> Result<Answer, Fault> {
        let bad = || Refusal::BadProof { purpose: proof.purpose };
        let state = self.head(&proof.channel)?;
        let Some(known) = self.connections.get_mut(&connection) else { return Err(bad().into()) };
        if known.has_proved(&proof.channel, proof.epoch, proof.purpose) {
            return Ok(Answer::Done);
        }
        let epoch = self.store.find_epoch(state.number, proof.epoch)?.ok_or_else(bad)?;
        proof.verify(&epoch.keys, &known.binding).map_err(|_| bad())?;
        known.remember_proof(proof.channel, proof.epoch, proof.purpose)?;
        self.note_use(proof.channel, state, batch.now.day())?;
        // The epoch may have begun in this very transaction.
        batch.changed.insert(connection);
        Ok(Answer::Done)
    }

    /// Notes that a channel is used, about once a month, so that its rows tell no more than that.
    fn note_use(&mut self, channel: ChannelId, state: ChannelState, today: u32) -> Result<(), StoreError> {
        if state.used_day.saturating_add(CHANNEL_USE_NOTED_DAYS) > today {
            return Ok(());
        }
        self.store.touch_channel(state.number, today)?;
        self.store.note_due(state.number, today.saturating_add(CHANNEL_UNUSED_DAYS), Due::Channel)?;
        self.move_head(&channel, ChannelState { used_day: today, ..state });
        Ok(())
    }

    /// Refuses unless the connection proved a key of the epoch.
    pub(super) fn expect_proof(
        &self,
        connection: ConnectionId,
        channel: &ChannelId,
        epoch: u64,
        purpose: aside_protocol::channel::Purpose,
    ) -> Result<(), Refusal> {
        match self.connections.get(&connection) {
            Some(known) if known.has_proved(channel, epoch, purpose) => Ok(()),
            _ => Err(Refusal::NotProven { purpose }),
        }
    }
}

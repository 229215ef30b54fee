//! What the passing of time does: expiry once a day in small steps, and the administrator's suspensions.

use super::{Batch, CloseReason, ConnectionId, Core};
use crate::store::{Standing, Store, StoreError};
use aside_protocol::refusal::Refusal;

/// Rows that one tick expires or deletes at most, so that no message waits long behind it.
pub const SWEEP_ROWS_MAX: usize = 500;

/// How far the day's sweep is.
#[derive(Default)]
pub(super) struct Sweep {
    channels_done: Option<u32>,
    accounts_done: Option<u32>,
    backups_done: Option<u32>,
}

impl Sweep {
    /// There is something to sweep before the day is over.
    pub(super) fn look_at_backups(&mut self) {
        self.backups_done = None;
    }
}

impl<S: Store> Core<S> {
    /// About once a second.
    pub(super) fn tick(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let today = batch.now.day();
        if self.sweep.channels_done != Some(today) {
            // A channel may be gone, and the rest is read again soon enough.
            self.heads.clear();
            if self.store.sweep_channels(today, SWEEP_ROWS_MAX)? == 0 {
                self.sweep.channels_done = Some(today);
            }
        }
        if self.sweep.backups_done != Some(today) && self.store.sweep_backups(today)? == 0 {
            self.sweep.backups_done = Some(today);
        }
        if self.sweep.accounts_done != Some(today) && self.store.sweep_accounts(today, SWEEP_ROWS_MAX)? == 0 {
            self.sweep.accounts_done = Some(today);
        }
        if self.store.changed_elsewhere()? {
            self.close_suspended(batch)?;
        }
        Ok(())
    }

    /// Ends the connections of accounts that were suspended meanwhile.
    fn close_suspended(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let signed_in =
            |(id, known): (&ConnectionId, &super::Connection)| Some((*id, known.speaker.as_ref()?.name().clone()));
        let mut connections: Vec<_> = self.connections.iter().filter_map(signed_in).collect();
        connections.sort_by_key(|(id, _)| *id);
        for (connection, name) in connections {
            let account = self.store.find_account(&name)?;
            if account.is_none_or(|account| account.standing == Standing::Suspended) {
                self.close(batch, connection, Refusal::Suspended, CloseReason::Suspended);
            }
        }
        Ok(())
    }
}

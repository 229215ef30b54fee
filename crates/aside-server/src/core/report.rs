//! Reports to the administrator: what somebody chose to show (P-8.8).

use super::{Batch, Core, Fault};
use crate::store::{Store, Tally};
use aside_protocol::address::AccountName;
use aside_protocol::codec;
use aside_protocol::frame::account::Answer;
use aside_protocol::limit::REPORTS_A_DAY;
use aside_protocol::refusal::Refusal;
use aside_protocol::report::AbuseReport;

impl<S: Store> Core<S> {
    /// Keeps a report for the administrator. A repeat is done once, and not counted.
    pub(super) fn report(
        &mut self,
        batch: &Batch<'_>,
        name: &AccountName,
        report: &AbuseReport,
    ) -> Result<Answer, Fault> {
        report.check_limits()?;
        let today = batch.now.day();
        let made = self.store.tally(name, Tally::Reports, today)?;
        if made >= REPORTS_A_DAY {
            return Err(Refusal::DailyLimit { a_day: REPORTS_A_DAY }.into());
        }
        if self.store.put_report(name, &report.id, &codec::encode(report), today)? {
            self.store.set_tally(name, Tally::Reports, today, made.saturating_add(1))?;
        }
        Ok(Answer::Done)
    }
}

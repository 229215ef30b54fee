//! The account side for the administrator's commands, beside a running server or without one.

use super::accounts::TALLY_OF_CHANNEL_TOKENS;
use super::statement::{all, one, run};
use super::{Side, accounts, backups, open_accounts, open_backups};
use crate::store::{AccountSummary, Quota, Standing, StoreError, StoredReport};
use aside_protocol::address::AccountName;
use aside_protocol::id::{Hash, ReportId};
use rusqlite::{Row, params};
use std::collections::HashMap;
use std::path::Path;

/// What became of picking a row by the beginning of its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick<T> {
    /// It is the only one.
    One(T),
    /// There is none.
    None,
    /// There are several.
    Several,
}

impl<T> Pick<T> {
    fn of(found: Vec<T>) -> Self {
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Self::One(one),
            (None, _) => Self::None,
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// Accounts and their backups.
pub struct AdminFiles {
    accounts: Side,
    backups: Side,
}

impl AdminFiles {
    /// Opens the account side in `dir`, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { accounts: open_accounts(dir)?, backups: open_backups(dir)? })
    }

    /// Remembers an invite until `expires_day`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        accounts::put_invite(self.accounts.enter()?, token, expires_day)?;
        self.accounts.commit()
    }

    /// Invites that are not used yet, each with the hash of its token and the day on which it ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_invites(&mut self, today: u32) -> Result<Vec<(Hash, u32)>, StoreError> {
        let sql = "SELECT token, expires_day FROM invites WHERE expires_day > ?1 ORDER BY expires_day, token";
        let row = |row: &Row<'_>| Ok((Hash(row.get(0)?), row.get(1)?));
        all(&self.accounts.connection, sql, [today], row)
    }

    /// Deletes an invite.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError> {
        accounts::remove_invite(self.accounts.enter()?, token)?;
        self.accounts.commit()
    }

    /// All accounts, by name, with the bytes of their backups.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_accounts(&mut self) -> Result<Vec<(AccountSummary, u64)>, StoreError> {
        let backups: HashMap<String, u64> = backups::bytes_by_account(&self.backups.connection)?.into_iter().collect();
        let accounts = accounts::list(&self.accounts.connection)?;
        let with_backup = |account: AccountSummary| {
            let bytes = backups.get(account.name.as_str()).copied().unwrap_or(0);
            (account, bytes)
        };
        Ok(accounts.into_iter().map(with_backup).collect())
    }

    /// Changes whether an account may be used. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        let found = accounts::set_standing(self.accounts.enter()?, name, standing)?;
        self.accounts.commit()?;
        Ok(found)
    }

    /// What an account is allowed; absent: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_quota(&mut self, name: &AccountName) -> Result<Option<Quota>, StoreError> {
        Ok(accounts::find(&self.accounts.connection, name)?.map(|account| account.quota))
    }

    /// Changes what an account is allowed. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn set_quota(&mut self, name: &AccountName, quota: Quota) -> Result<bool, StoreError> {
        let found = accounts::set_quota(self.accounts.enter()?, name, quota)?;
        self.accounts.commit()?;
        Ok(found)
    }

    /// Open reports, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list_reports(&mut self) -> Result<Vec<StoredReport>, StoreError> {
        let sql = "SELECT reporter, id, day, report FROM reports WHERE report IS NOT NULL ORDER BY day, reporter, id";
        all(&self.accounts.connection, sql, [], read_report)
    }

    /// The open report whose id begins with these hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find_report(&mut self, digits: &str) -> Result<Pick<StoredReport>, StoreError> {
        let sql = "SELECT reporter, id, day, report FROM reports
                   WHERE report IS NOT NULL AND substr(lower(hex(id)), 1, length(?1)) = lower(?1) LIMIT 2";
        all(&self.accounts.connection, sql, [digits], read_report).map(Pick::of)
    }

    /// Deletes what a report says. That it was made is remembered for a while, so that a repeat does not revive it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn close_report(&mut self, reporter: &AccountName, id: &ReportId) -> Result<(), StoreError> {
        let sql = "UPDATE reports SET report = NULL WHERE reporter = ?1 AND id = ?2";
        run(self.accounts.enter()?, sql, params![reporter.as_str(), id.as_bytes()])?;
        self.accounts.commit()
    }

    /// Envelopes that wait in all inboxes, and channel tokens that were drawn today.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn counts(&mut self, today: u32) -> Result<(u64, u64), StoreError> {
        let number = |row: &Row<'_>| Ok(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0));
        let c = &self.accounts.connection;
        let envelopes = one(c, "SELECT count(*) FROM envelopes", [], number)?.unwrap_or(0);
        let sql = "SELECT coalesce(sum(count), 0) FROM tallies WHERE what = ?1 AND day = ?2";
        let drawn = one(c, sql, params![TALLY_OF_CHANNEL_TOKENS, today], number)?.unwrap_or(0);
        Ok((envelopes, drawn))
    }
}

fn read_report(row: &Row<'_>) -> rusqlite::Result<StoredReport> {
    let reporter: String = row.get(0)?;
    let reporter = reporter.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
    Ok(StoredReport { reporter, id: ReportId(row.get(1)?), day: row.get(2)?, report: row.get(3)? })
}

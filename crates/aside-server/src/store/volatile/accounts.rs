//! The account side in memory.

use super::{VolatileStore, cut};
use crate::store::{
    AccountStore, AccountSummary, Admission, Deposit, DeviceKey, Page, Quota, SPENT_KEY_PACKAGE_DAYS, Standing,
    StoreError, StoredAccount, Tally,
};
use aside_protocol::address::AccountName;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::{DeliveryId, DeviceId, Hash, ReportId};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::{DeliveryToken, InboxEntry};
use aside_protocol::key::PublicKey;
use aside_protocol::limit::ENVELOPE_DAYS;

#[derive(Debug, Clone)]
pub(super) struct AccountRow {
    account: StoredAccount,
    created_day: u32,
    seen_day: u32,
}

#[derive(Debug, Clone)]
pub(super) enum KeyPackageRow {
    Unused(Vec<u8>),
    Spent { day: u32 },
}

#[derive(Debug, Clone)]
pub(super) struct EnvelopeRow {
    envelope: Vec<u8>,
    day: u32,
}

#[derive(Debug, Clone)]
pub(super) struct DeliveryTokenRow {
    expires_day: Option<u32>,
    admission: Admission,
}

#[derive(Debug, Clone)]
#[expect(dead_code, reason = "reports are read by the administrator's commands, which stand on SQLite")]
pub(super) struct ReportRow {
    day: u32,
    report: Vec<u8>,
}

fn package_hash(package: &[u8]) -> Hash {
    Hash(labelled_hash("key package", &[package]))
}

/// Every key of one account's devices.
fn devices_of(name: &AccountName) -> std::ops::RangeInclusive<(AccountName, DeviceId)> {
    (name.clone(), DeviceId([0; 16]))..=(name.clone(), DeviceId([0xff; 16]))
}

impl VolatileStore {
    fn change_account(&mut self, name: &AccountName, change: impl FnOnce(&mut AccountRow)) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let Some(mut row) = self.accounts.get(name).cloned() else { return Ok(false) };
        change(&mut row);
        self.accounts.insert(name.clone(), row);
        Ok(true)
    }

    fn remove_device(&mut self, name: &AccountName, device: DeviceId) {
        self.devices.remove(&(name.clone(), device));
        self.inbox_ends.remove(&(name.clone(), device));
        self.envelopes.remove_where(usize::MAX, |(of, id, _), _| of == name && *id == device);
        self.deliveries.remove_where(usize::MAX, |(of, id, _), _| of == name && *id == device);
    }
}

impl AccountStore for VolatileStore {
    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
        self.in_transaction()?;
        Ok(self.accounts.get(name).map(|row| row.account.clone()))
    }

    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError> {
        self.in_transaction()?;
        let account = StoredAccount {
            root_key: *root_key,
            key_sets: key_sets.to_vec(),
            standing: Standing::Good,
            quota: Quota::default(),
            findable: None,
        };
        self.accounts.insert(name.clone(), AccountRow { account, created_day: day, seen_day: day });
        self.devices.insert((name.clone(), device.certificate.device), device.clone());
        Ok(())
    }

    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        self.change_account(name, |row| row.account.standing = standing)
    }

    fn set_quota(&mut self, name: &AccountName, quota: Quota) -> Result<bool, StoreError> {
        self.change_account(name, |row| row.account.quota = quota)
    }

    fn note_seen(&mut self, name: &AccountName, day: u32) -> Result<(), StoreError> {
        self.change_account(name, |row| row.seen_day = day).map(|_| ())
    }

    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError> {
        self.in_transaction()?;
        let waiting = |name: &AccountName| {
            let of_account = self.envelopes.range(..).filter(|((of, ..), _)| of == name);
            of_account.map(|(_, row)| row.envelope.len() as u64).sum()
        };
        let summary = |(name, row): (&AccountName, &AccountRow)| AccountSummary {
            name: name.clone(),
            devices: u32::try_from(self.devices.range(devices_of(name)).count()).unwrap_or(u32::MAX),
            created_day: row.created_day,
            seen_day: row.seen_day,
            standing: row.account.standing,
            quota: row.account.quota,
            envelope_bytes: waiting(name),
        };
        Ok(self.accounts.range(..).map(summary).collect())
    }

    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError> {
        self.in_transaction()?;
        Ok(self.devices.range(devices_of(name)).map(|(_, record)| record.clone()).collect())
    }

    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError> {
        self.in_transaction()?;
        Ok(self.devices.get(&(device.name.clone(), device.device)).cloned())
    }

    fn add_device(&mut self, name: &AccountName, device: &DeviceRecord) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.devices.insert((name.clone(), device.certificate.device), device.clone());
        Ok(())
    }

    fn replace_key_sets(
        &mut self,
        name: &AccountName,
        key_sets: &[KeySet],
        devices: &[DeviceRecord],
    ) -> Result<(), StoreError> {
        self.change_account(name, |row| row.account.key_sets = key_sets.to_vec())?;
        let before: Vec<DeviceId> = self.devices.range(devices_of(name)).map(|((_, device), _)| *device).collect();
        for gone in before.into_iter().filter(|id| devices.iter().all(|record| record.certificate.device != *id)) {
            self.remove_device(name, gone);
        }
        for record in devices {
            self.devices.insert((name.clone(), record.certificate.device), record.clone());
        }
        self.key_packages.remove_where(usize::MAX, |(of, ..), _| of == name);
        self.last_resorts.remove_where(usize::MAX, |(of, _), _| of == name);
        Ok(())
    }

    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.invites.insert(*token, expires_day);
        Ok(())
    }

    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        self.in_transaction()?;
        Ok(self.invites.get(token).is_some_and(|expires| *expires > today))
    }

    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.invites.remove(token);
        Ok(())
    }

    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let key = (name.clone(), *token);
        let range = (name.clone(), Hash([0; 32]))..=(name.clone(), Hash([0xff; 32]));
        let known = self.delivery_tokens.get(&key).map(|row| row.admission);
        if known.is_none() && self.delivery_tokens.range(range).count() >= tokens_max {
            return Ok(false);
        }
        let admission = known.unwrap_or(Admission::Given);
        self.delivery_tokens.insert(key, DeliveryTokenRow { expires_day, admission });
        Ok(true)
    }

    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.delivery_tokens.remove(&(name.clone(), *token));
        Ok(())
    }

    fn find_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        today: u32,
    ) -> Result<Option<(Admission, Standing)>, StoreError> {
        self.in_transaction()?;
        let Some(account) = self.accounts.get(name) else { return Ok(None) };
        let row = self.delivery_tokens.get(&(name.clone(), *token));
        let row = row.filter(|row| row.expires_day.is_none_or(|day| day > today));
        Ok(row.map(|row| (row.admission, account.account.standing)))
    }

    fn set_findable(&mut self, name: &AccountName, token: Option<&DeliveryToken>) -> Result<(), StoreError> {
        self.change_account(name, |row| row.account.findable = token.copied())?;
        self.delivery_tokens.remove_where(usize::MAX, |(of, _), row| of == name && row.admission == Admission::Found);
        if let Some(token) = token {
            let row = DeliveryTokenRow { expires_day: None, admission: Admission::Found };
            self.delivery_tokens.insert((name.clone(), token.hash()), row);
        }
        Ok(())
    }

    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let key = |package: &[u8]| (device.name.clone(), device.device, package_hash(package));
        let mut fresh: Vec<_> = packages.iter().map(|package| (key(package), package.to_vec())).collect();
        fresh.retain(|(key, _)| self.key_packages.get(key).is_none());
        let count = usize::try_from(self.count_key_packages(device)?).unwrap_or(usize::MAX);
        if count.saturating_add(fresh.len()) > packages_max {
            return Ok(false);
        }
        fresh.into_iter().for_each(|(key, bytes)| self.key_packages.insert(key, KeyPackageRow::Unused(bytes)));
        Ok(true)
    }

    fn drop_key_packages(&mut self, device: &DeviceKey) -> Result<(), StoreError> {
        self.in_transaction()?;
        let is_theirs = |name: &AccountName, id: &DeviceId| *name == device.name && *id == device.device;
        self.key_packages.remove_where(usize::MAX, |(name, id, _), row| {
            is_theirs(name, id) && matches!(row, KeyPackageRow::Unused(_))
        });
        Ok(())
    }

    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.last_resorts.insert((device.name.clone(), device.device), package.to_vec());
        Ok(())
    }

    fn find_last_resort(&mut self, device: &DeviceKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.in_transaction()?;
        Ok(self.last_resorts.get(&(device.name.clone(), device.device)).cloned())
    }

    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError> {
        self.in_transaction()?;
        let key = |edge| (device.name.clone(), device.device, Hash([edge; 32]));
        let rows = self.key_packages.range(key(0)..=key(0xff));
        Ok(u32::try_from(rows.filter(|(_, row)| matches!(row, KeyPackageRow::Unused(_))).count()).unwrap_or(u32::MAX))
    }

    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        self.in_transaction()?;
        let key = |edge| (device.name.clone(), device.device, Hash([edge; 32]));
        let unused = self.key_packages.range(key(0)..=key(0xff)).find_map(|(key, row)| match row {
            KeyPackageRow::Unused(bytes) => Some((key.clone(), bytes.clone())),
            KeyPackageRow::Spent { .. } => None,
        });
        let Some((key, bytes)) = unused else {
            return Ok(self.last_resorts.get(&(device.name.clone(), device.device)).cloned());
        };
        self.key_packages.insert(key, KeyPackageRow::Spent { day: today });
        Ok(Some(bytes))
    }

    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError> {
        self.in_transaction()?;
        let delivery = (device.name.clone(), device.device, *id);
        if self.deliveries.get(&delivery).is_some() {
            return Ok(Deposit::Repeated);
        }
        let key = |seq| (device.name.clone(), device.device, seq);
        if self.envelopes.range(key(0)..=key(u64::MAX)).count() >= envelopes_max {
            return Ok(Deposit::Full);
        }
        let inbox = (device.name.clone(), device.device);
        let seq = self.inbox_ends.get(&inbox).copied().unwrap_or(0).saturating_add(1);
        self.inbox_ends.insert(inbox, seq);
        self.deliveries.insert(delivery, day);
        self.envelopes.insert(key(seq), EnvelopeRow { envelope: envelope.to_vec(), day });
        Ok(Deposit::Stored(seq))
    }

    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError> {
        self.in_transaction()?;
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let key = |seq| (device.name.clone(), device.device, seq);
        let rows = self.envelopes.range(key(first)..=key(u64::MAX));
        let entries = rows.map(|((.., seq), row)| InboxEntry { seq: *seq, envelope: row.envelope.clone() });
        Ok(cut(entries, page, |entry| entry.envelope.len()))
    }

    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError> {
        self.in_transaction()?;
        let key = |seq| (device.name.clone(), device.device, seq);
        let keys: Vec<_> = self.envelopes.range(key(0)..=key(through)).map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.envelopes.remove(key));
        Ok(())
    }

    fn tally(&mut self, name: &AccountName, what: Tally, today: u32) -> Result<u32, StoreError> {
        self.in_transaction()?;
        let row = self.tallies.get(&(name.clone(), what)).filter(|(day, _)| *day == today);
        Ok(row.map_or(0, |(_, count)| *count))
    }

    fn set_tally(&mut self, name: &AccountName, what: Tally, today: u32, count: u32) -> Result<(), StoreError> {
        self.in_transaction()?;
        self.tallies.insert((name.clone(), what), (today, count));
        Ok(())
    }

    fn put_report(&mut self, name: &AccountName, id: &ReportId, report: &[u8], day: u32) -> Result<bool, StoreError> {
        self.in_transaction()?;
        let key = (name.clone(), *id);
        if self.reports.get(&key).is_some() {
            return Ok(false);
        }
        self.reports.insert(key, ReportRow { day, report: report.to_vec() });
        Ok(true)
    }

    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        self.in_transaction()?;
        let old = |day: u32, days: u32| day.saturating_add(days) <= today;
        let mut count = self.invites.remove_where(rows_max, |_, expires| *expires <= today);
        let spent =
            |row: &KeyPackageRow| matches!(row, KeyPackageRow::Spent { day } if old(*day, SPENT_KEY_PACKAGE_DAYS));
        let left = |count: usize| rows_max.saturating_sub(count);
        count +=
            self.delivery_tokens.remove_where(left(count), |_, row| row.expires_day.is_some_and(|day| day <= today));
        count += self.key_packages.remove_where(left(count), |_, row| spent(row));
        count += self.envelopes.remove_where(left(count), |_, row| old(row.day, ENVELOPE_DAYS));
        count += self.deliveries.remove_where(left(count), |_, day| old(*day, ENVELOPE_DAYS));
        Ok(count)
    }
}

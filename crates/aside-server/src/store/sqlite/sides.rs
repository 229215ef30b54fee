//! Each operation of the store, on the side that it belongs to.

use super::{SqliteStore, accounts, backups, channels, int};
use crate::store::{
    AccountStore, AccountSummary, Admission, BackupState, BackupStore, ChannelNumber, ChannelState, ChannelStore,
    ChannelTotals, Creation, Deposit, DeviceKey, Due, KnownAppend, Page, Quota, Standing, StoreError, StoredAccount,
    StoredBackup, StoredEpoch, Tally,
};
use aside_protocol::address::AccountName;
use aside_protocol::blob::BlobId;
use aside_protocol::channel::{Body, Entry, EpochKeys, Position};
use aside_protocol::id::{AppendId, ChannelId, DeliveryId, Hash, ReportId};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::{DeliveryToken, InboxEntry};
use aside_protocol::key::PublicKey;

impl ChannelStore for SqliteStore {
    fn find_channel(&mut self, channel: &ChannelId) -> Result<Option<ChannelState>, StoreError> {
        channels::find(self.channels()?, channel)
    }

    fn create_channel(
        &mut self,
        channel: &ChannelId,
        number: ChannelNumber,
        start: Position,
        epoch: (u64, &EpochKeys),
        day: u32,
    ) -> Result<Creation, StoreError> {
        let creation = channels::create(self.channels()?, channel, number, start, epoch, day)?;
        self.more.channels = self.more.channels.saturating_add(i64::from(creation == Creation::Created));
        Ok(creation)
    }

    fn find_epoch(&mut self, number: ChannelNumber, epoch: u64) -> Result<Option<StoredEpoch>, StoreError> {
        channels::find_epoch(self.channels()?, number, epoch)
    }

    fn find_append(&mut self, number: ChannelNumber, id: &AppendId) -> Result<Option<KnownAppend>, StoreError> {
        self.channels()?;
        channels::find_append(&self.channels.connection, &self.append_key, number, id)
    }

    fn append(&mut self, number: ChannelNumber, entry: &Entry, end: Position, day: u32) -> Result<(), StoreError> {
        self.channels()?;
        channels::append(&self.channels.connection, &self.append_key, number, entry, end, day)?;
        self.more.entries = self.more.entries.saturating_add(1);
        if let Body::Present(body) = &entry.body {
            self.more.entry_bytes = self.more.entry_bytes.saturating_add(int(body.len() as u64));
        }
        Ok(())
    }

    fn end_epoch(
        &mut self,
        number: ChannelNumber,
        epoch: u64,
        commit: Position,
        next: u64,
        next_keys: &EpochKeys,
    ) -> Result<(), StoreError> {
        channels::end_epoch(self.channels()?, number, epoch, commit, (next, next_keys))
    }

    fn read_entries(
        &mut self,
        number: ChannelNumber,
        after: u64,
        through: u64,
        page: Page,
    ) -> Result<Vec<Entry>, StoreError> {
        channels::read(self.channels()?, number, after, through, page)
    }

    fn note_due(&mut self, number: ChannelNumber, day: u32, due: Due) -> Result<(), StoreError> {
        channels::note_due(self.channels()?, number, day, due)
    }

    fn sweep_channels(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        self.channels()?;
        let (count, lost) = channels::sweep(&self.channels.connection, &self.append_key, today, rows_max)?;
        let more = &mut self.more;
        more.channels = more.channels.saturating_sub(lost.channels);
        more.entries = more.entries.saturating_sub(lost.entries);
        more.entry_bytes = more.entry_bytes.saturating_sub(lost.entry_bytes);
        more.blobs = more.blobs.saturating_sub(lost.blobs);
        more.blob_bytes = more.blob_bytes.saturating_sub(lost.blob_bytes);
        Ok(count)
    }

    fn put_channel_token(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        channels::put_token(self.channels()?, token, expires_day)
    }

    fn take_channel_token(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        channels::take_token(self.channels()?, token, today)
    }

    fn touch_channel(&mut self, number: ChannelNumber, day: u32) -> Result<(), StoreError> {
        channels::touch(self.channels()?, number, day)
    }

    fn put_blob(&mut self, blob: &BlobId, bytes: &[u8], expires_day: u32) -> Result<(), StoreError> {
        let before = channels::put_blob(self.channels()?, blob, bytes, expires_day)?;
        self.more.blobs = self.more.blobs.saturating_add(i64::from(before.is_none()));
        let grown = int(bytes.len() as u64).saturating_sub(before.unwrap_or(0));
        self.more.blob_bytes = self.more.blob_bytes.saturating_add(grown);
        Ok(())
    }

    fn find_blob(&mut self, blob: &BlobId, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        channels::find_blob(self.channels()?, blob, today)
    }

    fn channel_totals(&mut self) -> Result<ChannelTotals, StoreError> {
        self.channels()?;
        self.add_up()?;
        channels::totals(self.channels()?)
    }
}

impl AccountStore for SqliteStore {
    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError> {
        accounts::find(self.accounts()?, name)
    }

    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError> {
        accounts::create(self.accounts()?, name, (root_key, key_sets), device, day)
    }

    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError> {
        accounts::set_standing(self.accounts()?, name, standing)
    }

    fn set_quota(&mut self, name: &AccountName, quota: Quota) -> Result<bool, StoreError> {
        accounts::set_quota(self.accounts()?, name, quota)
    }

    fn note_seen(&mut self, name: &AccountName, day: u32) -> Result<(), StoreError> {
        accounts::note_seen(self.accounts()?, name, day)
    }

    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError> {
        accounts::list(self.accounts()?)
    }

    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError> {
        accounts::list_devices(self.accounts()?, name)
    }

    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError> {
        accounts::find_device(self.accounts()?, device)
    }

    fn add_device(&mut self, name: &AccountName, device: &DeviceRecord) -> Result<(), StoreError> {
        accounts::add_device(self.accounts()?, name, device)
    }

    fn replace_key_sets(
        &mut self,
        name: &AccountName,
        key_sets: &[KeySet],
        devices: &[DeviceRecord],
    ) -> Result<(), StoreError> {
        accounts::replace_key_sets(self.accounts()?, name, key_sets, devices)
    }

    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError> {
        accounts::put_invite(self.accounts()?, token, expires_day)
    }

    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError> {
        accounts::has_invite(self.accounts()?, token, today)
    }

    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError> {
        accounts::remove_invite(self.accounts()?, token)
    }

    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError> {
        accounts::put_delivery_token(self.accounts()?, name, token, expires_day, tokens_max)
    }

    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError> {
        accounts::remove_delivery_token(self.accounts()?, name, token)
    }

    fn find_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        today: u32,
    ) -> Result<Option<(Admission, Standing)>, StoreError> {
        accounts::find_delivery_token(self.accounts()?, name, token, today)
    }

    fn set_findable(&mut self, name: &AccountName, token: Option<&DeliveryToken>) -> Result<(), StoreError> {
        accounts::set_findable(self.accounts()?, name, token)
    }

    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError> {
        accounts::add_key_packages(self.accounts()?, device, packages, packages_max)
    }

    fn drop_key_packages(&mut self, device: &DeviceKey) -> Result<(), StoreError> {
        accounts::drop_key_packages(self.accounts()?, device)
    }

    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError> {
        accounts::put_last_resort(self.accounts()?, device, package)
    }

    fn find_last_resort(&mut self, device: &DeviceKey) -> Result<Option<Vec<u8>>, StoreError> {
        accounts::find_last_resort(self.accounts()?, device)
    }

    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError> {
        accounts::count_key_packages(self.accounts()?, device)
    }

    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError> {
        accounts::take_key_package(self.accounts()?, device, today)
    }

    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError> {
        accounts::deposit(self.accounts()?, device, id, (envelope, day), envelopes_max)
    }

    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError> {
        accounts::read_inbox(self.accounts()?, device, after, page)
    }

    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError> {
        accounts::acknowledge_inbox(self.accounts()?, device, through)
    }

    fn tally(&mut self, name: &AccountName, what: Tally, today: u32) -> Result<u32, StoreError> {
        accounts::tally(self.accounts()?, name, what, today)
    }

    fn set_tally(&mut self, name: &AccountName, what: Tally, today: u32, count: u32) -> Result<(), StoreError> {
        accounts::set_tally(self.accounts()?, name, what, today, count)
    }

    fn put_report(&mut self, name: &AccountName, id: &ReportId, report: &[u8], day: u32) -> Result<bool, StoreError> {
        accounts::put_report(self.accounts()?, name, id, report, day)
    }

    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError> {
        accounts::sweep(self.accounts()?, today, rows_max)
    }
}

impl BackupStore for SqliteStore {
    fn backup_state(&mut self, name: &AccountName) -> Result<BackupState, StoreError> {
        backups::state(self.backups()?, name)
    }

    fn find_backup_part(
        &mut self,
        name: &AccountName,
        generation: u64,
        part: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        backups::find_part(self.backups()?, name, generation, part)
    }

    fn put_backup_part(
        &mut self,
        name: &AccountName,
        after: StoredBackup,
        bytes: &[u8],
        day: u32,
    ) -> Result<(), StoreError> {
        backups::put_part(self.backups()?, name, after, bytes, day)
    }

    fn sweep_backups(&mut self, today: u32) -> Result<usize, StoreError> {
        backups::sweep(self.backups()?, today)
    }
}

//! The directory: KeyPackages that devices publish, and that holders of a delivery token fetch.

use super::append::check_size;
use super::{Batch, ConnectionId, Core, Fault};
use crate::store::{Admission, DeviceKey, Standing, Store, StoreError, Tally};
use aside_protocol::address::AccountName;
use aside_protocol::frame::account::{self, KeyPackages};
use aside_protocol::frame::anonymous::{Answer, DeviceKeyPackage};
use aside_protocol::id::Hash;
use aside_protocol::identity::DirectoryAccount;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::limit::{FINDS_A_DAY, KEY_PACKAGE_BYTES_MAX, KEY_PACKAGES_MAX};
use aside_protocol::refusal::Refusal;

const MINUTE_MS: u64 = 60_000;

impl<S: Store> Core<S> {
    /// Adds KeyPackages to a device's store of them.
    pub(super) fn publish_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &KeyPackages,
    ) -> Result<account::Answer, Fault> {
        let account = self.store.find_account(&device.name)?.ok_or(Refusal::NotSignedIn)?;
        let current = account.newest();
        if packages.key_set != current {
            return Err(Refusal::StaleKeySet { current }.into());
        }
        let once: Vec<&[u8]> = packages.once.iter().map(|package| package.as_slice()).collect();
        let too_many = Refusal::TooMany { max: KEY_PACKAGES_MAX as u64 };
        if once.len() > KEY_PACKAGES_MAX {
            return Err(too_many.into());
        }
        for package in once.iter().copied().chain(packages.last_resort.iter().map(|package| package.as_slice())) {
            check_size(package.len(), KEY_PACKAGE_BYTES_MAX)?;
        }
        // With a new one of last resort all are made anew: those before would expire here unseen.
        if packages.last_resort.is_some() {
            self.store.drop_key_packages(device)?;
        }
        if !self.store.add_key_packages(device, &once, KEY_PACKAGES_MAX)? {
            return Err(too_many.into());
        }
        if let Some(package) = &packages.last_resort {
            self.store.put_last_resort(device, package)?;
        }
        Ok(account::Answer::KeyPackageCount(self.store.count_key_packages(device)?))
    }

    /// Hands out an account's chain and devices, with one KeyPackage each.
    pub(super) fn fetch_key_packages(
        &mut self,
        batch: &Batch<'_>,
        name: &AccountName,
        token: &DeliveryToken,
    ) -> Result<Answer, Fault> {
        let (hash, today) = (token.hash(), batch.now.day());
        let admission = self.admission(name, &hash, today)?;
        self.count_fetch(batch, hash)?;
        let account = self.directory_account(name)?.ok_or(Refusal::UnknownAccountOrToken)?;
        let mut key_packages = Vec::with_capacity(account.devices.len());
        for record in &account.devices {
            let device = record.certificate.device;
            let key = DeviceKey { name: name.clone(), device };
            let key_package = match admission {
                Admission::Given => self.store.take_key_package(&key, today)?,
                Admission::Found => self.store.find_last_resort(&key)?,
            };
            key_packages.push(DeviceKeyPackage { device, key_package: key_package.map(Into::into) });
        }
        Ok(Answer::KeyPackages { account, key_packages })
    }

    /// Shows an account's chain and devices (P-5.10).
    pub(super) fn fetch_account(
        &mut self,
        batch: &Batch<'_>,
        name: &AccountName,
        token: &DeliveryToken,
    ) -> Result<Answer, Fault> {
        let hash = token.hash();
        self.admission(name, &hash, batch.now.day())?;
        self.count_fetch(batch, hash)?;
        Ok(Answer::Account(self.directory_account(name)?.ok_or(Refusal::UnknownAccountOrToken)?))
    }

    /// Finds an account by its name, if it lets itself be found (P-5.11).
    pub(super) fn find_by_name(
        &mut self,
        batch: &Batch<'_>,
        connection: ConnectionId,
        name: &AccountName,
    ) -> Result<Answer, Fault> {
        let today = batch.now.day();
        if let Some(known) = self.connections.get_mut(&connection) {
            known.count_find(today)?;
        }
        let unknown = || Fault::Refused(Refusal::UnknownAccountOrToken);
        let token = self.store.find_account(name)?.and_then(|account| account.findable).ok_or_else(unknown)?;
        // The account may have withdrawn the token by itself.
        if self.store.find_delivery_token(name, &token.hash(), today)? != Some((Admission::Found, Standing::Good)) {
            return Err(unknown());
        }
        let finds = self.store.tally(name, Tally::Finds, today)?;
        if finds >= FINDS_A_DAY {
            return Err(Refusal::DailyLimit { a_day: FINDS_A_DAY }.into());
        }
        self.store.set_tally(name, Tally::Finds, today, finds.saturating_add(1))?;
        let account = self.directory_account(name)?.ok_or_else(unknown)?;
        let mut key_packages = Vec::with_capacity(account.devices.len());
        for record in &account.devices {
            let device = record.certificate.device;
            let last_resort = self.store.find_last_resort(&DeviceKey { name: name.clone(), device })?;
            key_packages.push(DeviceKeyPackage { device, key_package: last_resort.map(Into::into) });
        }
        Ok(Answer::Found { account, token, key_packages })
    }

    /// An account as the directory shows it.
    pub(super) fn directory_account(&mut self, name: &AccountName) -> Result<Option<DirectoryAccount>, StoreError> {
        let Some(account) = self.store.find_account(name)? else { return Ok(None) };
        let devices = self.store.list_devices(name)?;
        Ok(Some(DirectoryAccount { root_key: account.root_key, key_sets: account.key_sets, devices }))
    }

    /// By what a token's holder may write to an account and fetch it.
    pub(super) fn admission(&mut self, name: &AccountName, token: &Hash, today: u32) -> Result<Admission, Fault> {
        match self.store.find_delivery_token(name, token, today)? {
            Some((admission, Standing::Good)) => Ok(admission),
            Some((_, Standing::Suspended)) => Err(Refusal::AccountUnavailable.into()),
            None => Err(Refusal::UnknownAccountOrToken.into()),
        }
    }

    /// Counts a fetch against its token, so that nobody empties a device's KeyPackages.
    fn count_fetch(&mut self, batch: &Batch<'_>, token: Hash) -> Result<(), Refusal> {
        let minute = batch.now.unix_ms / MINUTE_MS;
        if minute != self.fetches_minute {
            self.fetches.clear();
            self.fetches_minute = minute;
        }
        let count = self.fetches.entry(token).or_default();
        if *count >= self.config.fetches_a_minute {
            let left_ms = MINUTE_MS - batch.now.unix_ms % MINUTE_MS;
            return Err(Refusal::RateLimited { seconds: u32::try_from(left_ms.div_ceil(1_000)).unwrap_or(60) });
        }
        *count = count.saturating_add(1);
        Ok(())
    }
}

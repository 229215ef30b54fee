//! The directory: KeyPackages that devices publish, and that holders of a delivery token fetch.

use super::append::check_size;
use super::{Batch, Core, Fault};
use crate::store::{DeviceKey, Store};
use aside_protocol::address::AccountName;
use aside_protocol::frame::account::{self, KeyPackages};
use aside_protocol::frame::anonymous::{Answer, DeviceKeyPackage};
use aside_protocol::identity::DirectoryAccount;
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::limit::{KEY_PACKAGE_BYTES_MAX, KEY_PACKAGES_MAX};
use aside_protocol::refusal::Refusal;

const MINUTE_MS: u64 = 60_000;

impl<S: Store> Core<S> {
    /// Adds KeyPackages to a device's store of them.
    pub(super) fn publish_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &KeyPackages,
    ) -> Result<account::Answer, Fault> {
        let once: Vec<&[u8]> = packages.once.iter().map(|package| package.as_slice()).collect();
        let too_many = Refusal::TooMany { max: KEY_PACKAGES_MAX as u64 };
        if once.len() > KEY_PACKAGES_MAX {
            return Err(too_many.into());
        }
        for package in once.iter().copied().chain(packages.last_resort.iter().map(|package| package.as_slice())) {
            check_size(package.len(), KEY_PACKAGE_BYTES_MAX)?;
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
        if !self.store.has_delivery_token(name, &hash, today)? {
            return Err(Refusal::UnknownAccountOrToken.into());
        }
        self.count_fetch(batch, hash)?;
        let account = self.store.find_account(name)?.ok_or(Refusal::UnknownAccountOrToken)?;
        let mut devices = self.store.list_devices(name)?;
        devices.retain(|d| !account.key_sets.iter().any(|set| set.revoked.contains(&d.certificate.device)));
        let mut key_packages = Vec::with_capacity(devices.len());
        for record in &devices {
            let device = record.certificate.device;
            let key = DeviceKey { name: name.clone(), device };
            let key_package = self.store.take_key_package(&key, today)?.map(Into::into);
            key_packages.push(DeviceKeyPackage { device, key_package });
        }
        let account = DirectoryAccount { root_key: account.root_key, key_sets: account.key_sets, devices };
        Ok(Answer::KeyPackages { account, key_packages })
    }

    /// Counts a fetch against its token, so that nobody empties a device's KeyPackages.
    fn count_fetch(&mut self, batch: &Batch<'_>, token: aside_protocol::id::Hash) -> Result<(), Refusal> {
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

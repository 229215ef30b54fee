//! The account side of the store: names, devices, KeyPackages, inboxes, the tokens of contacts, reports.

use super::{Page, StoreError};
use aside_protocol::address::AccountName;
use aside_protocol::id::{DeliveryId, DeviceId, Hash, ReportId};
use aside_protocol::identity::{DeviceRecord, KeySet};
use aside_protocol::inbox::{DeliveryToken, InboxEntry};
use aside_protocol::key::PublicKey;

/// Days for which a handed-out KeyPackage's hash is remembered, so that a repeated publication does not revive it.
pub const SPENT_KEY_PACKAGE_DAYS: u32 = 2;

/// A device, by account and id: ids alone are chosen by clients and could be copied from another account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceKey {
    /// The account.
    pub name: AccountName,
    /// The device.
    pub device: DeviceId,
}

/// An account, without its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAccount {
    /// The root key.
    pub root_key: PublicKey,
    /// The chain, oldest first.
    pub key_sets: Vec<KeySet>,
    /// Whether the administrator shut it out.
    pub standing: Standing,
    /// What the administrator allows it.
    pub quota: Quota,
    /// What whoever finds it by name is given; absent: it cannot be found.
    pub findable: Option<DeliveryToken>,
}

impl StoredAccount {
    /// The number of the newest key set.
    pub fn newest(&self) -> u32 {
        self.key_sets.last().map_or(0, |set| set.number)
    }
}

/// What the administrator allows one account. Absent: what the configuration says for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Channel tokens a day.
    pub channels_a_day: Option<u32>,
    /// Bytes of its backup.
    pub backup_bytes: Option<u64>,
}

/// What is counted for an account, a day at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// Channel tokens that it drew. Which ones is not recorded.
    ChannelTokens,
    /// Reports that it made.
    Reports,
    /// How often it was found by its name.
    Finds,
    /// Envelopes from people who found it.
    FoundEnvelopes,
}

/// By what somebody may write to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// A token that the account gave them.
    Given,
    /// The token that everybody gets who finds the account by its name.
    Found,
}

/// A report, as the administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReport {
    /// Who made it.
    pub reporter: AccountName,
    /// The reporter's name for it.
    pub id: ReportId,
    /// The day on which it came.
    pub day: u32,
    /// The report, encoded.
    pub report: Vec<u8>,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Good,
    /// The administrator suspended it.
    Suspended,
}

/// An account as the administrator sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSummary {
    /// The name.
    pub name: AccountName,
    /// How many devices it has.
    pub devices: u32,
    /// The day (since 1970-01-01, UTC) on which it was made.
    pub created_day: u32,
    /// The day of its last sign-in.
    pub seen_day: u32,
    /// Whether it may be used.
    pub standing: Standing,
    /// What the administrator allows it.
    pub quota: Quota,
    /// Bytes of envelopes that wait for it.
    pub envelope_bytes: u64,
}

/// What became of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deposit {
    /// It waits under this number.
    Stored(u64),
    /// It came before; nothing was done.
    Repeated,
    /// The inbox is full.
    Full,
}

/// What [`super::Store`] keeps of accounts.
pub trait AccountStore {
    /// Looks an account up.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_account(&mut self, name: &AccountName) -> Result<Option<StoredAccount>, StoreError>;
    /// Makes an account with its first device. It must not exist.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create_account(
        &mut self,
        name: &AccountName,
        root_key: &PublicKey,
        key_sets: &[KeySet],
        device: &DeviceRecord,
        day: u32,
    ) -> Result<(), StoreError>;
    /// Changes whether an account may be used. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_standing(&mut self, name: &AccountName, standing: Standing) -> Result<bool, StoreError>;
    /// Changes what an account is allowed. `false`: there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_quota(&mut self, name: &AccountName, quota: Quota) -> Result<bool, StoreError>;
    /// Notes the day of an account's last sign-in.
    ///
    /// # Errors
    /// [`StoreError`].
    fn note_seen(&mut self, name: &AccountName, day: u32) -> Result<(), StoreError>;
    /// All accounts, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list_accounts(&mut self) -> Result<Vec<AccountSummary>, StoreError>;
    /// An account's devices, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn list_devices(&mut self, name: &AccountName) -> Result<Vec<DeviceRecord>, StoreError>;
    /// One device.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_device(&mut self, device: &DeviceKey) -> Result<Option<DeviceRecord>, StoreError>;
    /// Adds a device to an account that has none of its id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_device(&mut self, name: &AccountName, device: &DeviceRecord) -> Result<(), StoreError>;
    /// Replaces an account's chain and the records of its devices. Devices that are not among `devices` are gone with
    /// their inboxes, and so is every KeyPackage of the account.
    ///
    /// # Errors
    /// [`StoreError`].
    fn replace_key_sets(
        &mut self,
        name: &AccountName,
        key_sets: &[KeySet],
        devices: &[DeviceRecord],
    ) -> Result<(), StoreError>;
    /// Remembers an invite until `expires_day`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_invite(&mut self, token: &Hash, expires_day: u32) -> Result<(), StoreError>;
    /// Whether an invite is good.
    ///
    /// # Errors
    /// [`StoreError`].
    fn has_invite(&mut self, token: &Hash, today: u32) -> Result<bool, StoreError>;
    /// Deletes an invite. Whom it admitted is not kept.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_invite(&mut self, token: &Hash) -> Result<(), StoreError>;
    /// Registers a delivery token, or replaces its expiry. `false`: the account has `tokens_max` others already.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
        tokens_max: usize,
    ) -> Result<bool, StoreError>;
    /// Withdraws a delivery token.
    ///
    /// # Errors
    /// [`StoreError`].
    fn remove_delivery_token(&mut self, name: &AccountName, token: &Hash) -> Result<(), StoreError>;
    /// What a delivery token is good for, and whether its account may be used. There is no difference between the
    /// token's not being there and the account's not being there.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        today: u32,
    ) -> Result<Option<(Admission, Standing)>, StoreError>;
    /// Lets an account be found with a token, which takes the place of the one before, or lets it not be found.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_findable(&mut self, name: &AccountName, token: Option<&DeliveryToken>) -> Result<(), StoreError>;
    /// Adds KeyPackages. One that was handed out a short while ago is not added again. `false`: there would be more than
    /// `packages_max`, and none was added.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_key_packages(
        &mut self,
        device: &DeviceKey,
        packages: &[&[u8]],
        packages_max: usize,
    ) -> Result<bool, StoreError>;
    /// Drops the KeyPackages that were not handed out, but for the one of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn drop_key_packages(&mut self, device: &DeviceKey) -> Result<(), StoreError>;
    /// Replaces the KeyPackage of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_last_resort(&mut self, device: &DeviceKey, package: &[u8]) -> Result<(), StoreError>;
    /// The KeyPackage of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn find_last_resort(&mut self, device: &DeviceKey) -> Result<Option<Vec<u8>>, StoreError>;
    /// KeyPackages left, without the one of last resort.
    ///
    /// # Errors
    /// [`StoreError`].
    fn count_key_packages(&mut self, device: &DeviceKey) -> Result<u32, StoreError>;
    /// Hands out a KeyPackage, for good; the one of last resort when no other is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn take_key_package(&mut self, device: &DeviceKey, today: u32) -> Result<Option<Vec<u8>>, StoreError>;
    /// Puts an envelope into an inbox, once for each delivery id.
    ///
    /// # Errors
    /// [`StoreError`].
    fn deposit(
        &mut self,
        device: &DeviceKey,
        id: &DeliveryId,
        envelope: &[u8],
        day: u32,
        envelopes_max: usize,
    ) -> Result<Deposit, StoreError>;
    /// Envelopes behind `after`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read_inbox(&mut self, device: &DeviceKey, after: u64, page: Page) -> Result<Vec<InboxEntry>, StoreError>;
    /// Deletes envelopes up to and including `through`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acknowledge_inbox(&mut self, device: &DeviceKey, through: u64) -> Result<(), StoreError>;
    /// How much was counted for an account today.
    ///
    /// # Errors
    /// [`StoreError`].
    fn tally(&mut self, name: &AccountName, what: Tally, today: u32) -> Result<u32, StoreError>;
    /// Replaces what was counted for an account today.
    ///
    /// # Errors
    /// [`StoreError`].
    fn set_tally(&mut self, name: &AccountName, what: Tally, today: u32, count: u32) -> Result<(), StoreError>;
    /// Keeps a report. `false`: the account made one of this id before, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError`].
    fn put_report(&mut self, name: &AccountName, id: &ReportId, report: &[u8], day: u32) -> Result<bool, StoreError>;
    /// Deletes expired tokens, invites and envelopes, at most `rows_max`. Returns how many; 0: nothing is left.
    ///
    /// # Errors
    /// [`StoreError`].
    fn sweep_accounts(&mut self, today: u32, rows_max: usize) -> Result<usize, StoreError>;
}

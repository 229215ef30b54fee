//! The devices of an account, and the keys that certify them (P-3.11 to P-3.13).

use super::append::check_size;
use super::connection::Speaker;
use super::{Batch, CloseReason, ConnectionId, Core, Fault, FrameClass};
use crate::store::{DeviceKey, Store};
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::frame::account::{Answer, FromServer, KeySetChange, Push};
use aside_protocol::frame::{RequestId, ServerFrame};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, verify_chain};
use aside_protocol::limit::{DEVICES_MAX, INBOX_KEY_BYTES_MAX, KEY_SETS_MAX};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;

/// What a request did to an account.
pub(super) enum Change {
    /// Nothing: it was so already.
    None,
    /// Its devices or key sets changed; these devices are no longer its.
    Changed { revoked: Vec<DeviceId> },
}

fn bad(what: impl ToString) -> Fault {
    Refusal::BadIdentity { what: what.to_string() }.into()
}

impl<S: Store> Core<S> {
    /// Shows an account its own chain and devices.
    pub(super) fn get_account(&mut self, name: &AccountName) -> Result<Answer, Fault> {
        Ok(Answer::Account(self.directory_account(name)?.ok_or(Refusal::NotSignedIn)?))
    }

    /// Adds a device; a repeat with the same record succeeds again.
    pub(super) fn add_device(&mut self, name: &AccountName, record: &DeviceRecord) -> Result<Change, Fault> {
        check_size(record.inbox_key.len(), INBOX_KEY_BYTES_MAX)?;
        let account = self.store.find_account(name)?.ok_or(Refusal::NotSignedIn)?;
        let certificate = &record.certificate;
        let key = DeviceKey { name: name.clone(), device: certificate.device };
        match self.store.find_device(&key)? {
            // A repeat, also one whose answer was lost before a new key set certified the device anew.
            Some(known) if is_same(&known, record) => return Ok(Change::None),
            Some(_) => return Err(bad("another device of the account has this id")),
            None => {}
        }
        if account.key_sets.iter().any(|set| set.revoked.contains(&certificate.device)) {
            return Err(bad("the device was revoked"));
        }
        let newest = account.key_sets.last().ok_or(Refusal::NotSignedIn)?;
        if certificate.key_set != newest.number {
            return Err(Refusal::StaleKeySet { current: newest.number }.into());
        }
        certificate.verify((&self.address_of(name), &account.root_key), newest).map_err(bad)?;
        record.verify().map_err(bad)?;
        if self.store.list_devices(name)?.len() >= DEVICES_MAX {
            return Err(Refusal::TooMany { max: DEVICES_MAX as u64 }.into());
        }
        self.store.add_device(name, record)?;
        Ok(Change::Changed { revoked: Vec::new() })
    }

    /// Continues an account's chain; a repeat of the newest key set succeeds again.
    pub(super) fn put_key_set(&mut self, name: &AccountName, change: KeySetChange) -> Result<Change, Fault> {
        let KeySetChange { key_set, certificates } = change;
        let account = self.store.find_account(name)?.ok_or(Refusal::NotSignedIn)?;
        if account.key_sets.last() == Some(&key_set) {
            return Ok(Change::None);
        }
        let current = account.newest();
        if key_set.number != current.saturating_add(1) {
            return Err(Refusal::StaleKeySet { current }.into());
        }
        let mut key_sets = account.key_sets;
        key_sets.push(key_set);
        if key_sets.len() > KEY_SETS_MAX {
            return Err(Refusal::TooMany { max: KEY_SETS_MAX as u64 }.into());
        }
        let address = self.address_of(name);
        let newest = verify_chain(&address, &account.root_key, &key_sets).map_err(bad)?;
        let is_revoked = |device: &DeviceId| key_sets.iter().any(|set: &KeySet| set.revoked.contains(device));
        let mut devices = self.store.list_devices(name)?;
        let revoked = devices.iter().map(|record| record.certificate.device).filter(is_revoked).collect();
        devices.retain(|record| !is_revoked(&record.certificate.device));
        if certificates.len() != devices.len() {
            return Err(bad("a key set comes with one certificate for each device that remains"));
        }
        for record in &mut devices {
            let of_it = |it: &&DeviceCertificate| it.is_of_same_device(&record.certificate);
            let certificate = certificates.iter().find(of_it).ok_or_else(|| bad("a device is left out"))?;
            certificate.verify((&address, &account.root_key), newest).map_err(bad)?;
            record.certificate = certificate.clone();
        }
        self.store.replace_key_sets(name, &key_sets, &devices)?;
        Ok(Change::Changed { revoked })
    }

    fn address_of(&self, name: &AccountName) -> AccountAddress {
        AccountAddress { name: name.clone(), server: self.config.address.clone() }
    }

    /// Answers a request that may have changed the account; then tells the account's other connections, and ends those of
    /// revoked devices. The asker's own may be one of them.
    pub(super) fn answer_change(
        &mut self,
        batch: &mut Batch<'_>,
        asker: (ConnectionId, RequestId),
        name: &AccountName,
        change: Change,
    ) -> Result<(), Fault> {
        self.answer_account(batch, asker, Answer::Done);
        let Change::Changed { revoked } = change else { return Ok(()) };
        let of_account = |(id, known): (&ConnectionId, &super::Connection)| {
            known.speaker.as_ref().filter(|speaker| speaker.name() == name).map(|speaker| (*id, speaker.clone()))
        };
        let mut connections: Vec<_> = self.connections.iter().filter_map(of_account).collect();
        connections.sort_by_key(|(id, _)| *id);
        let push: FromServer = ServerFrame::Push(Push::AccountChanged);
        let push = Bytes::from(push.encode());
        for (connection, speaker) in connections {
            let is_revoked = matches!(&speaker, Speaker::Device(key) if revoked.contains(&key.device));
            if is_revoked {
                self.close(batch, connection, Refusal::DeviceRevoked, CloseReason::Revoked);
            } else if connection != asker.0 {
                batch.send(connection, push.clone(), FrameClass::Push);
                self.counters.pushed = self.counters.pushed.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// Whether two records are of one device with the same keys, by whatever key set it is certified.
fn is_same(known: &DeviceRecord, other: &DeviceRecord) -> bool {
    known.certificate.is_of_same_device(&other.certificate) && known.inbox_key == other.inbox_key
}

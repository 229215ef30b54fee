//! Accounts: registration by invite, signing in, and the tokens that an account hands out or draws.

use super::connection::Speaker;
use super::{Batch, ConnectionId, Core, Fault};
use crate::store::{DeviceKey, Standing, Store, StoreError, StoredAccount, Tally};
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::frame::account::{
    Answer, Registration, SignIn, SignInAsRoot, verify_sign_in, verify_sign_in_as_root,
};
use aside_protocol::id::Hash;
use aside_protocol::identity::MemberCredential;
use aside_protocol::inbox::ChannelToken;
use aside_protocol::limit::{DELIVERY_TOKENS_MAX, INBOX_KEY_BYTES_MAX};
use aside_protocol::refusal::Refusal;

/// Days for which a channel token can be spent. The day that is stored with it is all that tells when it was drawn.
pub const CHANNEL_TOKEN_DAYS: u32 = 14;

impl<S: Store> Core<S> {
    /// Makes an account with its first device, and signs it in. A repeat with the same keys succeeds again.
    pub(super) fn register(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        registration: Registration,
    ) -> Result<Answer, Fault> {
        self.check_identity(connection, &registration)?;
        let Registration { invite, name, root_key, key_sets, device, signature: _ } = registration;
        let key = DeviceKey { name, device: device.certificate.device };
        let known = self.store.find_account(&key.name)?;
        if let Some(account) = &known
            && account.root_key == root_key
            && account.key_sets == key_sets
            && self.store.find_device(&key)?.as_ref() == Some(&device)
        {
            expect_good(account)?;
            self.signed_in_as(batch, connection, Speaker::Device(key))?;
            return Ok(Answer::Done);
        }
        // The invite comes first: without one nobody finds out which names are taken.
        let today = batch.now.day();
        if !self.store.has_invite(&invite.hash(), today)? {
            return Err(Refusal::BadInvite.into());
        }
        if known.is_some() {
            return Err(Refusal::NameTaken.into());
        }
        self.store.remove_invite(&invite.hash())?;
        self.store.create_account(&key.name, &root_key, &key_sets, &device, today)?;
        self.signed_in_as(batch, connection, Speaker::Device(key))?;
        Ok(Answer::Done)
    }

    /// Checks everything about a new account that can be checked without the store.
    fn check_identity(&self, connection: ConnectionId, registration: &Registration) -> Result<(), Fault> {
        let bad = |what: String| Fault::Refused(Refusal::BadIdentity { what });
        let binding = self.connections.get(&connection).map(|known| known.binding).ok_or(Refusal::NotSignedIn)?;
        let device = &registration.device;
        super::append::check_size(device.inbox_key.len(), INBOX_KEY_BYTES_MAX)?;
        if registration.key_sets.len() != 1 {
            return Err(bad("a new account has one key set".to_owned()));
        }
        let credential = MemberCredential {
            address: AccountAddress { name: registration.name.clone(), server: self.config.address.clone() },
            root_key: registration.root_key,
            key_sets: registration.key_sets.clone(),
            certificate: device.certificate.clone(),
        };
        credential.verify().map_err(|error| bad(error.to_string()))?;
        device.verify().map_err(|error| bad(error.to_string()))?;
        let key = &device.certificate.signature_key;
        verify_sign_in(key, &binding, &device.certificate.device, &registration.signature)
            .map_err(|error| bad(error.to_string()))
    }

    /// Signs a device in. An account, a device and a signature that do not fit are one refusal.
    pub(super) fn sign_in(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        sign_in: &SignIn,
    ) -> Result<Answer, Fault> {
        let binding = self.connections.get(&connection).map(|known| known.binding).ok_or(Refusal::NotSignedIn)?;
        let account = self.store.find_account(&sign_in.name)?.ok_or(Refusal::UnknownDevice)?;
        let key = DeviceKey { name: sign_in.name.clone(), device: sign_in.device };
        if account.key_sets.iter().any(|set| set.revoked.contains(&sign_in.device)) {
            return Err(Refusal::DeviceRevoked.into());
        }
        let record = self.store.find_device(&key)?.ok_or(Refusal::UnknownDevice)?;
        verify_sign_in(&record.certificate.signature_key, &binding, &sign_in.device, &sign_in.signature)
            .map_err(|_| Refusal::UnknownDevice)?;
        expect_good(&account)?;
        self.signed_in_as(batch, connection, Speaker::Device(key))?;
        Ok(Answer::Done)
    }

    /// Signs the account's root key in (P-3.13), as [`Core::sign_in`] does a device.
    pub(super) fn sign_in_as_root(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        sign_in: &SignInAsRoot,
    ) -> Result<Answer, Fault> {
        let binding = self.connections.get(&connection).map(|known| known.binding).ok_or(Refusal::NotSignedIn)?;
        let account = self.store.find_account(&sign_in.name)?.ok_or(Refusal::UnknownDevice)?;
        verify_sign_in_as_root(&account.root_key, &binding, &sign_in.name, &sign_in.signature)
            .map_err(|_| Refusal::UnknownDevice)?;
        expect_good(&account)?;
        self.signed_in_as(batch, connection, Speaker::Root(sign_in.name.clone()))?;
        Ok(Answer::Done)
    }

    fn signed_in_as(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        speaker: Speaker,
    ) -> Result<(), StoreError> {
        self.store.note_seen(speaker.name(), batch.now.day())?;
        let Some(known) = self.connections.get_mut(&connection) else { return Ok(()) };
        if let Some(Speaker::Device(before)) = known.speaker.replace(speaker) {
            super::connection::remove_from(&mut self.inboxes, &before, connection);
        }
        batch.changed.insert(connection);
        Ok(())
    }

    /// Registers a delivery token by its hash.
    pub(super) fn put_delivery_token(
        &mut self,
        name: &AccountName,
        token: &Hash,
        expires_day: Option<u32>,
    ) -> Result<Answer, Fault> {
        if self.store.put_delivery_token(name, token, expires_day, DELIVERY_TOKENS_MAX)? {
            return Ok(Answer::Done);
        }
        Err(Refusal::TooMany { max: DELIVERY_TOKENS_MAX as u64 }.into())
    }

    /// Draws channel tokens. The account side learns how many, the channel side which: nothing joins the two.
    pub(super) fn draw_channel_tokens(
        &mut self,
        batch: &mut Batch<'_>,
        name: &AccountName,
        count: u32,
    ) -> Result<Answer, Fault> {
        let account = self.store.find_account(name)?.ok_or(Refusal::NotSignedIn)?;
        let (today, a_day) =
            (batch.now.day(), account.quota.channels_a_day.unwrap_or(self.config.channel_tokens_a_day));
        let drawn = self.store.tally(name, Tally::ChannelTokens, today)?;
        let granted = count.min(a_day.saturating_sub(drawn));
        if granted == 0 && count > 0 {
            return Err(Refusal::ChannelTokensDrawn { a_day }.into());
        }
        let mut tokens = Vec::new();
        for _ in 0..granted {
            let mut token = ChannelToken([0; 32]);
            batch.randomness.fill_bytes(&mut token.0);
            self.store.put_channel_token(&token.hash(), today.saturating_add(CHANNEL_TOKEN_DAYS))?;
            tokens.push(token);
        }
        if granted > 0 {
            self.store.set_tally(name, Tally::ChannelTokens, today, drawn.saturating_add(granted))?;
        }
        Ok(Answer::ChannelTokens(tokens))
    }
}

fn expect_good(account: &StoredAccount) -> Result<(), Refusal> {
    match account.standing {
        Standing::Good => Ok(()),
        Standing::Suspended => Err(Refusal::Suspended),
    }
}

//! What the core knows of a connection: who signed in on it, what was proved on it, what it is subscribed to.

use super::{Batch, Core, Fault, FrameClass};
use crate::store::{DeviceKey, Store};
use aside_protocol::address::AccountName;
use aside_protocol::channel::Purpose;
use aside_protocol::frame::{RequestId, ServerFrame, account, anonymous};
use aside_protocol::id::{Binding, ChannelId};
use aside_protocol::limit::{FINDS_A_CONNECTION, SUBSCRIPTIONS_MAX};
use aside_protocol::refusal::Refusal;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// Proofs that one connection holds for one channel: enough to catch up over, few enough to bound memory. The oldest
/// goes first.
const PROOFS_A_CHANNEL_MAX: usize = 16;

/// The caller's name for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The two kinds of connection, which a client keeps apart so that they cannot be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Speaks for a device of an account.
    Account,
    /// Speaks for nobody.
    Anonymous,
}

/// What a connection did with one channel.
#[derive(Default)]
pub(super) struct Access {
    proofs: VecDeque<(u64, Purpose)>,
    /// Whether it gets the channel's pushes.
    pub(super) live: Option<Live>,
}

/// A live subscription.
pub(super) struct Live;

/// Who signed in on an account connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Speaker {
    /// A device.
    Device(DeviceKey),
    /// Whoever holds the account's root key.
    Root(AccountName),
}

impl Speaker {
    /// The account.
    pub(super) fn name(&self) -> &AccountName {
        match self {
            Self::Device(device) => &device.name,
            Self::Root(name) => name,
        }
    }
}

pub(super) struct Connection {
    kind: ConnectionKind,
    pub(super) binding: Binding,
    /// Who signed in; on an account connection only.
    pub(super) speaker: Option<Speaker>,
    channels: HashMap<ChannelId, Access>,
    /// The day, and the names that it asked for on it.
    finds: (u32, u32),
}

impl Connection {
    pub(super) fn new(kind: ConnectionKind, binding: Binding) -> Self {
        Self { kind, binding, speaker: None, channels: HashMap::new(), finds: (0, 0) }
    }

    /// Whether a proof was made on this connection.
    pub(super) fn has_proved(&self, channel: &ChannelId, epoch: u64, purpose: Purpose) -> bool {
        self.channels.get(channel).is_some_and(|access| access.proofs.contains(&(epoch, purpose)))
    }

    /// Remembers a proof.
    pub(super) fn remember_proof(&mut self, channel: ChannelId, epoch: u64, purpose: Purpose) -> Result<(), Refusal> {
        if !self.channels.contains_key(&channel) && self.channels.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refusal::TooMany { max: SUBSCRIPTIONS_MAX as u64 });
        }
        let proofs = &mut self.channels.entry(channel).or_default().proofs;
        if !proofs.contains(&(epoch, purpose)) {
            if proofs.len() >= PROOFS_A_CHANNEL_MAX {
                proofs.pop_front();
            }
            proofs.push_back((epoch, purpose));
        }
        Ok(())
    }

    /// Counts a question for a name against the connection.
    pub(super) fn count_find(&mut self, today: u32) -> Result<(), Refusal> {
        let count = if self.finds.0 == today { self.finds.1 } else { 0 };
        if count >= FINDS_A_CONNECTION {
            return Err(Refusal::DailyLimit { a_day: FINDS_A_CONNECTION });
        }
        self.finds = (today, count.saturating_add(1));
        Ok(())
    }

    /// What it did with a channel, if anything.
    pub(super) fn access(&mut self, channel: &ChannelId) -> Option<&mut Access> {
        self.channels.get_mut(channel)
    }
}

/// Encodes a refusal; the encoding is the same on both kinds of connection.
pub(super) fn refused(id: RequestId, refusal: Refusal) -> Bytes {
    let frame: anonymous::FromServer = ServerFrame::Refused(id, refusal);
    frame.encode().into()
}

impl<S: Store> Core<S> {
    /// Forgets a connection.
    pub(super) fn disconnect(&mut self, connection: ConnectionId) {
        let Some(state) = self.connections.remove(&connection) else { return };
        for (channel, access) in &state.channels {
            if access.live.is_some() {
                remove_from(&mut self.subscribers, channel, connection);
            }
        }
        if let Some(Speaker::Device(device)) = &state.speaker {
            remove_from(&mut self.inboxes, device, connection);
        }
    }

    /// Handles a request on the account connection.
    pub(super) fn handle_account(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        id: RequestId,
        request: account::Request,
    ) -> Result<(), Fault> {
        use account::Request;
        self.expect_kind(connection, ConnectionKind::Account)?;
        let answer = match request {
            Request::Register(registration) => self.register(batch, connection, registration)?,
            Request::SignIn(sign_in) => self.sign_in(batch, connection, &sign_in)?,
            Request::SignInAsRoot(sign_in) => self.sign_in_as_root(batch, connection, &sign_in)?,
            Request::GetAccount => self.get_account(&self.speaker(connection)?)?,
            Request::GetBackup { part } => self.get_backup(&self.speaker(connection)?, part)?,
            Request::AddDevice(record) => {
                let name = self.speaker(connection)?;
                let change = self.add_device(&name, &record)?;
                return self.answer_change(batch, (connection, id), &name, change);
            }
            Request::PutKeySet(change) => {
                let name = self.speaker(connection)?;
                let change = self.put_key_set(&name, change)?;
                return self.answer_change(batch, (connection, id), &name, change);
            }
            other => {
                let device = self.signed_in(connection)?;
                self.handle_signed_in(batch, connection, device, other)?
            }
        };
        self.answer_account(batch, (connection, id), answer);
        Ok(())
    }

    /// Sends an answer on the account connection.
    pub(super) fn answer_account(
        &mut self,
        batch: &mut Batch<'_>,
        (connection, id): (ConnectionId, RequestId),
        answer: account::Answer,
    ) {
        self.counters.answered = self.counters.answered.saturating_add(1);
        let frame: account::FromServer = ServerFrame::Answer(id, answer);
        batch.send(connection, frame.encode().into(), FrameClass::Reply);
    }

    /// Handles a request of a device that is known.
    fn handle_signed_in(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        device: DeviceKey,
        request: account::Request,
    ) -> Result<account::Answer, Fault> {
        use account::{Answer, Request};
        match request {
            Request::PublishKeyPackages(packages) => self.publish_key_packages(&device, &packages),
            Request::CountKeyPackages => Ok(Answer::KeyPackageCount(self.store.count_key_packages(&device)?)),
            Request::ReadInbox { after } => self.read_inbox(batch, connection, device, after),
            Request::AcknowledgeInbox { through } => {
                self.store.acknowledge_inbox(&device, through)?;
                Ok(Answer::Done)
            }
            Request::PutDeliveryToken { token, expires_day } => {
                self.put_delivery_token(&device.name, &token, expires_day)
            }
            Request::RevokeDeliveryToken { token } => {
                self.store.remove_delivery_token(&device.name, &token)?;
                Ok(Answer::Done)
            }
            Request::DrawChannelTokens { count } => self.draw_channel_tokens(batch, &device.name, count),
            Request::PutBackup(part) => self.put_backup(batch, &device.name, &part),
            Request::Report(report) => self.report(batch, &device.name, &report),
            Request::SetFindable { token } => {
                self.store.set_findable(&device.name, token.as_ref())?;
                Ok(Answer::Done)
            }
            // Those that every speaker may make were handled before.
            Request::Register(_)
            | Request::SignIn(_)
            | Request::SignInAsRoot(_)
            | Request::GetAccount
            | Request::GetBackup { .. }
            | Request::AddDevice(_)
            | Request::PutKeySet(_) => Err(Refusal::NotSignedIn.into()),
        }
    }

    /// Handles a request on the anonymous connection.
    pub(super) fn handle_anonymous(
        &mut self,
        batch: &mut Batch<'_>,
        connection: ConnectionId,
        id: RequestId,
        request: anonymous::Request,
    ) -> Result<(), Fault> {
        use anonymous::{Answer, Request};
        self.expect_kind(connection, ConnectionKind::Anonymous)?;
        let answer = match request {
            Request::FetchKeyPackages { account, token } => self.fetch_key_packages(batch, &account, &token)?,
            Request::Deliver(delivery) => self.deliver(batch, delivery)?,
            Request::CreateChannel { channel, token, epoch, keys } => {
                self.create_channel(batch, channel, &token, epoch, &keys)?
            }
            Request::Prove(proof) => self.prove(batch, connection, &proof)?,
            Request::Subscribe { channel, epoch, after } => self.subscribe(batch, connection, channel, epoch, after)?,
            Request::Unsubscribe { channel } => self.unsubscribe(batch, connection, &channel),
            Request::Append { channel, entries } => return self.append(batch, (connection, id), channel, entries),
            Request::Commit { channel, entry } => return self.commit_epoch(batch, (connection, id), channel, entry),
            Request::Ephemeral { channel, epoch, body } => {
                self.ephemeral(batch, connection, channel, epoch, body)?;
                Answer::Done
            }
            Request::FetchAccount { account, token } => self.fetch_account(batch, &account, &token)?,
            Request::PutBlob(blob) => self.put_blob(batch, &blob)?,
            Request::GetBlob { capability } => self.get_blob(batch, &capability)?,
            Request::FindByName { account } => self.find_by_name(batch, connection, &account)?,
        };
        self.answer_anonymous(batch, (connection, id), answer);
        Ok(())
    }

    /// Sends an answer on the anonymous connection.
    pub(super) fn answer_anonymous(
        &mut self,
        batch: &mut Batch<'_>,
        (connection, id): (ConnectionId, RequestId),
        answer: anonymous::Answer,
    ) {
        self.counters.answered = self.counters.answered.saturating_add(1);
        let frame: anonymous::FromServer = ServerFrame::Answer(id, answer);
        batch.send(connection, frame.encode().into(), FrameClass::Reply);
    }

    fn expect_kind(&self, connection: ConnectionId, kind: ConnectionKind) -> Result<(), Fault> {
        match self.connections.get(&connection) {
            Some(state) if state.kind == kind => Ok(()),
            _ => Err(Refusal::Malformed { what: "a request for the other kind of connection".to_owned() }.into()),
        }
    }

    fn signed_in(&self, connection: ConnectionId) -> Result<DeviceKey, Refusal> {
        match self.connections.get(&connection).and_then(|state| state.speaker.as_ref()) {
            Some(Speaker::Device(device)) => Ok(device.clone()),
            Some(Speaker::Root(_)) | None => Err(Refusal::NotSignedIn),
        }
    }

    /// For which account a device or the root key speaks.
    fn speaker(&self, connection: ConnectionId) -> Result<AccountName, Refusal> {
        let speaker = self.connections.get(&connection).and_then(|state| state.speaker.as_ref());
        speaker.map(|speaker| speaker.name().clone()).ok_or(Refusal::NotSignedIn)
    }
}

/// Takes a connection out of a list, and the list out of the map with its last.
pub(super) fn remove_from<K: std::hash::Hash + Eq>(
    map: &mut HashMap<K, Vec<ConnectionId>>,
    key: &K,
    connection: ConnectionId,
) {
    if let Some(list) = map.get_mut(key) {
        list.retain(|other| *other != connection);
        if list.is_empty() {
            map.remove(key);
        }
    }
}

//! What the core knows of a connection: who signed in on it, what was proved on it, what it is subscribed to.

use super::{Batch, Core, Fault, FrameClass};
use crate::store::{DeviceKey, Store};
use aside_protocol::channel::Purpose;
use aside_protocol::frame::{RequestId, ServerFrame, account, anonymous};
use aside_protocol::id::{Binding, ChannelId};
use aside_protocol::limit::SUBSCRIPTIONS_MAX;
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

pub(super) struct Connection {
    kind: ConnectionKind,
    pub(super) binding: Binding,
    /// Who signed in; on an account connection only.
    pub(super) device: Option<DeviceKey>,
    channels: HashMap<ChannelId, Access>,
}

impl Connection {
    pub(super) fn new(kind: ConnectionKind, binding: Binding) -> Self {
        Self { kind, binding, device: None, channels: HashMap::new() }
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
        if let Some(device) = &state.device {
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
            other => {
                let device = self.signed_in(connection)?;
                self.handle_signed_in(batch, connection, device, other)?
            }
        };
        self.counters.answered = self.counters.answered.saturating_add(1);
        let frame: account::FromServer = ServerFrame::Answer(id, answer);
        batch.send(connection, frame.encode().into(), FrameClass::Reply);
        Ok(())
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
            Request::Register(_) | Request::SignIn(_) => Err(Refusal::NotSignedIn.into()),
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

    fn signed_in(&self, connection: ConnectionId) -> Result<DeviceKey, Fault> {
        let device = self.connections.get(&connection).and_then(|state| state.device.clone());
        device.ok_or(Fault::Refused(Refusal::NotSignedIn))
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

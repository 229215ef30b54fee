//! What the engine knows of its connections: nothing here outlives one, and everything here can be lost at any time.

pub(crate) mod account;
pub(crate) mod anonymous;

use crate::context::Context;
use crate::input::{ConnectionKind, Link};
use crate::job::JobId;
use aside_protocol::channel::Purpose;
use aside_protocol::frame::{ClientFrame, RequestId, account as account_frame, anonymous as anonymous_frame};
use aside_protocol::id::{AppendId, Binding, ChannelId};
use std::collections::{BTreeMap, BTreeSet};

/// A request that waits for its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flight {
    Register,
    SignIn,
    CountKeyPackages,
    PublishKeyPackages {
        last_resort: bool,
    },
    ReadInbox,
    AcknowledgeInbox,
    DrawChannelTokens,
    Job(JobId),
    /// A job that a channel token pays for, which is struck out with the answer.
    Paid(JobId, aside_protocol::inbox::ChannelToken),
    Prove(ChannelId, u64),
    Subscribe(ChannelId, u64),
    Append(ChannelId, Vec<AppendId>),
    Commit(ChannelId),
    Ephemeral,
    /// The home server's list of this account's devices.
    GetAccount,
    /// Of a device that is being linked.
    LinkAccount,
    LinkRequest,
    LinkSignIn,
    /// A part of a backup of this generation.
    PutBackup(u64),
    TryBackup(u32),
    Restore(crate::recovery::restore::Step),
}

/// How far a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Asked for, in this epoch.
    Asked(u64),
    /// Pushes follow, in this epoch.
    Live(u64),
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct LinkState {
    pub binding: Binding,
    next_request: u32,
    pub in_flight: BTreeMap<RequestId, Flight>,
    /// On the account link: signed in. The anonymous one is always ready.
    pub ready: bool,
    pub subscriptions: BTreeMap<ChannelId, Subscription>,
    pub proofs: BTreeSet<(ChannelId, u64, Purpose)>,
    /// On the account link: no channel tokens are drawn before, because the server has refused more.
    pub draws_from_ms: i64,
}

impl LinkState {
    pub fn new(link: Link, binding: Binding) -> Self {
        Self {
            binding,
            next_request: 1,
            in_flight: BTreeMap::new(),
            ready: link.kind == ConnectionKind::Anonymous,
            subscriptions: BTreeMap::new(),
            proofs: BTreeSet::new(),
            draws_from_ms: 0,
        }
    }

    fn number(&mut self, flight: Flight) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        self.in_flight.insert(id, flight);
        id
    }

    /// Sends a request on the account connection.
    pub fn ask_account(
        &mut self,
        context: &mut Context<'_>,
        link: Link,
        request: account_frame::Request,
        flight: Flight,
    ) {
        let id = self.number(flight);
        context.send(link, ClientFrame::Request(id, request).encode());
    }

    /// Sends a request on an anonymous connection.
    pub fn ask_anonymous(
        &mut self,
        context: &mut Context<'_>,
        link: Link,
        request: anonymous_frame::Request,
        flight: Flight,
    ) {
        let id = self.number(flight);
        context.send(link, ClientFrame::Request(id, request).encode());
    }

    /// Whether such a request waits.
    pub fn waits_for(&self, is: impl Fn(&Flight) -> bool) -> bool {
        self.in_flight.values().any(is)
    }

    /// Whether this channel's log is read to its end, in this epoch.
    pub fn is_live(&self, channel: &ChannelId, epoch: u64) -> bool {
        self.subscriptions.get(channel) == Some(&Subscription::Live(epoch))
    }

    /// Whether the log may be written to: it is read to its end, and nothing that was sent waits for its answer.
    pub fn may_write(&self, channel: &ChannelId, epoch: u64) -> bool {
        let is_busy = self.waits_for(|flight| match flight {
            Flight::Append(id, _) | Flight::Commit(id) => id == channel,
            _ => false,
        });
        self.is_live(channel, epoch) && !is_busy
    }

    /// Jobs on their way.
    pub fn jobs_in_flight(&self) -> usize {
        self.in_flight.values().filter(|flight| matches!(flight, Flight::Job(_) | Flight::Paid(..))).count()
    }
}

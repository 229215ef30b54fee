//! The end of all troubles: everything starts, connects, and runs until nothing moves and nobody wants to be woken.

use super::World;
use super::ledger::Place;
use super::people::Device;
use aside_engine::Engine;
use aside_engine::input::Input;
use aside_engine::view::{Conversation, ConversationKind, ConversationState, JoinState, LinkingState, Member, Role};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::ChannelId;
use std::collections::BTreeSet;

/// Rounds after which a world that still moves is called broken. What may never be answered, such as the keys of a device that
/// was lost before it published any, is asked for with growing pauses by each device and for each log: dozens of them take
/// their time, and do not go in a circle.
const ROUNDS_MAX: usize = 8_000;
/// Connections that a device opens in one round, and frames that it takes: whoever goes in a circle gets to the end.
const CONNECTIONS_MAX: usize = 6;
const FRAMES_MAX: usize = 2_000;
/// Wishes to be woken later than this are not waited for: whatever a day's limit put off comes before.
const HORIZON_MS: i64 = 26 * 3_600_000;

impl World {
    pub(super) fn mend(&mut self) {
        self.note(|| "mending begins".into());
        self.end_ill();
        self.is_mending = true;
        self.come_to_rest();
    }

    /// Goes on without trouble until nothing moves.
    pub(super) fn come_to_rest(&mut self) {
        self.is_calm = true;
        let begin_ms = self.now_ms;
        // Whoever was done ill to asks until they give up, and whoever did it may never answer.
        let rounds_max = if self.ledger.hostile.is_some() { 4 * ROUNDS_MAX } else { ROUNDS_MAX };
        for round in 0..rounds_max {
            if self.fault.is_some() {
                return;
            }
            if self.round() {
                continue;
            }
            if round > ROUNDS_MAX && self.is_at_rest() {
                return;
            }
            let due = self.in_use().into_iter().filter_map(|(_, device)| device.client.wake_at).min();
            match due {
                Some(at) if at.saturating_sub(begin_ms) < HORIZON_MS => self.now_ms = self.now_ms.max(at),
                _ if self.is_at_rest() => return,
                // Somebody has something to do and does not say when.
                _ => break,
            }
        }
        // The last round may have been the one in which the last thing was done.
        if self.is_at_rest() {
            return;
        }
        let unsettled: Vec<String> = self
            .in_use()
            .into_iter()
            .filter(|(who, _)| !self.is_hostile(*who))
            .filter(|(who, device)| !device.client.engine().is_some_and(|engine| self.is_done(*who, engine)))
            .map(|(_, device)| {
                let left = device.client.engine().and_then(|engine| engine.unsettled().ok()).unwrap_or_default();
                format!("{} (woken at {:?} of {}): {left}", device.name(), device.client.wake_at, self.now_ms)
            })
            .collect();
        self.blame(format!("the world never comes to rest; unsettled: {unsettled:?}"));
    }

    fn is_at_rest(&self) -> bool {
        let mut honest = self.in_use().into_iter().filter(|(who, _)| !self.is_hostile(*who));
        honest.all(|(who, device)| device.client.engine().is_some_and(|engine| self.is_done(who, engine)))
    }

    /// Whether nothing moves in an engine, but for what only somebody with ill will could answer.
    fn is_done(&self, who: usize, engine: &Engine) -> bool {
        let mut conversations = engine.conversations().unwrap_or_default().into_iter();
        let is_excused = |it: Conversation| self.is_excused(who, &it);
        is_at_rest(engine) || self.has_forgotten_its_own(who) || conversations.any(is_excused)
    }

    /// Whether an older copy knows nothing of the log in which its person's devices tell each other everything.
    pub(crate) fn has_forgotten_its_own(&self, who: usize) -> bool {
        let person = self.devices.get(who).and_then(|device| self.people.get(device.person));
        person.is_some_and(|person| self.ledger.has_forgotten(who, &Place::Own(person.address.clone())))
    }

    /// Whether a device of somebody is in a log of a conversation that its older copy knows nothing of.
    pub(crate) fn has_forgotten_log_of(&self, address: &AccountAddress, place: &Place) -> bool {
        let is_theirs = |device: &Device| device.id.as_ref().is_some_and(|(own, _)| own == address);
        let mut theirs = self.devices.iter().enumerate().filter(|(_, device)| is_theirs(device));
        theirs.any(|(who, _)| self.ledger.has_forgotten(who, place))
    }

    /// Whether all devices of somebody that ever read one of these logs are older copies that know nothing of it.
    pub(crate) fn have_forgotten(&self, address: &AccountAddress, logs: &BTreeSet<ChannelId>) -> bool {
        let is_theirs = |who: usize| {
            self.devices.get(who).and_then(|device| device.id.as_ref()).is_some_and(|(own, _)| own == address)
        };
        let stood = self.ledger.reached.iter().filter(|(who, log, _)| logs.contains(log) && is_theirs(*who));
        let mut readers = stood.map(|(who, log, _)| self.ledger.forgotten.contains(&(*who, *log))).peekable();
        readers.peek().is_some() && readers.all(|is_forgotten| is_forgotten)
    }

    /// Whether a conversation may be stuck for ever: where only somebody with ill will could help, or where a device was set
    /// back to before it was there, and waits for the other person to begin what they had begun long ago.
    pub(crate) fn is_excused(&self, who: usize, it: &Conversation) -> bool {
        let is_forgotten = || self.place(who, &it.id).is_some_and(|place| self.ledger.has_forgotten(who, &place));
        let is_begun_before = it.state == ConversationState::Pending && is_forgotten();
        is_begun_before || self.is_cut_off(who, it) || self.waits_for_hostile(it)
    }

    /// Whether a conversation of two is stuck, and the other person is somebody with ill will.
    pub(crate) fn waits_for_hostile(&self, it: &Conversation) -> bool {
        let is_stuck = matches!(it.state, ConversationState::Pending | ConversationState::Paused);
        is_stuck && it.peer.is_some() && it.peer.as_ref() == self.hostile_address()
    }

    /// Whether a device is stuck in a group that somebody with ill will broke, with no admin but them: whoever would take
    /// everybody along into another channel (P-9.8) has no way to reach one of them, or, where only a commit that the others
    /// refused let the device in, is among those others, who never knew it as a member. An admin among those does not, either.
    pub(crate) fn is_cut_off(&self, who: usize, group: &Conversation) -> bool {
        let engine = self.devices.get(who).and_then(|device| device.client.engine());
        let (Some(hostile), Some(engine)) = (self.hostile_address(), engine) else { return false };
        let contacts = engine.contacts().unwrap_or_default();
        let is_known = |one: &Member| contacts.iter().any(|contact| contact.address == one.person.address);
        let is_lured = self.is_lured(who, &group.id);
        let knows_it = |one: &Member| !is_lured || self.is_lured_too(&one.person.address, who, &group.id);
        let is_led = |one: &Member| one.role == Role::Admin && one.person.address != *hostile && knows_it(one);
        group.kind == ConversationKind::Group
            && group.state == ConversationState::Pending
            && !group.members.iter().any(is_led)
            && (!group.members.iter().all(|one| one.person.is_self || is_known(one)) || is_lured)
    }

    /// The devices that nobody took out: the others have things left to do for which nobody lets them in.
    fn in_use(&self) -> Vec<(usize, &Device)> {
        self.devices.iter().enumerate().filter(|(who, _)| !self.is_revoked(*who)).collect()
    }

    /// Everybody does what there is to be done. `true` if anything moved.
    fn round(&mut self) -> bool {
        self.now_ms = self.now_ms.saturating_add(20);
        let mut moved = false;
        for number in 0..self.sites.len() {
            if self.sites.get(number).is_some_and(|site| !site.server.is_running()) {
                self.start_server(number);
                moved = true;
            }
            let unnoticed = self.sites.get_mut(number).map(|site| std::mem::take(&mut site.unnoticed));
            for connection in unnoticed.unwrap_or_default() {
                self.serve_batch(number, vec![aside_server::core::Input::Disconnected { connection }]);
            }
        }
        for who in 0..self.devices.len() {
            for _ in 0..CONNECTIONS_MAX {
                moved |= self.connect_one(who);
            }
            moved |= self.accept_everything(who) || self.go_on_linking(who);
            let now_ms = self.now_ms;
            let is_due = self.devices.get(who).and_then(|device| device.client.wake_at).is_some_and(|at| at <= now_ms);
            if is_due {
                self.handle(who, Input::Tick);
                moved = true;
            }
        }
        for number in 0..self.sites.len() {
            moved |= self.serve_everything(number);
        }
        for who in 0..self.devices.len() {
            let mut left = FRAMES_MAX;
            while left > 0 && self.receive_one(who) {
                (left, moved) = (left - 1, true);
            }
        }
        moved
    }
}

/// Whether nothing moves in an engine: settled, or without an account.
fn is_at_rest(engine: &Engine) -> bool {
    let has_no_account = matches!(engine.join_state(), Ok(JoinState::NotJoined));
    // A paused conversation keeps its queue; the check says so by name.
    let is_paused = engine
        .conversations()
        .unwrap_or_default()
        .iter()
        .any(|conversation| conversation.state == ConversationState::Paused && !conversation.left);
    let is_linking = engine.linking().ok().flatten().is_some_and(|linking| linking.state != LinkingState::Failed);
    (has_no_account && !is_linking) || is_paused || engine.is_settled_but_for_refused().unwrap_or(false)
}

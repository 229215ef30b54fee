//! The network: connections between devices and servers, over which frames go in order, each connection at its own pace.

use super::World;
use crate::client::Crash;
use crate::link::Wire;
use aside_engine::input::{ConnectionKind, Input, Link};
use aside_protocol::frame::ServerFrame;
use aside_protocol::frame::anonymous::{self, Push};
use aside_protocol::id::Binding;
use aside_protocol::refusal::Refusal;
use aside_server::core::{self, ConnectionId, Input as ServerInput, Output as ServerOutput, Request};

fn kind(link: Link) -> core::ConnectionKind {
    match link.kind {
        ConnectionKind::Account => core::ConnectionKind::Account,
        ConnectionKind::Anonymous => core::ConnectionKind::Anonymous,
    }
}

/// After so many connections that it gave up a device that comes to no rest is taken for one that no server lets in.
const GIVEN_UP_MAX: usize = 200;

impl World {
    /// Starts what is down, or opens a connection that is wanted. `true` if anything was done.
    pub(super) fn connect_one(&mut self, who: usize) -> bool {
        // One that was taken out, and cannot prove it to itself, would try to sign in until the end of time, also where only
        // whoever did it, and is never seen again, could know of it.
        let is_refused = self.devices.get(who).is_some_and(|device| device.given_up > GIVEN_UP_MAX);
        let is_out = self.is_mending && (is_refused || self.is_revoked(who));
        let Some(device) = self.devices.get_mut(who).filter(|device| !device.is_away) else { return false };
        if !device.client.is_running() {
            let started = device.client.start();
            let line = format!("{} starts", device.name());
            if let Err(fault) = started {
                self.blame(fault);
            }
            self.note(|| line);
            self.observe(who);
            return true;
        }
        let wanted = device.client.engine().map(|engine| engine.wanted().unwrap_or_default()).unwrap_or_default();
        let missing: Vec<_> =
            wanted.into_iter().filter(|wanted| !device.client.wires.contains_key(&wanted.link)).collect();
        let missing: Vec<_> =
            missing.into_iter().filter(|it| !is_out || it.link.kind == ConnectionKind::Anonymous).collect();
        let Some(wanted) = missing.get(self.dice.below(missing.len())) else { return false };
        let Some(number) = self.sites.iter().position(|site| site.pin == wanted.server) else { return false };
        self.open(who, wanted.link, number)
    }

    pub(super) fn connect(&mut self, who: usize) {
        let down = self.sites.iter().position(|site| !site.server.is_running() && !site.is_held_down);
        match down {
            Some(number) if self.dice.per_mille(500) => self.start_server(number),
            _ => {
                self.connect_one(who);
            }
        }
    }

    pub(super) fn start_server(&mut self, number: usize) {
        if let Some(site) = self.sites.get_mut(number) {
            site.server.start();
            self.note(|| format!("server {number} starts"));
        }
    }

    fn open(&mut self, who: usize, link: Link, number: usize) -> bool {
        let binding = Binding(self.dice.bytes());
        let Some(site) = self.sites.get_mut(number).filter(|site| site.server.is_running()) else { return false };
        let connection = site.server.name_connection();
        let Some(device) = self.devices.get_mut(who) else { return false };
        device.client.wires.insert(link, Wire::at(number, connection));
        let line = format!("{} opens {:?} to server {number}", device.name(), link.kind);
        self.note(|| line);
        self.serve_batch(number, vec![ServerInput::Connected { connection, kind: kind(link), binding }]);
        let now = self.engine_now();
        self.handle_until(who, now, Input::Connected { link, binding }, Crash::Never);
        true
    }

    /// A server takes a batch of what has reached it. It may crash before the commit, after it, or between outputs.
    pub(super) fn serve(&mut self) {
        let number = self.dice.below(self.sites.len());
        let mut inputs = Vec::new();
        for _ in 0..=self.dice.below(6) {
            inputs.extend(self.next_for_server(number));
        }
        if self.dice.per_mille(30) {
            inputs.push(ServerInput::Tick);
        }
        self.notice_some(number);
        if inputs.is_empty() || !self.sites.get(number).is_some_and(|site| site.server.is_running()) {
            return;
        }
        let now = self.server_now();
        let Some(site) = self.sites.get_mut(number) else { return };
        let mut outputs = site.server.handle(now, inputs);
        if !self.is_calm && self.dice.per_mille(self.plan.trouble_per_mille / 6) {
            self.report.crashes += 1;
            let done = self.dice.below(outputs.len().saturating_add(1));
            outputs.truncate(done);
            self.deliver(number, outputs);
            // What was sent before the crash still arrives: it is on the clients' side of the network.
            self.note(|| format!("server {number} crashes after {done} outputs"));
            self.hand_over_from(number);
            return self.crash_server(number);
        }
        self.deliver(number, outputs);
    }

    /// The next frame of somebody's connection to a server.
    fn next_for_server(&mut self, number: usize) -> Option<ServerInput> {
        let who = self.dice.below(self.devices.len());
        let waiting = |wire: &Wire| wire.site == number && !wire.to_server.is_empty();
        let wires = &mut self.devices.get_mut(who)?.client.wires;
        let links: Vec<Link> = wires.iter().filter(|(_, wire)| waiting(wire)).map(|(link, _)| *link).collect();
        let link = *links.get(self.dice.below(links.len()))?;
        let wire = wires.get_mut(&link)?;
        let input = take_frame(link, wire)?;
        self.ledger.note_commit(who, &input);
        Some(input)
    }

    pub(super) fn serve_batch(&mut self, number: usize, inputs: Vec<ServerInput>) {
        let now = self.server_now();
        if let Some(site) = self.sites.get_mut(number) {
            let outputs = site.server.handle(now, inputs);
            self.deliver(number, outputs);
        }
    }

    /// All that has reached a server, in one batch, in an order by chance. `true` if there was anything.
    pub(super) fn serve_everything(&mut self, number: usize) -> bool {
        let mut batches: Vec<Vec<ServerInput>> = Vec::new();
        for (who, device) in self.devices.iter_mut().enumerate() {
            for (link, wire) in device.client.wires.iter_mut().filter(|(_, wire)| wire.site == number) {
                let mut batch = Vec::new();
                while let Some(input) = take_frame(*link, wire) {
                    self.ledger.note_commit(who, &input);
                    batch.push(input);
                }
                if !batch.is_empty() {
                    batches.push(batch);
                }
            }
        }
        let any = !batches.is_empty();
        while !batches.is_empty() {
            let chosen = self.dice.below(batches.len());
            let batch = batches.swap_remove(chosen);
            self.serve_batch(number, batch);
        }
        any
    }

    /// A server learns of some broken connections, at last.
    fn notice_some(&mut self, number: usize) {
        let Some(site) = self.sites.get_mut(number) else { return };
        if site.unnoticed.is_empty() || !self.dice.per_mille(100) {
            return;
        }
        let connection = site.unnoticed.swap_remove(self.dice.below(site.unnoticed.len()));
        self.serve_batch(number, vec![ServerInput::Disconnected { connection }]);
    }

    /// Servers hear of broken connections, at once or much later; what had not reached them is lost.
    pub(super) fn servers_lose(&mut self, broken: Vec<Wire>) {
        for Wire { site: number, connection, .. } in broken {
            let is_late = !self.is_calm && self.dice.per_mille(300);
            match self.sites.get_mut(number) {
                Some(site) if is_late && site.server.is_running() => site.unnoticed.push(connection),
                _ => self.serve_batch(number, vec![ServerInput::Disconnected { connection }]),
            }
        }
    }

    /// Everything that is on its way from a server arrives.
    fn hand_over_from(&mut self, number: usize) {
        for who in 0..self.devices.len() {
            while let Some(link) = self.link_with_mail(who, Some(number)) {
                self.take_mail(who, link);
            }
        }
    }

    fn link_with_mail(&mut self, who: usize, number: Option<usize>) -> Option<Link> {
        let client = &self.devices.get(who)?.client;
        let has_mail = |wire: &Wire| !wire.to_client.is_empty() && number.is_none_or(|number| wire.site == number);
        let links: Vec<Link> = client.wires.iter().filter(|(_, wire)| has_mail(wire)).map(|(link, _)| *link).collect();
        links.get(self.dice.below(links.len())).copied().filter(|_| client.is_running())
    }

    /// A device takes the next frame of one of its connections. `true` if there was one.
    pub(super) fn receive_one(&mut self, who: usize) -> bool {
        match self.link_with_mail(who, None) {
            Some(link) => {
                self.take_mail(who, link);
                true
            }
            None => false,
        }
    }

    pub(super) fn receive(&mut self, who: usize) {
        self.receive_one(who);
    }

    fn take_mail(&mut self, who: usize, link: Link) {
        let Some(device) = self.devices.get_mut(who) else { return };
        let Some(wire) = device.client.wires.get_mut(&link) else { return };
        let Some(bytes) = wire.to_client.pop_front() else { return };
        let line = (link.kind == ConnectionKind::Anonymous)
            .then(|| told(&bytes))
            .flatten()
            .map(|told| format!("{} gets {told}", device.name()));
        if let Some(line) = line {
            self.note(|| line);
        }
        self.handle(who, Input::Frame { link, bytes });
    }

    fn deliver(&mut self, number: usize, outputs: Vec<ServerOutput>) {
        for output in outputs {
            match output {
                ServerOutput::Send { connection, frame, .. } => {
                    let Some(wire) = self.wire(number, connection) else { continue };
                    wire.to_client.push_back(frame.to_vec());
                    let is_lost = !wire.commits.is_empty() && lost_race(wire, &frame);
                    self.report.lost_races += u64::from(is_lost);
                }
                ServerOutput::Close { connection, reason } => {
                    self.note(|| format!("server {number} closes a connection: {reason:?}"));
                    self.closed_by_server(number, connection);
                }
            }
        }
    }

    fn wire(&mut self, number: usize, connection: ConnectionId) -> Option<&mut Wire> {
        let wires = self.devices.iter_mut().flat_map(|device| device.client.wires.values_mut());
        wires.into_iter().find(|wire| wire.site == number && wire.connection == connection)
    }

    fn closed_by_server(&mut self, number: usize, connection: ConnectionId) {
        let now = self.engine_now();
        for who in 0..self.devices.len() {
            let Some(device) = self.devices.get_mut(who) else { continue };
            let is_it = |wire: &Wire| wire.site == number && wire.connection == connection;
            let link = device.client.wires.iter().find(|(_, wire)| is_it(wire)).map(|(link, _)| *link);
            if let Some(link) = link {
                device.client.wires.remove(&link);
                self.handle_until(who, now, Input::Disconnected { link }, Crash::Never);
            }
        }
    }
}

/// Takes the next frame off a wire, and remembers a commit to see what becomes of it.
fn take_frame(link: Link, wire: &mut Wire) -> Option<ServerInput> {
    let bytes = wire.to_server.pop_front()?;
    let input = ServerInput::decode(wire.connection, kind(link), &bytes);
    if let ServerInput::Request { id, request: Request::Anonymous(anonymous::Request::Commit { .. }), .. } = &input {
        wire.commits.insert(*id);
    }
    Some(input)
}

/// Whether a frame says that a commit came too late.
fn lost_race(wire: &mut Wire, frame: &[u8]) -> bool {
    match anonymous::FromServer::decode(frame) {
        Ok(ServerFrame::Answer(id, _)) => {
            wire.commits.remove(&id);
            false
        }
        Ok(ServerFrame::Refused(id, refusal)) => {
            wire.commits.remove(&id) && matches!(refusal, Refusal::StaleEpoch { .. })
        }
        _ => false,
    }
}

/// For the trace: entries of logs, and refusals.
fn told(bytes: &[u8]) -> Option<String> {
    match anonymous::FromServer::decode(bytes).ok()? {
        ServerFrame::Push(Push::Entry(channel, entry)) => {
            let what = if entry.header.is_commit() { "commit" } else { "entry" };
            Some(format!("{what} {} of {channel:?} in epoch {}", entry.seq, entry.header.epoch))
        }
        ServerFrame::Answer(_, anonymous::Answer::Entries { entries, end, .. }) => {
            let (first, last) = (entries.first()?.seq, entries.last()?.seq);
            Some(format!("entries {first} to {last} of {}", end.seq))
        }
        ServerFrame::Answer(_, anonymous::Answer::Appended(positions)) => {
            Some(format!("the places {:?}", positions.iter().map(|position| position.seq).collect::<Vec<_>>()))
        }
        ServerFrame::Refused(_, refusal) => Some(format!("a refusal: {refusal}")),
        _ => None,
    }
}

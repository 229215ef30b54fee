//! What moves in a calm world: connections that are wanted are opened, frames go both ways, in order and at once.

use super::Calm;
use crate::client::Crash;
use crate::link::Wire;
use crate::server::Server;
use aside_engine::input::{ConnectionKind, Input, Link, Now};
use aside_protocol::id::Binding;
use aside_server::core::{self, Input as ServerInput, Output as ServerOutput};

impl Calm {
    /// One person's turn: connect, send, receive. `true` if anything moved.
    pub(super) fn turn(&mut self, who: usize) -> bool {
        if self.ended == Some(who) {
            self.ended = None;
            self.start(who);
        }
        let connected = self.connect(who);
        let served = self.serve(who);
        let received = self.receive(who);
        let now = Now { unix_ms: self.now_ms };
        let broken =
            self.clients.get_mut(who).map(|client| client.handle(now, Input::Tick, Crash::Never)).unwrap_or_default();
        self.server_loses(broken);
        connected || served || received
    }

    fn connect(&mut self, who: usize) -> bool {
        let now = Now { unix_ms: self.now_ms };
        let Some(client) = self.clients.get_mut(who) else { return false };
        let wanted = client.engine().map(|engine| engine.wanted().unwrap_or_default()).unwrap_or_default();
        let missing = wanted.into_iter().filter(|wanted| !client.wires.contains_key(&wanted.link));
        let mut open = missing.filter_map(|wanted| {
            // Whoever answers at an address is not asked who they are here: the pin is the connection's to check.
            let number = self.pins.iter().position(|pin| pin.address == wanted.server.address)?;
            self.servers.get(number).filter(|server| server.is_running()).map(|_| (wanted.link, number))
        });
        let Some((link, number)) = open.next() else { return false };
        let Some(connection) = self.servers.get_mut(number).map(Server::name_connection) else { return false };
        let binding = Binding(self.dice.bytes());
        client.wires.insert(link, Wire::at(number, connection));
        let broken = client.handle(now, Input::Connected { link, binding }, Crash::Never);
        self.serve_batch(number, vec![ServerInput::Connected { connection, kind: kind(link), binding }]);
        self.server_loses(broken);
        true
    }

    fn serve(&mut self, who: usize) -> bool {
        let Some(client) = self.clients.get_mut(who) else { return false };
        let mut inputs: Vec<Vec<ServerInput>> = self.servers.iter().map(|_| Vec::new()).collect();
        for (link, wire) in &mut client.wires {
            self.sent.extend(wire.to_server.iter().map(|bytes| (who, link.kind, bytes.clone())));
            let frames =
                wire.to_server.drain(..).map(|bytes| ServerInput::decode(wire.connection, kind(*link), &bytes));
            if let Some(inputs) = inputs.get_mut(wire.site) {
                inputs.extend(frames);
            }
        }
        let any = inputs.iter().any(|inputs| !inputs.is_empty());
        for (number, inputs) in inputs.into_iter().enumerate().filter(|(_, inputs)| !inputs.is_empty()) {
            self.serve_batch(number, inputs);
        }
        any
    }

    fn receive(&mut self, who: usize) -> bool {
        let now = Now { unix_ms: self.now_ms };
        let Some(client) = self.clients.get_mut(who) else { return false };
        let mut frames = Vec::new();
        for (link, wire) in &mut client.wires {
            frames.extend(wire.to_client.drain(..).map(|bytes| (*link, bytes)));
        }
        let any = !frames.is_empty();
        let mut broken = Vec::new();
        for (link, bytes) in frames {
            let crash = self.crash_of(who);
            let arriving = match &mut self.lie {
                Some(lie) => lie(who, link.kind, bytes),
                None => vec![bytes],
            };
            for bytes in arriving {
                if let Some(client) = self.clients.get_mut(who).filter(|client| client.wires.contains_key(&link)) {
                    broken.extend(client.handle(now, Input::Frame { link, bytes }, crash));
                }
            }
        }
        self.server_loses(broken);
        // A connection that the engine gave up is gone for it as well.
        any || self.clients.get(who).is_none_or(|client| client.wires.is_empty())
    }

    pub(super) fn serve_batch(&mut self, number: usize, inputs: Vec<ServerInput>) {
        let now = self.server_now();
        let outputs = self.servers.get_mut(number).map(|server| server.handle(now, inputs)).unwrap_or_default();
        for output in outputs {
            if let ServerOutput::Send { connection, frame, .. } = output {
                let wires = self.clients.iter_mut().flat_map(|client| client.wires.values_mut());
                let mut of_server = wires.into_iter().filter(|wire| wire.site == number);
                if let Some(wire) = of_server.find(|wire| wire.connection == connection) {
                    wire.to_client.push_back(frame.to_vec());
                }
            }
        }
    }

    pub(super) fn server_loses(&mut self, broken: Vec<Wire>) {
        for Wire { site, connection, .. } in broken {
            self.serve_batch(site, vec![ServerInput::Disconnected { connection }]);
        }
    }

    pub(super) fn server_now(&self) -> core::Now {
        core::Now { unix_ms: self.now_ms.unsigned_abs() }
    }
}

fn kind(link: Link) -> core::ConnectionKind {
    match link.kind {
        ConnectionKind::Account => core::ConnectionKind::Account,
        ConnectionKind::Anonymous => core::ConnectionKind::Anonymous,
    }
}

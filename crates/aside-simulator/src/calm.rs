//! A calm world for tests by hand: no troubles but those that the test makes, above all a server that lies.

use crate::check;
use crate::client::{Client, Crash};
use crate::dice::Dice;
use crate::link::Wire;
use crate::server::Server;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, ConnectionKind, Input, Link, Now};
use aside_engine::view::{Contact, Conversation, Message};
use aside_engine::{Defects, Engine};
use aside_protocol::id::Binding;
use aside_protocol::inbox::InviteToken;
use aside_protocol::key::SigningKey;
use aside_protocol::link::{ContactLink, InviteLink, ServerPin, TlsTrust};
use aside_server::core::{self, Input as ServerInput, Output as ServerOutput};

/// Rounds after which a world that still moves is given up on.
const ROUNDS_MAX: usize = 4_000;

/// What the server makes of a frame for somebody: the frames that arrive instead.
pub type Lie = Box<dyn FnMut(usize, ConnectionKind, Vec<u8>) -> Vec<Vec<u8>>>;

/// People and one server, in which everything arrives at once.
pub struct Calm {
    dice: Dice,
    now_ms: i64,
    server: Server,
    clients: Vec<Client>,
    lie: Option<Lie>,
    links: Vec<ContactLink>,
}

impl Calm {
    /// So many people, all with accounts, none knowing another.
    ///
    /// # Panics
    /// If even that fails.
    #[allow(clippy::panic)]
    pub fn new(seed: u64, people: usize) -> Self {
        match Self::settle_people(seed, people) {
            Ok(calm) => calm,
            Err(fault) => panic!("a calm world cannot begin: {fault}"),
        }
    }

    fn settle_people(seed: u64, people: usize) -> Result<Self, String> {
        let mut dice = Dice::new(seed);
        let identity_key = SigningKey::from_seed(&dice.bytes()).public_key();
        let address: aside_protocol::address::ServerAddress = "calm.example".parse().map_err(|_| "address")?;
        let pin = ServerPin { address: address.clone(), identity_key, tls: TlsTrust::Pinned };
        let server = Server::new(address, dice.fork(), None);
        let mut calm =
            Self { dice, now_ms: 1_767_225_600_000, server, clients: Vec::new(), lie: None, links: Vec::new() };
        for number in 0..people {
            let token = InviteToken(calm.dice.bytes());
            calm.server.invite(&token, core::Now { unix_ms: calm.now_ms.unsigned_abs() }.day())?;
            let name = format!("p{number}");
            let randomness = calm.dice.fork();
            calm.clients.push(Client::new(name.clone(), randomness, Defects::default())?);
            let invite = InviteLink { server: pin.clone(), token };
            calm.command(number, Command::Join { invite, name: name.parse().map_err(|_| "name")? });
        }
        calm.settle();
        for number in 0..people {
            if let Some(Answer::ContactLink { link, .. }) = calm.command(number, Command::MakeContactLink) {
                calm.links.push(link);
            }
        }
        calm.settle();
        Ok(calm)
    }

    /// From here on, frames for clients go through this.
    pub fn lie(&mut self, lie: impl FnMut(usize, ConnectionKind, Vec<u8>) -> Vec<Vec<u8>> + 'static) {
        self.lie = Some(Box::new(lie));
    }

    /// The server is honest again.
    pub fn be_honest(&mut self) {
        self.lie = None;
    }

    /// One adds the other by link; both go on talking.
    pub fn befriend(&mut self, one: usize, other: usize) {
        if let Some(link) = self.links.get(other).cloned() {
            self.command(one, Command::AddContact { link });
        }
        self.settle();
    }

    /// Somebody's link.
    pub fn link_of(&self, who: usize) -> Option<ContactLink> {
        self.links.get(who).cloned()
    }

    /// Carries out a command.
    pub fn command(&mut self, who: usize, command: Command) -> Option<Answer> {
        let now = Now { unix_ms: self.now_ms };
        let (answer, broken) = self.clients.get_mut(who)?.command(now, command, Crash::Never);
        self.server_loses(broken);
        answer
    }

    /// Writes into somebody's first conversation, without waiting.
    pub fn write(&mut self, who: usize, text: &str) -> Option<MessageId> {
        let conversation = self.first_conversation(who)?.id;
        match self.command(who, Command::SendText { conversation, text: text.to_owned(), reply_to: None })? {
            Answer::Message(id) => Some(id),
            _ => None,
        }
    }

    /// The newest conversation.
    pub fn first_conversation(&self, who: usize) -> Option<Conversation> {
        self.engine(who)?.conversations().ok()?.into_iter().next()
    }

    /// The contacts.
    pub fn contacts(&self, who: usize) -> Vec<Contact> {
        self.engine(who).and_then(|engine| engine.contacts().ok()).unwrap_or_default()
    }

    /// The rows of somebody's newest conversation, notes included.
    pub fn timeline(&self, who: usize) -> Vec<Message> {
        let id = self.first_conversation(who).map(|conversation| conversation.id);
        id.map(|id| self.timeline_of(who, &id)).unwrap_or_default()
    }

    /// The rows of one conversation.
    pub fn timeline_of(&self, who: usize, id: &ConversationId) -> Vec<Message> {
        self.clients.get(who).and_then(|client| check::whole_timeline(client, id).ok()).unwrap_or_default()
    }

    /// What was said, without notes.
    pub fn texts(&self, who: usize) -> Vec<String> {
        let is_text = |message: &Message| message.kind == aside_engine::view::MessageKind::Text;
        self.timeline(who).into_iter().filter(is_text).map(|message| message.text).collect()
    }

    /// An engine, to look at.
    pub fn engine(&self, who: usize) -> Option<&Engine> {
        self.clients.get(who).and_then(Client::engine)
    }

    /// Errors of the engines themselves; none is ever right.
    pub fn engine_errors(&self) -> Vec<String> {
        self.clients.iter().flat_map(|client| client.engine_errors.clone()).collect()
    }

    /// Sends a queued message's content as a second entry, as a member with ill will can.
    pub fn send_again(&mut self, who: usize, message: &MessageId) {
        if let Some(client) = self.clients.get_mut(who) {
            client.send_again(message);
        }
    }

    /// Somebody's program ends; [`Calm::settle`] leaves it so until [`Calm::start`].
    pub fn stop(&mut self, who: usize) {
        let broken = self.clients.get_mut(who).map(Client::crash).unwrap_or_default();
        self.server_loses(broken);
    }

    /// It starts again.
    pub fn start(&mut self, who: usize) {
        if let Some(client) = self.clients.get_mut(who)
            && let Err(fault) = client.start()
        {
            client.engine_errors.push(fault);
        }
    }

    /// Breaks somebody's connections; they come back by themselves.
    pub fn disconnect(&mut self, who: usize) {
        let now = Now { unix_ms: self.now_ms };
        let Some(client) = self.clients.get_mut(who) else { return };
        let links: Vec<Link> = client.wires.keys().copied().collect();
        let mut broken = Vec::new();
        for link in links {
            broken.extend(client.wires.remove(&link));
            broken.extend(client.disconnected(now, link));
        }
        self.server_loses(broken);
    }

    /// Time passes.
    pub fn wait_ms(&mut self, ms: i64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// Runs until nothing moves.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            self.now_ms = self.now_ms.saturating_add(20);
            let moved = (0..self.clients.len()).filter(|who| self.turn(*who)).count();
            quiet = if moved > 0 { 0 } else { quiet + 1 };
            if quiet > 60 {
                return;
            }
        }
    }

    /// One person's turn: connect, send, receive. `true` if anything moved.
    fn turn(&mut self, who: usize) -> bool {
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
        let Some(link) = wanted.into_iter().map(|wanted| wanted.link).find(|link| !client.wires.contains_key(link))
        else {
            return false;
        };
        let connection = self.server.name_connection();
        let binding = Binding(self.dice.bytes());
        client.wires.insert(link, Wire::new(connection));
        let broken = client.handle(now, Input::Connected { link, binding }, Crash::Never);
        let input = ServerInput::Connected { connection, kind: kind(link), binding };
        let outputs = self.server.handle(core::Now { unix_ms: self.now_ms.unsigned_abs() }, vec![input]);
        self.deliver(outputs);
        self.server_loses(broken);
        true
    }

    fn serve(&mut self, who: usize) -> bool {
        let Some(client) = self.clients.get_mut(who) else { return false };
        let mut inputs = Vec::new();
        for (link, wire) in &mut client.wires {
            inputs.extend(
                wire.to_server.drain(..).map(|bytes| ServerInput::decode(wire.connection, kind(*link), &bytes)),
            );
        }
        if inputs.is_empty() {
            return false;
        }
        let outputs = self.server.handle(core::Now { unix_ms: self.now_ms.unsigned_abs() }, inputs);
        self.deliver(outputs);
        true
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
            let arriving = match &mut self.lie {
                Some(lie) => lie(who, link.kind, bytes),
                None => vec![bytes],
            };
            for bytes in arriving {
                if client.wires.contains_key(&link) {
                    broken.extend(client.handle(now, Input::Frame { link, bytes }, Crash::Never));
                }
            }
        }
        // A connection that the engine gave up is gone for it as well.
        let links: Vec<Link> = client.wires.keys().copied().collect();
        self.server_loses(broken);
        any || links.is_empty()
    }

    fn deliver(&mut self, outputs: Vec<ServerOutput>) {
        for output in outputs {
            if let ServerOutput::Send { connection, frame, .. } = output {
                let wires = self.clients.iter_mut().flat_map(|client| client.wires.values_mut());
                if let Some(wire) = wires.into_iter().find(|wire| wire.connection == connection) {
                    wire.to_client.push_back(frame.to_vec());
                }
            }
        }
    }

    fn server_loses(&mut self, broken: Vec<Wire>) {
        if !broken.is_empty() {
            let inputs = broken.iter().map(|wire| ServerInput::Disconnected { connection: wire.connection }).collect();
            let outputs = self.server.handle(core::Now { unix_ms: self.now_ms.unsigned_abs() }, inputs);
            self.deliver(outputs);
        }
    }
}

fn kind(link: Link) -> core::ConnectionKind {
    match link.kind {
        ConnectionKind::Account => core::ConnectionKind::Account,
        ConnectionKind::Anonymous => core::ConnectionKind::Anonymous,
    }
}

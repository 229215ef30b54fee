//! A world: who lives in it, what troubles befall it, and how it is mended.

use crate::check::{self, Broken, Order};
use crate::client::{Client, Crash};
use crate::dice::Dice;
use crate::link::Wire;
use crate::server::Server;
use aside_engine::Defects;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{self as engine_input, Answer, Command, ConnectionKind, Input, Link};
use aside_engine::view::{ConversationKind, ConversationState, Delivery, JoinState};
use aside_protocol::address::{AccountName, ServerAddress};
use aside_protocol::id::Binding;
use aside_protocol::inbox::InviteToken;
use aside_protocol::key::SigningKey;
use aside_protocol::link::{ContactLink, InviteLink, ServerPin, TlsTrust};
use aside_server::core::{self, ConnectionId, Defect, Input as ServerInput, Output as ServerOutput};
use std::collections::{BTreeMap, BTreeSet};

/// 2026-01-01 in milliseconds.
const BEGINNING_MS: i64 = 1_767_225_600_000;
/// Steps of mending after which a world that still moves is called broken.
const MENDING_STEPS_MAX: usize = 60_000;

/// A fault on purpose, to see that the checks catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedDefect {
    /// Client: the cursor moves one transaction too late.
    CursorOutsideTransaction,
    /// Server: replies leave before the sync.
    AcknowledgementBeforeSync,
    /// Client: a retry encrypts anew.
    RetryReEncrypts,
    /// Client: what was taken before is taken again.
    DedupeOff,
    /// Server: a commit is taken in any epoch.
    CompareAndSwapOff,
}

impl PlantedDefect {
    /// All of them.
    pub const ALL: [PlantedDefect; 5] = [
        PlantedDefect::CursorOutsideTransaction,
        PlantedDefect::AcknowledgementBeforeSync,
        PlantedDefect::RetryReEncrypts,
        PlantedDefect::DedupeOff,
        PlantedDefect::CompareAndSwapOff,
    ];
}

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// People, at least two.
    pub people: usize,
    /// Steps of trouble.
    pub steps: usize,
    /// Messages that each person writes, about.
    pub messages: usize,
    /// Crashes and broken connections, per mille of steps.
    pub trouble_per_mille: usize,
    /// A fault on purpose.
    pub defect: Option<PlantedDefect>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { people: 3, steps: 700, messages: 8, trouble_per_mille: 60, defect: None }
    }
}

/// What happened in a world that kept its promises.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Messages in all timelines, each conversation once.
    pub messages: usize,
    /// Of them, those that were acknowledged to somebody who saw it.
    pub acknowledged: usize,
    /// Crashes of clients and of the server.
    pub crashes: usize,
    /// Connections that broke.
    pub breaks: usize,
}

/// One world.
pub struct World {
    seed: u64,
    plan: Plan,
    dice: Dice,
    now_ms: i64,
    server: Server,
    pin: ServerPin,
    clients: Vec<Client>,
    invites: Vec<InviteToken>,
    links: BTreeMap<usize, ContactLink>,
    has_group: bool,
    written: BTreeMap<usize, usize>,
    acknowledged: BTreeSet<(String, String)>,
    is_mending: bool,
    report: Report,
    trace: Vec<String>,
    fault: Option<String>,
}

impl World {
    /// A world in which nobody has an account yet.
    pub fn new(seed: u64, plan: &Plan) -> Self {
        let mut dice = Dice::new(seed);
        let identity_key = SigningKey::from_seed(&dice.bytes()).public_key();
        let address: ServerAddress = "sim.example".parse().unwrap_or_else(|_| unreachable!("a constant address"));
        let pin = ServerPin { address: address.clone(), identity_key, tls: TlsTrust::Pinned };
        let server_defect = match plan.defect {
            Some(PlantedDefect::AcknowledgementBeforeSync) => Some(Defect::AckBeforeSync),
            Some(PlantedDefect::CompareAndSwapOff) => Some(Defect::NoCompareAndSwap),
            _ => None,
        };
        let server = Server::new(address, dice.fork(), server_defect);
        let mut world = Self {
            seed,
            plan: plan.clone(),
            dice,
            now_ms: BEGINNING_MS,
            server,
            pin,
            clients: Vec::new(),
            invites: Vec::new(),
            links: BTreeMap::new(),
            has_group: false,
            written: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            is_mending: false,
            report: Report::default(),
            trace: Vec::new(),
            fault: None,
        };
        if let Err(fault) = world.settle_people() {
            world.fault = Some(fault);
        }
        world
    }

    fn settle_people(&mut self) -> Result<(), String> {
        let defects = Defects {
            cursor_outside_transaction: self.plan.defect == Some(PlantedDefect::CursorOutsideTransaction),
            retry_re_encrypts: self.plan.defect == Some(PlantedDefect::RetryReEncrypts),
            dedupe_off: self.plan.defect == Some(PlantedDefect::DedupeOff),
        };
        for number in 0..self.plan.people.max(2) {
            let token = InviteToken(self.dice.bytes());
            self.server.invite(&token, self.server_now().day())?;
            self.invites.push(token);
            let randomness = self.dice.fork();
            self.clients.push(Client::new(format!("p{number}"), randomness, defects)?);
        }
        Ok(())
    }

    /// Lives through the troubles, is mended, and is checked.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn run(mut self) -> Result<Report, Broken> {
        for _ in 0..self.plan.steps {
            self.step();
        }
        self.mend();
        let fault = self.fault.take();
        let checked = match fault {
            Some(fault) => Err(fault),
            None => {
                let order = if self.both_may_found() { Order::Any } else { Order::OfTheLog };
                check::all(&self.clients, &self.acknowledged, order)
            }
        };
        match checked {
            Ok(messages) => Ok(Report { messages, acknowledged: self.acknowledged.len(), ..self.report }),
            Err(promise) => Err(Broken { seed: self.seed, promise, trace: self.trace }),
        }
    }

    /// In a third of the worlds people add each other at once.
    fn both_may_found(&self) -> bool {
        self.seed.is_multiple_of(3)
    }

    fn engine_now(&self) -> engine_input::Now {
        engine_input::Now { unix_ms: self.now_ms }
    }

    fn server_now(&self) -> core::Now {
        core::Now { unix_ms: u64::try_from(self.now_ms).unwrap_or(0) }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.push(line());
    }

    /// Where the next input's handling ends, by chance.
    fn crash(&mut self) -> Crash {
        if self.is_mending || !self.dice.per_mille(self.plan.trouble_per_mille / 4) {
            return Crash::Never;
        }
        self.report.crashes = self.report.crashes.saturating_add(1);
        match self.dice.below(4) {
            0 => Crash::Before,
            _ => Crash::AfterOutputs(self.dice.below(4)),
        }
    }

    /// One thing happens.
    fn step(&mut self) {
        let who = self.dice.below(self.clients.len());
        self.now_ms = self.now_ms.saturating_add(i64::try_from(self.dice.below(300)).unwrap_or(0));
        if self.dice.per_mille(self.plan.trouble_per_mille) {
            return self.trouble(who);
        }
        match self.dice.below(10) {
            0 => self.want(who),
            1 => self.connect(who),
            2 => self.tick(who),
            3..=6 => self.serve(),
            _ => self.receive(who),
        }
        self.note_acknowledged(who);
    }

    fn trouble(&mut self, who: usize) {
        match self.dice.below(5) {
            0 => {
                self.report.crashes = self.report.crashes.saturating_add(1);
                self.note(|| "the server crashes".into());
                self.crash_server();
            }
            1 => {
                self.report.crashes = self.report.crashes.saturating_add(1);
                self.note(|| format!("p{who} crashes"));
                let broken = self.clients.get_mut(who).map(Client::crash).unwrap_or_default();
                self.server_loses(broken);
            }
            _ => self.break_wire(who),
        }
    }

    fn break_wire(&mut self, who: usize) {
        let now = self.engine_now();
        let Some(client) = self.clients.get_mut(who) else { return };
        let links: Vec<Link> = client.wires.keys().copied().collect();
        let Some(link) = links.get(self.dice.below(links.len())).copied() else { return };
        self.report.breaks = self.report.breaks.saturating_add(1);
        let wire = client.wires.remove(&link);
        let mut broken = client.disconnected(now, link);
        broken.extend(wire);
        self.note(|| format!("p{who}'s {:?} connection breaks", link.kind));
        self.server_loses(broken);
    }

    /// The server hears of broken connections, after all that had reached it.
    fn server_loses(&mut self, broken: Vec<Wire>) {
        if broken.is_empty() {
            return;
        }
        let inputs = broken.iter().map(|wire| ServerInput::Disconnected { connection: wire.connection }).collect();
        let outputs = self.server.handle(self.server_now(), inputs);
        self.deliver(outputs);
    }

    fn crash_server(&mut self) {
        self.server.crash();
        let now = self.engine_now();
        for client in &mut self.clients {
            let links: Vec<Link> = client.wires.keys().copied().collect();
            for link in links {
                client.wires.remove(&link);
                client.disconnected(now, link);
            }
        }
    }

    /// Starts what is down, and opens a connection that is wanted.
    fn connect(&mut self, who: usize) {
        if !self.server.is_running() {
            self.note(|| "the server starts".into());
            return self.server.start();
        }
        let now = self.engine_now();
        let Some(client) = self.clients.get_mut(who) else { return };
        if !client.is_running() {
            if let Err(fault) = client.start() {
                self.fault = Some(fault);
            }
            return self.note(|| format!("p{who} starts"));
        }
        let wanted = client.engine().map(|engine| engine.wanted().unwrap_or_default()).unwrap_or_default();
        let missing: Vec<Link> =
            wanted.into_iter().map(|wanted| wanted.link).filter(|link| !client.wires.contains_key(link)).collect();
        let Some(link) = missing.get(self.dice.below(missing.len())).copied() else { return };
        let connection = self.server.name_connection();
        let binding = Binding(self.dice.bytes());
        let kind = match link.kind {
            ConnectionKind::Account => core::ConnectionKind::Account,
            ConnectionKind::Anonymous => core::ConnectionKind::Anonymous,
        };
        client.wires.insert(link, Wire::new(connection));
        let broken = client.handle(now, Input::Connected { link, binding }, Crash::Never);
        self.note(|| format!("p{who} opens {:?}", link.kind));
        let outputs = self.server.handle(self.server_now(), vec![ServerInput::Connected { connection, kind, binding }]);
        self.deliver(outputs);
        self.server_loses(broken);
    }

    fn tick(&mut self, who: usize) {
        let (now, crash) = (self.engine_now(), self.crash());
        let broken = self.clients.get_mut(who).map(|client| client.handle(now, Input::Tick, crash)).unwrap_or_default();
        self.server_loses(broken);
    }

    /// The server takes a batch of what has reached it. It may crash before the commit, after it, or between outputs.
    fn serve(&mut self) {
        if !self.server.is_running() {
            return;
        }
        let mut inputs = Vec::new();
        for _ in 0..=self.dice.below(6) {
            let who = self.dice.below(self.clients.len());
            let Some(client) = self.clients.get_mut(who) else { continue };
            let links: Vec<Link> = client.wires.keys().copied().collect();
            let Some(link) = links.get(self.dice.below(links.len())) else { continue };
            let Some(wire) = client.wires.get_mut(link) else { continue };
            let Some(bytes) = wire.to_server.pop_front() else { continue };
            let kind = match link.kind {
                ConnectionKind::Account => core::ConnectionKind::Account,
                ConnectionKind::Anonymous => core::ConnectionKind::Anonymous,
            };
            inputs.push(ServerInput::decode(wire.connection, kind, &bytes));
        }
        if inputs.is_empty() {
            return;
        }
        let mut outputs = self.server.handle(self.server_now(), inputs);
        if !self.is_mending && self.dice.per_mille(self.plan.trouble_per_mille / 4) {
            self.report.crashes = self.report.crashes.saturating_add(1);
            let done = self.dice.below(outputs.len().saturating_add(1));
            outputs.truncate(done);
            self.deliver(outputs);
            // What was sent before the crash still arrives: it is on the client's side of the network.
            self.note(|| format!("the server crashes after {done} outputs"));
            self.hand_over_everything();
            return self.crash_server();
        }
        self.deliver(outputs);
    }

    /// Everything that is on its way to the clients arrives.
    fn hand_over_everything(&mut self) {
        for who in 0..self.clients.len() {
            while self.has_mail(who) {
                self.receive(who);
            }
            self.note_acknowledged(who);
        }
    }

    fn has_mail(&self, who: usize) -> bool {
        self.clients
            .get(who)
            .is_some_and(|client| client.is_running() && client.wires.values().any(|wire| !wire.to_client.is_empty()))
    }

    fn deliver(&mut self, outputs: Vec<ServerOutput>) {
        for output in outputs {
            match output {
                ServerOutput::Send { connection, frame, .. } => {
                    if let Some(wire) = self.wire(connection) {
                        wire.to_client.push_back(frame.to_vec());
                    }
                }
                ServerOutput::Close { connection, reason } => {
                    self.note(|| format!("the server closes a connection: {reason:?}"));
                    self.closed_by_server(connection);
                }
            }
        }
    }

    fn wire(&mut self, connection: ConnectionId) -> Option<&mut Wire> {
        self.clients.iter_mut().flat_map(|client| client.wires.values_mut()).find(|wire| wire.connection == connection)
    }

    fn closed_by_server(&mut self, connection: ConnectionId) {
        let now = self.engine_now();
        for client in &mut self.clients {
            let link = client.wires.iter().find(|(_, wire)| wire.connection == connection).map(|(link, _)| *link);
            if let Some(link) = link {
                client.wires.remove(&link);
                client.disconnected(now, link);
            }
        }
    }

    /// A client takes the next frame of one of its connections.
    fn receive(&mut self, who: usize) {
        let (now, crash) = (self.engine_now(), self.crash());
        let Some(client) = self.clients.get_mut(who) else { return };
        let links: Vec<Link> =
            client.wires.iter().filter(|(_, wire)| !wire.to_client.is_empty()).map(|(link, _)| *link).collect();
        let Some(link) = links.get(self.dice.below(links.len())).copied() else { return };
        let Some(bytes) = client.wires.get_mut(&link).and_then(|wire| wire.to_client.pop_front()) else { return };
        let before = client.wires.len();
        let broken = client.handle(now, Input::Frame { link, bytes }, crash);
        if !broken.is_empty() && before > 0 {
            self.note(|| format!("p{who} loses {} connections while receiving ({crash:?})", broken.len()));
        }
        self.server_loses(broken);
    }

    /// A person wants something: whatever comes next for them.
    fn want(&mut self, who: usize) {
        let (now, crash) = (self.engine_now(), self.crash());
        let Some(command) = self.next_wish(who) else { return };
        let line = format!("p{who} wants {}", summary(&command));
        let Some(client) = self.clients.get_mut(who) else { return };
        let is_text = matches!(command, Command::SendText { .. });
        let (answer, broken) = client.command(now, command, crash);
        match answer {
            Some(Answer::ContactLink { link, .. }) => {
                self.links.insert(who, link);
            }
            Some(Answer::Message(message)) if is_text => self.maybe_send_again(who, &message),
            _ => {}
        }
        self.note(|| format!("{line} ({crash:?})"));
        self.server_loses(broken);
    }

    /// A member with ill will sends the same content twice, as two entries.
    fn maybe_send_again(&mut self, who: usize, message: &MessageId) {
        if who == 0 && self.dice.per_mille(200) {
            self.note(|| "p0 sends that again, as another entry".into());
            if let Some(client) = self.clients.get_mut(who) {
                client.send_again(message);
            }
        }
    }

    fn next_wish(&mut self, who: usize) -> Option<Command> {
        let people = self.clients.len();
        let name: AccountName = format!("p{who}").parse().ok()?;
        let engine = self.clients.get(who)?.engine()?;
        match engine.join_state().ok()? {
            JoinState::NotJoined => {
                let invite = InviteLink { server: self.pin.clone(), token: *self.invites.get(who)? };
                return Some(Command::Join { invite, name });
            }
            JoinState::Joined(_) => {}
            JoinState::Registering | JoinState::Refused { .. } => return None,
        }
        if !self.links.contains_key(&who) {
            return Some(Command::MakeContactLink);
        }
        let contacts = engine.contacts().ok()?;
        // Each adds those with higher numbers, and sometimes both add each other at once.
        let unknown: Vec<&ContactLink> = self
            .links
            .iter()
            .filter(|(other, link)| {
                let is_known = contacts.iter().any(|contact| contact.address == link.address);
                **other != who && !is_known && (**other > who || self.both_may_found())
            })
            .filter(|(_, link)| {
                let owner = self.clients.iter().find(|client| client.name == link.address.name.as_str());
                let engine = owner.and_then(Client::engine);
                engine.is_some_and(|engine| engine.link_is_registered(link).unwrap_or(false))
            })
            .map(|(_, link)| link)
            .collect();
        if let Some(link) = unknown.first() {
            return Some(Command::AddContact { link: (*link).clone() });
        }
        if who == 0 && people > 2 && !self.has_group && contacts.len() == people.saturating_sub(1) {
            self.has_group = true;
            let members = contacts.into_iter().map(|contact| contact.address).collect();
            return Some(Command::CreateGroup { title: "everybody".into(), members });
        }
        self.wish_in_conversation(who)
    }

    fn wish_in_conversation(&mut self, who: usize) -> Option<Command> {
        let conversations = self.clients.get(who)?.engine()?.conversations().ok()?;
        let conversation = conversations.get(self.dice.below(conversations.len()))?;
        let (id, kind, state) = (conversation.id, conversation.kind, conversation.state);
        if self.dice.per_mille(150) && state == ConversationState::Active {
            return Some(Command::RotateKeys { conversation: id });
        }
        if self.dice.per_mille(150) && kind == ConversationKind::Direct {
            let through = conversation.last_message.as_ref().map(|_| i64::MAX >> 14).unwrap_or(0);
            return Some(Command::MarkRead { conversation: id, through });
        }
        let written = self.written.entry(who).or_default();
        if *written >= self.plan.messages {
            return None;
        }
        *written = written.saturating_add(1);
        Some(Command::SendText { conversation: id, text: format!("{written} of p{who}"), reply_to: None })
    }

    /// Writes down what a client has seen acknowledged: from here on it must not be lost.
    fn note_acknowledged(&mut self, who: usize) {
        let Some(client) = self.clients.get(who) else { return };
        let Some(engine) = client.engine() else { return };
        let ids: Vec<ConversationId> =
            engine.conversations().unwrap_or_default().into_iter().map(|conversation| conversation.id).collect();
        let mut seen = Vec::new();
        for id in ids {
            let Some(place) = check::place(client, &id) else { continue };
            for message in check::whole_timeline(client, &id).unwrap_or_default() {
                let is_there = matches!(message.delivery, Some(Delivery::Sent | Delivery::Delivered | Delivery::Read));
                if is_there {
                    seen.push((place.clone(), format!("{}: {}", client.name, message.text)));
                }
            }
        }
        self.acknowledged.extend(seen);
    }

    /// No more troubles: everything starts, connects, and runs until nothing moves.
    fn mend(&mut self) {
        self.is_mending = true;
        self.note(|| "mending begins".into());
        let mut quiet = 0;
        for _ in 0..MENDING_STEPS_MAX {
            self.now_ms = self.now_ms.saturating_add(50);
            for who in 0..self.clients.len() {
                self.connect(who);
                self.serve();
                self.receive(who);
                if self.dice.per_mille(100) {
                    self.tick(who);
                }
            }
            let is_quiet = self.clients.iter().all(|client| {
                let is_settled = client.engine().is_some_and(is_at_rest);
                is_settled && client.wires.values().all(|wire| wire.to_client.is_empty() && wire.to_server.is_empty())
            });
            quiet = if is_quiet { quiet + 1 } else { 0 };
            // Rotations and receipts are due within seconds: so much silence is the end.
            if quiet > 250 || self.fault.is_some() {
                break;
            }
        }
        for who in 0..self.clients.len() {
            self.note_acknowledged(who);
        }
        if quiet <= 250 && self.fault.is_none() {
            let unsettled: Vec<String> = self
                .clients
                .iter()
                .filter(|client| !client.engine().is_some_and(is_at_rest))
                .map(|client| format!("{} ({} connections)", client.name, client.wires.len()))
                .collect();
            self.fault = Some(format!("the world never comes to rest; unsettled: {unsettled:?}"));
        }
    }
}

/// Whether nothing moves in an engine: settled, or without an account.
fn is_at_rest(engine: &aside_engine::Engine) -> bool {
    let has_no_account = matches!(engine.join_state(), Ok(JoinState::NotJoined));
    // A paused conversation keeps its queue; the check says so by name.
    let is_paused = engine
        .conversations()
        .unwrap_or_default()
        .iter()
        .any(|conversation| conversation.state == ConversationState::Paused);
    has_no_account || is_paused || engine.is_settled().unwrap_or(false)
}

fn summary(command: &Command) -> String {
    match command {
        Command::SendText { conversation, text, .. } => format!("to write {text:?} into {conversation:?}"),
        Command::AddContact { link } => format!("to add {}", link.address.name),
        Command::Join { .. } => "to join".into(),
        Command::MakeContactLink => "a link".into(),
        Command::CreateGroup { members, .. } => format!("a group with {}", members.len()),
        Command::RotateKeys { conversation } => format!("new keys in {conversation:?}"),
        Command::MarkRead { conversation, .. } => format!("to have read {conversation:?}"),
        _ => "something".into(),
    }
}

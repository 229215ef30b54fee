//! A calm world for tests by hand: no troubles but those that the test makes, above all a server that lies.

mod network;

use crate::check;
use crate::client::{Client, Crash};
use crate::database;
use crate::dice::Dice;
use crate::server::Server;
use aside_engine::content::MessageId;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, ConnectionKind, DeviceCommand, GroupChange, History, Link, Now};
use aside_engine::recovery::BackupPace;
use aside_engine::view::{Contact, Conversation, Message, parse_device_id};
use aside_engine::{Defects, Engine};
use aside_protocol::address::{AccountAddress, ServerAddress};
use aside_protocol::inbox::InviteToken;
use aside_protocol::key::SigningKey;
use aside_protocol::link::{ContactLink, DeviceLink, InviteLink, ServerPin, TlsTrust};
use aside_server::core::Input as ServerInput;

/// Rounds after which a world that still moves is given up on.
const ROUNDS_MAX: usize = 4_000;

/// What the server makes of a frame for somebody: the frames that arrive instead.
pub type Lie = Box<dyn FnMut(usize, ConnectionKind, Vec<u8>) -> Vec<Vec<u8>>>;

/// People and their servers, mostly one, in which everything arrives at once.
pub struct Calm {
    dice: Dice,
    now_ms: i64,
    servers: Vec<Server>,
    clients: Vec<Client>,
    lie: Option<Lie>,
    links: Vec<ContactLink>,
    sent: Vec<(usize, ConnectionKind, Vec<u8>)>,
    pins: Vec<ServerPin>,
    /// Whose program ends, behind how many more of its inputs, and where in the last.
    ending: Option<(usize, usize, Crash)>,
    /// Whose program ended that way and has not been started again.
    ended: Option<usize>,
}

impl Calm {
    /// So many people, all with accounts, none knowing another.
    ///
    /// # Panics
    /// If even that fails.
    #[allow(clippy::panic)]
    pub fn new(seed: u64, people: usize) -> Self {
        Self::on_servers(seed, &vec![0; people])
    }

    /// One person for each number, which says on which server; servers never speak to each other.
    ///
    /// # Panics
    /// If even that fails.
    #[allow(clippy::panic)]
    pub fn on_servers(seed: u64, homes: &[usize]) -> Self {
        match Self::settle_people(seed, homes) {
            Ok(calm) => calm,
            Err(fault) => panic!("a calm world cannot begin: {fault}"),
        }
    }

    fn settle_people(seed: u64, homes: &[usize]) -> Result<Self, String> {
        let mut dice = Dice::new(seed);
        let (mut servers, mut pins) = (Vec::new(), Vec::new());
        for number in 0..=homes.iter().copied().max().unwrap_or(0) {
            let name = if number == 0 { "calm.example".to_owned() } else { format!("calm{number}.example") };
            let address: ServerAddress = name.parse().map_err(|_| "address")?;
            let identity_key = SigningKey::from_seed(&dice.bytes()).public_key();
            pins.push(ServerPin { address: address.clone(), identity_key, tls: TlsTrust::Pinned });
            servers.push(Server::new(address, dice.fork(), None));
        }
        let mut calm = Self {
            dice,
            now_ms: 1_767_225_600_000,
            servers,
            clients: Vec::new(),
            lie: None,
            links: Vec::new(),
            sent: Vec::new(),
            pins,
            ending: None,
            ended: None,
        };
        for (number, home) in homes.iter().enumerate() {
            let token = InviteToken(calm.dice.bytes());
            let day = calm.server_now().day();
            let (Some(server), Some(pin)) = (calm.servers.get_mut(*home), calm.pins.get(*home)) else { continue };
            server.invite(&token, day)?;
            let invite = InviteLink { server: pin.clone(), token };
            let name = format!("p{number}");
            let randomness = calm.dice.fork();
            calm.clients.push(Client::new(name.clone(), randomness, Defects::default())?);
            calm.command(number, Command::Join { invite, name: name.parse().map_err(|_| "name")? });
        }
        calm.settle();
        for number in 0..homes.len() {
            if let Some(Answer::ContactLink { link, .. }) = calm.command(number, Command::MakeContactLink) {
                calm.links.push(link);
            }
        }
        calm.settle();
        Ok(calm)
    }

    /// Somebody without an account, whose device backs up, tries and restores within seconds and minutes.
    ///
    /// # Panics
    /// If no database can be made.
    #[allow(clippy::panic)]
    pub fn newcomer(&mut self) -> usize {
        let (number, randomness) = (self.clients.len(), self.dice.fork());
        match Client::new(format!("p{number}"), randomness, Defects::default()) {
            Ok(client) => self.clients.push(client),
            Err(fault) => panic!("no newcomer: {fault}"),
        }
        self.back_up(number);
        number
    }

    /// From here on, somebody's account is backed up a second after the last change, and its backup tried every hour.
    pub fn back_up(&mut self, who: usize) {
        self.stop(who);
        if let Some(client) = self.clients.get_mut(who) {
            client.back_up(BackupPace { settle_ms: 1_000, try_every_ms: 3_600_000 });
        }
        self.start(who);
    }

    /// The first server, as links name it.
    ///
    /// # Panics
    /// If there is none.
    #[allow(clippy::panic)]
    pub fn pin(&self) -> ServerPin {
        match self.pins.first() {
            Some(pin) => pin.clone(),
            None => panic!("a world without a server"),
        }
    }

    /// A server's machine stops; [`Calm::start_server`] brings it back.
    pub fn stop_server(&mut self, number: usize) {
        if let Some(server) = self.servers.get_mut(number) {
            server.crash();
        }
        let now = Now { unix_ms: self.now_ms };
        for client in &mut self.clients {
            let links: Vec<Link> =
                client.wires.iter().filter(|(_, wire)| wire.site == number).map(|(link, _)| *link).collect();
            for link in links {
                client.wires.remove(&link);
                client.disconnected(now, link);
            }
        }
    }

    /// Somebody sets a server up again at the same address, with the same keys and none of its accounts.
    pub fn replace_server(&mut self, number: usize) {
        self.stop_server(number);
        if let (Some(server), Some(pin)) = (self.servers.get_mut(number), self.pins.get(number)) {
            *server = Server::new(pin.address.clone(), self.dice.fork(), None);
        }
    }

    /// A new profile makes an account of this name on a server; its number.
    ///
    /// # Panics
    /// If it cannot.
    #[allow(clippy::panic)]
    pub fn join(&mut self, server: usize, name: &str) -> usize {
        let who = self.new_profile();
        let token = InviteToken(self.dice.bytes());
        let day = self.server_now().day();
        let invited = self.servers.get_mut(server).map(|server| server.invite(&token, day));
        let (Some(Ok(())), Some(pin), Ok(name)) = (invited, self.pins.get(server), name.parse()) else {
            panic!("nobody can join server {server} as {name}")
        };
        let invite = InviteLink { server: pin.clone(), token };
        self.command(who, Command::Join { invite, name });
        self.settle();
        who
    }

    /// It is back, with everything that it had acknowledged.
    pub fn start_server(&mut self, number: usize) {
        if let Some(server) = self.servers.get_mut(number) {
            server.start();
        }
    }

    /// Carries out a command that may be declined; the words, if it is.
    ///
    /// # Errors
    /// The sentence that a person reads.
    pub fn attempt(&mut self, who: usize, command: Command) -> Result<Answer, String> {
        let now = Now { unix_ms: self.now_ms };
        let client = self.clients.get_mut(who).ok_or("nobody")?;
        let (answer, broken) = client.attempt(now, command);
        self.server_loses(broken);
        answer
    }

    /// From here on, frames for clients go through this.
    pub fn lie(&mut self, lie: impl FnMut(usize, ConnectionKind, Vec<u8>) -> Vec<Vec<u8>> + 'static) {
        self.lie = Some(Box::new(lie));
    }

    /// The server is honest again.
    pub fn be_honest(&mut self) {
        self.lie = None;
    }

    /// The frames of somebody that have reached the server since this was asked last, of anybody.
    pub fn reached_server(&mut self, who: usize) -> Vec<(ConnectionKind, Vec<u8>)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.filter(|(sender, ..)| *sender == who).map(|(_, kind, bytes)| (kind, bytes)).collect()
    }

    /// Somebody's program stops, their database is changed by hand, and it starts again.
    pub fn on_disk(&mut self, who: usize, change: impl FnOnce(&rusqlite::Connection)) {
        self.stop(who);
        if let Some(database) = self.clients.get_mut(who).and_then(Client::at_rest) {
            change(database);
        }
        self.start(who);
    }

    /// A profile in which nothing was done yet: a device that is going to be linked.
    pub fn new_profile(&mut self) -> usize {
        let randomness = self.dice.fork();
        let number = self.clients.len();
        self.clients.extend(Client::new(format!("p{number}"), randomness, Defects::default()));
        number
    }

    /// Shows a device link.
    pub fn device_link(&mut self, who: usize) -> Option<DeviceLink> {
        match self.command(who, Command::Device(DeviceCommand::MakeLink))? {
            Answer::DeviceLink(link) => Some(link),
            _ => None,
        }
    }

    /// Lets a fresh profile ask to become a device, until both show a code or it failed.
    pub fn ask_to_link(&mut self, old: usize, new: usize, name: &str) {
        if let Some(link) = self.device_link(old) {
            self.settle();
            self.command(new, Command::Device(DeviceCommand::AcceptLink { link, name: name.to_owned() }));
            self.settle_over(5_000);
        }
    }

    /// Links a fresh profile to somebody's account; its number.
    pub fn link_device(&mut self, old: usize, name: &str, history: History) -> usize {
        let new = self.new_profile();
        self.ask_to_link(old, new, name);
        let request = self.engine(old).and_then(|engine| engine.device_requests().ok()?.pop());
        if let Some(device) = request.and_then(|request| parse_device_id(&request.id)) {
            self.command(old, Command::Device(DeviceCommand::Answer { device, given: Some(history) }));
        }
        self.settle_over(10_000);
        new
    }

    /// Settles again and again while so much time passes, for what waits on purpose.
    pub fn settle_over(&mut self, ms: i64) {
        let end = self.now_ms.saturating_add(ms);
        self.settle();
        while self.now_ms < end {
            self.wait_ms(500);
            self.settle();
        }
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
        let crash = self.crash_of(who);
        let (answer, broken) = self.clients.get_mut(who)?.command(now, command, crash);
        self.server_loses(broken);
        answer
    }

    /// Ends somebody's program once, in the middle of its next input but so many; it starts again by itself. Without
    /// `outputs` before the transaction, otherwise behind it and so many of its outputs.
    pub fn end_program(&mut self, who: usize, inputs: usize, outputs: Option<usize>) {
        self.ending = Some((who, inputs, outputs.map_or(Crash::Before, Crash::AfterOutputs)));
    }

    /// Whether the end that was asked for last is still to come.
    pub fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    fn crash_of(&mut self, who: usize) -> Crash {
        match &mut self.ending {
            Some((whose, 0, crash)) if *whose == who => {
                let crash = *crash;
                (self.ending, self.ended) = (None, Some(who));
                crash
            }
            Some((whose, inputs, _)) if *whose == who => {
                *inputs = inputs.saturating_sub(1);
                Crash::Never
            }
            _ => Crash::Never,
        }
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

    /// Founds a group with people whom the founder knows already, and settles.
    ///
    /// # Panics
    /// If the founder cannot.
    #[allow(clippy::panic)]
    pub fn found(&mut self, founder: usize, title: &str, others: &[usize]) -> ConversationId {
        let members = others.iter().filter_map(|other| self.address_of(*other)).collect();
        match self.command(founder, Command::CreateGroup { title: title.to_owned(), members }) {
            Some(Answer::Conversation(id)) => {
                self.settle();
                id
            }
            other => panic!("the group cannot be founded: {other:?}"),
        }
    }

    /// Changes a group, without waiting. `None`: it was refused.
    pub fn change(&mut self, who: usize, conversation: ConversationId, change: GroupChange) -> Option<Answer> {
        self.command(who, Command::ChangeGroup { conversation, change })
    }

    /// Somebody's address.
    pub fn address_of(&self, who: usize) -> Option<AccountAddress> {
        self.links.get(who).map(|link| link.address.clone())
    }

    /// One conversation, as somebody sees it.
    pub fn conversation(&self, who: usize, id: &ConversationId) -> Option<Conversation> {
        self.engine(who)?.conversation(id).ok()?
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

    /// Changes somebody's database behind their program's back, which ends and starts again for it.
    ///
    /// # Panics
    /// Where the statements are wrong, or change nothing that is there.
    #[allow(clippy::panic)]
    pub fn damage(&mut self, who: usize, sql: &str) {
        self.stop(who);
        let at_rest = self.clients.get_mut(who).and_then(Client::at_rest);
        if let Some(Err(fault)) = at_rest.map(|connection| connection.execute_batch(sql)) {
            panic!("the damage failed: {fault}");
        }
        self.start(who);
    }

    /// A copy of somebody's database as it is now.
    ///
    /// # Panics
    /// If it cannot be made.
    #[allow(clippy::panic)]
    pub fn copy(&mut self, who: usize) -> Vec<u8> {
        self.stop(who);
        let at_rest = self.clients.get_mut(who).and_then(Client::at_rest);
        let copy = at_rest.map(|connection| database::to_bytes(connection));
        let Some(Ok(copy)) = copy else { panic!("no copy: {copy:?}") };
        self.start(who);
        copy
    }

    /// Puts a copy in the place of somebody's database, as a restored disk does.
    ///
    /// # Panics
    /// If it cannot be read.
    #[allow(clippy::panic)]
    pub fn restore(&mut self, who: usize, copy: &[u8]) {
        self.stop(who);
        let at_rest = self.clients.get_mut(who).and_then(Client::at_rest);
        let restored = at_rest.map(|connection| database::from_bytes(copy).map(|fresh| *connection = fresh));
        let Some(Ok(())) = restored else { panic!("not restored: {restored:?}") };
        self.start(who);
    }

    /// From here on somebody's program does ill, or is honest again.
    pub fn set_defects(&mut self, who: usize, defects: Defects) {
        self.stop(who);
        if let Some(client) = self.clients.get_mut(who) {
            client.set_defects(defects);
        }
        self.start(who);
        self.settle();
    }

    /// A few rounds only, so that a test can interrupt what goes on.
    pub fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            self.wait_ms(100);
            for who in 0..self.clients.len() {
                self.turn(who);
            }
        }
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

    /// Time passes in steps, with everything that it brings.
    pub fn live(&mut self, seconds: i64) {
        for _ in 0..seconds.saturating_mul(4) {
            self.wait_ms(250);
            // Whatever can move at once does: a request, its answer, and what follows from it.
            for _ in 0..4 {
                let moved = (0..self.clients.len()).filter(|who| self.turn(*who)).count();
                if moved == 0 {
                    break;
                }
            }
        }
        self.settle();
    }

    /// Runs for so many turns of one person each, and stops in the middle of things.
    pub fn take_turns(&mut self, turns: usize) {
        for turn in 0..turns {
            self.now_ms = self.now_ms.saturating_add(5);
            if let Some(who) = turn.checked_rem(self.clients.len()) {
                self.turn(who);
            }
        }
    }

    /// The server forgets what has expired.
    pub fn sweep(&mut self) {
        for _ in 0..4 {
            (0..self.servers.len()).for_each(|number| self.serve_batch(number, vec![ServerInput::Tick]));
        }
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
}

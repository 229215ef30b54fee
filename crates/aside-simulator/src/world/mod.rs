//! A world: people with devices, servers, what they do, the troubles that befall them, and how it is mended.
//!
//! Everything is decided by one [`Dice`]. [`network`] carries frames, [`faults`] breaks things, [`actions`] are what
//! people do, [`ledger`] keeps what was seen to happen, and [`mend`] brings everything to rest for the checks.

pub mod actions;
mod faults;
pub(crate) mod ledger;
mod mend;
mod network;
pub(crate) mod people;

use crate::check::{self, Broken};
use crate::client::{Client, Crash};
use crate::dice::Dice;
use crate::plan::{Plan, PlantedDefect};
use crate::report::Report;
use crate::server::Server;
use aside_engine::Defects;
use aside_engine::input::{self as engine_input, Answer, Command, DeviceCommand, Input, Link};
use aside_protocol::address::{AccountAddress, ServerAddress};
use aside_protocol::inbox::InviteToken;
use aside_protocol::key::SigningKey;
use aside_protocol::link::{ServerPin, TlsTrust};
use aside_server::core::{self, Defect};
use ledger::Ledger;
use people::{Device, Person, Site};

/// 2026-01-01 in milliseconds.
const BEGINNING_MS: i64 = 1_767_225_600_000;
/// Steps for each pair of people in which they get to know each other.
const MEETING_STEPS: usize = 400;

/// Absences that no link survives are longer than this, however many there are of them.
const SHORT_DAYS: usize = 7;

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    /// It was carried out.
    Done(Box<Answer>),
    /// It was declined, or the program ended before it.
    Not,
    /// The program ended before it could answer.
    Unknown,
}

impl Came {
    /// What the device answered, of a command that was carried out.
    pub(crate) fn answer(self) -> Option<Answer> {
        match self {
            Self::Done(answer) => Some(*answer),
            Self::Not | Self::Unknown => None,
        }
    }
}

/// One world.
pub struct World {
    seed: u64,
    pub(crate) plan: Plan,
    pub(crate) dice: Dice,
    pub(crate) now_ms: i64,
    pub(crate) sites: Vec<Site>,
    pub(crate) people: Vec<Person>,
    pub(crate) devices: Vec<Device>,
    pub(crate) ledger: Ledger,
    is_calm: bool,
    is_meeting: bool,
    is_mending: bool,
    pub(crate) report: Report,
    trace: Vec<String>,
    fault: Option<String>,
}

impl World {
    /// A world in which nobody has an account yet.
    pub fn new(seed: u64, plan: &Plan) -> Self {
        let mut world = Self {
            seed,
            plan: plan.clone(),
            dice: Dice::new(seed),
            now_ms: BEGINNING_MS,
            sites: Vec::new(),
            people: Vec::new(),
            devices: Vec::new(),
            ledger: Ledger::default(),
            is_calm: false,
            is_meeting: true,
            is_mending: false,
            report: Report { worlds: 1, ..Report::default() },
            trace: Vec::new(),
            fault: None,
        };
        if let Err(fault) = world.settle_people() {
            world.fault = Some(fault);
        }
        world
    }

    fn settle_people(&mut self) -> Result<(), String> {
        for number in 0..self.plan.servers {
            let site = self.site(number)?;
            self.sites.push(site);
        }
        let homes: Vec<usize> = (0..self.plan.accounts)
            .map(|number| if number < self.plan.servers { number } else { self.dice.below(self.plan.servers) })
            .collect();
        for (number, home) in homes.into_iter().enumerate() {
            let invite = InviteToken(self.dice.bytes());
            let today = self.server_now().day();
            let Some(site) = self.sites.get_mut(home) else { continue };
            site.server.invite(&invite, today)?;
            let name = format!("p{number}").parse().map_err(|_| "a name")?;
            let address = AccountAddress { name, server: site.address().clone() };
            let friends = (0..number).filter(|other| *other < self.plan.hubs || self.dice.per_mille(300)).collect();
            self.people.push(Person { address, invite, home, link: None, friends });
            self.add_device(number)?;
        }
        Ok(())
    }

    fn site(&mut self, number: usize) -> Result<Site, String> {
        let identity_key = SigningKey::from_seed(&self.dice.bytes()).public_key();
        let address: ServerAddress = format!("s{number}.example").parse().map_err(|_| "a server's address")?;
        let pin = ServerPin { address: address.clone(), identity_key, tls: TlsTrust::Pinned };
        let defect = match self.plan.defect {
            Some(PlantedDefect::AcknowledgementBeforeSync) => Some(Defect::AckBeforeSync),
            Some(PlantedDefect::CompareAndSwapOff) => Some(Defect::NoCompareAndSwap),
            _ => None,
        };
        let server = Server::new(address, self.dice.fork(), defect);
        Ok(Site { server, pin, is_held_down: false, unnoticed: Vec::new() })
    }

    /// A further device of somebody, with an empty database.
    pub(crate) fn add_device(&mut self, person: usize) -> Result<usize, String> {
        let planted = |defect| self.plan.defect == Some(defect);
        let defects = Defects {
            cursor_outside_transaction: planted(PlantedDefect::CursorOutsideTransaction),
            retry_re_encrypts: planted(PlantedDefect::RetryReEncrypts),
            dedupe_off: planted(PlantedDefect::DedupeOff),
            lost_race_forgotten: planted(PlantedDefect::LostRaceForgotten),
            welcome_before_acknowledgement: planted(PlantedDefect::WelcomeBeforeAcknowledgement),
            welcome_at_wrong_place: planted(PlantedDefect::WelcomeAtWrongPlace),
            ..Defects::default()
        };
        let earlier = self.devices.iter().filter(|device| device.person == person).count();
        let name = if earlier == 0 { format!("p{person}") } else { format!("p{person}/{}", earlier + 1) };
        let client = Client::new(name, self.dice.fork(), defects)?;
        self.devices.push(Device {
            person,
            client,
            is_away: false,
            id: None,
            offer: None,
            copy: None,
            tries: 0,
            given_up: 0,
        });
        self.report.devices += 1;
        Ok(self.devices.len() - 1)
    }

    /// Lives through the troubles, is mended, and is checked.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn run(mut self) -> Result<Report, Broken> {
        self.meet();
        for chapter in 0..self.plan.chapters {
            self.begin_absences(chapter);
            for _ in 0..self.plan.steps * self.devices.len() {
                self.step();
            }
            self.end_absences();
        }
        self.mend();
        let checked = match self.fault.take() {
            Some(fault) => Err(fault),
            None => check::all(&mut self),
        };
        if checked.is_err() {
            self.note_stands();
        }
        checked.map(|()| self.report).map_err(|promise| Broken {
            seed: self.seed,
            promise,
            plan: self.plan.describe(),
            trace: self.trace,
        })
    }

    /// For the trace of a broken world: where everybody stands at its end.
    fn note_stands(&mut self) {
        for who in 0..self.devices.len() {
            let Some((device, engine)) = self.devices.get(who).and_then(|it| Some((it, it.client.engine()?))) else {
                continue;
            };
            let name = device.name().to_owned();
            let mut lines = vec![format!("{name}: {}", engine.unsettled().unwrap_or_default())];
            if let Ok(Some(linking)) = engine.linking() {
                lines.push(format!("{name} is being linked: {linking:?}"));
            }
            let own = device.id.as_ref().map(|(_, id)| *id);
            lines.push(format!("{name} is device {own:?} and knows {:?}", engine.devices().unwrap_or_default()));
            for shown in engine.conversations().unwrap_or_default() {
                let (place, reason) = (self.place(who, &shown.id), shown.paused_reason.unwrap_or_default());
                lines.push(format!("{name} in {place:?}: {:?} {reason}", shown.state));
            }
            for seen in engine.channels_seen().unwrap_or_default() {
                let place = self.place(who, &seen.conversation);
                let moved = seen.successor.map(|next| format!(", moved to {next:?}")).unwrap_or_default();
                let (channel, epoch, seq) = (seen.channel, seen.epoch, seen.seq);
                lines.push(format!("{name} in {place:?}: {channel:?} epoch {epoch} read to {seq}{moved}"));
            }
            self.trace.append(&mut lines);
        }
    }

    /// Everybody joins, and gets to know whom they shall know.
    fn meet(&mut self) {
        self.is_calm = !self.plan.is_rough_from_the_start;
        let pairs: usize = self.people.iter().map(|person| person.friends.len()).sum();
        for _ in 0..MEETING_STEPS * (pairs + self.people.len()) {
            if self.fault.is_some() || (0..self.devices.len()).all(|who| self.has_met(who)) {
                break;
            }
            self.step();
        }
        if self.plan.away_days_max > SHORT_DAYS {
            // A link that was not followed to its end before somebody is away for long has expired when they come back.
            self.come_to_rest();
        }
        (self.is_calm, self.is_meeting) = (false, false);
        self.note(|| "everybody has met".into());
    }

    pub(crate) fn engine_now(&self) -> engine_input::Now {
        engine_input::Now { unix_ms: self.now_ms }
    }

    pub(crate) fn server_now(&self) -> core::Now {
        core::Now { unix_ms: u64::try_from(self.now_ms).unwrap_or(0) }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        self.trace.push(line());
    }

    pub(crate) fn blame(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// One thing happens.
    fn step(&mut self) {
        let who = self.dice.below(self.devices.len());
        self.now_ms = self.now_ms.saturating_add(i64::try_from(self.dice.below(200)).unwrap_or(0));
        if !self.is_calm && self.dice.per_mille(self.plan.trouble_per_mille) {
            return self.trouble(who);
        }
        match self.dice.below(20) {
            0..2 => self.act(who),
            2..4 => self.connect(who),
            4..6 => self.tick(who),
            6..13 => self.serve(),
            _ => self.receive(who),
        }
    }

    /// Gives an input to a device, as far as a crash by chance lets it, and looks at what came of it.
    pub(crate) fn handle(&mut self, who: usize, input: Input) {
        let (now, crash) = (self.engine_now(), self.crash_by_chance());
        self.handle_until(who, now, input, crash);
    }

    fn handle_until(&mut self, who: usize, now: engine_input::Now, input: Input, crash: Crash) {
        let Some(device) = self.devices.get_mut(who) else { return };
        let broken = device.client.handle(now, input, crash);
        if !broken.is_empty() {
            device.given_up += usize::from(self.is_mending);
            let line = format!("{} loses {} connections ({crash:?})", device.name(), broken.len());
            self.note(|| line);
        }
        self.servers_lose(broken);
        self.observe(who);
    }

    /// A person wants something of a device.
    pub(crate) fn command(&mut self, who: usize, command: Command) -> Came {
        let (now, crash) = (self.engine_now(), self.crash_by_chance());
        let line = summary(&command);
        let Some(device) = self.devices.get_mut(who) else { return Came::Not };
        let (answer, broken) = device.client.command(now, command, crash);
        let came = match answer {
            Some(answer) => Came::Done(Box::new(answer)),
            None if matches!(crash, Crash::AfterOutputs(_)) && !device.client.is_running() => Came::Unknown,
            None => Came::Not,
        };
        let told = match came {
            Came::Done(_) => "",
            Came::Not => ": not done",
            Came::Unknown => ": and crashes",
        };
        let line = format!("{} wants {line}{told}", device.name());
        self.note(|| line);
        self.servers_lose(broken);
        self.observe(who);
        came
    }

    /// Where the next input's handling ends, by chance.
    fn crash_by_chance(&mut self) -> Crash {
        if self.is_calm || !self.dice.per_mille(self.plan.trouble_per_mille / 6) {
            return Crash::Never;
        }
        self.report.crashes += 1;
        match self.dice.below(4) {
            0 => Crash::Before,
            _ => Crash::AfterOutputs(self.dice.below(4)),
        }
    }

    fn tick(&mut self, who: usize) {
        self.handle(who, Input::Tick);
    }

    pub(crate) fn links_of(&self, who: usize) -> Vec<Link> {
        self.devices.get(who).map(|device| device.client.wires.keys().copied().collect()).unwrap_or_default()
    }
}

fn summary(command: &Command) -> String {
    match command {
        Command::SendText { conversation, text, .. } => format!("to write {text:?} into {conversation:?}"),
        Command::AddContact { link } => format!("to add {}", link.address.name),
        Command::Join { .. } => "to join".into(),
        Command::MakeContactLink => "a link".into(),
        Command::CreateGroup { title, members } => format!("a group {title:?} with {}", names(members)),
        Command::ChangeGroup { conversation, change } => format!("{} in {conversation:?}", actions::words(change)),
        Command::RotateKeys { conversation } => format!("new keys in {conversation:?}"),
        Command::MarkRead { conversation, .. } => format!("to have read {conversation:?}"),
        Command::EditText { message, text } => format!("to edit {message:?} to {text:?}"),
        Command::DeleteMessage { message } => format!("to delete {message:?}"),
        Command::React { message, .. } => format!("to react to {message:?}"),
        Command::Accept { conversation } => format!("to accept {conversation:?}"),
        Command::Device(DeviceCommand::MakeLink) => "a device link".into(),
        Command::Device(DeviceCommand::AcceptLink { .. }) => "to become a device".into(),
        Command::Device(DeviceCommand::Answer { given, .. }) => format!("to give a device {given:?}"),
        Command::Device(DeviceCommand::Revoke { .. }) => "a device to be out".into(),
        _ => "something".into(),
    }
}

pub(crate) fn names(members: &[AccountAddress]) -> String {
    members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(" ")
}

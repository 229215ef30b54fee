//! One person's device: an engine over a database that survives its crashes.

use crate::link::Wire;
use aside_engine::heal::HealPace;
use aside_engine::input::{Answer, Change, Command, Input, Link, Now, Output};
use aside_engine::recovery::BackupPace;
use aside_engine::{Defects, Engine, Options};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Where in handling an input the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Not at all.
    Never,
    /// Before the transaction: the input is lost.
    Before,
    /// After the transaction, with so many of its outputs done.
    AfterOutputs(usize),
}

pub(crate) struct Client {
    pub name: String,
    engine: Option<Engine>,
    at_rest: Option<Connection>,
    randomness: ChaCha8Rng,
    options: Options,
    pub wires: BTreeMap<Link, Wire>,
    /// How often its engine gave an error; one that is not a person's is a defect by itself.
    pub engine_errors: Vec<String>,
    /// What a person was told of since this was last emptied.
    pub changed: Vec<Change>,
    /// When the engine wants to be woken.
    pub wake_at: Option<i64>,
}

impl Client {
    pub fn new(name: String, randomness: ChaCha8Rng, defects: Defects) -> Result<Self, String> {
        let options = Options {
            key_packages: 2,
            rotate_after_join_ms: 4_000,
            rotate_every_ms: 1_000_000_000_000,
            receipt_delay_ms: 400,
            heal: HealPace {
                answer_step_ms: 200,
                own_first_ms: 500,
                ask_again_ms: 3_000,
                refound_after_ms: 20_000,
                refound_alone_after_ms: 60_000,
                gap_patience_ms: 30_000,
            },
            backups: None,
            defects,
        };
        let at_rest = Connection::open_in_memory().map_err(|error| error.to_string())?;
        let mut client = Self {
            name,
            engine: None,
            at_rest: Some(at_rest),
            randomness,
            options,
            wires: BTreeMap::new(),
            engine_errors: Vec::new(),
            changed: Vec::new(),
            wake_at: None,
        };
        client.start()?;
        Ok(client)
    }

    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// From its next start on, the account is backed up to its server.
    pub fn back_up(&mut self, pace: BackupPace) {
        self.options.backups = Some(pace);
    }

    pub fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    pub fn start(&mut self) -> Result<(), String> {
        if let Some(connection) = self.at_rest.take() {
            self.engine = Some(Engine::open(connection, self.options).map_err(|error| error.to_string())?);
            self.wake_at = Some(i64::MIN);
        }
        Ok(())
    }

    /// What its program does wrong from its next start on.
    pub fn set_defects(&mut self, defects: Defects) {
        self.options.defects = defects;
    }

    /// The database, while the process does not run.
    pub fn at_rest(&mut self) -> Option<&mut Connection> {
        self.at_rest.as_mut()
    }

    /// The process ends: memory and connections are gone, the database stays. Returns the wires that broke.
    pub fn crash(&mut self) -> Vec<Wire> {
        self.wake_at = None;
        self.at_rest = self.engine.take().map(Engine::into_connection).or(self.at_rest.take());
        std::mem::take(&mut self.wires).into_values().collect()
    }

    /// Gives an input to the engine, and carries its outputs out as far as the crash lets it. Returns wires that broke.
    pub fn handle(&mut self, now: Now, input: Input, crash: Crash) -> Vec<Wire> {
        let Some(engine) = &mut self.engine else { return Vec::new() };
        if crash == Crash::Before {
            return self.crash();
        }
        if matches!(input, Input::Tick) {
            self.wake_at = None;
        }
        match engine.handle(now, &mut self.randomness, input) {
            Ok(outputs) => self.carry_out(outputs, crash),
            Err(error) => {
                self.engine_errors.push(error.to_string());
                std::mem::take(&mut self.wires).into_values().collect()
            }
        }
    }

    /// Carries out a command. The answer is absent after a crash, though the command may have taken effect.
    pub fn command(&mut self, now: Now, command: Command, crash: Crash) -> (Option<Answer>, Vec<Wire>) {
        let Some(engine) = &mut self.engine else { return (None, Vec::new()) };
        if crash == Crash::Before {
            return (None, self.crash());
        }
        match engine.command(now, &mut self.randomness, command) {
            Ok((answer, outputs)) => {
                let answer = (crash == Crash::Never).then_some(answer);
                (answer, self.carry_out(outputs, crash))
            }
            Err(aside_engine::error::CommandError::Engine(error)) => {
                self.engine_errors.push(error.to_string());
                (None, std::mem::take(&mut self.wires).into_values().collect())
            }
            Err(_) => (None, Vec::new()),
        }
    }

    /// Carries out a command that may be declined; the sentence that a person reads, if it is.
    pub fn attempt(&mut self, now: Now, command: Command) -> (Result<Answer, String>, Vec<Wire>) {
        let Some(engine) = &mut self.engine else { return (Err("it does not run".to_owned()), Vec::new()) };
        match engine.command(now, &mut self.randomness, command) {
            Ok((answer, outputs)) => (Ok(answer), self.carry_out(outputs, Crash::Never)),
            Err(error) => (Err(error.to_string()), Vec::new()),
        }
    }

    fn carry_out(&mut self, outputs: Vec<Output>, crash: Crash) -> Vec<Wire> {
        let mut broken = Vec::new();
        for (done, output) in outputs.into_iter().enumerate() {
            if crash == Crash::AfterOutputs(done) {
                broken.extend(self.crash());
                return broken;
            }
            match output {
                Output::Send { link, bytes } => {
                    if let Some(wire) = self.wires.get_mut(&link) {
                        wire.to_server.push_back(bytes);
                    }
                }
                Output::Close { link, .. } => broken.extend(self.wires.remove(&link)),
                Output::Changed(change) => self.changed.push(change),
                Output::WakeAt { unix_ms } => {
                    self.wake_at = Some(self.wake_at.map_or(unix_ms, |at| at.min(unix_ms)));
                }
                Output::WantedChanged => {}
            }
        }
        if matches!(crash, Crash::AfterOutputs(_)) {
            broken.extend(self.crash());
        }
        broken
    }

    /// Takes back what a broken connection had noted.
    pub fn disconnected(&mut self, now: Now, link: Link) -> Vec<Wire> {
        self.handle(now, Input::Disconnected { link }, Crash::Never)
    }

    /// The next copy of a message's content in the outbox: what a member with ill will sends.
    pub fn send_again(&mut self, message: &aside_engine::content::MessageId) {
        if let Some(engine) = &mut self.engine
            && let Err(error) = engine.dangerous_send_again(message)
        {
            self.engine_errors.push(error.to_string());
        }
    }
}

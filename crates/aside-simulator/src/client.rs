//! One person's device: an engine over a database that survives its crashes.

use crate::link::Wire;
use aside_engine::input::{Answer, Command, Input, Link, Now, Output};
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
}

impl Client {
    pub fn new(name: String, randomness: ChaCha8Rng, defects: Defects) -> Result<Self, String> {
        let options = Options {
            key_packages: 2,
            rotate_after_join_ms: 4_000,
            rotate_every_ms: 1_000_000_000_000,
            receipt_delay_ms: 400,
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
        };
        client.start()?;
        Ok(client)
    }

    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    pub fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    pub fn start(&mut self) -> Result<(), String> {
        if let Some(connection) = self.at_rest.take() {
            self.engine = Some(Engine::open(connection, self.options).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// The process ends: memory and connections are gone, the database stays. Returns the wires that broke.
    pub fn crash(&mut self) -> Vec<Wire> {
        self.at_rest = self.engine.take().map(Engine::into_connection).or(self.at_rest.take());
        std::mem::take(&mut self.wires).into_values().collect()
    }

    /// Gives an input to the engine, and carries its outputs out as far as the crash lets it. Returns wires that broke.
    pub fn handle(&mut self, now: Now, input: Input, crash: Crash) -> Vec<Wire> {
        let Some(engine) = &mut self.engine else { return Vec::new() };
        if crash == Crash::Before {
            return self.crash();
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
                Output::WantedChanged | Output::Changed(_) | Output::WakeAt { .. } => {}
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

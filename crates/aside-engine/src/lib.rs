//! The client's heart. In a message's path it stands between the loopback API and the connections: it keeps the
//! timeline, encrypts and decrypts through `aside-mls`, and decides what is sent. It owns its database.
//!
//! It is pure but for that database: no socket, clock, thread or randomness of its own. Time and randomness are
//! arguments, so every failure replays from a seed. **One input is one transaction**: MLS state, timeline and cursor
//! change together or not at all, and outputs exist only after the commit.

mod account;
mod blob;
mod channel;
mod command;
pub mod contact;
pub mod content;
mod context;
pub mod conversation;
mod device;
pub mod error;
mod group;
pub mod heal;
mod id;
mod inbox;
pub mod input;
mod job;
mod network;
mod pump;
pub mod recovery;
mod safety;
mod schema;
mod server;
pub mod settings;
mod timeline;
pub mod view;

use account::Identity;
use aside_mls::{Group, Mls};
use aside_protocol::channel::Position;
use aside_protocol::id::ChannelId;
use context::Context;
use error::{CommandError, EngineError};
use input::{Answer, Command, Input, Link, Now, Output, Wanted};
use network::LinkState;
use rand_core::CryptoRng;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Numbers that a simulation makes smaller.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// KeyPackages in stock on the server.
    pub key_packages: u32,
    /// The least wait before a device that joined renews its leaf's keys, in milliseconds.
    pub rotate_after_join_ms: i64,
    /// How often a leaf's keys are renewed, in milliseconds.
    pub rotate_every_ms: i64,
    /// How long a receipt waits for others to join it, in milliseconds.
    pub receipt_delay_ms: i64,
    /// How fast things heal.
    pub heal: heal::HealPace,
    /// How often the account is backed up to its server; not at all without.
    pub backups: Option<recovery::BackupPace>,
    /// Faults on purpose.
    pub defects: Defects,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key_packages: 50,
            rotate_after_join_ms: 60_000,
            rotate_every_ms: 7 * 86_400_000,
            receipt_delay_ms: 400,
            heal: heal::HealPace::default(),
            backups: Some(recovery::BackupPace::default()),
            defects: Defects::default(),
        }
    }
}

/// Declares the faults: with the feature a field each, and without it none.
macro_rules! defects {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Faults that the simulator plants to see that it catches them. Without the feature there are none.
        #[derive(Debug, Clone, Copy, Default)]
        pub struct Defects {
            $($(#[$doc])* #[cfg(feature = "planted-defects")] pub $name: bool,)*
        }

        impl Defects {
            $(
                #[cfg(feature = "planted-defects")]
                fn $name(self) -> bool {
                    self.$name
                }
                // Some are asked for only where the feature is on.
                #[cfg(not(feature = "planted-defects"))]
                #[allow(dead_code)]
                const fn $name(self) -> bool {
                    false
                }
            )*
        }
    };
}

defects! {
    /// The cursor moves in the transaction after the one that took the entry.
    cursor_outside_transaction,
    /// A retry encrypts again although the epoch did not move, under a new append id.
    retry_re_encrypts,
    /// A content that was taken before is taken again.
    dedupe_off,
    /// What a commit was to carry out is forgotten when another one comes first.
    lost_race_forgotten,
    /// Welcomes go out together with the commit, whether or not the server takes it.
    welcome_before_acknowledgement,
    /// A newcomer is told to read from one entry too late.
    welcome_at_wrong_place,
    /// A member with ill will: commits that nobody can process.
    garbage_commits,
    /// A member with ill will: bytes in the place of commits that are none for anybody.
    nonsense_commits,
    /// A member with ill will: commits with other keys for the next epoch than they lead to.
    wrong_next_keys,
    /// A member with ill will: commits what its role forbids.
    forbidden_commits,
    /// A member with ill will: hides in its commits that somebody outside the group may propose changes.
    hidden_external_sender,
}

/// Everything but the database. What of it mirrors the database is dropped when a transaction fails.
pub(crate) struct Heart {
    options: Options,
    mls: Mls,
    identity: Option<Identity>,
    groups: BTreeMap<ChannelId, Group>,
    links: BTreeMap<Link, LinkState>,
    /// Channels whose subscription, commit or outbox may have something to do.
    stirred: std::collections::BTreeSet<ChannelId>,
    /// When a receipt that is waiting goes out.
    receipts_due: BTreeMap<ChannelId, i64>,
    /// When the home server was last asked which devices there are.
    attended_day: u32,
    /// How far this device has got with looking at its contacts' accounts.
    contact_round: contact::round::Round,
    /// When the other devices were last asked for everything.
    asked_for_all_day: u32,
    /// Only with a planted defect: cursors that are written one transaction too late.
    late_cursors: BTreeMap<ChannelId, (Position, Position)>,
    recovery: recovery::Memory,
    /// Whether the groups' rows were looked at since the profile was opened.
    is_checked: bool,
}

/// The engine of one profile.
pub struct Engine {
    db: Connection,
    heart: Heart,
}

impl Engine {
    /// Opens a profile's database, which the caller has already given its key, and brings it up to date.
    ///
    /// # Errors
    /// [`EngineError`]: the database's own, a damaged row, or a database of a newer program.
    pub fn open(mut connection: Connection, options: Options) -> Result<Self, EngineError> {
        schema::migrate(&mut connection)?;
        connection.set_prepared_statement_cache_capacity(256);
        let heart = Heart {
            options,
            mls: Mls::new()?,
            identity: account::load(&connection)?,
            groups: BTreeMap::new(),
            links: BTreeMap::new(),
            stirred: Default::default(),
            receipts_due: BTreeMap::new(),
            attended_day: 0,
            contact_round: Default::default(),
            asked_for_all_day: 0,
            late_cursors: BTreeMap::new(),
            // An earlier run may have ended between overwriting a secret and emptying the log of it.
            recovery: recovery::Memory { erase: true, ..Default::default() },
            is_checked: false,
        };
        let mut engine = Self { db: connection, heart };
        engine.erase()?;
        Ok(engine)
    }

    /// Gives the database back; everything in memory is lost, as in a crash.
    pub fn into_connection(self) -> Connection {
        self.db
    }

    /// Takes one input: one transaction, then the outputs.
    ///
    /// # Errors
    /// [`EngineError`]: nothing of the input took effect, and the engine has dropped what it knew of its connections: the
    /// caller closes them all and opens them again.
    pub fn handle(
        &mut self,
        now: Now,
        randomness: &mut dyn CryptoRng,
        input: Input,
    ) -> Result<Vec<Output>, EngineError> {
        let taken =
            self.in_transaction(now, randomness, |heart, context| heart.take(context, input).map_err(Failed::Lost));
        taken.map(|((), outputs)| outputs)
    }

    /// Carries out a command: one transaction, then the answer and the outputs.
    ///
    /// # Errors
    /// [`CommandError`]: a sentence for a person; nothing was changed.
    pub fn command(
        &mut self,
        now: Now,
        randomness: &mut dyn CryptoRng,
        command: Command,
    ) -> Result<(Answer, Vec<Output>), CommandError> {
        let done = self.in_transaction(now, randomness, |heart, context| {
            heart.command(context, command).map_err(|error| match error {
                CommandError::Engine(_) => Failed::Lost(error),
                _ => Failed::Declined(error),
            })
        })?;
        self.erase()?;
        Ok(done)
    }

    /// The connections that shall be open.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn wanted(&self) -> Result<Vec<Wanted>, EngineError> {
        if let Some(restoring) = &self.heart.recovery.restoring {
            return Ok(restoring.wanted());
        }
        pump::wanted(&self.db, self.heart.identity.as_ref())
    }

    /// What a member with ill will does: queues the content of a queued message once more, as another entry.
    ///
    /// # Errors
    /// [`EngineError`].
    #[cfg(feature = "planted-defects")]
    pub fn dangerous_send_again(&mut self, message: &content::MessageId) -> Result<(), EngineError> {
        self.db.execute(
            "INSERT INTO outbox (conversation, content, sent_ms)
             SELECT conversation, content, sent_ms FROM outbox WHERE message = ?",
            [message],
        )?;
        let mut statement = self.db.prepare_cached(
            "SELECT c.channel FROM outbox o JOIN conversations c ON c.id = o.conversation
             WHERE o.message = ? AND c.channel IS NOT NULL",
        )?;
        for channel in statement.query_map([message], |row| row.get(0))? {
            self.heart.stirred.insert(ChannelId(channel?));
        }
        Ok(())
    }

    fn in_transaction<T, E: From<EngineError>>(
        &mut self,
        now: Now,
        randomness: &mut dyn CryptoRng,
        step: impl FnOnce(&mut Heart, &mut Context<'_>) -> Result<T, Failed<E>>,
    ) -> Result<(T, Vec<Output>), E> {
        let lost = |error: EngineError| Failed::Lost(E::from(error));
        let result = self.db.transaction().map_err(|error| lost(error.into())).and_then(|transaction| {
            let mut context = Context::new(&transaction, now, randomness, self.heart.options.defects);
            self.heart.write_late_cursors(&mut context).map_err(lost)?;
            let value = step(&mut self.heart, &mut context)?;
            self.heart.pump(&mut context).map_err(lost)?;
            self.heart.hold_late_cursors(&mut context).map_err(lost)?;
            let outputs = context.into_outputs();
            transaction.commit().map_err(|error| lost(error.into()))?;
            Ok((value, outputs))
        });
        result.or_else(|failed| {
            // After a rollback the groups in memory may be ahead of the disk.
            self.heart.groups.clear();
            self.heart.recovery.rolled_back();
            match failed {
                Failed::Declined(error) => Err(error),
                Failed::Lost(error) => {
                    self.heart.links.clear();
                    self.heart.late_cursors.clear();
                    self.heart.identity = account::load(&self.db)?;
                    Err(error)
                }
            }
        })
    }
}

/// How a step failed.
enum Failed<E> {
    /// Before it changed anything in memory: a person's command that cannot be carried out.
    Declined(E),
    /// Somewhere in the middle: what is known of the connections is not to be trusted.
    Lost(E),
}

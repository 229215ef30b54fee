//! Showing the words, and forgetting them: once the person has typed them back, this device keeps the backup key only.

use super::phrase::{Entropy, PHRASE_WORDS, TypedPhrase};
use crate::context::Context;
use crate::error::{CommandError, EngineError};
use crate::input::{Answer, Change};
use crate::{Engine, Heart};
use rusqlite::{Connection, OptionalExtension};

/// The phrase, as long as this device has it; `None` without an account, or once it was confirmed.
pub(crate) fn entropy(db: &Connection) -> Result<Option<Entropy>, EngineError> {
    let row: Option<Option<[u8; 32]>> =
        db.prepare_cached("SELECT phrase_entropy FROM account")?.query_row([], |row| row.get(0)).optional()?;
    Ok(row.flatten().map(Entropy::new))
}

/// Compares the words with those that were shown, and erases these. The caller's next step is [`Engine::erase`].
pub(crate) fn confirm(
    heart: &mut Heart,
    context: &mut Context<'_>,
    typed: &TypedPhrase,
) -> Result<Answer, CommandError> {
    if heart.identity.is_none() {
        return Err(CommandError::NotJoined);
    }
    let Some(shown) = entropy(context.db)? else { return Err(CommandError::PhraseConfirmed) };
    shown.compare(typed)??;
    context.db.execute("UPDATE account SET phrase_entropy = NULL", [])?;
    heart.recovery.erase = true;
    context.changed(Change::State);
    Ok(Answer::Done)
}

impl Engine {
    /// The [`PHRASE_WORDS`] words to write down; `None` once they were confirmed (this device has forgotten them), and
    /// without an account.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn phrase(&self) -> Result<Option<[&'static str; PHRASE_WORDS]>, EngineError> {
        let Some(entropy) = entropy(&self.db)? else { return Ok(None) };
        let words = entropy.words()?;
        words.try_into().map(Some).map_err(|_| EngineError::Damaged { what: "recovery phrase" })
    }

    /// Empties the write-ahead log, which may still hold pages from before a secret was overwritten.
    pub(crate) fn erase(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.heart.recovery.erase) {
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::input::{Command, Now};
    use crate::recovery::PhraseError;
    use aside_protocol::inbox::InviteToken;
    use aside_protocol::key::PublicKey;
    use aside_protocol::link::{InviteLink, ServerPin, TlsTrust};
    use rand_chacha::rand_core::SeedableRng;
    use std::path::Path;

    fn joined(path: &Path) -> Engine {
        let mut engine = Engine::open(Connection::open(path).unwrap(), Options::default()).unwrap();
        let server = ServerPin {
            address: "a.example".parse().unwrap(),
            identity_key: PublicKey([1; 32]),
            tls: TlsTrust::Pinned,
        };
        let invite = InviteLink { server, token: InviteToken([2; 16]) };
        command(&mut engine, Command::Join { invite, name: "alice".parse().unwrap() }).unwrap();
        engine
    }

    fn command(engine: &mut Engine, command: Command) -> Result<Answer, CommandError> {
        let mut randomness = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        engine.command(Now { unix_ms: 1 }, &mut randomness, command).map(|(answer, _)| answer)
    }

    fn typed(words: &[&str]) -> Command {
        Command::ConfirmPhrase { phrase: TypedPhrase::new(words.join(" ")) }
    }

    fn files_hold(directory: &Path, needle: &[u8]) -> bool {
        std::fs::read_dir(directory).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    }

    #[test]
    fn confirmed_words_are_erased_from_the_database_files() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = joined(&directory.path().join("profile.db"));
        let words = engine.phrase().unwrap().unwrap();
        let secret = *entropy(&engine.db).unwrap().unwrap().dangerous_bytes();
        // Without this the test could not fail.
        assert!(files_hold(directory.path(), &secret));
        command(&mut engine, typed(&words)).unwrap();
        assert!(!files_hold(directory.path(), &secret));
        assert_eq!(engine.phrase().unwrap(), None);
        assert!(matches!(command(&mut engine, typed(&words)), Err(CommandError::PhraseConfirmed)));
        drop(engine);
        assert!(!files_hold(directory.path(), &secret));
    }

    #[test]
    fn words_that_are_not_the_shown_ones_confirm_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = joined(&directory.path().join("profile.db"));
        let mut words = engine.phrase().unwrap().unwrap();
        words[23] = if words[23] == "zoo" { "abandon" } else { "zoo" };
        let refused = command(&mut engine, typed(&words));
        assert!(matches!(refused, Err(CommandError::Phrase(PhraseError::OtherWord { place: 24 }))));
        assert!(engine.phrase().unwrap().is_some());
    }
}

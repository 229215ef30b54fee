//! The database's key: from a passphrase, or from the operating system's keyring. A profile remembers which of the two.

mod keyring;
mod passphrase;

pub use passphrase::KeyCost;

use crate::profile::{Profile, ProfileError, Protection};
use zeroize::Zeroizing;

/// Serves where nobody can type.
pub const PASSPHRASE_VARIABLE: &str = "ASIDE_PASSPHRASE";
/// The length of the database's key.
pub const KEY_BYTES: usize = 32;

/// The raw key of the database. Wiped on drop, never printed.
pub struct DatabaseKey(pub(crate) Zeroizing<[u8; KEY_BYTES]>);

/// Which passphrase is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The one that the profile was made with.
    Known,
    /// One for a profile that is being made.
    New,
}

/// Somebody who may be able to type a passphrase.
pub trait Prompt {
    /// Asks; `None` where nobody can answer.
    ///
    /// # Errors
    /// The terminal's.
    fn passphrase(&mut self, wanted: Wanted) -> std::io::Result<Option<Zeroizing<String>>>;
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum UnlockError {
    /// Nobody typed one, and the environment has none.
    #[error(
        "this profile needs its passphrase and nobody can type it here: set {PASSPHRASE_VARIABLE} in the environment"
    )]
    NoPassphrase,
    /// Typed twice, differently.
    #[error("the two passphrases are not the same: nothing was made")]
    NotTheSame,
    /// Empty.
    #[error("an empty passphrase protects nothing: type at least one character")]
    EmptyPassphrase,
    /// The terminal.
    #[error("the passphrase could not be read: {0}")]
    Terminal(std::io::Error),
    /// The keyring.
    #[error("this profile's key is in the system's keyring, and that does not give it: {0}")]
    Keyring(String),
    /// Parameters that Argon2 does not take.
    #[error("the profile's key parameters are damaged: {0}")]
    Parameters(String),
    /// No randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// The key of a profile: from `environment` (the value of [`PASSPHRASE_VARIABLE`]), else from the keyring if the
/// profile was made with it, else from whoever can type. A profile that is being made takes the environment's
/// passphrase, else the keyring where there is one, else a passphrase that is typed.
///
/// # Errors
/// [`UnlockError`]. A wrong passphrase shows only when the database is opened.
pub fn unlock(
    profile: &mut Profile,
    environment: Option<Zeroizing<String>>,
    prompt: &mut dyn Prompt,
    cost: KeyCost,
) -> Result<DatabaseKey, UnlockError> {
    let environment = environment.filter(|passphrase| !passphrase.is_empty());
    match profile.memory().protection.clone() {
        Some(Protection::Keyring { entry }) => keyring::read(&entry),
        Some(Protection::Passphrase { salt, memory_kib, passes }) => {
            let passphrase = given(environment, prompt, Wanted::Known)?;
            passphrase::derive(&passphrase, &salt, KeyCost { memory_kib, passes })
        }
        None => make(profile, environment, prompt, cost),
    }
}

fn make(
    profile: &mut Profile,
    environment: Option<Zeroizing<String>>,
    prompt: &mut dyn Prompt,
    cost: KeyCost,
) -> Result<DatabaseKey, UnlockError> {
    if environment.is_none()
        && let Some((entry, key)) = keyring::make()?
    {
        let protection = Some(Protection::Keyring { entry });
        profile.remember(crate::profile::Memory { protection, ..profile.memory().clone() })?;
        return Ok(key);
    }
    let passphrase = given(environment, prompt, Wanted::New)?;
    let salt = passphrase::salt()?;
    let key = passphrase::derive(&passphrase, &salt, cost)?;
    let protection = Some(Protection::Passphrase { salt, memory_kib: cost.memory_kib, passes: cost.passes });
    profile.remember(crate::profile::Memory { protection, ..profile.memory().clone() })?;
    Ok(key)
}

fn given(
    environment: Option<Zeroizing<String>>,
    prompt: &mut dyn Prompt,
    wanted: Wanted,
) -> Result<Zeroizing<String>, UnlockError> {
    if let Some(passphrase) = environment {
        return Ok(passphrase);
    }
    let mut ask = || prompt.passphrase(wanted).map_err(UnlockError::Terminal)?.ok_or(UnlockError::NoPassphrase);
    let passphrase = ask()?;
    if passphrase.is_empty() {
        return Err(UnlockError::EmptyPassphrase);
    }
    if wanted == Wanted::New && ask()? != passphrase {
        return Err(UnlockError::NotTheSame);
    }
    Ok(passphrase)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::profile::Place;

    /// Nobody.
    pub struct Nobody;
    impl Prompt for Nobody {
        fn passphrase(&mut self, _: Wanted) -> std::io::Result<Option<Zeroizing<String>>> {
            Ok(None)
        }
    }

    fn words(text: &str) -> Option<Zeroizing<String>> {
        Some(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_same_passphrase_gives_the_same_key_and_another_another() {
        let home = tempfile::tempdir().unwrap();
        let mut profile = Place::new(home.path(), "p".parse().unwrap()).take().unwrap();
        let mut key = |text| *unlock(&mut profile, words(text), &mut Nobody, KeyCost::FOR_TESTS).unwrap().0;
        let first = key("one");
        assert_eq!(first, key("one"));
        assert_ne!(first, key("two"));
    }

    #[test]
    fn a_missing_passphrase_names_the_variable() {
        let home = tempfile::tempdir().unwrap();
        let mut profile = Place::new(home.path(), "p".parse().unwrap()).take().unwrap();
        unlock(&mut profile, words("one"), &mut Nobody, KeyCost::FOR_TESTS).unwrap();
        let error = unlock(&mut profile, words(""), &mut Nobody, KeyCost::FOR_TESTS).err().unwrap();
        assert!(error.to_string().contains(PASSPHRASE_VARIABLE), "{error}");
    }

    #[test]
    fn a_new_passphrase_is_typed_twice_alike() {
        struct Typist(Vec<&'static str>);
        impl Prompt for Typist {
            fn passphrase(&mut self, _: Wanted) -> std::io::Result<Option<Zeroizing<String>>> {
                Ok(words(self.0.remove(0)))
            }
        }
        assert!(matches!(given(None, &mut Typist(vec!["a", "b"]), Wanted::New), Err(UnlockError::NotTheSame)));
        assert!(matches!(given(None, &mut Typist(vec![""]), Wanted::New), Err(UnlockError::EmptyPassphrase)));
        assert!(given(None, &mut Typist(vec!["a", "a"]), Wanted::New).is_ok());
        assert!(given(None, &mut Typist(vec!["a"]), Wanted::Known).is_ok());
    }
}

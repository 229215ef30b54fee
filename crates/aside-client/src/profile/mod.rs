//! A profile: one person's account on this machine, in a directory of its own that one process at a time owns.
//!
//! `$ASIDE_HOME/NAME/` (or `$XDG_DATA_HOME/aside/NAME/`) holds: `lock`, `profile.json` (how the database is protected,
//! which port was used last), `profile.db` (SQLCipher), `sessions.json` (hashes of the browsers' sessions) and, while a
//! process runs, `runtime.json` (its port and secret).

pub(crate) mod file;
mod memory;
mod running;

pub use memory::{Memory, Protection};
pub use running::{Running, Stay};

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The environment variable that says where profiles live.
pub const HOME_VARIABLE: &str = "ASIDE_HOME";
/// The longest name of a profile.
pub const PROFILE_NAME_BYTES_MAX: usize = 32;

/// The name of a profile: 1 to [`PROFILE_NAME_BYTES_MAX`] of `A-Z a-z 0-9 _ -`. It is a directory's name and part of a
/// cookie's, so nothing else is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileName(String);

impl ProfileName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ProfileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a profile's name has 1 to {PROFILE_NAME_BYTES_MAX} letters, digits, _ and -")]
pub struct ProfileNameError;

impl FromStr for ProfileName {
    type Err = ProfileNameError;
    fn from_str(text: &str) -> Result<Self, ProfileNameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match (1..=PROFILE_NAME_BYTES_MAX).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(Self(text.to_owned())),
            false => Err(ProfileNameError),
        }
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Nothing says where profiles live.
    #[error("there is no place for profiles: set {HOME_VARIABLE} to a directory")]
    NoHome,
    /// Another process owns it.
    #[error("the profile {name} is in use by another process")]
    InUse {
        /// Which.
        name: String,
    },
    /// A file that cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file of the profile that holds something else than it should.
    #[error("{path} is damaged: {error}")]
    Damaged {
        /// Which.
        path: String,
        /// Where and what.
        error: serde_json::Error,
    },
}

impl ProfileError {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path, error }
    }
}

/// Where profiles live: `ASIDE_HOME`, else `XDG_DATA_HOME/aside`, else `~/.local/share/aside`.
///
/// # Errors
/// [`ProfileError::NoHome`] where none of these variables is set.
pub fn home() -> Result<PathBuf, ProfileError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable(HOME_VARIABLE)
        .or_else(|| variable("XDG_DATA_HOME").map(|data| data.join("aside")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/share/aside")))
        .ok_or(ProfileError::NoHome)
}

/// Where a profile's files stand, whoever owns it.
#[derive(Debug, Clone)]
pub struct Place {
    name: ProfileName,
    directory: PathBuf,
}

impl Place {
    /// The place of a profile below `home`. Nothing is made or read.
    pub fn new(home: &Path, name: ProfileName) -> Self {
        Self { directory: home.join(name.as_str()), name }
    }

    /// The profile's name.
    pub fn name(&self) -> &ProfileName {
        &self.name
    }

    /// Whether somebody has used this profile before.
    pub fn exists(&self) -> bool {
        self.memory().is_file()
    }

    /// The process that owns the profile, as it says itself; it may be gone.
    ///
    /// # Errors
    /// [`ProfileError`]; a missing file is `None`.
    pub fn running(&self) -> Result<Option<Running>, ProfileError> {
        file::read_json(&self.runtime())
    }

    /// Takes the profile for this process, making it if need be. The directory is for its owner only (0700).
    ///
    /// # Errors
    /// [`ProfileError::InUse`] while another process has it.
    pub fn take(self) -> Result<Profile, ProfileError> {
        file::make_private_directory(&self.directory).map_err(ProfileError::file(&self.directory))?;
        let path = self.directory.join("lock");
        let lock = file::open_private(&path).map_err(ProfileError::file(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ProfileError::InUse { name: self.name.to_string() }),
            Err(TryLockError::Error(error)) => return Err(ProfileError::file(&path)(error)),
        }
        // What an owner that was killed left behind would send others to a port that is nobody's, or somebody else's.
        file::remove(&self.runtime()).map_err(ProfileError::file(&self.runtime()))?;
        let memory = file::read_json(&self.memory())?.unwrap_or_default();
        Ok(Profile { place: self, memory, _lock: lock })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.directory.join("profile.db")
    }

    pub(crate) fn sessions(&self) -> PathBuf {
        self.directory.join("sessions.json")
    }

    fn runtime(&self) -> PathBuf {
        self.directory.join("runtime.json")
    }

    fn memory(&self) -> PathBuf {
        self.directory.join("profile.json")
    }
}

/// A profile that this process owns, until the value is dropped.
#[derive(Debug)]
pub struct Profile {
    place: Place,
    memory: Memory,
    _lock: File,
}

impl Profile {
    /// Where its files stand.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it remembers outside its database.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Changes what it remembers, on disk first.
    ///
    /// # Errors
    /// [`ProfileError::File`]; nothing is changed then.
    pub fn remember(&mut self, memory: Memory) -> Result<(), ProfileError> {
        if memory != self.memory {
            file::write_json(&self.place.memory(), &memory)?;
            self.memory = memory;
        }
        Ok(())
    }

    /// Says in `runtime.json` (0600) how to reach this process.
    ///
    /// # Errors
    /// [`ProfileError::File`].
    pub fn announce(&self, running: &Running) -> Result<(), ProfileError> {
        file::write_json(&self.place.runtime(), running)
    }

    /// Takes [`Profile::announce`] back.
    ///
    /// # Errors
    /// [`ProfileError::File`].
    pub fn withdraw(&self) -> Result<(), ProfileError> {
        let path = self.place.runtime();
        file::remove(&path).map_err(ProfileError::file(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(home: &Path) -> Place {
        Place::new(home, "alice".parse().unwrap())
    }

    #[test]
    fn a_profile_has_one_owner_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let owner = place(home.path()).take().unwrap();
        assert!(matches!(place(home.path()).take(), Err(ProfileError::InUse { .. })));
        drop(owner);
        assert!(place(home.path()).take().is_ok());
    }

    #[test]
    fn what_a_killed_owner_announced_is_gone_with_the_next_owner() {
        let home = tempfile::tempdir().unwrap();
        let owner = place(home.path()).take().unwrap();
        owner.announce(&Running::new(1234, "s".into(), Stay::UntilStopped)).unwrap();
        assert!(place(home.path()).running().unwrap().is_some());
        drop(owner);
        let _next = place(home.path()).take().unwrap();
        assert!(place(home.path()).running().unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_of_the_files_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let owner = place(home.path()).take().unwrap();
        owner.announce(&Running::new(1234, "s".into(), Stay::UntilStopped)).unwrap();
        let mode = |name: &str| std::fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("alice"), 0o700);
        assert_eq!(mode("alice/runtime.json"), 0o600);
    }

    #[test]
    fn a_name_that_leaves_the_home_is_refused() {
        for text in ["", "..", "a/b", "a.b", "ä", &"x".repeat(33)] {
            assert_eq!(text.parse::<ProfileName>(), Err(ProfileNameError), "{text:?}");
        }
    }
}

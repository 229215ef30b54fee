//! The server's directory and the keys in it: how they are made, renewed and loaded.
//!
//! ```text
//! identity.key   the identity key's seed. Links pin its public half. May be moved to a safe place: only `certify` needs it.
//! identity.pub   its public half
//! online.key     signs hellos                  online.cert    the identity key's word for it
//! tls.key        the TLS key                   tls.pem        its certificate, signed by the identity key
//! identity.pem   the identity key as an authority, for tools
//! ```

use crate::config::{CONFIG_FILE, template};
use crate::hello::OnlineIdentity;
use crate::tls::{self, TlsError};
use aside_protocol::address::ServerAddress;
use aside_protocol::codec;
use aside_protocol::connection::ServerCertificate;
use aside_protocol::key::{PublicKey, SigningKey};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The identity key's seed.
pub const IDENTITY_KEY_FILE: &str = "identity.key";
const IDENTITY_PUBLIC_FILE: &str = "identity.pub";
const IDENTITY_PEM_FILE: &str = "identity.pem";
const ONLINE_KEY_FILE: &str = "online.key";
const ONLINE_CERTIFICATE_FILE: &str = "online.cert";
/// The TLS key of mode "pinned".
pub const TLS_KEY_FILE: &str = "tls.key";
/// The TLS certificate of mode "pinned".
pub const TLS_CERTIFICATE_FILE: &str = "tls.pem";

/// Days for which the online key and the TLS certificate are certified.
pub const CERTIFIED_DAYS: u32 = 400;
/// Within so many days of the end the server says so in its log at every start and once a day.
pub const WARN_DAYS: u32 = 30;
/// Days by which a certificate begins early, for clients whose clocks are slow.
const EARLY_DAYS: u32 = 1;
const CERTIFICATE_BYTES_MAX: usize = 256;

/// What is wrong with a server's directory. Each variant is a sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// `init` where there is a server.
    #[error("{0} holds a server already: run it with `aside-server run`, or give another directory")]
    HoldsAServer(PathBuf),
    /// `init` where there is something else.
    #[error("{0} is not empty: give a new directory, so that nothing else lies beside the server's keys")]
    NotEmpty(PathBuf),
    /// A file or directory cannot be read.
    #[error("{path} cannot be read: {cause}{hint}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
        /// What to do about it, or nothing.
        hint: &'static str,
    },
    /// A file or directory cannot be written.
    #[error("{path} cannot be written: {cause}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} does not hold {what}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A server's directory.
#[derive(Debug, Clone)]
pub struct ServerDir(PathBuf);

impl ServerDir {
    /// Names a directory; nothing is touched.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes a server: directory, configuration, keys. `seeds` are two fresh random seeds (identity, online).
    ///
    /// # Errors
    /// [`KeysError`]; a directory that holds something is left as it is.
    pub fn init(path: &Path, address: &ServerAddress, today: u32, seeds: Seeds) -> Result<Self, KeysError> {
        let dir = Self::at(path);
        dir.make_empty_directory()?;
        let identity = SigningKey::from_seed(&seeds.identity);
        dir.write_secret(IDENTITY_KEY_FILE, &hex(seeds.identity.as_slice()))?;
        dir.write_public(IDENTITY_PUBLIC_FILE, &hex(identity.public_key().as_bytes()))?;
        dir.certify_with(&identity, address, today, &seeds.online)?;
        // Last, because it is what makes the directory a server.
        dir.write_public(CONFIG_FILE, &template(address))?;
        Ok(dir)
    }

    fn make_empty_directory(&self) -> Result<(), KeysError> {
        let write = |cause| KeysError::Write { path: self.0.clone(), cause };
        match fs::read_dir(&self.0) {
            Ok(mut entries) => {
                if self.file(CONFIG_FILE).exists() || self.file(IDENTITY_KEY_FILE).exists() {
                    return Err(KeysError::HoldsAServer(self.0.clone()));
                }
                if entries.next().is_some() {
                    return Err(KeysError::NotEmpty(self.0.clone()));
                }
                fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700)).map_err(write)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(write)
            }
            Err(cause) => Err(KeysError::Read { path: self.0.clone(), cause, hint: "" }),
        }
    }

    /// Renews the online key, its certificate, the TLS key and its certificate. Needs the identity key.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn certify(&self, address: &ServerAddress, today: u32, online_seed: &Seed) -> Result<(), KeysError> {
        let hint = ". If you moved it to a safe place, put it back for this command";
        let seed: Zeroizing<[u8; 32]> = self.read_hex(IDENTITY_KEY_FILE, "the identity key", hint)?.into();
        self.certify_with(&SigningKey::from_seed(&seed), address, today, online_seed)
    }

    /// Renews what [`ServerDir::certify`] does, if it ends within [`WARN_DAYS`] and the identity key is here. `false`: it is
    /// not time, or the key is elsewhere.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn renew_if_due(&self, address: &ServerAddress, today: u32, online_seed: &Seed) -> Result<bool, KeysError> {
        let is_due = self.online_identity()?.certificate.expires_day.saturating_sub(today) <= WARN_DAYS;
        if !is_due || !self.file(IDENTITY_KEY_FILE).exists() {
            return Ok(false);
        }
        self.certify(address, today, online_seed)?;
        Ok(true)
    }

    fn certify_with(
        &self,
        identity: &SigningKey,
        address: &ServerAddress,
        today: u32,
        online_seed: &Seed,
    ) -> Result<(), KeysError> {
        let (from, until) = (today.saturating_sub(EARLY_DAYS), today.saturating_add(CERTIFIED_DAYS));
        let online = SigningKey::from_seed(online_seed);
        let certificate = ServerCertificate::issue(identity, online.public_key(), until);
        let tls = tls::make(identity, address, from, until)?;
        self.write_secret(ONLINE_KEY_FILE, &hex(online_seed.as_slice()))?;
        self.write_public(ONLINE_CERTIFICATE_FILE, &hex(&codec::encode(&certificate)))?;
        self.write_secret(TLS_KEY_FILE, &tls.key)?;
        self.write_public(TLS_CERTIFICATE_FILE, &tls.certificate)?;
        self.write_public(IDENTITY_PEM_FILE, &tls::make_authority(identity, from, until)?)
    }

    /// The public half of the identity key: what links pin.
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn identity_key(&self) -> Result<PublicKey, KeysError> {
        let hint = ". Make a server with `aside-server init DIR --address HOST[:PORT]`";
        self.read_hex(IDENTITY_PUBLIC_FILE, "the public identity key", hint).map(PublicKey)
    }

    /// What the server says hello with.
    ///
    /// # Errors
    /// [`KeysError`]; [`KeysError::Damaged`] also where the keys do not belong together.
    pub fn online_identity(&self) -> Result<OnlineIdentity, KeysError> {
        let hint = ". Make it anew with `aside-server certify DIR`";
        let identity_key = self.identity_key()?;
        let seed: Zeroizing<[u8; 32]> = self.read_hex(ONLINE_KEY_FILE, "the online key", hint)?.into();
        let online = SigningKey::from_seed(&seed);
        let what = "the identity key's certificate for online.key: renew it with `aside-server certify DIR`";
        let damaged = || KeysError::Damaged { path: self.file(ONLINE_CERTIFICATE_FILE), what };
        let bytes = unhex(&self.read(ONLINE_CERTIFICATE_FILE, hint)?).ok_or_else(damaged)?;
        let certificate: ServerCertificate = codec::decode(&bytes, CERTIFICATE_BYTES_MAX).map_err(|_| damaged())?;
        let reissued = |identity: &SigningKey| {
            ServerCertificate::issue(identity, certificate.online_key, certificate.expires_day) == certificate
        };
        // The identity key may be elsewhere; where it is here, the check is made with it.
        let identity_seed: Option<[u8; 32]> = self.read_hex(IDENTITY_KEY_FILE, "", "").ok();
        let is_ours = identity_seed.is_none_or(|seed| reissued(&SigningKey::from_seed(&Zeroizing::new(seed))));
        if certificate.online_key != online.public_key() || !is_ours {
            return Err(damaged());
        }
        Ok(OnlineIdentity { identity_key, online, certificate })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn read(&self, name: &str, hint: &'static str) -> Result<Zeroizing<String>, KeysError> {
        let path = self.file(name);
        fs::read_to_string(&path).map(Zeroizing::new).map_err(|cause| KeysError::Read { path, cause, hint })
    }

    fn read_hex<const N: usize>(
        &self,
        name: &str,
        what: &'static str,
        hint: &'static str,
    ) -> Result<[u8; N], KeysError> {
        let bytes = unhex(&self.read(name, hint)?).map(Zeroizing::new);
        let exact = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
        exact.ok_or_else(|| KeysError::Damaged { path: self.file(name), what })
    }

    fn write_secret(&self, name: &str, text: &str) -> Result<(), KeysError> {
        self.write(name, text, 0o600)
    }

    fn write_public(&self, name: &str, text: &str) -> Result<(), KeysError> {
        self.write(name, text, 0o644)
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, text: &str, mode: u32) -> Result<(), KeysError> {
        let (path, draft) = (self.file(name), self.file(&format!("{name}.new")));
        let write = || {
            let _ = fs::remove_file(&draft);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
            file.write_all(text.as_bytes())?;
            if !text.ends_with('\n') {
                file.write_all(b"\n")?;
            }
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        write().map_err(|cause| KeysError::Write { path: path.clone(), cause })
    }
}

/// A secret seed.
pub type Seed = Zeroizing<[u8; 32]>;

/// The randomness that a new server is made of.
pub struct Seeds {
    /// Of the identity key.
    pub identity: Seed,
    /// Of the online key.
    pub online: Seed,
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    Zeroizing::new(text)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let pair = |index| text.get(index..index + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(n: u8) -> Seeds {
        Seeds { identity: Zeroizing::new([n; 32]), online: Zeroizing::new([n + 1; 32]) }
    }

    #[test]
    fn a_directory_that_holds_a_server_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("server");
        let address = "127.0.0.1:7000".parse().unwrap();
        let dir = ServerDir::init(&path, &address, 20_000, seeds(1)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let before = dir.identity_key().unwrap();
        assert!(matches!(ServerDir::init(&path, &address, 20_000, seeds(3)), Err(KeysError::HoldsAServer(_))));
        assert_eq!(dir.identity_key().unwrap(), before);
        assert!(matches!(ServerDir::init(parent.path(), &address, 20_000, seeds(3)), Err(KeysError::NotEmpty(_))));
    }

    #[test]
    fn certificates_are_renewed_when_they_end_soon_and_the_identity_key_is_here() {
        let parent = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:7000".parse().unwrap();
        let dir = ServerDir::init(&parent.path().join("s"), &address, 20_000, seeds(1)).unwrap();
        let renew = |day| dir.renew_if_due(&address, day, &Zeroizing::new([9; 32])).unwrap();
        let ends = || dir.online_identity().unwrap().certificate.expires_day;
        let due = 20_000 + CERTIFIED_DAYS - WARN_DAYS;
        assert!(!renew(due - 1));
        assert_eq!(ends(), 20_000 + CERTIFIED_DAYS);
        assert!(renew(due));
        assert_eq!(ends(), due + CERTIFIED_DAYS);
        fs::remove_file(dir.file(IDENTITY_KEY_FILE)).unwrap();
        assert!(!renew(due + CERTIFIED_DAYS));
    }

    #[test]
    fn keys_survive_and_are_renewed() {
        let parent = tempfile::tempdir().unwrap();
        let address = "[::1]:7000".parse().unwrap();
        let dir = ServerDir::init(&parent.path().join("s"), &address, 20_000, seeds(1)).unwrap();
        let first = dir.online_identity().unwrap();
        assert_eq!(first.certificate.expires_day, 20_000 + CERTIFIED_DAYS);
        dir.certify(&address, 20_300, &Zeroizing::new([9; 32])).unwrap();
        let second = dir.online_identity().unwrap();
        assert_eq!(second.certificate.expires_day, 20_300 + CERTIFIED_DAYS);
        assert_eq!(second.identity_key, first.identity_key);
        fs::remove_file(dir.file(IDENTITY_KEY_FILE)).unwrap();
        assert!(dir.online_identity().is_ok());
        let error = dir.certify(&address, 20_300, &Zeroizing::new([9; 32])).unwrap_err();
        assert!(error.to_string().contains("put it back"));
    }

    #[test]
    fn keys_that_do_not_belong_together_are_named() {
        let parent = tempfile::tempdir().unwrap();
        let address = "localhost:7000".parse().unwrap();
        let dir = ServerDir::init(&parent.path().join("s"), &address, 20_000, seeds(1)).unwrap();
        fs::write(dir.file(ONLINE_KEY_FILE), hex(&[7; 32]).as_str()).unwrap();
        assert!(dir.online_identity().unwrap_err().to_string().contains("online.cert"));
        fs::write(dir.file(ONLINE_KEY_FILE), "not a key").unwrap();
        assert!(dir.online_identity().unwrap_err().to_string().contains("online.key"));
    }
}

//! A member's device with its keys and its database, as the measurements of groups need it.

use anyhow::{Result, bail};
use aside_mls::{DeviceSigner, Group, KeyPackageKind, KeyVerdict, Mls, Processed, Session};
use aside_protocol::address::AccountAddress;
use aside_protocol::channel::EpochKeys;
use aside_protocol::codec::labelled_hash;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::{DeviceCertificate, KeySet, KeySetSigner, MemberCredential};
use aside_protocol::key::SigningKey;
use rusqlite::Connection;

/// The channel of every measured group.
pub const CHANNEL: ChannelId = ChannelId([7; 32]);
/// When everything happens.
pub const NOW_UNIX_S: u64 = 1_800_000_000;

/// One member's device.
pub struct Device {
    /// Its database.
    pub connection: Connection,
    /// Its MLS library.
    pub mls: Mls,
    /// Signs its leaf.
    pub signer: DeviceSigner,
    /// Stands in its leaf.
    pub credential: MemberCredential,
}

/// What a member does with another's commit.
///
/// # Errors
/// The commit does not hold.
pub fn follow(group: &mut Group, session: &Session<'_>, body: &[u8], keys: &EpochKeys) -> Result<()> {
    let opened = group.open_commit(session, &CHANNEL, body, keys)?;
    let Processed::Commit(staged) = group.process(session, &opened.commit)? else { bail!("not a commit") };
    if staged.judge_keys(session, &CHANNEL, keys, opened.evidence)? != KeyVerdict::Agreed {
        bail!("the committer's evidence does not hold");
    }
    Ok(group.merge_staged(session, staged)?)
}

impl Device {
    /// The device of a person with this number.
    ///
    /// # Errors
    /// The database.
    pub fn new(number: u16, mut connection: Connection) -> Result<Self> {
        aside_mls::migrate(&mut connection)?;
        connection.set_prepared_statement_cache_capacity(256);
        let key =
            |what: &str| SigningKey::from_seed(&labelled_hash("bench", &[what.as_bytes(), &number.to_be_bytes()]));
        let (root, account, device) = (key("root"), key("account"), key("device"));
        let address: AccountAddress = format!("p{number}@bench.example").parse()?;
        let root_key = root.public_key();
        let of = (&address, &root_key);
        let key_sets = vec![KeySet::sign(of, None, account.public_key(), vec![], (KeySetSigner::Root, &root))];
        let id = DeviceId(u128::from(number).to_be_bytes());
        let certificate = DeviceCertificate::issue(of, &account, 0, id, device.public_key());
        let signer = DeviceSigner::new(&device);
        let credential = MemberCredential { address, root_key, key_sets, certificate };
        Ok(Self { connection, mls: Mls::new()?, signer, credential })
    }

    /// A fresh KeyPackage.
    ///
    /// # Errors
    /// The database.
    pub fn key_package(&mut self) -> Result<Vec<u8>> {
        let (signer, credential) = (self.signer.clone(), self.credential.clone());
        self.in_transaction(|session| {
            Ok(session.new_key_package(&signer, &credential, KeyPackageKind::Once, NOW_UNIX_S)?)
        })
    }

    /// One step, on disk when it is done.
    ///
    /// # Errors
    /// The step's, or the database's.
    pub fn in_transaction<T>(&mut self, step: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        let transaction = self.connection.transaction()?;
        let value = step(&self.mls.on(&transaction))?;
        transaction.commit()?;
        Ok(value)
    }
}

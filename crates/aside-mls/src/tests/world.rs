//! People, their devices, and groups of them.

use crate::*;
use aside_protocol::id::{ChannelId, DeviceId};
use aside_protocol::identity::{DeviceCertificate, KeySet, KeySetSigner, MemberCredential};
use aside_protocol::key::SigningKey;
use rusqlite::Connection;

pub const NOW: u64 = 1_800_000_000;
pub const CHANNEL: ChannelId = ChannelId([7; 32]);
pub const GROUP: GroupId = GroupId([9; 32]);

/// An account: every key of it is made from its name and number.
pub struct Person {
    pub name: &'static str,
    pub key_sets: Vec<KeySet>,
}

pub fn key(name: &str, what: &str) -> SigningKey {
    SigningKey::from_seed(&aside_protocol::codec::labelled_hash("test", &[name.as_bytes(), what.as_bytes()]))
}

impl Person {
    pub fn new(name: &'static str) -> Self {
        let mut person = Self { name, key_sets: vec![] };
        person.rotate(vec![]);
        person
    }

    pub fn address(&self) -> aside_protocol::address::AccountAddress {
        format!("{}@a.example", self.name).parse().unwrap()
    }

    pub fn account_key(&self) -> SigningKey {
        key(self.name, &format!("account {}", self.key_sets.len() - 1))
    }

    pub fn rotate(&mut self, revoked: Vec<DeviceId>) {
        let (address, root) = (self.address(), key(self.name, "root"));
        let account = key(self.name, &format!("account {}", self.key_sets.len())).public_key();
        let of = (&address, &root.public_key());
        let set = KeySet::sign(of, self.key_sets.last(), account, revoked, (KeySetSigner::Root, &root));
        self.key_sets.push(set);
    }

    pub fn credential(&self, device: u8) -> MemberCredential {
        let (address, root_key) = (self.address(), key(self.name, "root").public_key());
        let signature_key = key(self.name, &format!("device {device}")).public_key();
        let newest = self.key_sets.len() as u32 - 1;
        let of = (&address, &root_key);
        let certificate =
            DeviceCertificate::issue(of, &self.account_key(), newest, DeviceId([device; 16]), signature_key);
        MemberCredential { address, root_key, key_sets: self.key_sets.clone(), certificate }
    }

    pub fn device(&self, number: u8) -> Device {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        Device {
            connection,
            mls: Mls::new().unwrap(),
            signer: DeviceSigner::new(&key(self.name, &format!("device {number}"))),
            credential: self.credential(number),
        }
    }
}

pub struct Device {
    pub connection: Connection,
    pub mls: Mls,
    pub signer: DeviceSigner,
    pub credential: MemberCredential,
}

impl Device {
    pub fn session(&self) -> Session<'_> {
        self.mls.on(&self.connection)
    }

    pub fn key_package(&self, kind: KeyPackageKind) -> Vec<u8> {
        self.session().new_key_package(&self.signer, &self.credential, kind, NOW).unwrap()
    }

    pub fn checked(&self) -> CheckedKeyPackage {
        self.session().check_key_package(&self.key_package(KeyPackageKind::Once), NOW).unwrap()
    }

    pub fn found(&self, admins: &[&Device]) -> Group {
        let metadata = metadata("", admins);
        self.session().create_group(&self.signer, &self.credential, GROUP, &metadata).unwrap()
    }

    pub fn load(&self) -> Group {
        self.session().load_group(&GROUP).unwrap().unwrap()
    }

    pub fn encrypt(&self, group: &mut Group, text: &str) -> Vec<u8> {
        group.encrypt(&self.session(), &self.signer, text.as_bytes()).unwrap()
    }

    /// Decrypts what must be an application message.
    pub fn read(&self, group: &mut Group, bytes: &[u8]) -> String {
        match group.process(&self.session(), bytes).unwrap() {
            Processed::Application { plaintext, .. } => String::from_utf8(plaintext).unwrap(),
            Processed::Commit(staged) => panic!("a commit: {staged:?}"),
        }
    }

    /// Processes what must be a commit, without merging it.
    pub fn stage(&self, group: &mut Group, bytes: &[u8]) -> Result<StagedCommit, ProcessError> {
        match group.process(&self.session(), bytes)? {
            Processed::Commit(staged) => Ok(staged),
            Processed::Application { .. } => panic!("an application message"),
        }
    }

    pub fn follow(&self, group: &mut Group, commit: &[u8]) {
        let staged = self.stage(group, commit).unwrap();
        group.merge_staged(&self.session(), staged).unwrap();
    }

    pub fn add(&self, group: &mut Group, added: &[&Device]) -> PendingAdd {
        let packages: Vec<CheckedKeyPackage> = added.iter().map(|device| device.checked()).collect();
        group.add(&self.session(), &self.signer, &packages).unwrap()
    }

    pub fn join(&self, add: &PendingAdd) -> Group {
        self.session().join(&add.welcome, &add.ratchet_tree).unwrap()
    }
}

pub fn metadata(title: &str, admins: &[&Device]) -> Metadata {
    Metadata {
        title: title.into(),
        admins: admins.iter().map(|d| d.credential.address.clone()).collect(),
        picture: None,
    }
}

/// A group of these devices; the first founded it and, like `admins` more of them, is an admin.
pub fn group_of(devices: &[&Device], admins: usize) -> Vec<Group> {
    let mut founded = devices[0].found(&devices[..=admins]);
    if devices.len() == 1 {
        return vec![founded];
    }
    let add = devices[0].add(&mut founded, &devices[1..]);
    founded.merge_pending(&devices[0].session()).unwrap();
    let joined = devices[1..].iter().map(|device| device.join(&add));
    std::iter::once(founded).chain(joined).collect()
}

/// Alice and Bob, both admins, as in a direct conversation.
pub fn two() -> ([Device; 2], [Group; 2]) {
    let devices = [Person::new("alice").device(1), Person::new("bob").device(1)];
    let groups = group_of(&[&devices[0], &devices[1]], 1);
    (devices, groups.try_into().unwrap())
}

/// Alice, the only admin, Bob and Carol.
pub fn three() -> ([Device; 3], [Group; 3]) {
    let devices = [Person::new("alice").device(1), Person::new("bob").device(1), Person::new("carol").device(1)];
    let groups = group_of(&[&devices[0], &devices[1], &devices[2]], 0);
    (devices, groups.try_into().unwrap())
}

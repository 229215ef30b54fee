//! From intents to one commit: each is compared with the group as it is. What is so already is struck out, what the role
//! no longer allows is struck out with a sentence, and the rest goes together as far as one commit may go.

use crate::channel::intent::{Intent, MetadataChange, Newcomer, Wanted};
use crate::conversation::GROUP_MEMBERS_MAX;
use crate::error::EngineError;
use aside_mls::{CheckedKeyPackage, Group, KeyPackageError, Member, Metadata, Picture, Session};
use aside_protocol::address::AccountAddress;
use aside_protocol::id::DeviceId;
use aside_protocol::identity::MemberCredential;
use std::collections::BTreeSet;

/// Devices that one commit adds at most: it grows by 2.9 kB with each, and everybody has to fetch it.
pub(crate) const ADDS_MAX: usize = 50;
/// How often a commit with an intent is tried before it is given up.
const ATTEMPTS_MAX: u32 = 6;

/// What one commit does.
#[derive(Default)]
pub(super) struct Plan {
    /// Those that it carries out.
    pub intents: Vec<i64>,
    pub newcomers: Vec<Newcomer>,
    pub packages: Vec<CheckedKeyPackage>,
    pub removed: Vec<u32>,
    pub metadata: Option<Metadata>,
    pub renews: bool,
    /// Struck out, because they are so.
    pub satisfied: Vec<i64>,
    /// Struck out, with whom it is about and what a person reads of it.
    pub dropped: Vec<(i64, Option<AccountAddress>, String)>,
    /// Struck out, since the KeyPackage was fetched too long ago: whom others have to be fetched of, who is no member yet.
    pub expired: Vec<(i64, Option<AccountAddress>)>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.removed.is_empty() && self.metadata.is_none() && !self.renews
    }
}

enum Verdict {
    Taken,
    Satisfied,
    /// Goes into a later commit.
    NotNow,
    /// Never. The sentence says why.
    Dropped(String),
    /// Not with this KeyPackage, which waited here until it expired.
    Expired(AccountAddress),
}

/// What this account takes itself to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// What its role allows.
    OfRole,
    /// Everything: a planted defect. The other members refuse it.
    Claimed,
}

struct Planner<'a> {
    session: &'a Session<'a>,
    now_unix_s: u64,
    own: &'a MemberCredential,
    rights: Rights,
    own_leaf: u32,
    members: Vec<Member>,
    before: Metadata,
    metadata: Metadata,
    accounts: BTreeSet<AccountAddress>,
    adding: BTreeSet<(AccountAddress, DeviceId)>,
    removing: BTreeSet<u32>,
    plan: Plan,
}

/// Plans the next commit. The caller strikes out what the plan says, whether or not a commit comes of it.
pub(super) fn plan(
    session: &Session<'_>,
    group: &Group,
    (own, rights): (&MemberCredential, Rights),
    now_unix_s: u64,
    wanted: Vec<Wanted>,
) -> Result<Plan, EngineError> {
    let members = group.members()?;
    let metadata = group.metadata()?;
    let mut planner = Planner {
        session,
        now_unix_s,
        own,
        rights,
        own_leaf: group.own_leaf(),
        accounts: members.iter().map(|member| member.credential.address.clone()).collect(),
        members,
        before: metadata.clone(),
        metadata,
        adding: BTreeSet::new(),
        removing: BTreeSet::new(),
        plan: Plan::default(),
    };
    let failed_before = wanted.iter().find(|wanted| wanted.attempts > 0).map(|wanted| wanted.id);
    for wanted in wanted {
        // What failed before is tried alone, so that it cannot keep the rest from being done.
        if failed_before.is_some_and(|id| id != wanted.id) {
            continue;
        }
        let verdict = match wanted.attempts > ATTEMPTS_MAX {
            true => Verdict::Dropped("A change of the group could not be made".into()),
            false => planner.consider(&wanted.intent)?,
        };
        match verdict {
            Verdict::Taken => planner.plan.intents.push(wanted.id),
            Verdict::Satisfied => planner.plan.satisfied.push(wanted.id),
            Verdict::NotNow => {}
            Verdict::Dropped(why) => planner.plan.dropped.push((wanted.id, wanted.intent.person().cloned(), why)),
            Verdict::Expired(address) => {
                let stranger = Some(address).filter(|address| !planner.accounts.contains(address));
                planner.plan.expired.push((wanted.id, stranger));
            }
        }
    }
    Ok(planner.finish())
}

impl Planner<'_> {
    fn finish(mut self) -> Plan {
        self.plan.removed = self.removing.into_iter().collect();
        self.plan.metadata = Some(self.metadata).filter(|after| *after != self.before);
        self.plan
    }

    fn is_admin(&self) -> bool {
        self.rights == Rights::Claimed || self.before.is_admin(&self.own.address)
    }

    fn consider(&mut self, intent: &Intent) -> Result<Verdict, EngineError> {
        Ok(match intent {
            Intent::Add(newcomer) => self.add(newcomer)?,
            Intent::Swap(newcomer) => self.swap(newcomer)?,
            Intent::RemoveAccount(address) => self.remove_account(address),
            Intent::RemoveDevice(address, device) => self.remove_device(address, device),
            Intent::Metadata(change) => self.change_metadata(change),
            Intent::Renew => {
                self.plan.renews = true;
                Verdict::Taken
            }
        })
    }

    fn leaf_of(&self, address: &AccountAddress, device: &DeviceId) -> Option<u32> {
        let is_it = |member: &&Member| {
            member.credential.address == *address
                && member.credential.certificate.device == *device
                && !self.removing.contains(&member.leaf)
        };
        self.members.iter().find(is_it).map(|member| member.leaf)
    }

    fn add(&mut self, newcomer: &Newcomer) -> Result<Verdict, EngineError> {
        let (address, device) = (&newcomer.recipient.address, newcomer.recipient.device);
        if self.leaf_of(address, &device).is_some() {
            return Ok(Verdict::Satisfied);
        }
        let revoked = self.revoked_for(newcomer);
        if !revoked.is_empty() {
            let verdict = self.take_package(newcomer)?;
            if let Verdict::Taken = verdict {
                self.removing.extend(revoked);
            }
            return Ok(verdict);
        }
        if !self.is_admin() && *address != self.own.address {
            return Ok(Verdict::Dropped(format!("{} could not be added: only admins add members", address.name)));
        }
        if !self.accounts.contains(address) && self.accounts.len() >= GROUP_MEMBERS_MAX {
            let why = format!("{} could not be added: a group has at most {GROUP_MEMBERS_MAX} members", address.name);
            return Ok(Verdict::Dropped(why));
        }
        self.take_package(newcomer)
    }

    fn take_package(&mut self, newcomer: &Newcomer) -> Result<Verdict, EngineError> {
        let (address, device) = (&newcomer.recipient.address, newcomer.recipient.device);
        if self.plan.packages.len() >= ADDS_MAX || self.adding.contains(&(address.clone(), device)) {
            return Ok(Verdict::NotNow);
        }
        match self.session.check_key_package(&newcomer.key_package, self.now_unix_s) {
            // Its account's other devices took it out meanwhile.
            Ok(package) if self.is_revoked(package.credential()) => return Ok(Verdict::Satisfied),
            Ok(package) => self.plan.packages.push(package),
            Err(KeyPackageError::Mls(error)) => return Err(error.into()),
            Err(KeyPackageError::Expired { .. }) => return Ok(Verdict::Expired(address.clone())),
            Err(error) => {
                let why =
                    format!("{} could not be added: their device's keys do not check out ({error})", address.name);
                return Ok(Verdict::Dropped(why));
            }
        }
        self.plan.newcomers.push(newcomer.clone());
        self.accounts.insert(address.clone());
        self.adding.insert((address.clone(), device));
        Ok(Verdict::Taken)
    }

    fn is_revoked(&self, credential: &MemberCredential) -> bool {
        let leaves = self.members.iter().map(|member| &member.credential).chain([self.own]);
        let chain = leaves.filter(|leaf| leaf.root_key == credential.root_key).flat_map(|leaf| &leaf.key_sets);
        chain.into_iter().any(|set| set.revoked.contains(&credential.certificate.device))
    }

    fn swap(&mut self, newcomer: &Newcomer) -> Result<Verdict, EngineError> {
        let (address, device) = (&newcomer.recipient.address, &newcomer.recipient.device);
        match self.leaf_of(address, device) {
            Some(leaf) if leaf == self.own_leaf => Ok(Verdict::Satisfied),
            Some(leaf) => {
                let verdict = self.take_package(newcomer)?;
                if let Verdict::Taken = verdict {
                    self.removing.insert(leaf);
                }
                Ok(verdict)
            }
            // A request that came since the person wished the whole account out would bring it back in by the same commit.
            None if self.is_taken_out(address) => Ok(Verdict::NotNow),
            // Somebody took the old leaf out without putting the fresh one in, and that is an addition.
            None => self.add(newcomer),
        }
    }

    /// Whether this very commit takes all devices of a member out.
    fn is_taken_out(&self, address: &AccountAddress) -> bool {
        !self.accounts.contains(address) && self.members.iter().any(|member| member.credential.address == *address)
    }

    /// The leaves whose place a device takes that is no member yet: those that its chain revokes.
    fn revoked_for(&self, newcomer: &Newcomer) -> Vec<u32> {
        let Ok(package) = self.session.check_key_package(&newcomer.key_package, self.now_unix_s) else {
            return Vec::new();
        };
        let new = package.credential();
        let is_replaced = |member: &&Member| {
            let old = &member.credential;
            let is_revoked = new.key_sets.iter().any(|set| set.revoked.contains(&old.certificate.device));
            old.address == new.address
                && old.root_key == new.root_key
                && is_revoked
                && member.leaf != self.own_leaf
                && !self.removing.contains(&member.leaf)
        };
        self.members.iter().filter(is_replaced).map(|member| member.leaf).collect()
    }

    fn remove_account(&mut self, address: &AccountAddress) -> Verdict {
        let leaves: Vec<u32> = self
            .members
            .iter()
            .filter(|member| member.credential.address == *address && !self.removing.contains(&member.leaf))
            .map(|member| member.leaf)
            .collect();
        if leaves.is_empty() || *address == self.own.address {
            return Verdict::Satisfied;
        }
        if !self.is_admin() {
            return Verdict::Dropped(format!("{} could not be removed: only admins remove members", address.name));
        }
        self.removing.extend(leaves);
        self.accounts.remove(address);
        self.metadata.admins.retain(|admin| admin != address);
        Verdict::Taken
    }

    fn remove_device(&mut self, address: &AccountAddress, device: &DeviceId) -> Verdict {
        let Some(leaf) = self.leaf_of(address, device).filter(|leaf| *leaf != self.own_leaf) else {
            return Verdict::Satisfied;
        };
        let is_revoked = || {
            let of_account = self.members.iter().filter(|member| member.credential.address == *address);
            let mut sets = of_account.flat_map(|member| &member.credential.key_sets);
            sets.any(|set| set.revoked.contains(device))
        };
        if !self.is_admin() && *address != self.own.address && !is_revoked() {
            return Verdict::Dropped(format!("A device of {} could not be removed: only admins do that", address.name));
        }
        self.removing.insert(leaf);
        Verdict::Taken
    }

    fn change_metadata(&mut self, change: &MetadataChange) -> Verdict {
        let mut after = self.metadata.clone();
        match change {
            MetadataChange::Title(title) => after.title.clone_from(title),
            MetadataChange::Picture(None) => after.picture = None,
            MetadataChange::Picture(Some(bytes)) => match Picture::new(bytes.to_vec()) {
                Ok(picture) => after.picture = Some(picture),
                Err(error) => return Verdict::Dropped(format!("The picture could not be changed: {error}")),
            },
            MetadataChange::GrantAdmin(address) if self.metadata.is_admin(address) => {}
            MetadataChange::GrantAdmin(address) if self.accounts.contains(address) => {
                after.admins.push(address.clone());
            }
            MetadataChange::GrantAdmin(address) => {
                return Verdict::Dropped(format!("{} is no member, and no admin therefore", address.name));
            }
            MetadataChange::WithdrawAdmin(address) => after.admins.retain(|admin| admin != address),
        }
        if after == self.metadata {
            return Verdict::Satisfied;
        }
        if !self.is_admin() {
            return Verdict::Dropped("The group was not changed: only admins change title, picture and admins".into());
        }
        if !self.accounts.iter().any(|account| after.is_admin(account)) {
            return Verdict::Dropped("The group was not changed: it needs an admin".into());
        }
        if let Err(error) = after.check() {
            return Verdict::Dropped(format!("The group was not changed: {error}"));
        }
        self.metadata = after;
        Verdict::Taken
    }
}

/// What a commit changed, as members see it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub added: Vec<AccountAddress>,
    pub removed: Vec<AccountAddress>,
}

/// Compares the accounts before and after a commit.
pub(super) fn changes(before: &[Member], after: &[Member]) -> Changes {
    let accounts = |members: &[Member]| -> BTreeSet<AccountAddress> {
        members.iter().map(|member| member.credential.address.clone()).collect()
    };
    let (before, after) = (accounts(before), accounts(after));
    Changes {
        added: after.difference(&before).cloned().collect(),
        removed: before.difference(&after).cloned().collect(),
    }
}

//! A device is set back to an older copy of itself, as a person does who restores a disk's image.

use super::World;
use crate::database;
use crate::world::people::Copy;

impl World {
    /// Takes a copy while the program does not run. A later one replaces it.
    pub(super) fn keep_copy(&mut self, who: usize) -> Option<()> {
        let (wishes, revocations) = (self.ledger.wishes.len(), self.ledger.revocations.len());
        let reached = self.ledger.reached_by(who);
        let device = self.devices.get_mut(who).filter(|device| device.id.is_some())?;
        let broken = device.client.crash();
        let at_rest = device.client.at_rest()?;
        let copy = database::to_bytes(at_rest).and_then(|bytes| Ok((bytes, database::channels(at_rest)?)));
        let line = format!("{} is copied", device.name());
        match copy {
            Ok((bytes, channels)) => device.copy = Some(Copy { bytes, wishes, revocations, reached, channels }),
            Err(error) => self.blame(format!("no copy: {error}")),
        }
        self.note(|| line);
        self.servers_lose(broken);
        Some(())
    }

    /// Ends the program and puts the copy in the place of its database; it starts again some time later.
    pub(super) fn restore_older(&mut self, who: usize) -> Option<()> {
        let device = self.devices.get_mut(who)?;
        let copy = device.copy.take()?;
        let person = device.person;
        let since = self.ledger.revocations.iter().skip(copy.revocations);
        let is_of_person = |by: usize| self.devices.get(by).is_some_and(|other| other.person == person);
        // Whoever is set back behind a change of the account's key has lost that: only the recovery phrase helps (P-10.8).
        if since.into_iter().any(|revocation| is_of_person(revocation.by)) {
            return None;
        }
        let device = self.devices.get_mut(who)?;
        let broken = device.client.crash();
        let at_rest = device.client.at_rest()?;
        let restored = database::from_bytes(&copy.bytes).map(|older| *at_rest = older);
        let line = format!("{} is set back to its older copy", device.name());
        if let Err(error) = restored {
            self.blame(format!("no older copy: {error}"));
        }
        self.ledger.set_back(who, &copy);
        self.report.restored += 1;
        self.note(|| line);
        self.servers_lose(broken);
        Some(())
    }
}

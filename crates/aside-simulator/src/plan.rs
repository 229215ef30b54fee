//! What a seed decides of a world before it begins: how large it is, how rough, and what people do in it.
//!
//! [`Plan::of`] is the plan of a plain world, to which the others add; [`Plan::mixed`] draws one of all kinds. The soak and
//! the tests live through the same worlds.

use crate::dice::Dice;
use crate::world::actions::Deed;

/// Counts the changes of the plan and of the world's decisions: a seed means a world only together with it.
pub const PLAN_VERSION: u32 = 2;

/// A fault on purpose, to see that the checks catch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedDefect {
    /// Client: the cursor moves one transaction too late.
    CursorOutsideTransaction,
    /// Server: replies leave before the sync.
    AcknowledgementBeforeSync,
    /// Client: a retry encrypts anew.
    RetryReEncrypts,
    /// Client: what was taken before is taken again.
    DedupeOff,
    /// Server: a commit is taken in any epoch.
    CompareAndSwapOff,
    /// Client: what a commit was to carry out is forgotten when another one comes first.
    LostRaceForgotten,
    /// Client: Welcomes go out with the commit instead of after it.
    WelcomeBeforeAcknowledgement,
    /// Client: a newcomer is told to read from the wrong place.
    WelcomeAtWrongPlace,
}

impl PlantedDefect {
    /// All of them.
    pub const ALL: [PlantedDefect; 8] = [
        PlantedDefect::CursorOutsideTransaction,
        PlantedDefect::AcknowledgementBeforeSync,
        PlantedDefect::RetryReEncrypts,
        PlantedDefect::DedupeOff,
        PlantedDefect::CompareAndSwapOff,
        PlantedDefect::LostRaceForgotten,
        PlantedDefect::WelcomeBeforeAcknowledgement,
        PlantedDefect::WelcomeAtWrongPlace,
    ];
}

/// Devices in a world, at most.
pub(crate) const DEVICES_MAX: usize = 30;

/// What kind of world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Accounts, at least three.
    pub accounts: usize,
    /// Servers, one or two, which never speak to each other.
    pub servers: usize,
    /// Accounts that know everybody; the others know these and some others.
    pub hubs: usize,
    /// Whether two people may add each other at once, so that a conversation has two logs.
    pub both_may_found: bool,
    /// Whether there is trouble before everybody knows whom they shall know.
    pub is_rough_from_the_start: bool,
    /// Parts of the world's time; between them somebody is away for days.
    pub chapters: usize,
    /// The longest time away, in days.
    pub away_days_max: usize,
    /// Whether a server is down for a whole chapter.
    pub has_outage: bool,
    /// Steps in a chapter for each device.
    pub steps: usize,
    /// Crashes and broken connections, per mille of steps.
    pub trouble_per_mille: usize,
    /// What an account may still do of each kind.
    pub deeds: Vec<Allowance>,
    /// Somebody with ill will, if there is anybody.
    pub hostile: Option<Hostile>,
    /// A fault on purpose.
    pub defect: Option<PlantedDefect>,
}

/// Somebody with ill will: one device of an account does what no honest program does, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hostile {
    /// Which account.
    pub account: usize,
    /// What it does. One thing in a world, so that what must be noticed of it is known.
    pub ill: Ill,
    /// What becomes of the device after the troubles.
    pub end: HostileEnd,
}

/// What a device with ill will commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ill {
    /// What nobody can process, and nobody can be blamed for.
    Garbage,
    /// Bytes that are no commit.
    Nonsense,
    /// Other keys for the next epoch than the commit leads to.
    WrongKeys,
    /// What its role forbids.
    Forbidden,
    /// That somebody outside may propose changes.
    HiddenSender,
}

impl Ill {
    const ALL: [Ill; 5] = [Ill::Garbage, Ill::Nonsense, Ill::WrongKeys, Ill::Forbidden, Ill::HiddenSender];
}

/// What becomes of a device with ill will after the troubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostileEnd {
    /// It does no ill any more.
    Repents,
    /// It is never seen again, and gives nothing back.
    Vanishes,
}

/// How likely a deed is, and how often it may happen in the whole world.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// What.
    pub deed: Deed,
    /// Its share of what people do.
    pub weight: usize,
    /// The most that happen.
    pub left: usize,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64, defect: Option<PlantedDefect>) -> Self {
        // A generator of its own: another number of draws here must not move the world's.
        let mut dice = Dice::new(seed ^ 0x5eed_0f71_a9ad_0000);
        let accounts = match dice.below(100) {
            0..45 => 3,
            45..70 => 4,
            70..85 => 5,
            85..94 => 6 + dice.below(2),
            _ => 8 + dice.below(3),
        };
        let away_days_max = [1, 3, 7].get(dice.below(3)).copied().unwrap_or(3);
        let chapters = 1 + dice.below(3);
        let servers = 1 + usize::from(dice.per_mille(400));
        let mut plan = Self {
            accounts,
            servers,
            hubs: 1 + dice.below(2.min(accounts - 1)) + usize::from(accounts > 4),
            both_may_found: dice.per_mille(330),
            is_rough_from_the_start: dice.per_mille(500),
            chapters,
            away_days_max,
            has_outage: dice.per_mille(250),
            steps: 280 / chapters + 60,
            trouble_per_mille: [10, 30, 60, 120].get(dice.below(4)).copied().unwrap_or(60),
            deeds: Vec::new(),
            hostile: None,
            defect,
        };
        plan.deeds = deeds(&mut dice, accounts);
        plan
    }

    /// The same with absences of weeks, so that messages expire before somebody fetches them.
    #[must_use]
    pub fn with_weeks_away(self) -> Self {
        Self { away_days_max: 6 * self.away_days_max, ..self }
    }

    /// The same with devices that lose group state.
    #[must_use]
    pub fn with_damage(mut self) -> Self {
        let left = 1 + self.accounts / 3;
        self.deeds.push(Allowance { deed: Deed::LoseGroups, weight: 6, left });
        self
    }

    /// The same with people who link further devices and take some out again.
    #[must_use]
    pub fn with_devices(mut self, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed_0f71_a9ad_0001);
        let most = DEVICES_MAX - self.accounts;
        let left = [1, 2, 3, 5, 8, most].get(dice.below(6)).copied().unwrap_or(2).min(most);
        self.deeds.push(Allowance { deed: Deed::Link, weight: 24, left });
        self.deeds.push(Allowance { deed: Deed::Revoke, weight: 6, left: left.div_ceil(3) });
        self
    }

    /// The same with one device that does ill to its groups, of somebody who may be an admin or not.
    #[must_use]
    pub fn with_hostile(mut self, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed_0f71_a9ad_0002);
        let end = if dice.per_mille(400) { HostileEnd::Vanishes } else { HostileEnd::Repents };
        let ill = Ill::ALL.get(dice.below(Ill::ALL.len())).copied().unwrap_or(Ill::Garbage);
        self.hostile = Some(Hostile { account: dice.below(self.accounts), ill, end });
        let left = [1, 2, 3, 5].get(dice.below(4)).copied().unwrap_or(2);
        // Only one account does it, so that most draws are in vain.
        self.deeds.push(Allowance { deed: Deed::DoIll, weight: 8 * self.accounts, left });
        self
    }

    /// The same with devices that are set back to older copies of themselves.
    #[must_use]
    pub fn with_restored(mut self) -> Self {
        let left = 1 + self.accounts / 3;
        self.deeds.push(Allowance { deed: Deed::KeepCopy, weight: 12, left: 3 * left });
        self.deeds.push(Allowance { deed: Deed::RestoreOlder, weight: 12, left });
        self
    }

    /// The plan of a seed among worlds of all kinds: it decides which of the kinds above come together.
    pub fn mixed(seed: u64, defect: Option<PlantedDefect>) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed_0f71_a9ad_0003);
        let plan = Self::of(seed, defect);
        let plan = if dice.per_mille(250) { plan.with_weeks_away() } else { plan };
        let kind = dice.below(8);
        let plan = if matches!(kind, 1 | 4 | 5 | 6) { plan.with_devices(seed) } else { plan };
        let plan = if matches!(kind, 2 | 4) { plan.with_damage() } else { plan };
        let plan = if matches!(kind, 3 | 5) { plan.with_hostile(seed) } else { plan };
        if matches!(kind, 6 | 7) { plan.with_restored() } else { plan }
    }

    /// In words, for a report.
    pub fn describe(&self) -> String {
        let deeds: Vec<String> =
            self.deeds.iter().map(|allowance| format!("{:?} ≤ {}", allowance.deed, allowance.left)).collect();
        format!(
            "plan {PLAN_VERSION}: {} accounts on {} servers, {} chapters of {} steps a device, trouble {} ‰, away ≤ {} days{}{}{}{}; {}",
            self.accounts,
            self.servers,
            self.chapters,
            self.steps,
            self.trouble_per_mille,
            self.away_days_max,
            if self.both_may_found { ", both may found" } else { "" },
            if self.is_rough_from_the_start { ", rough from the start" } else { "" },
            if self.has_outage { ", a server down for long" } else { "" },
            self.hostile
                .map(|it| format!(", p{} does ill: {:?}, and {:?}", it.account, it.ill, it.end))
                .unwrap_or_default(),
            deeds.join(", "),
        )
    }
}

/// What people do, and how much of it. Some worlds only talk; others change their groups all the time.
fn deeds(dice: &mut Dice, accounts: usize) -> Vec<Allowance> {
    let changes = [2, 6, 14].get(dice.below(3)).copied().unwrap_or(6);
    let mut all = vec![
        Allowance { deed: Deed::Write, weight: 60, left: 6 * accounts },
        Allowance { deed: Deed::WriteTwice, weight: 6, left: 2 },
        Allowance { deed: Deed::Edit, weight: 8, left: accounts },
        Allowance { deed: Deed::Delete, weight: 4, left: accounts / 2 },
        Allowance { deed: Deed::React, weight: 10, left: accounts },
        Allowance { deed: Deed::Read, weight: 10, left: 2 * accounts },
        Allowance { deed: Deed::Renew, weight: 10, left: changes },
        Allowance { deed: Deed::Found, weight: 40, left: 1 + dice.below(2) },
        Allowance { deed: Deed::Rename, weight: 8, left: changes },
        Allowance { deed: Deed::Picture, weight: 3, left: changes / 3 },
        Allowance { deed: Deed::Add, weight: 14, left: changes },
        Allowance { deed: Deed::Remove, weight: 8, left: changes / 2 },
        Allowance { deed: Deed::Leave, weight: 4, left: changes / 3 },
        Allowance { deed: Deed::Promote, weight: 12, left: changes },
        Allowance { deed: Deed::Demote, weight: 4, left: changes / 3 },
    ];
    all.retain(|allowance| allowance.left > 0);
    all
}

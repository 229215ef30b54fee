//! What happened in a world that kept its promises, in numbers.

use std::fmt;
use std::ops::AddAssign;

/// Numbers of one world, or of many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Worlds.
    pub worlds: u64,
    /// Devices.
    pub devices: u64,
    /// Messages, each once however many have it.
    pub messages: u64,
    /// Of them, those that were acknowledged to somebody who saw it.
    pub acknowledged: u64,
    /// Messages times the devices that had to have them, and did.
    pub seen: u64,
    /// Of the others, those that nobody could give back, and that a line says are gone.
    pub gone: u64,
    /// Commits in all logs.
    pub commits: u64,
    /// Commits that another one came before.
    pub lost_races: u64,
    /// Crashes of clients and of servers.
    pub crashes: u64,
    /// Connections that broke.
    pub breaks: u64,
    /// Times that somebody or a server was away for days.
    pub absences: u64,
    /// Times that a device lost group state.
    pub damages: u64,
    /// Times that a device was set back to an older copy of itself.
    pub restored: u64,
    /// Commits with ill will that a server took.
    pub ill: u64,
    /// Of them, those that an honest device showed evidence of.
    pub noticed: u64,
    /// Fresh leaves that devices got.
    pub re_added: u64,
    /// Gaps that were filled.
    pub gaps_filled: u64,
    /// Conversations that moved to a new channel, counted on each device.
    pub re_founded: u64,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in self.numbers_mut().into_iter().zip(other.numbers()) {
            *sum = sum.saturating_add(more.0);
        }
    }
}

impl Report {
    fn numbers(&self) -> [(u64, &'static str); 18] {
        [
            (self.worlds, "worlds"),
            (self.devices, "devices"),
            (self.messages, "messages"),
            (self.acknowledged, "acknowledged"),
            (self.seen, "seen"),
            (self.gone, "gone and said so"),
            (self.commits, "commits"),
            (self.lost_races, "lost races"),
            (self.crashes, "crashes"),
            (self.breaks, "broken connections"),
            (self.absences, "absences of days"),
            (self.damages, "damages"),
            (self.restored, "older copies"),
            (self.ill, "commits with ill will"),
            (self.noticed, "of them noticed"),
            (self.re_added, "fresh leaves"),
            (self.gaps_filled, "gaps filled"),
            (self.re_founded, "moves to a new channel"),
        ]
    }

    fn numbers_mut(&mut self) -> [&mut u64; 18] {
        [
            &mut self.worlds,
            &mut self.devices,
            &mut self.messages,
            &mut self.acknowledged,
            &mut self.seen,
            &mut self.gone,
            &mut self.commits,
            &mut self.lost_races,
            &mut self.crashes,
            &mut self.breaks,
            &mut self.absences,
            &mut self.damages,
            &mut self.restored,
            &mut self.ill,
            &mut self.noticed,
            &mut self.re_added,
            &mut self.gaps_filled,
            &mut self.re_founded,
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.numbers().iter().map(|(number, what)| format!("{number} {what}")).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_summed_under_its_own_name() {
        let mut numbered = Report::default();
        for (index, number) in numbered.numbers_mut().into_iter().enumerate() {
            *number = index as u64 + 1;
        }
        let mut sum = numbered;
        sum += numbered;
        let doubled: Vec<_> = numbered.numbers().map(|(number, what)| (2 * number, what)).into();
        assert_eq!(sum.numbers().to_vec(), doubled);
    }
}

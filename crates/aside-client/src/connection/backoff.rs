//! How long to wait before dialling again: doubling, with jitter of each connection's own.

use crate::randomness::SystemRandomness;
use std::time::Duration;

/// The first pause, before jitter.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// The longest pause, before jitter.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pauses of one connection.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_MIN }
    }
}

impl Backoff {
    /// The next pause: half of it is certain, half is chance, and the one after it is twice as long.
    pub fn next(&mut self, randomness: &mut SystemRandomness) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause / 2 + randomness.below(pause / 2)
    }

    /// A person has acted, or a connection stood for a while.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Trying soon will not help.
    pub fn give_up_hurrying(&mut self) {
        self.next = PAUSE_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_no_further() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..12).map(|_| backoff.next(&mut SystemRandomness)).collect();
        assert!(pauses[0] <= PAUSE_MIN && pauses[0] >= PAUSE_MIN / 2);
        assert!(pauses[11] <= PAUSE_MAX && pauses[11] >= PAUSE_MAX / 2);
        backoff.reset();
        assert!(backoff.next(&mut SystemRandomness) <= PAUSE_MIN);
    }
}

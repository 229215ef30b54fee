//! Durations, counted in buckets that are at most 1.6 % wide.

use std::time::Duration;

/// Buckets for each doubling.
const STEPS: u64 = 64;
/// Below this many nanoseconds every value has a bucket of its own.
const EXACT_NS: u64 = STEPS;
/// From [`EXACT_NS`] to the largest value there is.
const BUCKETS: usize = 64 * STEPS as usize;

/// Counts durations, and gives quantiles.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    longest_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, longest_ns: 0 }
    }
}

impl Histogram {
    /// Counts one.
    pub fn add_ns(&mut self, ns: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ns)) {
            *bucket += 1;
        }
        self.count += 1;
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns)
    }

    /// The duration that this share (0 to 1) of all do not exceed, up to the width of a bucket; zero of nothing.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(highest_of(index).min(self.longest_ns));
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(ns: u64) -> usize {
    if ns < EXACT_NS {
        return ns as usize;
    }
    // The six bits behind the leading one choose the step.
    let doubling = u64::from(ns.ilog2()) - 6;
    ((doubling + 1) * STEPS + ((ns >> doubling) - STEPS)) as usize
}

fn highest_of(index: usize) -> u64 {
    let (doubling, step) = (index as u64 / STEPS, index as u64 % STEPS);
    match doubling.checked_sub(1) {
        None => step,
        Some(shift) => ((STEPS + step + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_up_to_a_buckets_width() {
        let mut histogram = Histogram::default();
        (1..=100_000_u64).for_each(|us| histogram.add_ns(us * 1_000));
        for (share, us) in [(0.5, 50_000.0), (0.99, 99_000.0), (1.0, 100_000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / us - 1.0).abs() < 0.017, "{share}: {found}");
        }
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        for ns in (0..70).chain([127, 128, 1_000, 1 << 40]) {
            let index = bucket_of(ns);
            assert!(highest_of(index) >= ns && (index == 0 || highest_of(index - 1) < ns), "{ns}");
        }
    }
}

//! The operating system's randomness, in the shape that the engine takes it.

use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use std::time::Duration;

/// Every call asks the operating system: there is no state that a fork or a restored machine could repeat.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandomness;

impl SystemRandomness {
    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        fill(&mut bytes);
        bytes
    }

    /// A random time below a limit.
    pub fn below(&mut self, limit: Duration) -> Duration {
        let share = f64::from(u32::from_ne_bytes(self.bytes())) / (f64::from(u32::MAX) + 1.0);
        limit.mul_f64(share)
    }
}

/// A machine without randomness can make no key: going on would be worse than ending.
fn fill(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        std::process::abort();
    }
}

impl TryRng for SystemRandomness {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes(self.bytes()))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes(self.bytes()))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SystemRandomness {}

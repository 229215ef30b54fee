//! What is inside a measured message: when it was sent and its number, then filler that does not compress. To the server
//! it is a ciphertext like any other; all of it is text, so that XMPP can carry it.

use std::sync::OnceLock;
use std::time::Instant;

const BEGIN: &[u8] = b"@@";
/// Sixteen hexadecimal digits of time, eight of number.
const DIGITS: usize = 24;
/// The shortest message.
pub const BYTES_MIN: usize = BEGIN.len() + DIGITS;
/// The longest.
pub const BYTES_MAX: usize = 32 * 1024;

/// What a receiver finds in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// By [`now_ns`].
    pub sent_ns: u64,
    /// Counts up for each sender.
    pub number: u32,
}

/// Nanoseconds since this process first asked.
pub fn now_ns() -> u64 {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    u64::try_from(BEGIN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A message of so many bytes, between [`BYTES_MIN`] and [`BYTES_MAX`].
pub fn message(mark: Mark, bytes: usize) -> String {
    static FILLER: OnceLock<String> = OnceLock::new();
    let filler = FILLER.get_or_init(filler);
    let mut message = format!("@@{:016x}{:08x}", mark.sent_ns, mark.number);
    let from = (mark.number as usize).wrapping_mul(61) % BYTES_MAX;
    let through = from + bytes.clamp(BYTES_MIN, BYTES_MAX) - BYTES_MIN;
    message.push_str(filler.get(from..through).unwrap_or_default());
    message
}

fn filler() -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        alphabet.get((state >> 33) as usize & 63).copied().unwrap_or(b'.') as char
    };
    (0..2 * BYTES_MAX).map(|_| letter()).collect()
}

/// Every mark in what was received.
pub fn find(bytes: &[u8]) -> impl Iterator<Item = Mark> + '_ {
    memchr::memmem::find_iter(bytes, BEGIN).filter_map(|at| {
        let digits = bytes.get(at + BEGIN.len()..at + BYTES_MIN)?;
        let (sent, number) = std::str::from_utf8(digits).ok()?.split_at_checked(16)?;
        Some(Mark { sent_ns: u64::from_str_radix(sent, 16).ok()?, number: u32::from_str_radix(number, 16).ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_in_a_message_of_the_wanted_length() {
        for (number, bytes) in [(0, 26), (7, 256), (u32::MAX, 2_048)] {
            let mark = Mark { sent_ns: 123_456_789, number };
            let text = message(mark, bytes);
            assert_eq!(text.len(), bytes);
            assert_eq!(find(format!("<body>{text}</body>").as_bytes()).collect::<Vec<_>>(), [mark]);
        }
    }
}

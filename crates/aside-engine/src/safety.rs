//! The safety number: what two people compare to know that nobody stands between them.

use aside_protocol::address::AccountAddress;
use aside_protocol::key::PublicKey;
use sha2::{Digest, Sha512};

/// Groups of digits.
const GROUPS: usize = 12;
/// Rounds of hashing for each half, so that near matches are dear to search for.
const ROUNDS: u32 = 5_200;

/// What a code to scan begins with; behind it stand, in hexadecimal, the half of whoever shows it and the half of
/// whoever they believe to talk with.
const CODE: &str = "aside-safety:v1:";

/// What `one` shows to `other` to be scanned (P-3.15).
pub(crate) fn code(one: (&AccountAddress, &PublicKey), other: (&AccountAddress, &PublicKey)) -> String {
    let halves = [half(one), half(other)].concat();
    halves.iter().fold(CODE.to_owned(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// What a scanned code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// Both sides have the same keys of both.
    Matches,
    /// They have not.
    Differs,
    /// It is no code of this kind.
    NoCode,
}

/// Compares a scanned code with what `other` has to show to `one`: both halves count, so that neither side's view can
/// be another.
pub(crate) fn scan(text: &str, one: (&AccountAddress, &PublicKey), other: (&AccountAddress, &PublicKey)) -> Scanned {
    let text = text.trim();
    let expected = code(other, one);
    let is_code = text.len() == expected.len()
        && text.strip_prefix(CODE).is_some_and(|halves| halves.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match (is_code, text.eq_ignore_ascii_case(&expected)) {
        (false, _) => Scanned::NoCode,
        (true, true) => Scanned::Matches,
        (true, false) => Scanned::Differs,
    }
}

/// Twelve groups of five digits over both root keys and addresses; the same on both sides.
pub(crate) fn digits(one: (&AccountAddress, &PublicKey), other: (&AccountAddress, &PublicKey)) -> Vec<String> {
    let mut halves = [half(one), half(other)];
    halves.sort();
    let bytes: Vec<u8> = halves.concat();
    bytes
        .chunks_exact(5)
        .take(GROUPS)
        .map(|chunk| {
            let number = chunk.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            format!("{:05}", number % 100_000)
        })
        .collect()
}

/// 30 bytes that stand for one person.
fn half((address, root_key): (&AccountAddress, &PublicKey)) -> Vec<u8> {
    let statement = aside_protocol::codec::labelled_message(
        "aside safety number v1",
        &[address.to_string().as_bytes(), &root_key.0],
    );
    let mut hash = Sha512::digest(&statement);
    for _ in 1..ROUNDS {
        let mut hasher = Sha512::new();
        hasher.update(hash);
        hasher.update(&statement);
        hash = hasher.finalize();
    }
    hash.iter().copied().take(GROUPS / 2 * 5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_number_and_another_key_another() {
        let (alice, bob) = ("alice@a".parse().unwrap(), "bob@a".parse().unwrap());
        let (a, b) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let number = digits((&alice, &a), (&bob, &b));
        assert_eq!(number.len(), 12);
        assert!(number.iter().all(|group| group.len() == 5));
        assert_eq!(number, digits((&bob, &b), (&alice, &a)));
        assert_ne!(number, digits((&alice, &a), (&bob, &PublicKey([3; 32]))));
    }

    #[test]
    fn a_scanned_code_matches_only_where_both_sides_see_the_same_keys_of_both() {
        let (alice, bob) = ("alice@a".parse().unwrap(), "bob@a".parse().unwrap());
        let (a, b, other) = (PublicKey([1; 32]), PublicKey([2; 32]), PublicKey([3; 32]));
        let of_bob = |bobs: &PublicKey, alices: &PublicKey| code((&bob, bobs), (&alice, alices));
        let scan_as_alice = |text: &str| scan(text, (&alice, &a), (&bob, &b));
        assert_eq!(scan_as_alice(&of_bob(&b, &a)), Scanned::Matches);
        assert_eq!(scan_as_alice(&of_bob(&other, &a)), Scanned::Differs);
        assert_eq!(scan_as_alice(&of_bob(&b, &other)), Scanned::Differs, "bob was shown another alice");
        assert_eq!(scan_as_alice(&code((&alice, &a), (&bob, &b))), Scanned::Differs, "her own code");
        assert_eq!(scan_as_alice("aside://h/contact/bob#x"), Scanned::NoCode);
        assert_eq!(scan_as_alice(&of_bob(&b, &a)[..40]), Scanned::NoCode);
    }
}

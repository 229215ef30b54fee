//! The safety number: what two people compare to know that nobody stands between them.

use aside_protocol::address::AccountAddress;
use aside_protocol::key::PublicKey;
use sha2::{Digest, Sha512};

/// Groups of digits.
const GROUPS: usize = 12;
/// Rounds of hashing for each half, so that near matches are dear to search for.
const ROUNDS: u32 = 5_200;

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
}

//! Recovery: the phrase that a person writes down, the backup that it opens, and an account's way back when every device
//! is lost.

pub(crate) mod confirm;
pub(crate) mod phrase;

pub use phrase::{PHRASE_WORDS, PhraseError, TypedPhrase};

/// What recovery keeps in memory. All of it can be lost at any time.
#[derive(Default)]
pub(crate) struct Memory {
    /// Something secret was overwritten in this transaction.
    pub erase: bool,
}

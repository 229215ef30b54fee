//! The recovery phrase: 24 words that a person writes down, and the keys that come of them. Rule P-3.1.
//!
//! Words come in as a person types them, and go out once, on the screen. Nothing here writes them anywhere.

use crate::error::EngineError;
use aside_protocol::key::SigningKey;
use bip39::{Language, Mnemonic};
use hkdf::Hkdf;
use sha2::Sha256;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// How many words a phrase has.
pub const PHRASE_WORDS: usize = 24;

/// Words as a person typed them. Wiped on drop, never printed.
#[derive(Clone)]
pub struct TypedPhrase(Zeroizing<String>);

impl TypedPhrase {
    /// Takes what was typed, in any case, with any spaces, commas, line breaks or numbers between the words.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for TypedPhrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TypedPhrase(…)")
    }
}

/// Why typed words are no phrase, or another one. Each is a sentence for a person; none repeats a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Too few or too many.
    #[error("a recovery phrase has {PHRASE_WORDS} words; these are {found}")]
    Count {
        /// How many.
        found: usize,
    },
    /// Not a word of the list.
    #[error("word {place} is none that a recovery phrase can have: look at its spelling")]
    UnknownWord {
        /// Counts from 1.
        place: usize,
    },
    /// Words of the list, but not together.
    #[error("every word exists, but they do not belong together: one of them is another word, or two changed places")]
    Checksum,
    /// A whole phrase, but not the one that was shown.
    #[error("word {place} is not the one that was shown")]
    OtherWord {
        /// The first that differs, counting from 1.
        place: usize,
    },
}

/// The 256 random bits of an account, from which its root and backup keys come.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entropy(Zeroizing<[u8; 32]>);

/// Opens and makes backups. Devices keep it. Wiped on drop, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BackupKey(Zeroizing<[u8; 32]>);

impl BackupKey {
    /// From the account's row.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// For the account's row.
    pub fn dangerous_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What backups are encrypted under: 256 bits as hexadecimal text, since `age` takes a passphrase .
    pub fn dangerous_file_secret(&self) -> Result<Zeroizing<String>, EngineError> {
        let secret = expand(&self.0[..], b"age v1")?;
        Ok(Zeroizing::new(secret.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl Entropy {
    /// From randomness, or from the account's row.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// For the account's row, until the person has confirmed the words.
    pub fn dangerous_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The words.
    pub fn words(&self) -> Result<Vec<&'static str>, EngineError> {
        Ok(self.mnemonic()?.words().collect())
    }

    /// Reads typed words.
    ///
    /// # Errors
    /// [`PhraseError`], naming the place of the first fault.
    pub fn read(typed: &TypedPhrase) -> Result<Self, PhraseError> {
        let words = words(typed);
        if words.len() != PHRASE_WORDS {
            return Err(PhraseError::Count { found: words.len() });
        }
        for (index, word) in words.iter().enumerate() {
            if Language::English.find_word(word).is_none() {
                return Err(PhraseError::UnknownWord { place: index.saturating_add(1) });
            }
        }
        let text = Zeroizing::new(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        let phrase = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|_| PhraseError::Checksum)?;
        let bytes = Zeroizing::new(phrase.to_entropy());
        bytes[..].try_into().map(Self::new).map_err(|_| PhraseError::Count { found: words.len() })
    }

    /// Compares typed words with this phrase.
    ///
    /// # Errors
    /// [`PhraseError`], naming the first word that differs.
    pub fn compare(&self, typed: &TypedPhrase) -> Result<Result<(), PhraseError>, EngineError> {
        let shown = self.words()?;
        let typed = words(typed);
        if typed.len() != shown.len() {
            return Ok(Err(PhraseError::Count { found: typed.len() }));
        }
        let differs = shown.iter().zip(&typed).position(|(shown, typed)| *shown != typed.as_str());
        Ok(match differs.map(|index| (index.saturating_add(1), typed.get(index))) {
            None => Ok(()),
            Some((place, Some(word))) if Language::English.find_word(word).is_none() => {
                Err(PhraseError::UnknownWord { place })
            }
            Some((place, _)) => Err(PhraseError::OtherWord { place }),
        })
    }

    /// Signs key sets.
    pub fn root_key(&self) -> Result<SigningKey, EngineError> {
        Ok(SigningKey::from_seed(&*self.key(b"root")?))
    }

    /// Encrypts backups.
    pub fn backup_key(&self) -> Result<BackupKey, EngineError> {
        Ok(BackupKey(self.key(b"backup")?))
    }

    fn mnemonic(&self) -> Result<Mnemonic, EngineError> {
        Mnemonic::from_entropy(&self.0[..]).map_err(|_| EngineError::Damaged { what: "recovery phrase" })
    }

    fn key(&self, label: &[u8]) -> Result<Zeroizing<[u8; 32]>, EngineError> {
        let seed = Zeroizing::new(self.mnemonic()?.to_seed_normalized(""));
        expand(&seed[..], label)
    }
}

/// HKDF-SHA-256 (RFC 5869) under the account's salt.
fn expand(secret: &[u8], label: &[u8]) -> Result<Zeroizing<[u8; 32]>, EngineError> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(b"aside account v1"), secret)
        .expand(label, &mut key[..])
        .map_err(|_| EngineError::Damaged { what: "recovery phrase" })?;
    Ok(key)
}

/// NFKD, small letters, and nothing but the words: numbers and marks between them are dropped.
fn words(typed: &TypedPhrase) -> Vec<Zeroizing<String>> {
    let mut text = Cow::Borrowed(typed.0.as_str());
    Mnemonic::normalize_utf8_cow(&mut text);
    let text = Zeroizing::new(text.to_lowercase());
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(|word| Zeroizing::new(word.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> TypedPhrase {
        TypedPhrase::new(text.to_owned())
    }

    fn entropy() -> Entropy {
        Entropy::new(std::array::from_fn(|i| i as u8))
    }

    #[test]
    fn words_are_read_as_they_are_shown_however_they_are_typed() {
        let words = entropy().words().unwrap();
        assert_eq!(words.len(), PHRASE_WORDS);
        let plain = words.join(" ");
        let numbered: String = words.iter().enumerate().map(|(i, word)| format!("{}. {word},\n", i + 1)).collect();
        let wide: String = plain.to_uppercase().chars().map(wide).collect();
        for text in [plain.clone(), plain.to_uppercase(), numbered, format!("  {}\t", plain.replace(' ', "  ")), wide] {
            assert!(Entropy::read(&typed(&text)).unwrap() == entropy(), "{text}");
            assert_eq!(entropy().compare(&typed(&text)).unwrap(), Ok(()), "{text}");
        }
    }

    /// A full-width letter, which NFKD makes an ordinary one.
    fn wide(c: char) -> char {
        match c.is_ascii_uppercase() {
            true => char::from_u32(c as u32 - 'A' as u32 + 'Ａ' as u32).unwrap(),
            false => c,
        }
    }

    #[test]
    fn a_wrong_word_is_named_by_its_place_and_not_repeated() {
        let mut words = entropy().words().unwrap();
        words[6] = "asidely";
        let error = Entropy::read(&typed(&words.join(" "))).err().unwrap();
        assert_eq!(error, PhraseError::UnknownWord { place: 7 });
        assert!(!error.to_string().contains("asidely"));
        words[6] = "zoo";
        assert_eq!(entropy().compare(&typed(&words.join(" "))).unwrap(), Err(PhraseError::OtherWord { place: 7 }));
        words.pop();
        assert_eq!(Entropy::read(&typed(&words.join(" "))).err(), Some(PhraseError::Count { found: 23 }));
    }

    #[test]
    fn two_words_that_changed_places_do_not_pass() {
        let mut words = entropy().words().unwrap();
        words.swap(0, 1);
        assert_eq!(Entropy::read(&typed(&words.join(" "))).err(), Some(PhraseError::Checksum));
    }

    #[test]
    fn the_published_vector_gives_its_words() {
        // BIP-39's own: 32 bytes of 0x7f.
        let words = Entropy::new([0x7f; 32]).words().unwrap().join(" ");
        assert_eq!(
            words,
            "legal winner thank year wave sausage worth useful legal winner thank year wave sausage worth useful legal \
             winner thank year wave sausage worth title"
        );
    }

    #[test]
    fn root_and_backup_keys_have_nothing_to_do_with_each_other() {
        let root = entropy().root_key().unwrap().dangerous_seed();
        let backup = entropy().backup_key().unwrap();
        assert_ne!(&root[..], &backup.dangerous_bytes()[..]);
        assert_eq!(backup.dangerous_file_secret().unwrap().len(), 64);
    }
}

//! The keys of a new account, from 256 random bits that a person can write down as 24 words.

use crate::context::{Context, to_store};
use crate::error::EngineError;
use aside_mls::Session;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::key::SigningKey;
use aside_protocol::link::InviteLink;
use hkdf::Hkdf;
use rusqlite::params;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The root signing key of a recovery phrase: BIP-39 turns entropy into 24 words and back; HKDF (RFC 5869) turns it into
/// the key (P-3.1).
///
/// # Errors
/// [`EngineError::Damaged`], which cannot be for 32 bytes of entropy.
pub(crate) fn root_key(entropy: &[u8; 32]) -> Result<SigningKey, EngineError> {
    let damaged = |_| EngineError::Damaged { what: "recovery phrase" };
    let phrase =
        bip39::Mnemonic::from_entropy(entropy).map_err(|_| EngineError::Damaged { what: "recovery phrase" })?;
    let phrase_seed = Zeroizing::new(phrase.to_seed_normalized(""));
    let mut seed = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(b"aside account v1"), &phrase_seed[..])
        .expand(b"root", &mut seed[..])
        .map_err(|_: hkdf::InvalidLength| ())
        .map_err(damaged)?;
    Ok(SigningKey::from_seed(&seed))
}

/// Makes account, device and inbox keys and writes them down. The connection registers them.
pub(crate) fn create(
    context: &mut Context<'_>,
    mls: &Session<'_>,
    invite: &InviteLink,
    name: AccountName,
) -> Result<(), EngineError> {
    let server = crate::server::remember(context, &invite.server)?;
    let address = AccountAddress { name, server: invite.server.address.clone() };
    let entropy = Zeroizing::new(context.random::<32>());
    let (account_seed, device_seed) = (Zeroizing::new(context.random::<32>()), Zeroizing::new(context.random::<32>()));
    let (root, account, device_key) =
        (root_key(&entropy)?, SigningKey::from_seed(&account_seed), SigningKey::from_seed(&device_seed));
    let root_key = root.public_key();
    let of = (&address, &root_key);
    let set = KeySet::sign(of, None, account.public_key(), Vec::new(), (KeySetSigner::Root, &root));
    let device = DeviceId(context.random());
    let certificate = DeviceCertificate::issue(of, &account, set.number, device, device_key.public_key());
    let inbox = mls.new_inbox_key_pair()?;
    let record = DeviceRecord::sign(certificate, inbox.public.clone(), &device_key);
    context.db.execute(
        "INSERT INTO account (only_row, server, name, invite, phrase_entropy, account_seed, device_seed, root_key,
         key_sets, record, inbox_private, registered, inbox_seq) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
        params![
            server.0,
            address.name.as_str(),
            invite.token.0,
            &entropy[..],
            &account_seed[..],
            &device_seed[..],
            root_key.0,
            to_store(&vec![set]),
            to_store(&record),
            &inbox.private[..],
        ],
    )?;
    context.wanted_changed();
    Ok(())
}

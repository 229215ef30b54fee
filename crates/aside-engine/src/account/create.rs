//! The keys of a new account, from 256 random bits that a person can write down as 24 words.

use crate::context::{Context, to_store};
use crate::device::row::{self, Device};
use crate::error::EngineError;
use crate::recovery::phrase::Entropy;
use aside_mls::Session;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::key::SigningKey;
use aside_protocol::link::InviteLink;
use rusqlite::params;
use zeroize::Zeroizing;

/// Makes account, device and inbox keys and writes them down. The connection registers them.
pub(crate) fn create(
    context: &mut Context<'_>,
    mls: &Session<'_>,
    invite: &InviteLink,
    name: AccountName,
) -> Result<(), EngineError> {
    let server = crate::server::remember(context, &invite.server)?;
    let address = AccountAddress { name, server: invite.server.address.clone() };
    let entropy = Entropy::new(context.random());
    let (account_seed, device_seed) = (Zeroizing::new(context.random::<32>()), Zeroizing::new(context.random::<32>()));
    let (root, account, device_key) =
        (entropy.root_key()?, SigningKey::from_seed(&account_seed), SigningKey::from_seed(&device_seed));
    let root_key = root.public_key();
    let of = (&address, &root_key);
    let set = KeySet::sign(of, None, account.public_key(), Vec::new(), (KeySetSigner::Root, &root));
    let device = DeviceId(context.random());
    let certificate = DeviceCertificate::issue(of, &account, set.number, device, device_key.public_key());
    let inbox = mls.new_inbox_key_pair()?;
    let record = DeviceRecord::sign(certificate, inbox.public.clone(), &device_key);
    context.db.execute(
        "INSERT INTO account (only_row, server, name, invite, phrase_entropy, backup_key, account_seed, device_seed, root_key,
         key_sets, record, inbox_private, registered, inbox_seq) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",
        params![
            server.0,
            address.name.as_str(),
            invite.token.0,
            entropy.dangerous_bytes(),
            entropy.backup_key()?.dangerous_bytes(),
            &account_seed[..],
            &device_seed[..],
            root_key.0,
            to_store(&vec![set]),
            to_store(&record),
            &inbox.private[..],
        ],
    )?;
    row::put(
        context,
        &Device {
            id: device,
            record,
            name: "First device".into(),
            added_ms: context.now.unix_ms,
            revoked_ms: None,
            history_from_ms: Some(0),
            linked_by: None,
        },
    )?;
    context.wanted_changed();
    Ok(())
}

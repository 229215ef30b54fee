//! This person's account and this device: made once, from randomness that the shell gives, and kept in one row.

mod create;
mod upkeep;

pub(crate) use create::create;
pub(crate) use upkeep::{
    draw_channel_tokens, key_package_count, last_resort_is_published, read_inbox, registration, signed_in,
};

use crate::context::{Context, stored};
use crate::error::EngineError;
use crate::input::ServerId;
use aside_mls::DeviceSigner;
use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceRecord, KeySet, MemberCredential};
use aside_protocol::inbox::{DeliveryToken, InviteToken};
use aside_protocol::key::{PublicKey, SigningKey};
use aside_protocol::link::ServerPin;
use aside_protocol::refusal::Refusal;
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

/// Who this device speaks for, with the keys that it needs every day. The root key is not among them.
pub(crate) struct Identity {
    pub server: ServerId,
    pub pin: ServerPin,
    pub address: AccountAddress,
    pub invite: InviteToken,
    pub root_key: PublicKey,
    pub key_sets: Vec<KeySet>,
    pub device_key: SigningKey,
    pub signer: DeviceSigner,
    pub record: DeviceRecord,
    pub inbox_private: Zeroizing<Vec<u8>>,
    pub registered: bool,
    pub refusal: Option<Refusal>,
    /// By which this account's devices reach each other.
    pub own_token: DeliveryToken,
}

impl Identity {
    pub fn name(&self) -> &AccountName {
        &self.address.name
    }

    pub fn device(&self) -> DeviceId {
        self.record.certificate.device
    }

    /// What stands in this device's leaves and envelopes.
    pub fn credential(&self) -> MemberCredential {
        MemberCredential {
            address: self.address.clone(),
            root_key: self.root_key,
            key_sets: self.key_sets.clone(),
            certificate: self.record.certificate.clone(),
        }
    }
}

/// Reads the account's row, if a join was begun.
pub(crate) fn load(db: &Connection) -> Result<Option<Identity>, EngineError> {
    let row = db
        .prepare_cached(
            "SELECT server, name, invite, device_seed, root_key, key_sets, record, inbox_private, registered, refusal,
             account_seed FROM account",
        )?
        .query_row([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, [u8; 16]>(2)?,
                Zeroizing::new(row.get::<_, [u8; 32]>(3)?),
                row.get::<_, [u8; 32]>(4)?,
                row.get::<_, Vec<u8>>(5)?,
                row.get::<_, Vec<u8>>(6)?,
                Zeroizing::new(row.get::<_, Vec<u8>>(7)?),
                row.get::<_, bool>(8)?,
                row.get::<_, Option<Vec<u8>>>(9)?,
                Zeroizing::new(row.get::<_, [u8; 32]>(10)?),
            ))
        })
        .optional()?;
    let Some((server, name, invite, device_seed, root_key, key_sets, record, inbox_private, registered, refusal, seed)) =
        row
    else {
        return Ok(None);
    };
    let pin = crate::server::pin(db, ServerId(server))?;
    let name = name.parse().map_err(|_| EngineError::Damaged { what: "account name" })?;
    let device_key = SigningKey::from_seed(&device_seed);
    Ok(Some(Identity {
        server: ServerId(server),
        address: AccountAddress { name, server: pin.address.clone() },
        pin,
        invite: InviteToken(invite),
        root_key: PublicKey(root_key),
        key_sets: stored(&key_sets, "key sets")?,
        signer: DeviceSigner::new(&device_key),
        device_key,
        record: stored(&record, "device record")?,
        inbox_private,
        registered,
        own_token: crate::device::own_token(&seed),
        refusal: refusal.map(|bytes| stored(&bytes, "refusal")).transpose()?,
    }))
}

/// The account's address alone, if a join was begun.
pub(crate) fn address(db: &Connection) -> Result<Option<AccountAddress>, EngineError> {
    let row: Option<(i64, String)> = db
        .prepare_cached("SELECT server, name FROM account")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((server, name)) = row else { return Ok(None) };
    let name = name.parse().map_err(|_| EngineError::Damaged { what: "account name" })?;
    Ok(Some(AccountAddress { name, server: crate::server::pin(db, ServerId(server))?.address }))
}

/// Notes that the server has made the account.
pub(crate) fn set_registered(context: &Context<'_>) -> Result<(), EngineError> {
    context.db.execute("UPDATE account SET registered = 1, refusal = NULL", [])?;
    Ok(())
}

/// Notes why the server did not make the account.
pub(crate) fn set_refused(context: &Context<'_>, refusal: &Refusal) -> Result<(), EngineError> {
    context.db.execute("UPDATE account SET refusal = ?", params![crate::context::to_store(refusal)])?;
    Ok(())
}

/// The last envelope that was dealt with.
pub(crate) fn inbox_seq(db: &Connection) -> Result<u64, EngineError> {
    let seq = db.prepare_cached("SELECT inbox_seq FROM account")?.query_row([], |row| row.get(0))?;
    Ok(crate::context::unsql(seq))
}

/// Moves on behind an envelope.
pub(crate) fn set_inbox_seq(db: &Connection, seq: u64) -> Result<(), EngineError> {
    db.prepare_cached("UPDATE account SET inbox_seq = ?")?.execute(params![crate::context::sql(seq)])?;
    Ok(())
}

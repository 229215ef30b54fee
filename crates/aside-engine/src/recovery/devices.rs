//! The devices of an account that was restored: this one, and those that the person kept, which are sent the account's new
//! keys as after a revocation (P-10.8). With them they check and adopt, as they would another device's (P-7.9).

use crate::Heart;
use crate::context::Context;
use crate::device::row::{self, Device};
use crate::device::{revoke, sync};
use crate::error::EngineError;
use crate::job::{self, Job};
use aside_protocol::identity::DeviceRecord;

/// What this device is called until the person names it.
const NAME: &str = "Restored device";

/// Writes the account's devices down, and gives those that stay the new keys.
pub(super) fn settle(
    heart: &mut Heart,
    context: &mut Context<'_>,
    (account_seed, kept): (&[u8], Vec<DeviceRecord>),
) -> Result<(), EngineError> {
    // What came out of the backup is no news to devices that went on meanwhile.
    sync::settled(context)?;
    let Some(identity) = &heart.identity else { return Ok(()) };
    let own = Device {
        id: identity.device(),
        record: identity.record.clone(),
        name: NAME.into(),
        added_ms: context.now.unix_ms,
        revoked_ms: None,
        history_from_ms: Some(0),
        linked_by: None,
    };
    row::put(context, &own)?;
    if kept.is_empty() {
        return Ok(());
    }
    for record in &kept {
        let device = Device {
            id: record.certificate.device,
            record: record.clone(),
            name: "A device that was kept".into(),
            added_ms: row::BEFORE_THIS_ONE,
            ..own.clone()
        };
        row::put(context, &device)?;
        sync::unsynced_device(context, &device.id)?;
    }
    job::add(context, identity.server, &Job::PutDeliveryToken(identity.own_token.hash(), None))?;
    let mut records = kept;
    records.push(identity.record.clone());
    let keys = revoke::NewKeys::new(account_seed.to_vec(), identity.key_sets.clone(), records);
    revoke::tell(heart, context, &keys)
}

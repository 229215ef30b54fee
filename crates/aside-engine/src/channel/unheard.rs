//! Devices that somebody added to a group and that have not said a word there since. Where whoever added them is revoked,
//! they refuse the Welcome and do not know that they are in: they are *lost*, and put in anew (P-7.10).

use crate::context::{Context, sql, unsql};
use crate::error::EngineError;
use aside_mls::Member;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId};
use minicbor::{Decode, Encode};
use rusqlite::{Connection, OptionalExtension, params};

/// Unheard devices that a Welcome letter names, at most.
const TOLD_MAX: u32 = 64;

/// The commit at `seq`, of `adder`, added these, or gave them a fresh leaf.
pub(crate) fn added<'a>(
    context: &Context<'_>,
    (channel, seq): (&ChannelId, u64),
    adder: &DeviceId,
    devices: impl IntoIterator<Item = (&'a AccountAddress, DeviceId)>,
) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "INSERT INTO unheard (channel, device, address, adder, since_seq) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET adder = excluded.adder, lost = 0",
    )?;
    for (address, device) in devices {
        statement.execute(params![channel.0, device.0, address.to_string(), adder.0, sql(seq)])?;
    }
    Ok(())
}

/// The founder's Welcome let everybody in.
pub(crate) fn by_founder(
    context: &Context<'_>,
    place: (&ChannelId, u64),
    founder: &DeviceId,
    members: &[Member],
) -> Result<(), EngineError> {
    let devices = members.iter().map(|it| (&it.credential.address, it.credential.certificate.device));
    added(context, place, founder, devices.filter(|(_, device)| device != founder))
}

/// The entry by which a device was added that has said nothing since. It may have had leaves that it never heard of.
pub(crate) fn since(db: &Connection, channel: &ChannelId, device: &DeviceId) -> Result<Option<u64>, EngineError> {
    let mut statement = db.prepare_cached("SELECT since_seq FROM unheard WHERE channel = ? AND device = ?")?;
    let row = statement.query_row(params![channel.0, device.0], |row| row.get(0).map(unsql));
    Ok(row.optional()?)
}

/// It has said that it is here, or is out.
pub(super) fn done(context: &Context<'_>, channel: &ChannelId, device: &DeviceId) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached("DELETE FROM unheard WHERE channel = ? AND device = ?")?;
    statement.execute(params![channel.0, device.0])?;
    Ok(())
}

/// A revoked device was taken out: whom it had added and who has not been heard since is lost. Returns whose devices.
pub(crate) fn lose(
    context: &Context<'_>,
    channel: &ChannelId,
    adder: &DeviceId,
) -> Result<Vec<AccountAddress>, EngineError> {
    let mut statement = context
        .db
        .prepare_cached("UPDATE unheard SET lost = 1 WHERE channel = ? AND adder = ? AND lost = 0 RETURNING address")?;
    let rows = statement.query_map(params![channel.0, adder.0], |row| row.get::<_, String>(0))?;
    rows.map(|row| row?.parse().map_err(|_| EngineError::Damaged { what: "address" })).collect()
}

/// Nothing that was sent to somebody arrived: none of their unheard devices knows of the channel. Returns whether there is any.
pub(crate) fn lose_all(
    context: &Context<'_>,
    channel: &ChannelId,
    address: &AccountAddress,
) -> Result<bool, EngineError> {
    let sql = "UPDATE unheard SET lost = 1 WHERE channel = ? AND address = ?";
    Ok(context.db.prepare_cached(sql)?.execute(params![channel.0, address.to_string()])? > 0)
}

/// An unheard device, as a Welcome letter tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Unheard {
    #[n(0)]
    pub address: AccountAddress,
    #[n(1)]
    pub device: DeviceId,
    /// Who added it.
    #[n(2)]
    pub adder: DeviceId,
    /// The entry by which it was added.
    #[n(3)]
    pub since: u64,
    /// Whether whoever added it is revoked and out.
    #[n(4)]
    pub is_lost: bool,
}

/// The unheard devices of a channel but for one that is just being told, the lost ones first, so many that they fit into a
/// letter.
pub(crate) fn all(db: &Connection, channel: &ChannelId, except: &DeviceId) -> Result<Vec<Unheard>, EngineError> {
    let sql = "SELECT address, device, adder, since_seq, lost FROM unheard
               WHERE channel = ? AND device <> ? ORDER BY lost DESC, device LIMIT ?";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![channel.0, except.0, TOLD_MAX], |row| {
        let (device, adder) = (DeviceId(row.get(1)?), DeviceId(row.get(2)?));
        Ok((row.get::<_, String>(0)?, device, adder, unsql(row.get(3)?), row.get(4)?))
    })?;
    rows.map(|row| {
        let (address, device, adder, since, is_lost) = row?;
        let address = address.parse().map_err(|_| EngineError::Damaged { what: "address" })?;
        Ok(Unheard { address, device, adder, since, is_lost })
    })
    .collect()
}

/// Whoever let this device in told it who has not been heard: it may come to be the only one who can help those whose adder
/// is revoked later, such as those who were let in together with it. That counts for leaves of the group only.
pub(crate) fn told(
    context: &Context<'_>,
    channel: &ChannelId,
    told: &[Unheard],
    members: &[Member],
) -> Result<(), EngineError> {
    let mut statement = context.db.prepare_cached(
        "INSERT INTO unheard (channel, device, address, adder, since_seq, lost) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET since_seq = excluded.since_seq, lost = MAX(lost, excluded.lost)",
    )?;
    let is_in = |one: &&Unheard| {
        members
            .iter()
            .map(|member| &member.credential)
            .any(|it| it.address == one.address && it.certificate.device == one.device)
    };
    for one in told.iter().filter(is_in).take(TOLD_MAX as usize) {
        let (address, adder) = (one.address.to_string(), one.adder.0);
        statement.execute(params![channel.0, one.device.0, address, adder, sql(one.since), one.is_lost])?;
    }
    Ok(())
}

/// Somebody's lost devices in a channel.
pub(crate) fn lost(
    db: &Connection,
    channel: &ChannelId,
    address: &AccountAddress,
) -> Result<Vec<DeviceId>, EngineError> {
    let sql = "SELECT device FROM unheard WHERE channel = ? AND address = ? AND lost = 1";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![channel.0, address.to_string()], |row| row.get(0).map(DeviceId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

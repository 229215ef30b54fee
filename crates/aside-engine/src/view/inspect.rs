//! What only a simulation looks at: where the engine stands in its channels and groups, past everything that is shown.

use crate::Engine;
use crate::content::MessageId;
use crate::context::unsql;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use aside_mls::GroupId;
use aside_protocol::address::AccountAddress;
use aside_protocol::id::{ChannelId, DeviceId, Hash};
use rusqlite::params;

/// A channel as this device stands in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelSeen {
    /// Which.
    pub channel: ChannelId,
    /// The conversation that it is a log of.
    pub conversation: ConversationId,
    /// The epoch that it is read in.
    pub epoch: u64,
    /// The last entry that was read.
    pub seq: u64,
    /// The channel that took its place: this one is not read any more, or only to its end.
    pub successor: Option<ChannelId>,
}

/// A group in one epoch. Every member of that epoch sees the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeen {
    /// The epoch.
    pub epoch: u64,
    /// RFC 9420, section 8.7: equal where the state is.
    pub authenticator: Hash,
    /// The members, sorted.
    pub devices: Vec<(AccountAddress, DeviceId)>,
}

/// A message with its place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceSeen {
    /// Which.
    pub message: MessageId,
    /// In which log.
    pub channel: ChannelId,
    /// Where.
    pub seq: u64,
}

impl Engine {
    /// This device.
    pub fn own_device(&self) -> Option<(AccountAddress, DeviceId)> {
        let identity = self.heart.identity.as_ref()?;
        Some((identity.address.clone(), identity.record.certificate.device))
    }

    /// The channels that stand here.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn channels_seen(&self) -> Result<Vec<ChannelSeen>, EngineError> {
        let sql = "SELECT id, conversation, epoch, seq, successor FROM channels ORDER BY id";
        let mut statement = self.db.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            let (channel, conversation) = (ChannelId(row.get(0)?), row.get(1)?);
            let successor = row.get::<_, Option<[u8; 32]>>(4)?.map(ChannelId);
            Ok(ChannelSeen { channel, conversation, epoch: unsql(row.get(2)?), seq: unsql(row.get(3)?), successor })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A channel's group, as it stands here; absent if this device has none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn group_seen(&self, channel: &ChannelId) -> Result<Option<GroupSeen>, EngineError> {
        let loaded;
        let group = match self.heart.groups.get(channel) {
            Some(group) => group,
            None => match self.heart.mls.on(&self.db).load_group(&GroupId(channel.0))? {
                Some(group) => {
                    loaded = group;
                    &loaded
                }
                None => return Ok(None),
            },
        };
        let members = group.members()?.into_iter();
        let mut devices: Vec<_> =
            members.map(|member| (member.credential.address, member.credential.certificate.device)).collect();
        devices.sort();
        Ok(Some(GroupSeen { epoch: group.epoch(), authenticator: group.epoch_authenticator()?, devices }))
    }

    /// Where the messages of a conversation stand in their logs.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn places_seen(&self, conversation: &ConversationId) -> Result<Vec<PlaceSeen>, EngineError> {
        let mut statement = self.db.prepare_cached(
            "SELECT id, channel, seq FROM messages
             WHERE conversation = ? AND channel IS NOT NULL AND seq IS NOT NULL ORDER BY position",
        )?;
        let rows = statement.query_map(params![conversation], |row| {
            Ok(PlaceSeen { message: row.get(0)?, channel: ChannelId(row.get(1)?), seq: unsql(row.get(2)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is left to be moved, by kind: the reason why [`Engine::is_settled`] says no.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn unsettled(&self) -> Result<String, EngineError> {
        let mut left = Vec::new();
        for table in ["jobs", "outbox", "pending_commits", "intents", "faults", "gaps", "exports", "attending"] {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let rows: u32 = self.db.query_row(&sql, [], |row| row.get(0))?;
            left.push(format!("{table}: {rows}"));
        }
        for (link, state) in &self.heart.links {
            let flights: Vec<String> = state.in_flight.values().map(|flight| format!("{flight:?}")).collect();
            left.push(format!("{:?} (ready: {}) waits for {flights:?}", link.kind, state.ready));
        }
        let sql = "SELECT o.conversation, hex(o.channel), o.epoch, o.acked_seq, o.expires_day, c.state, c.paused FROM outbox o
             LEFT JOIN conversations c ON c.id = o.conversation";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            let place: (ConversationId, Option<String>) = (row.get(0)?, row.get(1)?);
            let sent: (Option<i64>, Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let state: (Option<i64>, Option<String>) = (row.get(5)?, row.get(6)?);
            Ok(format!("{place:?} {sent:?} in state {state:?}"))
        })?;
        left.push(format!("outbox {:?}", rows.collect::<Result<Vec<_>, _>>()?));
        let sql = "SELECT conversation, from_seq, to_seq, asks, line IS NOT NULL, since_ms, next_ms,
             (SELECT group_concat(account || ' ' || through_seq) FROM gap_answers WHERE gap = gaps.id),
             (SELECT group_concat(author || ' ' || seq) FROM gap_named WHERE gap = gaps.id) FROM gaps";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            let place: (ConversationId, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let state: (u32, bool, i64, Option<i64>) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            let told: (Option<String>, Option<String>) = (row.get(7)?, row.get(8)?);
            Ok(format!("{place:?} {state:?} {told:?}"))
        })?;
        left.push(format!("gaps {:?}", rows.collect::<Result<Vec<_>, _>>()?));
        let mut statement = self.db.prepare("SELECT hex(channel), kind, subject, due_ms FROM intents")?;
        let rows = statement.query_map([], |row| {
            let (channel, kind, subject): (String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(format!("{channel} {kind} {subject} due at {}", row.get::<_, i64>(3)?))
        })?;
        left.push(format!("intents {:?}", rows.collect::<Result<Vec<_>, _>>()?));
        left.push(format!("receipts due: {:?}", self.heart.receipts_due));
        let sql = "SELECT item || ' changed ' || changed || ' in flight ' || in_flight FROM unsynced
             UNION ALL SELECT hex(conversation) || ' is founded anew until ' || until_ms FROM refounding
             UNION ALL SELECT hex(device) || ' unheard in ' || hex(channel) || ' lost ' || lost FROM unheard";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        left.push(format!("not told, founded or heard {:?}", rows.collect::<Result<Vec<_>, _>>()?));
        let mut statement = self.db.prepare("SELECT body, attempts, due_ms FROM jobs ORDER BY id LIMIT 8")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (body, attempts, due_ms): (Vec<u8>, u32, i64) = row?;
            let job = format!("{:?}", crate::context::stored::<crate::job::Job>(&body, "job")?);
            let kind: String = job.chars().take(160).collect();
            left.push(format!("job {kind} tried {attempts} times, due at {due_ms}"));
        }
        Ok(left.join(", "))
    }

    /// As [`Engine::is_settled`], but for requests that were refused more often than any race explains: a token that has
    /// ended is tried for days.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn is_settled_but_for_refused(&self) -> Result<bool, EngineError> {
        self.db.execute_batch("SAVEPOINT looked_at; DELETE FROM jobs WHERE attempts > 10")?;
        let settled = self.is_settled();
        self.db.execute_batch("ROLLBACK TO looked_at; RELEASE looked_at")?;
        settled
    }
}

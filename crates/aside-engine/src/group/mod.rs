//! What a person does with a group: title, picture, members, roles, leaving. Each wish is checked here, so that a person
//! hears at once what cannot be, and becomes an intent; `channel/commit` carries it out.

pub(crate) mod ask;
pub(crate) mod link;

use crate::Heart;
use crate::channel::intent::{self, Intent, MetadataChange};
use crate::channel::{self, Channel, outbox};
use crate::contact;
use crate::content::Content;
use crate::context::Context;
use crate::conversation::{self, ConversationId, GROUP_MEMBERS_MAX, MemberRow, Standing, State, grow};
use crate::error::{CommandError, EngineError};
use crate::input::{Answer, GroupChange, ServerId};
use crate::timeline;
use crate::view::{ConversationKind, Role};
use aside_mls::{ADMINS_MAX, Picture, TITLE_CHARS_MAX};
use aside_protocol::address::AccountAddress;

/// Of several admins' devices that could take a leaver out, each waits up to so long for every other admin, in
/// milliseconds.
const STAGGER_MS: i64 = 2_000;
/// The longest such wait.
const STAGGER_MS_MAX: i64 = 60_000;

/// A group that stands, with who is in it as this device shows it.
struct Group {
    channel: Channel,
    members: Vec<MemberRow>,
    own: AccountAddress,
}

impl Group {
    fn member(&self, address: &AccountAddress) -> Result<&MemberRow, CommandError> {
        let found = self.members.iter().find(|member| member.address == *address);
        found
            .filter(|member| member.standing != Standing::Adding)
            .ok_or_else(|| CommandError::NotAMember { address: address.to_string() })
    }

    fn admins(&self) -> impl Iterator<Item = &MemberRow> {
        self.members.iter().filter(|member| member.is_admin && member.standing == Standing::Member)
    }

    fn admin(&self) -> Result<(), CommandError> {
        match self.admins().any(|admin| admin.address == self.own) {
            true => Ok(()),
            false => Err(CommandError::NotAdmin),
        }
    }

    fn has_room_for(&self, more: usize) -> Result<(), CommandError> {
        match self.members.len().saturating_add(more) > GROUP_MEMBERS_MAX {
            true => Err(CommandError::GroupSize { max: GROUP_MEMBERS_MAX.saturating_sub(1) }),
            false => Ok(()),
        }
    }

    /// Whether somebody else is an admin, or nobody else is there.
    fn goes_on_without(&self, address: &AccountAddress) -> Result<(), CommandError> {
        let is_admin = self.admins().any(|admin| admin.address == *address);
        match is_admin && !self.admins().any(|admin| admin.address != *address) {
            true => Err(CommandError::LastAdmin),
            false => Ok(()),
        }
    }
}

impl Heart {
    /// Carries a change of a group out, as far as this device goes.
    pub(crate) fn change_group(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
        change: GroupChange,
    ) -> Result<Answer, CommandError> {
        let group = self.group(context, id)?;
        match change {
            GroupChange::Leave => self.leave(context, id, &group)?,
            change => {
                if !context.defects.forbidden_commits() {
                    group.admin()?;
                }
                self.administer(context, id, &group, change)?;
            }
        }
        self.stirred.insert(group.channel.id);
        Ok(Answer::Conversation(id))
    }

    fn administer(
        &mut self,
        context: &mut Context<'_>,
        id: ConversationId,
        group: &Group,
        change: GroupChange,
    ) -> Result<(), CommandError> {
        let channel = group.channel.id;
        let change = match change {
            GroupChange::Title(title) => MetadataChange::Title(checked_title(&title)?),
            GroupChange::Picture(None) => MetadataChange::Picture(None),
            GroupChange::Picture(Some(bytes)) => {
                let picture = Picture::new(bytes).map_err(|error| CommandError::Picture { why: error.to_string() })?;
                MetadataChange::Picture(Some(picture.bytes().to_vec().into()))
            }
            GroupChange::Role(address, Role::Admin) => {
                group.member(&address)?;
                if group.admins().count() >= ADMINS_MAX {
                    return Err(CommandError::TooManyAdmins { max: ADMINS_MAX });
                }
                MetadataChange::GrantAdmin(address)
            }
            GroupChange::Role(address, Role::Member) => {
                group.member(&address)?;
                group.goes_on_without(&address)?;
                MetadataChange::WithdrawAdmin(address)
            }
            GroupChange::Add(members) => return add(context, id, group, &members),
            GroupChange::Remove(address) if address == group.own => return self.leave(context, id, group),
            GroupChange::Remove(address) => return remove(context, id, group, &address),
            GroupChange::Leave => return Ok(()),
        };
        Ok(intent::want(context, channel, &Intent::Metadata(change))?)
    }

    /// A group that this person is in and that its server has.
    fn group(&self, context: &Context<'_>, id: ConversationId) -> Result<Group, CommandError> {
        let own = self.identity.as_ref().map(|identity| identity.address.clone()).ok_or(CommandError::NotJoined)?;
        let row = conversation::find(context.db, &id)?.ok_or(CommandError::UnknownConversation)?;
        if row.kind != ConversationKind::Group {
            return Err(CommandError::NotAGroup);
        }
        let why = match row.state {
            State::Active | State::Pending | State::Healing => {
                "it is still being set up; try again in a moment".to_owned()
            }
            State::Request => "accept it first".to_owned(),
            State::Left | State::Leaving => "you left it".to_owned(),
            State::Removed | State::Paused => row.paused.unwrap_or_else(|| "it is paused".to_owned()),
        };
        if row.state != State::Active {
            return Err(CommandError::CannotChange { why });
        }
        let channel = match row.channel {
            Some(channel) => channel::find(context.db, &channel)?,
            None => None,
        };
        let channel = channel.ok_or(CommandError::CannotChange { why })?;
        Ok(Group { channel, members: conversation::members(context.db, id)?, own })
    }

    fn leave(&mut self, context: &mut Context<'_>, id: ConversationId, group: &Group) -> Result<(), CommandError> {
        let others =
            group.members.iter().any(|member| member.address != group.own && member.standing != Standing::Adding);
        if !others {
            timeline::note(context, id, &group.own, "You left the group")?;
            return Ok(channel::end::left(self, context, &group.channel)?);
        }
        group.goes_on_without(&group.own)?;
        timeline::note(context, id, &group.own, "You left the group")?;
        outbox::queue(context, id, &Content::Leave, |_| None)?;
        conversation::set_leaving(context, id, &group.own)?;
        conversation::set_state(context, id, State::Leaving)?;
        intent::forget_all(context, &group.channel.id)?;
        channel::set_rotation(context, group.channel.id, None)?;
        Ok(())
    }
}

/// Whom the last admin who leaves appoints: the member at the lowest leaf who has not left, too. `None`: this person is
/// no admin, another admin stays, or nobody does.
pub(crate) fn heir(
    heart: &mut Heart,
    context: &mut Context<'_>,
    row: &Channel,
) -> Result<Option<AccountAddress>, EngineError> {
    let Some(own) = heart.identity.as_ref().map(|identity| identity.address.clone()) else { return Ok(None) };
    let Some(group) = channel::take_group(heart, context, &row.id)? else { return Ok(None) };
    let (members, metadata) = (group.members()?, group.metadata()?);
    heart.groups.insert(row.id, group);
    let leavers = conversation::leavers(context, row.conversation)?;
    let others = members.into_iter().map(|member| member.credential.address);
    let mut stay = others.filter(|one| *one != own && !leavers.contains(one)).peekable();
    let first = stay.peek().cloned();
    let is_needed = metadata.is_admin(&own) && !stay.any(|one| metadata.is_admin(&one));
    Ok(first.filter(|_| is_needed))
}

/// A title, without the blanks around it.
pub(crate) fn checked_title(title: &str) -> Result<String, CommandError> {
    match title.trim() {
        title if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX => {
            Err(CommandError::Title { chars_max: TITLE_CHARS_MAX })
        }
        title => Ok(title.to_owned()),
    }
}

/// Those of some addresses that can be written to, each once, without oneself.
pub(crate) fn reachable(
    context: &Context<'_>,
    own: &AccountAddress,
    members: &[AccountAddress],
) -> Result<Vec<(AccountAddress, ServerId)>, CommandError> {
    let others: std::collections::BTreeSet<_> = members.iter().filter(|member| *member != own).collect();
    let mut reachable = Vec::new();
    for member in others {
        match contact::find(context.db, member)? {
            Some(contact::Contact { server: Some(server), state, .. }) if state.is_accepted() => {
                reachable.push((member.clone(), server));
            }
            _ => return Err(CommandError::UnknownContact { address: member.to_string() }),
        }
    }
    Ok(reachable)
}

fn add(
    context: &mut Context<'_>,
    id: ConversationId,
    group: &Group,
    members: &[AccountAddress],
) -> Result<(), CommandError> {
    let mut added = reachable(context, &group.own, members)?;
    added.retain(|(address, _)| !group.members.iter().any(|member| member.address == *address));
    group.has_room_for(added.len())?;
    for (address, server) in added {
        grow::begin(context, id, &address, server)?;
    }
    Ok(())
}

fn remove(
    context: &mut Context<'_>,
    id: ConversationId,
    group: &Group,
    address: &AccountAddress,
) -> Result<(), CommandError> {
    let is_known = group.members.iter().any(|member| member.address == *address);
    if !is_known {
        return Err(CommandError::NotAMember { address: address.to_string() });
    }
    // Somebody who was only about to be added is not added.
    grow::end(context, id, address)?;
    conversation::set_not_added(context, id, address)?;
    Ok(intent::want(context, group.channel.id, &Intent::RemoveAccount(address.clone()))?)
}

/// Somebody says that they leave. Every admin's device waits a while of its own and then takes them out; whoever comes
/// first has done it for all.
pub(crate) fn left(
    heart: &Heart,
    context: &mut Context<'_>,
    channel: &Channel,
    leaver: &AccountAddress,
) -> Result<(), EngineError> {
    conversation::set_leaving(context, channel.conversation, leaver)?;
    timeline::note(context, channel.conversation, leaver, &format!("{} left the group", leaver.name))?;
    take_leavers_out(heart, context, channel)
}

/// Whether a member is an admin, as this device shows it.
pub(crate) fn is_admin(
    context: &Context<'_>,
    id: ConversationId,
    member: &AccountAddress,
) -> Result<bool, EngineError> {
    Ok(conversation::members(context.db, id)?.iter().any(|row| row.is_admin && row.address == *member))
}

/// What an admin's device owes to those who left, also where it became an admin's only since.
pub(crate) fn take_leavers_out(heart: &Heart, context: &mut Context<'_>, channel: &Channel) -> Result<(), EngineError> {
    let Some(identity) = &heart.identity else { return Ok(()) };
    let members = conversation::members(context.db, channel.conversation)?;
    let admins = members.iter().filter(|member| member.is_admin && member.standing == Standing::Member);
    let admins: Vec<&AccountAddress> = admins.map(|admin| &admin.address).collect();
    if !admins.contains(&&identity.address) {
        return Ok(());
    }
    let others = i64::try_from(admins.len().saturating_sub(1)).unwrap_or(i64::MAX);
    let most = STAGGER_MS.saturating_mul(others).min(STAGGER_MS_MAX);
    for leaver in members.iter().filter(|member| member.standing == Standing::Leaving) {
        let intent = Intent::RemoveAccount(leaver.address.clone());
        if !intent::is_wanted(context, &channel.id, &intent)? {
            let due = context.now.unix_ms.saturating_add(context.random_ms(most.max(1)));
            intent::want_at(context, channel.id, &intent, due)?;
        }
    }
    Ok(())
}

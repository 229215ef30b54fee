//! What a person wants of contacts, each carried out by the module that it is about.

use super::{OtherKeys, add, block, by_name, links, notice, rename, report, requests};
use crate::Heart;
use crate::context::Context;
use crate::error::CommandError;
use crate::heal;
use crate::input::{Answer, Command};
use crate::view::NoticeAction;

/// Carries one out; other commands are none of this module's.
pub(crate) fn run(heart: &mut Heart, context: &mut Context<'_>, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::MakeContactLink => links::unused(heart, context).map(Answer::from),
        Command::MakeFreshContactLink => links::fresh(heart, context).map(Answer::from),
        Command::WithdrawContactLink { link } => links::withdraw(heart, context, &link).map(|()| Answer::Done),
        Command::AddContact { link } => add(heart, context, &link, OtherKeys::Refused).map(Answer::Conversation),
        Command::AddContactWithOtherKeys { link } => {
            add(heart, context, &link, OtherKeys::Accepted).map(Answer::Conversation)
        }
        Command::AddByName { name } => by_name::add(heart, context, name).map(Answer::Conversation),
        Command::Report { conversation, messages, note } => {
            report::make(heart, context, conversation, &messages, &note).map(|()| Answer::Done)
        }
        Command::ReportRequest { conversation } => report::request(heart, context, conversation).map(|()| Answer::Done),
        Command::RenameContact { address, name } => rename(context, &address, &name).map(|()| Answer::Done),
        Command::SetBlocked { address, blocked } => {
            block::set(heart, context, &address, blocked).map(|()| Answer::Done)
        }
        Command::RemoveContact { address } => requests::remove(heart, context, &address).map(|()| Answer::Done),
        Command::Decline { conversation } => requests::decline(context, conversation).map(Answer::Asker),
        Command::ActOnNotice { conversation, action } => {
            match action {
                NoticeAction::AcceptKeys => notice::accept_keys(heart, context, conversation)?,
                // Looking at the safety number changes nothing by itself.
                NoticeAction::Compare => {}
                NoticeAction::Continue => heal::notice::go_on(heart, context, conversation)?,
                NoticeAction::Leave => return heal::notice::leave(heart, context, conversation),
            }
            Ok(Answer::Conversation(conversation))
        }
        _ => Ok(Answer::Done),
    }
}

//! What NAME means: a person's address (without its port where that is clear), a person's name, a group's title, or a
//! conversation's id. Nothing is guessed: several that fit are an error that lists them.

use crate::api::{Contact, Conversation};

/// Somebody or something that messages can go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Names the conversation in calls.
    pub conversation_id: String,
    /// The address of a person, the title of a group.
    pub label: String,
    /// A person.
    pub is_person: bool,
    /// What this person calls them, where that is another name than the address says.
    given_name: Option<String>,
    /// With several groups of one title: who is in this one.
    members: Vec<String>,
}

/// NAME names nobody, or several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Nobody.
    #[error("nobody here is called {0:?}: see `aside contacts list` and `aside chats`")]
    Unknown(String),
    /// Nobody of that name asks.
    #[error("nobody called {0:?} asks to talk with you: see `aside requests list`")]
    NobodyAsks(String),
    /// A group, where a person is needed.
    #[error("{0:?} is a group, and here a person is needed")]
    NotAPerson(String),
    /// A person, where a group is needed.
    #[error("{0:?} is a person, and here a group is needed")]
    NotAGroup(String),
    /// Several.
    #[error("{name:?} may be any of these; name one of them in full:\n{}", candidates.join("\n"))]
    Ambiguous {
        /// As it was typed.
        name: String,
        /// Each with a form that names it alone.
        candidates: Vec<String>,
    },
}

impl Target {
    /// Somebody who need not be a contact, as a member of a group.
    pub fn person(address: &str) -> Self {
        Self {
            conversation_id: String::new(),
            label: address.to_owned(),
            is_person: true,
            given_name: None,
            members: Vec::new(),
        }
    }
}

/// Everybody whom a name can mean.
pub fn targets(contacts: &[Contact], conversations: &[Conversation]) -> Vec<Target> {
    let mut targets: Vec<Target> = contacts
        .iter()
        .filter_map(|contact| {
            Some(Target {
                conversation_id: contact.conversation_id.clone()?,
                label: contact.address.clone(),
                is_person: true,
                given_name: (contact.display_name != local_part(&contact.address))
                    .then(|| contact.display_name.clone()),
                members: Vec::new(),
            })
        })
        .collect();
    for conversation in conversations {
        if targets.iter().any(|target| target.conversation_id == conversation.id) {
            continue;
        }
        targets.push(Target {
            conversation_id: conversation.id.clone(),
            label: conversation.peer.clone().unwrap_or_else(|| conversation.title.clone()),
            is_person: conversation.peer.is_some(),
            given_name: None,
            members: conversation.members.iter().map(|member| member.address.clone()).collect(),
        });
    }
    targets
}

/// Finds the one that a name means.
///
/// # Errors
/// [`ResolveError`].
pub fn resolve<'a>(name: &str, targets: &'a [Target]) -> Result<&'a Target, ResolveError> {
    let name = name.trim();
    let is_called = |target: &Target| target.given_name.as_deref().is_some_and(|given| given == name);
    let rules: [&dyn Fn(&Target) -> bool; 5] = [
        &|target| target.conversation_id == name,
        &|target| target.is_person && target.label.eq_ignore_ascii_case(name.trim_end_matches(":443")),
        &|target| target.is_person && without_port(&target.label).eq_ignore_ascii_case(name),
        &|target| match target.is_person {
            true => local_part(&target.label) == name || is_called(target),
            false => target.label == name,
        },
        &|target| match target.is_person {
            true => {
                let given = target.given_name.as_deref().map(str::to_lowercase);
                local_part(&target.label).eq_ignore_ascii_case(name) || given == Some(name.to_lowercase())
            }
            false => target.label.to_lowercase() == name.to_lowercase(),
        },
    ];
    for rule in rules {
        let found: Vec<&Target> = targets.iter().filter(|target| rule(target)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let candidates = several.iter().map(|target| in_full(target, several)).collect();
                return Err(ResolveError::Ambiguous { name: name.to_owned(), candidates });
            }
        }
    }
    Err(ResolveError::Unknown(name.to_owned()))
}

/// A form of a target that names it alone.
fn in_full(target: &Target, among: &[&Target]) -> String {
    match target.is_person {
        true => format!("  {}", target.label),
        false if among.iter().filter(|other| other.label == target.label).count() == 1 => {
            format!("  {}  (a group; its id is {})", target.label, target.conversation_id)
        }
        false => format!("  {}  ({}, with {})", target.conversation_id, target.label, target.members.join(", ")),
    }
}

fn local_part(address: &str) -> &str {
    address.split_once('@').map_or(address, |(name, _)| name)
}

/// An address without its port; an IPv6 host keeps its brackets.
fn without_port(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((rest, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, address: &str) -> Target {
        Target { conversation_id: id.into(), label: address.into(), is_person: true, given_name: None, members: vec![] }
    }
    fn group(id: &str, title: &str) -> Target {
        let members = vec!["a@h".into()];
        Target { conversation_id: id.into(), label: title.into(), is_person: false, given_name: None, members }
    }
    fn all() -> Vec<Target> {
        vec![
            person("1", "alice@one.example:8443"),
            person("2", "alice@two.example"),
            person("3", "bob@one.example:8443"),
            person("4", "carol@one.example:1"),
            person("5", "carol@one.example:2"),
            person("6", "dan@[::1]:7000"),
            group("7", "Friends"),
            group("8", "Twins"),
            group("9", "Twins"),
            group("10", "bob"),
        ]
    }
    fn id(name: &str) -> Result<String, ResolveError> {
        resolve(name, &all()).map(|target| target.conversation_id.clone())
    }

    #[test]
    fn an_address_names_one_person_with_its_port_and_without() {
        assert_eq!(id("alice@one.example:8443"), Ok("1".into()));
        assert_eq!(id("alice@one.example"), Ok("1".into()));
        assert_eq!(id("alice@two.example:443"), Ok("2".into()));
        assert_eq!(id("dan@[::1]"), Ok("6".into()));
        assert_eq!(id("dan@[::1]:7000"), Ok("6".into()));
    }

    #[test]
    fn a_bare_name_or_title_is_enough_where_it_is_unique() {
        assert_eq!(id("dan"), Ok("6".into()));
        assert_eq!(id("Friends"), Ok("7".into()));
        assert_eq!(id("friends"), Ok("7".into()));
    }

    #[test]
    fn a_name_that_was_given_to_somebody_names_them() {
        let mut boss = person("11", "eve@one.example");
        boss.given_name = Some("The Boss".into());
        assert_eq!(resolve("the boss", &[boss.clone()]).map(|found| &*found.conversation_id), Ok("11"));
        assert_eq!(resolve("eve", &[boss]).map(|found| &*found.conversation_id), Ok("11"));
    }

    #[test]
    fn an_ambiguous_name_lists_who_it_may_be() {
        let Err(ResolveError::Ambiguous { candidates, .. }) = id("alice") else { panic!() };
        assert_eq!(candidates, ["  alice@one.example:8443", "  alice@two.example"]);
        assert!(matches!(id("carol@one.example"), Err(ResolveError::Ambiguous { .. })));
        assert!(matches!(id("bob"), Err(ResolveError::Ambiguous { .. })));
    }

    #[test]
    fn two_groups_of_one_title_are_told_apart_by_their_ids() {
        let Err(ResolveError::Ambiguous { candidates, .. }) = id("Twins") else { panic!() };
        assert!(candidates[0].contains('8') && candidates[1].contains('9'));
        assert_eq!(id("9"), Ok("9".into()));
    }

    #[test]
    fn a_name_that_nobody_has_is_named() {
        assert_eq!(id("eve"), Err(ResolveError::Unknown("eve".into())));
        assert_eq!(id("eve@one.example"), Err(ResolveError::Unknown("eve@one.example".into())));
    }
}

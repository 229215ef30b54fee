//! Every call of the API, in one table: the router and the test against `openapi.json` both read it.

use super::describe::{Described, Operation, Writer, bytes};
use super::events::ServerEvent;
use super::listen::Line;
use super::{
    App, BODY_BYTES_MAX, contacts, conversations, devices, events, groups, guard, hold, invites, join, links, listen,
    messages, openapi, recovery, reports, safety, session, settings, state, typing, ui,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, get, on};
use serde_json::Value;

/// One call.
pub struct Call {
    /// Its method, as HTTP writes it.
    pub method: &'static str,
    /// Its path, with `{parameters}`.
    pub path: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// What it takes and gives.
    pub describe: fn(&mut Writer) -> Operation,
    /// What it gives, where that is no JSON.
    pub streams: Option<Streams>,
    route: MethodRouter<App>,
}

/// An answer that a handler makes by hand.
pub struct Streams {
    /// Any of these.
    pub media_types: &'static [&'static str],
    /// One piece of it.
    pub shape: fn(&mut Writer) -> Value,
}

fn call<T: 'static, D, H: Handler<T, App> + Described<D>>(
    method: &'static str,
    path: &'static str,
    handler: H,
    summary: &'static str,
) -> Call {
    let filter = match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    Call { method, path, summary, describe: H::describe, streams: None, route: on(filter, handler) }
}

impl Call {
    /// A call whose body may be larger than others'.
    fn large(self, bytes_max: usize) -> Self {
        Self { route: self.route.layer(DefaultBodyLimit::max(bytes_max)), ..self }
    }

    /// A call that gives something else than one piece of JSON.
    fn streams(self, media_types: &'static [&'static str], shape: fn(&mut Writer) -> Value) -> Self {
        Self { streams: Some(Streams { media_types, shape }), ..self }
    }
}

/// The whole API.
pub fn calls() -> Vec<Call> {
    [of_the_client(), of_conversations(), of_messages(), of_groups(), of_people(), of_devices()]
        .into_iter()
        .flatten()
        .collect()
}

/// The client itself, and what it tells of.
fn of_the_client() -> Vec<Call> {
    vec![
        call("GET", "/api/state", state::show, "Account, connections, settings"),
        call("POST", "/api/invites/inspect", join::inspect, "What an invite says; asks nobody"),
        call("POST", "/api/join", join::join, "Makes the account; answers when it stands or was refused, or after 30 s with `not_connected`"),
        call("POST", "/api/reports", reports::make, "Shows the home server's administrator what the person chose"),
        call("PUT", "/api/settings", settings::change, "Changes any subset"),
        call("POST", "/api/quit", state::quit, "Stops the client"),
        call("GET", "/api/hold", hold::hold, "Keeps the client from ending while the answer is open: for commands that make several calls"),
        call("GET", "/api/events", events::stream, "Server-sent events: `state`, `conversation`, `conversation_removed`, `message`, `contact`, `device`, `device_request`, `typing`")
            .streams(&["text/event-stream"], Writer::given::<ServerEvent>),
        call("GET", "/api/openapi.json", openapi::show, "This description"),
        call("GET", "/api/listen", listen::stream, "Others' messages, one JSON object a line, from what had not been listened to")
            .streams(&["application/x-ndjson"], Writer::given::<Line>),
    ]
}

/// Conversations as a whole.
fn of_conversations() -> Vec<Call> {
    vec![
        call("GET", "/api/conversations", conversations::list, "All, newest first"),
        call("GET", "/api/conversations/{id}", conversations::show, "One"),
        call("DELETE", "/api/conversations/{id}", conversations::remove, "Removes it from this device"),
        call("POST", "/api/conversations/{id}/accept", conversations::accept, "Accepts a request"),
        call(
            "POST",
            "/api/conversations/{id}/decline",
            conversations::decline,
            "Declines a request; the other side is not told",
        ),
        call(
            "POST",
            "/api/conversations/{id}/notice",
            conversations::act,
            "Does what the conversation's notice offers",
        ),
        call(
            "GET",
            "/api/conversations/{id}/evidence",
            conversations::evidence,
            "What shows that the conversation was tampered with",
        ),
        call(
            "POST",
            "/api/conversations/{id}/read",
            conversations::read,
            "The person has seen the conversation up to here",
        ),
        call(
            "POST",
            "/api/conversations/{id}/listened",
            conversations::listened,
            "A listener with `mark=caller` has dealt with the conversation up to here",
        ),
        call("PUT", "/api/conversations/{id}/draft", conversations::draft, "Keeps what is being written"),
        call("POST", "/api/conversations/{id}/typing", typing::tell, "The person is typing"),
    ]
}

/// What is said in a conversation, and whether its people are who they say.
fn of_messages() -> Vec<Call> {
    vec![
        call("GET", "/api/conversations/{id}/messages", messages::list, "A page, the newest without `before`"),
        call(
            "POST",
            "/api/conversations/{id}/messages",
            messages::send,
            "Writes; answers at once, or with `wait=sent` when the server has acknowledged",
        ),
        call("PUT", "/api/conversations/{id}/messages/{message}", messages::edit, "Edits an own message"),
        call(
            "DELETE",
            "/api/conversations/{id}/messages/{message}",
            messages::delete,
            "Deletes an own message for everyone",
        ),
        call(
            "POST",
            "/api/conversations/{id}/messages/{message}/reactions",
            messages::react,
            "Adds or takes back a reaction",
        ),
        call(
            "POST",
            "/api/conversations/{id}/messages/{message}/retry",
            messages::retry,
            "Queues a failed message again",
        ),
        call("GET", "/api/conversations/{id}/safety", safety::show, "The safety number"),
        call("PUT", "/api/conversations/{id}/safety", safety::verify, "Whether the person has compared it"),
        call(
            "POST",
            "/api/conversations/{id}/safety/scan",
            safety::scan,
            "Compares the code that the other person shows; what comes out is remembered",
        ),
    ]
}

/// Who is in a group, and how it looks.
fn of_groups() -> Vec<Call> {
    vec![
        call("POST", "/api/groups", groups::create, "Founds a group with contacts"),
        call("PUT", "/api/conversations/{id}/group", groups::rename, "Renames a group"),
        call(
            "PUT",
            "/api/conversations/{id}/picture",
            groups::set_picture,
            "Gives a group a picture, or takes it away",
        ),
        call("GET", "/api/conversations/{id}/picture", groups::picture, "A group's picture")
            .streams(&["image/jpeg", "image/png", "image/webp"], |_| bytes()),
        call("POST", "/api/conversations/{id}/members", groups::add, "Adds contacts to a group"),
        call(
            "DELETE",
            "/api/conversations/{id}/members/{address}",
            groups::remove,
            "Removes a member with all devices",
        ),
        call("PUT", "/api/conversations/{id}/members/{address}", groups::appoint, "Says what a member may do"),
        call("POST", "/api/conversations/{id}/leave", groups::leave, "Leaves a group"),
        call("GET", "/api/conversations/{id}/invite", invites::show, "This person's link to a group"),
        call(
            "POST",
            "/api/conversations/{id}/invite",
            invites::make,
            "Makes a link by which people can ask to be added",
        ),
        call("DELETE", "/api/conversations/{id}/invite", invites::withdraw, "Withdraws the link"),
        call("GET", "/api/conversations/{id}/join-requests", invites::requests, "Who asks to be added"),
        call("POST", "/api/conversations/{id}/join-requests/{address}", invites::decide, "Answers somebody who asks"),
        call("POST", "/api/groups/join", invites::join, "Asks to be added to the group of a link"),
    ]
}

/// Contacts and links.
fn of_people() -> Vec<Call> {
    vec![
        call("GET", "/api/contacts", contacts::list, "All"),
        call(
            "POST",
            "/api/contacts",
            contacts::add,
            "Adds somebody by their link; with `wait=active` answers when they can be written to",
        ),
        call(
            "PUT",
            "/api/contacts/{address}",
            contacts::change,
            "Names, blocks or unblocks somebody; blocking does not need a contact",
        ),
        call(
            "DELETE",
            "/api/contacts/{address}",
            contacts::remove,
            "Removes a contact; what they write from then on asks to be accepted",
        ),
        call(
            "POST",
            "/api/contacts/link",
            links::make,
            "A link to this person; with `wait=registered` answers when the server knows it",
        ),
        call("GET", "/api/contacts/links", links::list, "This person's links that work, the newest first"),
        call("DELETE", "/api/contacts/links/{id}", links::withdraw, "Withdraws a link: nobody else can use it"),
    ]
}

/// Devices, recovery words and backups.
fn of_devices() -> Vec<Call> {
    vec![
        call("GET", "/api/devices", devices::list, "The devices of this account, the oldest first"),
        call("PUT", "/api/devices/{id}", devices::rename, "Names a device"),
        call(
            "DELETE",
            "/api/devices/{id}",
            devices::revoke,
            "Takes another device out of the account and of every conversation",
        ),
        call(
            "POST",
            "/api/devices/link",
            devices::link,
            "A link by which a further device can be linked, good once and for ten minutes",
        ),
        call("GET", "/api/devices/requests", devices::requests, "Devices that used a link and wait to be let in"),
        call("POST", "/api/devices/requests/{id}", devices::answer, "Lets a device in, or not"),
        call("POST", "/api/devices/accept", devices::accept, "Makes this profile a further device of an account"),
        call("GET", "/api/recovery/phrase", recovery::phrase, "The 24 words to write down, until they were confirmed"),
        call(
            "POST",
            "/api/recovery/confirm",
            recovery::confirm,
            "Compares all the words, and erases them from this device",
        ),
        call("PUT", "/api/recovery/file", recovery::take_file, "Takes a backup file of any size, for the next restore")
            .large(recovery::FILE_BYTES_MAX),
        call(
            "POST",
            "/api/recovery/restore",
            recovery::restore,
            "Brings an account back into a profile that has none; answers when it is back or was refused",
        )
        .large(recovery::RESTORE_BODY_BYTES_MAX),
        call(
            "POST",
            "/api/recovery/look",
            recovery::look,
            "Finds the backup that a restore would use, and waits for the word to use it",
        )
        .large(recovery::RESTORE_BODY_BYTES_MAX),
        call("POST", "/api/recovery/use", recovery::use_found, "Restores from the backup that was found"),
        call("DELETE", "/api/recovery/restore", recovery::forget, "Gives a restore up"),
        call("POST", "/api/backups", recovery::back_up, "Backs the account up; answers when the server has it"),
        call("GET", "/api/backups/file", recovery::file, "A backup as an age file, which the 24 words open")
            .streams(&["application/octet-stream"], |_| bytes()),
    ]
}

/// The API, the UI, and the guard before both.
pub fn router(app: App) -> Router {
    let mut router = Router::new().route("/open", get(session::open));
    for call in calls() {
        router = router.route(call.path, call.route);
    }
    router
        .fallback(ui::file)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_names_every_call() {
        let text = include_str!("../../../../docs/loopback-api/README.md");
        for call in calls() {
            let named = format!("`{} {}", call.method, call.path);
            assert!(text.contains(&format!("{named}`")) || text.contains(&format!("{named}?")), "{named}");
        }
    }
}

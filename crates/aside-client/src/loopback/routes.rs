//! Every call of the API, in one table: the router and the test against `openapi.json` both read it.

use super::{
    App, BODY_BYTES_MAX, contacts, conversations, devices, events, groups, guard, hold, invites, join, links, listen,
    messages, recovery, reports, safety, session, settings, state, typing, ui,
};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{MethodFilter, MethodRouter, get, on};

/// One call.
pub struct Call {
    /// Its method, as HTTP writes it.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the router has it inside; the tests compare it with the document")
    )]
    pub method: &'static str,
    /// Its path, with `{parameters}`.
    pub path: &'static str,
    route: MethodRouter<App>,
}

fn call<T: 'static>(method: &'static str, path: &'static str, handler: impl Handler<T, App>) -> Call {
    let filter = match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "DELETE" => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    Call { method, path, route: on(filter, handler) }
}

impl Call {
    /// A call whose body may be larger than others'.
    fn large(self, bytes_max: usize) -> Self {
        Self { route: self.route.layer(DefaultBodyLimit::max(bytes_max)), ..self }
    }
}

/// The whole API.
pub fn calls() -> Vec<Call> {
    vec![
        call("GET", "/api/state", state::show),
        call("POST", "/api/invites/inspect", join::inspect),
        call("POST", "/api/join", join::join),
        call("GET", "/api/conversations", conversations::list),
        call("GET", "/api/conversations/{id}", conversations::show),
        call("DELETE", "/api/conversations/{id}", conversations::remove),
        call("POST", "/api/conversations/{id}/accept", conversations::accept),
        call("POST", "/api/conversations/{id}/decline", conversations::decline),
        call("POST", "/api/conversations/{id}/notice", conversations::act),
        call("GET", "/api/conversations/{id}/evidence", conversations::evidence),
        call("POST", "/api/conversations/{id}/read", conversations::read),
        call("POST", "/api/conversations/{id}/listened", conversations::listened),
        call("PUT", "/api/conversations/{id}/draft", conversations::draft),
        call("POST", "/api/conversations/{id}/typing", typing::tell),
        call("GET", "/api/conversations/{id}/messages", messages::list),
        call("POST", "/api/conversations/{id}/messages", messages::send),
        call("PUT", "/api/conversations/{id}/messages/{message}", messages::edit),
        call("DELETE", "/api/conversations/{id}/messages/{message}", messages::delete),
        call("POST", "/api/conversations/{id}/messages/{message}/reactions", messages::react),
        call("POST", "/api/conversations/{id}/messages/{message}/retry", messages::retry),
        call("GET", "/api/conversations/{id}/safety", safety::show),
        call("PUT", "/api/conversations/{id}/safety", safety::verify),
        call("POST", "/api/conversations/{id}/safety/scan", safety::scan),
        call("POST", "/api/groups", groups::create),
        call("PUT", "/api/conversations/{id}/group", groups::rename),
        call("PUT", "/api/conversations/{id}/picture", groups::set_picture),
        call("GET", "/api/conversations/{id}/picture", groups::picture),
        call("POST", "/api/conversations/{id}/members", groups::add),
        call("DELETE", "/api/conversations/{id}/members/{address}", groups::remove),
        call("PUT", "/api/conversations/{id}/members/{address}", groups::appoint),
        call("POST", "/api/conversations/{id}/leave", groups::leave),
        call("GET", "/api/conversations/{id}/invite", invites::show),
        call("POST", "/api/conversations/{id}/invite", invites::make),
        call("DELETE", "/api/conversations/{id}/invite", invites::withdraw),
        call("GET", "/api/conversations/{id}/join-requests", invites::requests),
        call("POST", "/api/conversations/{id}/join-requests/{address}", invites::decide),
        call("POST", "/api/groups/join", invites::join),
        call("GET", "/api/contacts", contacts::list),
        call("POST", "/api/contacts", contacts::add),
        call("PUT", "/api/contacts/{address}", contacts::change),
        call("DELETE", "/api/contacts/{address}", contacts::remove),
        call("POST", "/api/contacts/link", links::make),
        call("GET", "/api/contacts/links", links::list),
        call("DELETE", "/api/contacts/links/{id}", links::withdraw),
        call("GET", "/api/devices", devices::list),
        call("PUT", "/api/devices/{id}", devices::rename),
        call("DELETE", "/api/devices/{id}", devices::revoke),
        call("POST", "/api/devices/link", devices::link),
        call("GET", "/api/devices/requests", devices::requests),
        call("POST", "/api/devices/requests/{id}", devices::answer),
        call("POST", "/api/devices/accept", devices::accept),
        call("POST", "/api/reports", reports::make),
        call("GET", "/api/recovery/phrase", recovery::phrase),
        call("POST", "/api/recovery/confirm", recovery::confirm),
        call("PUT", "/api/recovery/file", recovery::take_file).large(recovery::FILE_BYTES_MAX),
        call("POST", "/api/recovery/restore", recovery::restore).large(recovery::RESTORE_BODY_BYTES_MAX),
        call("POST", "/api/recovery/look", recovery::look).large(recovery::RESTORE_BODY_BYTES_MAX),
        call("POST", "/api/recovery/use", recovery::use_found),
        call("DELETE", "/api/recovery/restore", recovery::forget),
        call("POST", "/api/backups", recovery::back_up),
        call("GET", "/api/backups/file", recovery::file),
        call("PUT", "/api/settings", settings::change),
        call("POST", "/api/quit", state::quit),
        call("GET", "/api/hold", hold::hold),
        call("GET", "/api/events", events::stream),
        call("GET", "/api/listen", listen::stream),
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
    use std::collections::BTreeSet;

    #[test]
    fn the_document_names_every_call_and_no_other() {
        let text = include_str!("../../../../docs/loopback-api/openapi.json");
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        documented.remove("GET /open");
        let served: BTreeSet<_> = calls().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
        assert_eq!(documented, served);
    }

    #[test]
    fn the_readme_names_every_call() {
        let text = include_str!("../../../../docs/loopback-api/README.md");
        for call in calls() {
            let named = format!("`{} {}", call.method, call.path);
            assert!(text.contains(&format!("{named}`")) || text.contains(&format!("{named}?")), "{named}");
        }
    }
}

//! The description of the whole API as OpenAPI, from the table of calls. `docs/loopback-api/openapi.json` is what this
//! gives, for those who read it without a client; a test compares them.

use super::answer::{Answer, ErrorBody};
use super::describe::Writer;
use super::routes::{Call, calls};
use axum::Json;
use serde_json::{Map, Value, json};

/// `GET /api/openapi.json`
pub async fn show() -> Answer<Value> {
    Ok(Json(document()))
}

/// The description.
fn document() -> Value {
    let mut writer = Writer::new();
    let mut paths = Map::new();
    paths.insert("/open".into(), json!({ "get": opening() }));
    for call in calls() {
        let path = paths.entry(call.path).or_insert_with(|| json!({ "parameters": parameters(call.path) }));
        if let Some(path) = path.as_object_mut() {
            path.insert(call.method.to_lowercase(), operation(&call, &mut writer));
        }
    }
    let refused = writer.given::<ErrorBody>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Aside's loopback API",
            "version": "1",
            "description": "Served by the client on 127.0.0.1. Rules on who may call are in README.md beside this file.",
        },
        "servers": [{
            "url": "http://127.0.0.1:{port}",
            "variables": { "port": { "default": "0", "description": "From the profile's runtime.json" } },
        }],
        "security": [{ "session": [] }, { "secret": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "session": { "type": "apiKey", "in": "cookie", "name": "aside_PORT", "description": "Set by /open; browsers" },
                "secret": { "type": "http", "scheme": "bearer", "description": "From the profile's runtime.json; programs" },
            },
            "responses": {
                "Refused": {
                    "description": "It was not done: why, and what to do",
                    "content": { "application/json": { "schema": refused } },
                },
            },
            "schemas": writer.into_schemas(),
        },
    })
}

/// The one call outside of the API: it signs a browser in.
fn opening() -> Value {
    json!({
        "summary": "Signs a browser in and leads to the page",
        "security": [],
        "parameters": [{ "name": "secret", "in": "query", "required": true, "schema": { "type": "string" } }],
        "responses": {
            "303": { "description": "To `/`, with the session cookie" },
            "403": { "$ref": "#/components/responses/Refused" },
        },
    })
}

fn parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

fn operation(call: &Call, writer: &mut Writer) -> Value {
    let mut operation = (call.describe)(writer);
    operation.insert("summary".into(), call.summary.into());
    let done = operation.get_mut("responses").and_then(|responses| responses.get_mut("200"));
    if let (Some(streams), Some(Value::Object(done))) = (&call.streams, done) {
        let schema = (streams.shape)(writer);
        let content = streams.media_types.iter().map(|name| ((*name).to_owned(), json!({ "schema": schema })));
        done.insert("content".into(), Value::Object(content.collect()));
    }
    Value::Object(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_what_the_calls_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/loopback-api/openapi.json");
        let made = document();
        if std::env::var_os("ASIDE_RENEW_OPENAPI").is_some() {
            let text = serde_json::to_string_pretty(&made).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(made == committed, "run this test with ASIDE_RENEW_OPENAPI=1, and look at what changed in {path}");
    }

    #[test]
    fn no_name_stands_for_two_shapes_and_every_reference_leads_somewhere() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        for name in schemas.keys() {
            assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name} is the second of its name");
        }
        let text = document.to_string();
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name}");
        }
    }
}

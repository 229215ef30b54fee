//! The API's machine-readable description (`docs/loopback-api/openapi.json`), made from what the handlers take and give:
//! their types are the only place where a shape is written down.

use super::App;
use super::answer::{ApiError, Body, Parameters};
use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Sse;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Collects the shapes of all calls. What is taken and what is given differ: a field that may be left out of a body
/// stands in every answer.
pub struct Writer {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

/// One call, as OpenAPI writes it.
pub type Operation = Map<String, Value>;

impl Writer {
    /// With no shapes yet. Those of bodies stand where they are used, those of answers have names.
    pub fn new() -> Self {
        let settings = |contract: Contract| {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.contract = contract;
                settings.meta_schema = None;
                settings.definitions_path = "/components/schemas".into();
            })
        };
        let mut taken = settings(Contract::Deserialize);
        taken.inline_subschemas = true;
        Self { taken: taken.into_generator(), given: settings(Contract::Serialize).into_generator() }
    }

    /// The shape of an answer.
    pub fn given<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.given.subschema_for::<T>().to_value();
        without_titles(&mut schema);
        schema
    }

    fn taken<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.taken.subschema_for::<T>().to_value();
        without_titles(&mut schema);
        schema
    }

    /// The named shapes that the answers refer to.
    pub fn into_schemas(mut self) -> Map<String, Value> {
        let mut schemas = self.given.take_definitions(true);
        schemas.values_mut().for_each(without_titles);
        schemas
    }
}

/// Names of Rust's, which say nothing to a reader of the document. A field that is left out where there is nothing to say
/// is never null.
fn without_titles(schema: &mut Value) {
    let Value::Object(object) = schema else {
        if let Value::Array(all) = schema {
            all.iter_mut().for_each(without_titles);
        }
        return;
    };
    if object.get("title").is_some_and(Value::is_string) {
        object.remove("title");
    }
    let required: Vec<Value> = object.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        let optional = properties.iter_mut().filter(|(name, _)| !required.contains(&Value::String((*name).clone())));
        optional.for_each(|(_, property)| without_null(property));
    }
    object.values_mut().for_each(without_titles);
}

fn without_null(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(variants)) = object.remove("anyOf") {
        let mut kept: Vec<Value> =
            variants.into_iter().filter(|variant| variant != &json!({ "type": "null" })).collect();
        match (kept.len(), kept.pop()) {
            (1, Some(Value::Object(only))) => object.extend(only),
            (_, last) => {
                kept.extend(last);
                object.insert("anyOf".into(), Value::Array(kept));
            }
        }
    }
}

/// Something that a handler takes.
pub trait Takes {
    /// Adds it to the call.
    fn write(_: &mut Writer, _: &mut Operation) {}
}

impl Takes for State<App> {}
/// The router's path names them.
impl<T> Takes for Path<T> {}

impl<T: JsonSchema> Takes for Parameters<T> {
    fn write(writer: &mut Writer, operation: &mut Operation) {
        let schema = writer.taken::<T>();
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let parameters = properties.into_iter().map(|(name, mut schema)| {
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let is_required = required.iter().any(|one| *one == name);
            let mut parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
            if let (Some(parameter), Some(description)) = (parameter.as_object_mut(), description) {
                parameter.insert("description".into(), description);
            }
            parameter
        });
        operation.insert("parameters".into(), parameters.collect());
    }
}

impl<T: JsonSchema> Takes for Body<T> {
    fn write(writer: &mut Writer, operation: &mut Operation) {
        body(operation, true, "application/json", writer.taken::<T>());
    }
}

impl<T: JsonSchema> Takes for Option<Json<T>> {
    fn write(writer: &mut Writer, operation: &mut Operation) {
        body(operation, false, "application/json", writer.taken::<T>());
    }
}

impl Takes for HttpBody {
    fn write(_: &mut Writer, operation: &mut Operation) {
        body(operation, true, "application/octet-stream", bytes());
    }
}

fn body(operation: &mut Operation, is_required: bool, media_type: &str, schema: Value) {
    let content = json!({ "required": is_required, "content": { media_type: { "schema": schema } } });
    operation.insert("requestBody".into(), content);
}

/// Any bytes.
pub fn bytes() -> Value {
    json!({ "type": "string", "format": "binary" })
}

/// What a handler gives.
pub trait Gives {
    /// The answers to a call, by status. Where a handler makes its answer by hand, the table of calls says what it holds.
    fn answers(writer: &mut Writer) -> Value;
}

impl<T: JsonSchema> Gives for Result<Json<T>, ApiError> {
    fn answers(writer: &mut Writer) -> Value {
        let schema = writer.given::<T>();
        answers("200", json!({ "description": "Done", "content": { "application/json": { "schema": schema } } }))
    }
}

impl Gives for Result<StatusCode, ApiError> {
    fn answers(_: &mut Writer) -> Value {
        answers("204", json!({ "description": "Done" }))
    }
}

impl Gives for StatusCode {
    fn answers(_: &mut Writer) -> Value {
        answers("204", json!({ "description": "Done" }))
    }
}

impl Gives for Result<Response, ApiError> {
    fn answers(_: &mut Writer) -> Value {
        answers("200", json!({ "description": "Done" }))
    }
}

impl Gives for Result<HttpBody, ApiError> {
    fn answers(_: &mut Writer) -> Value {
        answers("200", json!({ "description": "Held; the body stays empty and open" }))
    }
}

impl<S> Gives for Sse<S> {
    fn answers(_: &mut Writer) -> Value {
        answers("200", json!({ "description": "Done" }))
    }
}

fn answers(status: &str, answer: Value) -> Value {
    json!({ status: answer, "default": { "$ref": "#/components/responses/Refused" } })
}

/// A handler whose parts are known. `T` is their tuple, as in axum's own `Handler`.
pub trait Described<T> {
    /// The call that it serves.
    fn describe(writer: &mut Writer) -> Operation;
}

macro_rules! described {
    ($($part:ident)*) => {
        impl<F, Fut, $($part,)*> Described<($($part,)*)> for F
        where
            F: Fn($($part,)*) -> Fut,
            Fut: Future<Output: Gives>,
            $($part: Takes,)*
        {
            fn describe(writer: &mut Writer) -> Operation {
                let mut operation = Operation::new();
                $($part::write(writer, &mut operation);)*
                operation.insert("responses".into(), Fut::Output::answers(writer));
                operation
            }
        }
    };
}

described!();
described!(A);
described!(A B);
described!(A B C);
described!(A B C D);

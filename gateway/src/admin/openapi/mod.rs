//! `/api/v1/openapi.json`: the admin API described as OpenAPI 3.1, made of one table of calls and one of schemas. A test
//! holds the table against the router.

mod calls;
mod schemas;
#[cfg(test)]
mod tests;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use self::calls::CALLS;
use super::answer::json_of;

/// A call as it is described.
struct Call {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// The least role that may; `None`: no token is needed.
    role: Option<&'static str>,
    /// Names of query parameters.
    query: &'static [&'static str],
    /// Whether it changes the version that was read.
    if_match: bool,
    /// Whether it compares the version where one is sent.
    may_match: bool,
    takes: Takes,
    answer: Answer,
}

/// A body, by the name of its schema.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Json(&'static str),
    /// It may be left out.
    Maybe(&'static str),
}

/// A good answer.
#[derive(Clone, Copy)]
enum Answer {
    /// Status and schema.
    Json(u16, &'static str),
    /// A page of these.
    List(&'static str),
    /// Server-sent events.
    Events,
}

/// The document. Anybody may read it: it says what there is to call, and nothing of this gateway.
pub async fn show() -> Response {
    json_of(StatusCode::OK, &document())
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for call in CALLS {
        let path = paths.entry(call.path).or_insert_with(|| json!({}));
        if let Some(calls) = path.as_object_mut() {
            calls.insert(call.method.to_owned(), operation(call));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Lists are {items, next, total}: pass next as after to go on. Times are UNIX seconds.",
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "POST /tokens gives one." },
            },
            "schemas": schemas::all(),
        },
    })
}

fn operation(call: &Call) -> Value {
    let role = call.role.map_or_else(
        || "Anybody may call it.".to_owned(),
        |role| format!("Needs the role {role}."),
    );
    let mut operation = Map::from_iter([
        ("operationId".to_owned(), name(call).into()),
        ("summary".to_owned(), call.summary.into()),
        ("description".to_owned(), role.into()),
        ("parameters".to_owned(), parameters(call)),
        ("responses".to_owned(), responses(call)),
    ]);
    if call.role.is_none() {
        operation.insert("security".to_owned(), json!([]));
    }
    let (schema, is_required) = match call.takes {
        Takes::Nothing => return operation.into(),
        Takes::Json(schema) => (schema, true),
        Takes::Maybe(schema) => (schema, false),
    };
    let content = json!({ "application/json": { "schema": reference(schema) } });
    operation.insert(
        "requestBody".to_owned(),
        json!({ "required": is_required, "content": content }),
    );
    operation.into()
}

/// `get /integrations/{id}/resources` → `get_integrations_id_resources`
fn name(call: &Call) -> String {
    let words = call.path.split(|one: char| !one.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{}_{}", call.method, words.join("_"))
}

fn parameters(call: &Call) -> Value {
    let in_path = |name: &str| {
        let schema = if name == "id" && call.path != "/tokens/{id}" {
            json!({ "type": "integer", "minimum": 1 })
        } else {
            json!({ "type": "string" })
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    };
    let names = call
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut all: Vec<Value> = names.map(in_path).collect();
    all.extend(
        call.query
            .iter()
            .map(|name| json!({ "name": name, "in": "query", "schema": asked(name) })),
    );
    if call.if_match || call.may_match {
        all.push(json!({
            "name": "If-Match", "in": "header", "required": call.if_match, "schema": { "type": "string" },
            "description": "The ETag that was read, or * to take whatever stands.",
        }));
    }
    all.into()
}

/// What a query parameter takes.
fn asked(name: &str) -> Value {
    match name {
        "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        "status" => json!({ "enum": ["inactive", "active", "recreated"] }),
        "kind" => json!({ "enum": ["admin", "customer", "integration"] }),
        "secure" => {
            json!({ "type": "boolean", "description": "false: only those with a URL that starts with http:" })
        }
        "exchanging" => {
            json!({ "type": "boolean", "description": "true: only those whose activation by exchange is under way" })
        }
        "sort" => {
            json!({ "type": "string", "default": "id", "description": "id, name, status or updated_at; - before it: the other way round" })
        }
        "user_id" | "integration_id" | "consumer_id" => json!({ "type": "integer" }),
        _ => json!({ "type": "string" }),
    }
}

fn responses(call: &Call) -> Value {
    let json_of = |schema: Value| json!({ "application/json": { "schema": schema } });
    let (status, good) = match call.answer {
        Answer::Json(status, schema) => (status, json_of(reference(schema))),
        Answer::List(schema) => (200, json_of(list(schema))),
        Answer::Events => (200, json!({ "text/event-stream": { "schema": { "type": "string" } } })),
    };
    let mut responses = Map::new();
    responses.insert(status.to_string(), json!({ "description": "Done.", "content": good }));
    let mut refused = |status: u16, what: &str| {
        let answer = json!({ "description": what, "content": json_of(reference("Error")) });
        responses.insert(status.to_string(), answer);
    };
    if call.role.is_some() {
        refused(401, "No good token.");
        refused(403, "The role does not reach.");
    }
    if call.path.contains('{') {
        refused(404, "There is no such thing.");
    }
    let takes_something = !matches!(call.takes, Takes::Nothing) || !call.query.is_empty();
    if takes_something {
        refused(400, "What was sent can't be accepted; message says why.");
    }
    if call.if_match || call.may_match {
        refused(412, "It was changed meanwhile.");
    }
    if call.if_match {
        refused(428, "If-Match is missing.");
    }
    refused(503, "The store can't answer.");
    responses.insert(
        "default".to_owned(),
        json!({
            "description": "Another refusal.", "content": json_of(reference("Error")),
        }),
    );
    responses.into()
}

fn list(schema: &str) -> Value {
    let mut members = Map::from_iter([
        (
            "items".to_owned(),
            json!({ "type": "array", "items": reference(schema) }),
        ),
        (
            "next".to_owned(),
            json!({ "type": ["string", "integer", "null"], "description": "Pass it as after; null: the last page." }),
        ),
        ("total".to_owned(), json!({ "type": "integer" })),
    ]);
    if schema == "TokenRow" {
        let description = "null where one page doesn't hold them all: tokens are not counted.";
        let total = json!({ "type": ["integer", "null"], "description": description });
        members.insert("total".to_owned(), total);
    }
    if schema == "Use" {
        let since = json!({ "type": "integer", "description": "When counting began." });
        members.insert("since".to_owned(), since);
    }
    json!({ "type": "object", "required": ["items", "next", "total"], "properties": members })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

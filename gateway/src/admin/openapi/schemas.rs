//! What calls take and answer, by name.

use serde_json::{Map, Value, json};

/// All schemas.
pub(super) fn all() -> Value {
    let groups = [
        integrations(),
        consumers(),
        customers(),
        users(),
        routing(),
        configuration(),
        happenings(),
    ];
    let all: Map<String, Value> = groups.into_iter().flatten().collect();
    all.into()
}

type Group = Vec<(String, Value)>;

/// An object; a name with `?` at its end may be absent.
fn object(name: &str, members: &[(&str, Value)]) -> (String, Value) {
    let is_required = |name: &&str| !name.ends_with('?');
    let required: Vec<&str> = members.iter().map(|(name, _)| *name).filter(is_required).collect();
    let properties: Map<String, Value> = members
        .iter()
        .map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone()))
        .collect();
    let schema = json!({ "type": "object", "required": required, "properties": properties });
    (name.to_owned(), schema)
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn maybe_text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn maybe_number() -> Value {
    json!({ "type": ["integer", "null"] })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn texts() -> Value {
    json!({ "type": "array", "items": text() })
}

fn maybe_texts() -> Value {
    json!({ "type": ["array", "null"], "items": text() })
}

fn any() -> Value {
    json!({})
}

fn one_of(words: &[&str]) -> Value {
    json!({ "enum": words })
}

fn code() -> Value {
    json!({ "type": ["string", "null"], "description": "Six digits of the second factor, or one of its recovery codes." })
}

/// A secret of 32 characters.
fn credential() -> Value {
    json!({ "type": "string", "minLength": 32, "maxLength": 32 })
}

fn status() -> Value {
    one_of(&["inactive", "active", "recreated"])
}

fn role() -> Value {
    one_of(&["viewer", "operator", "admin"])
}

fn credentials(mark: &str) -> Vec<(String, Value)> {
    let names = ["consumer_key", "consumer_secret", "access_token", "access_token_secret"];
    names.map(|name| (format!("{name}{mark}"), credential())).into()
}

fn with<'a>(members: &'a [(String, Value)], more: &[(&'a str, Value)]) -> Vec<(&'a str, Value)> {
    let own = members.iter().map(|(name, schema)| (name.as_str(), schema.clone()));
    own.chain(more.iter().cloned()).collect()
}

fn integrations() -> Group {
    let given = [
        ("email?", text()),
        ("endpoint?", maybe_text()),
        ("identity_link_url?", maybe_text()),
        ("all_resources?", flag()),
        ("resources?", texts()),
        ("signature_methods?", maybe_texts()),
        ("rsa_public_key?", maybe_text()),
        ("two_legged?", flag()),
        ("placements?", maybe_texts()),
        ("callback_urls?", texts()),
        ("flags?", texts()),
    ];
    let name = ("name", json!({ "type": "string", "minLength": 1, "maxLength": 255 }));
    let server = [
        ("id", number()),
        ("status", status()),
        ("setup", one_of(&["manual", "config"])),
        ("consumer_id", number()),
        ("consumer_key", credential()),
        ("created_at", number()),
        ("updated_at", number()),
        // Of one integration only, not in lists.
        ("secret_last_used_at?", maybe_number()),
        ("previous_secret_valid_until?", maybe_number()),
        ("previous_secret_last_used_at?", maybe_number()),
    ];
    let answered = given
        .iter()
        .map(|(name, schema)| (name.trim_end_matches('?'), schema.clone()));
    let answered: Vec<(&str, Value)> = server.into_iter().chain([name.clone()]).chain(answered).collect();
    let input: Vec<(&str, Value)> = [name].into_iter().chain(given.clone()).collect();
    let shown = credentials("?");
    let activated = with(
        &shown,
        &[
            ("status", status()),
            ("exchange", flag()),
            ("callback_status?", number()),
            ("identity_link_url?", text()),
        ],
    );
    let all = json!({ "type": "object", "properties": { "all": flag(), "resources": texts() } });
    vec![
        object("Integration", &answered),
        object("IntegrationInput", &input),
        object("Granted", &[("all", flag()), ("resources", texts())]),
        ("Grant".to_owned(), json!({ "oneOf": [texts(), all] })),
        object("Activation", &[("exchange?", json!({ "type": ["boolean", "null"] }))]),
        object("Activated", &activated),
        object("Lifetime", &[("lifetime?", maybe_text())]),
        object("DebugToken", &[("debug_token", text()), ("expires_at", number())]),
        object("Rotation", &[("grace?", maybe_text())]),
        object(
            "Rotated",
            &[
                ("consumer_secret", credential()),
                ("previous_valid_until", maybe_number()),
            ],
        ),
        object(
            "Handshake",
            &[
                ("status", status()),
                ("exchange", flag()),
                ("stage", json!({ "enum": ["verifier", "request", "access", null] })),
                ("deadline", maybe_number()),
                ("steps", json!({ "type": "array", "items": { "type": "object" } })),
            ],
        ),
    ]
}

fn consumers() -> Group {
    let input = [
        ("name", text()),
        ("callback_url?", maybe_text()),
        ("rejected_callback_url?", maybe_text()),
    ];
    let consumer = [
        ("id", number()),
        ("name", text()),
        ("key", credential()),
        ("callback_url", maybe_text()),
        ("rejected_callback_url", maybe_text()),
        ("integration_id", maybe_number()),
        ("created_at", number()),
        ("updated_at", number()),
    ];
    let new: Vec<(&str, Value)> = consumer.iter().cloned().chain([("secret", credential())]).collect();
    let set = credentials("");
    let shown = with(&set, &[("revoked?", flag()), ("created_at?", number())]);
    vec![
        object("ConsumerInput", &input),
        object("Consumer", &consumer),
        object("NewConsumer", &new),
        object("Credentials", &shown),
        object("Making", &[("clear?", flag())]),
        ("Existed".to_owned(), flag()),
        object("Posting", &[("endpoint?", maybe_text())]),
        object("Verifier", &[("verifier", credential())]),
    ]
}

fn customers() -> Group {
    let customer = [
        ("id", number()),
        ("username", text()),
        ("created_at", number()),
        ("updated_at", number()),
    ];
    let input = [("id", number()), ("username", text()), ("password", text())];
    vec![object("Customer", &customer), object("CustomerInput", &input)]
}

fn users() -> Group {
    let admin = [
        ("id", number()),
        ("username", text()),
        ("email", text()),
        ("role", role()),
        ("active", flag()),
        ("resources", maybe_texts()),
        ("totp", flag()),
        (
            "recovery_codes",
            json!({ "type": ["integer", "null"], "description": "How many are left." }),
        ),
        ("created_at", number()),
        ("updated_at", number()),
    ];
    let change = [
        ("username?", text()),
        ("email?", text()),
        ("role?", role()),
        ("active?", flag()),
        ("resources?", maybe_texts()),
    ];
    vec![
        object(
            "SignIn",
            &[("username", text()), ("password", text()), ("code?", code())],
        ),
        object("Token", &[("token", text()), ("role", role())]),
        object(
            "TokenRow",
            &[
                ("id", text()),
                ("kind", one_of(&["admin", "customer", "integration"])),
                ("name", maybe_text()),
                ("user_id?", number()),
                ("integration_id?", maybe_number()),
                ("on_behalf_of?", any()),
                ("token?", text()),
                ("created_at", number()),
                ("expires_at", maybe_number()),
            ],
        ),
        object("Revoked", &[("revoked", number())]),
        object("Admin", &admin),
        object(
            "AdminInput",
            &[
                ("username", text()),
                ("password", text()),
                ("role", role()),
                ("email?", text()),
            ],
        ),
        object("AdminChange", &change),
        object("Password", &[("password", text()), ("current_password?", text())]),
        object("Code", &[("code", text())]),
        object(
            "Enrolment",
            &[("secret", text()), ("uri", text()), ("recovery_codes", texts())],
        ),
    ]
}

fn routing() -> Group {
    let route = [
        ("path", text()),
        ("host", maybe_text()),
        ("methods", texts()),
        ("upstream", text()),
        ("resources", texts()),
        ("mode", one_of(&["enforce", "observe"])),
        ("secure", flag()),
        ("encoded_slash", one_of(&["allow", "refuse"])),
        ("keep_oauth", flag()),
        (
            "force",
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } }),
        ),
    ];
    let maybe =
        |schema: &str| json!({ "oneOf": [{ "$ref": format!("#/components/schemas/{schema}") }, { "type": "null" }] });
    vec![
        object("Route", &route),
        object(
            "Question",
            &[("method", text()), ("url", text()), ("integration_id?", maybe_number())],
        ),
        object("Refusal", &[("cause", text()), ("status", number()), ("why", text())]),
        object(
            "Judged",
            &[
                ("id", number()),
                ("name", text()),
                ("status", status()),
                ("granted", flag()),
                ("lacking", texts()),
            ],
        ),
        object(
            "Decision",
            &[
                ("host", text()),
                ("path", text()),
                ("decision", one_of(&["forward", "endpoint", "refuse"])),
                ("refusal", maybe("Refusal")),
                ("route", maybe("Route")),
                ("integration", maybe("Judged")),
            ],
        ),
    ]
}

fn traffic() -> (String, Value) {
    let step = object(
        "",
        &[
            ("at", number()),
            ("seconds", number()),
            ("requests", number()),
            ("refused", number()),
        ],
    );
    let cause = object("", &[("cause", text()), ("count", number())]);
    object(
        "Traffic",
        &[
            ("items", json!({ "type": "array", "items": step.1 })),
            ("causes", json!({ "type": "array", "items": cause.1 })),
            ("median_micros", maybe_number()),
            ("p99_micros", maybe_number()),
        ],
    )
}

fn configuration() -> Group {
    let target = object(
        "",
        &[
            ("url", text()),
            ("status", one_of(&["ok", "unreachable", "open", "unhealthy"])),
            ("active_requests", number()),
            ("idle_connections", number()),
        ],
    );
    vec![
        object(
            "Resource",
            &[
                ("id", text()),
                ("title", text()),
                ("parent", maybe_text()),
                ("order", json!({ "type": "integer" })),
            ],
        ),
        object(
            "Upstream",
            &[
                ("name", text()),
                ("balance", one_of(&["round-robin", "least-requests", "hash"])),
                ("credentials", text()),
                ("targets", json!({ "type": "array", "items": target.1 })),
            ],
        ),
        object(
            "Limit",
            &[
                ("per", one_of(&["address", "integration", "route"])),
                ("requests", maybe_number()),
                ("window_seconds", json!({ "type": "number" })),
                ("burst", number()),
                ("concurrency", maybe_number()),
                ("only", texts()),
                ("counted", number()),
            ],
        ),
        traffic(),
        object("Resealed", &[("resealed", number())]),
        object("Reloaded", &[("reloaded", flag()), ("needs_restart", texts())]),
    ]
}

fn happenings() -> Group {
    let sweep = [
        ("name", text()),
        ("every_seconds", maybe_number()),
        ("runs", number()),
        ("failures", number()),
        ("removed", number()),
        ("last_run", maybe_number()),
    ];
    let letter = [
        ("name", text()),
        ("webhook", text()),
        ("tries", number()),
        ("error", any()),
        ("event", json!({ "type": "object" })),
    ];
    let entry = [
        ("number", number()),
        ("hash", text()),
        ("at", number()),
        ("actor", text()),
        ("origin", text()),
        ("action", text()),
        ("subject", text()),
        ("before", any()),
        ("after", any()),
    ];
    let rejection = [
        ("request_id", text()),
        ("at", number()),
        ("cause", text()),
        ("observed", flag()),
        ("method", text()),
        ("path", text()),
        ("client", text()),
        ("consumer_key", text()),
    ];
    let used = [
        ("integration_id", number()),
        ("integration", maybe_text()),
        ("resource", text()),
        ("count", number()),
        ("last_seen", maybe_number()),
        ("refused", number()),
        ("last_refused", maybe_number()),
    ];
    let error = [
        ("message", text()),
        ("parameters?", json!({ "type": ["object", "array"] })),
        ("errors?", json!({ "type": "array", "items": { "type": "object" } })),
        ("code?", text()),
        ("reason?", text()),
        ("faults?", texts()),
    ];
    vec![
        object("Rejection", &[&rejection[..], &[("finding", maybe_text())]].concat()),
        // With the diagnosis, whose members depend on it.
        object("Explained", &rejection),
        pasted(),
        explanation(),
        object("Use", &used),
        object("AuditEntry", &entry),
        object("Letter", &letter),
        object("Replayed", &[("replayed", number()), ("left", number())]),
        object("Sweep", &sweep),
        object("Swept", &[("name", text()), ("removed", number())]),
        object("Error", &error),
        ("Document".to_owned(), json!({ "type": "object" })),
    ]
}

fn pasted() -> (String, Value) {
    let secrets = json!({
        "type": ["object", "null"],
        "description": "As the file of `countersign explain --secrets`; without it the store's, of the request's consumer key. \
                        Without base_url the gateway's own.",
    });
    let members = [
        (
            "request",
            json!({ "type": "string", "description": "The raw HTTP/1.1 request, 256 KiB at most." }),
        ),
        ("secrets?", secrets),
        ("received_at?", maybe_number()),
    ];
    object("Pasted", &members)
}

fn explanation() -> (String, Value) {
    let list = || json!({ "type": "array", "items": { "type": "object" } });
    let members = [
        ("result", one_of(&["valid", "diagnosed", "unknown", "malformed"])),
        ("diagnosis", list()),
        ("base_string", maybe_text()),
        ("base_string_parts", json!({ "type": ["object", "null"] })),
        ("signed_base_string", maybe_text()),
        ("parameters", list()),
        ("key_shape", maybe_text()),
        ("cost", json!({ "type": "object" })),
        ("advice?", text()),
        ("consumer_key", text()),
        ("integration_id", maybe_number()),
    ];
    object("Explanation", &members)
}

//! An integration as the API and the audit log show it.

use serde_json::{Value, json};
use token_store::{ConsumerRecord, Grant};

/// Integration JSON (product.md 5): no secret, no token.
pub fn shown(record: &ConsumerRecord) -> Value {
    let Some(integration) = &record.integration else {
        return Value::Null;
    };
    let definition = &integration.definition;
    let (all, listed) = match &definition.grant {
        Grant::All => (true, Vec::new()),
        Grant::Listed(ids) => (false, ids.iter().collect()),
    };
    json!({
        "id": integration.id,
        "name": definition.name,
        "email": definition.email,
        "endpoint": definition.endpoint,
        "identity_link_url": definition.identity_link_url,
        "status": integration.status,
        "setup": definition.setup,
        "consumer_id": record.consumer.id,
        "consumer_key": record.consumer.key,
        "all_resources": all,
        "resources": listed,
        "signature_methods": definition.signature_methods,
        "rsa_public_key": definition.rsa_public_key,
        "two_legged": definition.two_legged,
        "placements": definition.placements,
        "callback_urls": definition.callback_urls,
        "flags": definition.flags,
        "created_at": integration.created_at,
        "updated_at": integration.updated_at,
    })
}

/// What the audit log calls it.
pub fn subject(record: &ConsumerRecord) -> String {
    format!("integration/{}", record.integration.as_ref().map_or(0, |one| one.id.0))
}

//! What integrations and users change here by themselves, as the audit log tells it: who, from where, what became of it.

use serde_json::{Value, json};
use token_store::audit::noted;
use token_store::event::Happening;
use token_store::{ConsumerRecord, NewAuditEntry, OwnToken, User};

use crate::observe::audit::{self, Told, named, of_consumer};
use crate::proxy::Exchange;

/// An integration takes its access token, and becomes active by that.
pub(super) async fn exchanged<T>(exchange: &Exchange<'_>, by: &ConsumerRecord, change: impl Future<Output = T>) -> T {
    let entry = entry(exchange, &named(by), "integration.exchanged");
    noted(audit::note(entry, told), change).await.0
}

/// A user lets an integration act in their name.
pub(super) async fn allowed<T>(
    exchange: &Exchange<'_>,
    (to, user): (&ConsumerRecord, User),
    change: impl Future<Output = T>,
) -> T {
    let (to, user) = (named(to), audit::user(&user));
    let entry = entry(exchange, &user, "consent.allowed");
    let told = move |happening: &Happening<'_>| {
        matches!(happening, Happening::Delegated { .. }).then(|| (to.clone(), (Value::Null, json!({ "user": user }))))
    };
    noted(audit::note(entry, told), change).await.0
}

fn entry(exchange: &Exchange<'_>, actor: &str, action: &str) -> NewAuditEntry {
    let served = exchange.served;
    audit::of(served.worker.clock.now(), actor, &served.client.to_string(), action)
}

fn told(happening: &Happening<'_>) -> Option<Told> {
    of_consumer(happening, named, |one| {
        json!({
            "status": one.integration.as_ref().map(|one| one.status),
            "token": match one.token {
                Some(OwnToken::Verifier { .. }) => Value::from("verifier"),
                Some(OwnToken::Request { .. }) => Value::from("request"),
                Some(OwnToken::Access { .. }) => Value::from("access"),
                None => Value::Null,
            },
        })
    })
}

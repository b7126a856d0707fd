//! What the audit log says of a change, made of what the store is about to commit.

use std::sync::Arc;

use serde_json::{Value, json};
use token_store::audit::Note;
use token_store::event::Happening;
use token_store::{Account, ConsumerRecord, NewAuditEntry, Store, UnixSeconds, User, UserKind};

/// The subject of an entry, what it was before and what it is after.
pub type Told = (String, (Value, Value));

/// An entry that says when, who, from where and what, and nothing of it yet.
pub fn of(at: UnixSeconds, actor: &str, origin: &str, action: &str) -> NewAuditEntry {
    NewAuditEntry {
        at,
        actor: actor.to_owned(),
        origin: origin.to_owned(),
        action: action.to_owned(),
        subject: String::new(),
        before: Value::Null,
        after: Value::Null,
    }
}

/// The entry with what `told` says of the first happening that it says something of.
pub fn note(entry: NewAuditEntry, told: impl Fn(&Happening<'_>) -> Option<Told> + Send + Sync + 'static) -> Note {
    Arc::new(move |happening| {
        told(happening).map(|(subject, (before, after))| NewAuditEntry {
            subject,
            before,
            after,
            ..entry.clone()
        })
    })
}

/// Writes the entry of what is done already and can't stand in a commit of its own. A store that can't take it makes nothing
/// undone, so nobody is told that it failed: the log says all of the entry instead.
pub async fn tell(store: &dyn Store, entry: NewAuditEntry) {
    if let Err(error) = store.append_audit(entry.clone()).await {
        let NewAuditEntry {
            at: _,
            actor,
            origin,
            action,
            subject,
            before,
            after,
        } = entry;
        tracing::error!(%error, actor, origin, action, subject, %before, %after, "this was done and is not in the audit log");
    }
}

/// Of a consumer that is made, changed or deleted, by what is shown of it.
pub fn of_consumer(
    happening: &Happening<'_>,
    subject: impl Fn(&ConsumerRecord) -> String,
    shown: impl Fn(&ConsumerRecord) -> Value,
) -> Option<Told> {
    let Happening::Consumer { before, after } = *happening else {
        return None;
    };
    Some((subject(after.or(before)?), sides(before, after, shown)))
}

/// Of an account that is made, changed or deleted, by what is shown of it.
pub fn of_account(
    happening: &Happening<'_>,
    subject: impl Fn(u64) -> String,
    shown: impl Fn(&Account) -> Value,
) -> Option<Told> {
    let Happening::Account { before, after } = *happening else {
        return None;
    };
    Some((subject(after.or(before)?.id.0), sides(before, after, shown)))
}

/// Of a user's bearer tokens that end, all or one: how many.
pub fn of_tokens(happening: &Happening<'_>) -> Option<Told> {
    let Happening::UserTokensOf(who, count) = happening else {
        return None;
    };
    Some((user(who), (Value::Null, json!({ "revoked": count }))))
}

/// What the audit log calls a consumer: by its integration, if it has one.
pub fn named(record: &ConsumerRecord) -> String {
    match &record.integration {
        Some(integration) => format!("integration/{}", integration.id.0),
        None => format!("consumer/{}", record.consumer.id.0),
    }
}

/// What the audit log calls a user.
pub fn user(user: &User) -> String {
    match user.kind {
        UserKind::Admin => format!("admin/{}", user.id),
        UserKind::Customer => format!("customer/{}", user.id),
    }
}

fn sides<T>(before: Option<&T>, after: Option<&T>, shown: impl Fn(&T) -> Value) -> (Value, Value) {
    let side = |one: Option<&T>| one.map_or(Value::Null, &shown);
    (side(before), side(after))
}

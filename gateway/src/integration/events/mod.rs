//! Events: what is told of a change, and to whom (product.md 6). They are derived from the change itself, inside its commit,
//! so that every way to change something tells of it, and nothing waits for anybody who listens.
//!
//! `deliver.rs` brings them to webhooks, `sign.rs` signs them.

pub mod deliver;
mod sign;

pub(crate) use self::sign::refuse as refuse_secret;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use token_store::event::{Bounds, Event, Happening, Recorder, Recording};
use token_store::{ConsumerRecord, Delegated, DelegatedStage, OwnToken, Status, User, UserKind, UserToken};

use crate::clock::Clock;
use crate::live::Live;
use crate::random;

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A customer got a token (magento.md 4.3).
    CustomerLogin,
    /// An admin got a token.
    AdminLogin,
    /// An integration was made.
    IntegrationCreated,
    /// What its creator gave, or what it may use, was changed.
    IntegrationUpdated,
    /// Its calls count from now on.
    IntegrationActivated,
    /// They don't any more; its token stays.
    IntegrationDeactivated,
    /// Its token was replaced, or ended so that the partner fetches another.
    IntegrationReauthorized,
    /// It is gone with its consumer and tokens.
    IntegrationDeleted,
    /// An access token, a delegated one or a bearer token was handed out.
    TokenIssued,
    /// One ended, or all of a user.
    TokenRevoked,
}

impl EventKind {
    /// All.
    pub const ALL: [Self; 10] = [
        Self::CustomerLogin,
        Self::AdminLogin,
        Self::IntegrationCreated,
        Self::IntegrationUpdated,
        Self::IntegrationActivated,
        Self::IntegrationDeactivated,
        Self::IntegrationReauthorized,
        Self::IntegrationDeleted,
        Self::TokenIssued,
        Self::TokenRevoked,
    ];

    /// Its name everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CustomerLogin => "customer_login",
            Self::AdminLogin => "admin_login",
            Self::IntegrationCreated => "integration.created",
            Self::IntegrationUpdated => "integration.updated",
            Self::IntegrationActivated => "integration.activated",
            Self::IntegrationDeactivated => "integration.deactivated",
            Self::IntegrationReauthorized => "integration.reauthorized",
            Self::IntegrationDeleted => "integration.deleted",
            Self::TokenIssued => "token.issued",
            Self::TokenRevoked => "token.revoked",
        }
    }
}

/// What is recorded of changes, by the configuration at work.
pub fn recorder(clock: Clock, live: Arc<ArcSwap<Live>>) -> Recorder {
    Box::new(move |happening| {
        let told = told(happening);
        if told.is_empty() {
            return Recording::default();
        }
        let live = live.load();
        let event = |(kind, data): (EventKind, Value)| {
            let webhooks = live.webhooks.iter().filter(|webhook| webhook.wants(kind));
            let webhooks = webhooks.map(|webhook| webhook.name.clone()).collect();
            let event = Event {
                id: id(clock)?,
                kind: kind.as_str().to_owned(),
                at: clock.now(),
                data,
            };
            Some((event, webhooks))
        };
        Recording {
            events: told.into_iter().filter_map(event).collect(),
            bounds: Bounds {
                log: live.events.log,
                outbox: live.events.outbox,
            },
        }
    })
}

/// Unique, and later ones sort after earlier ones.
fn id(clock: Clock) -> Option<String> {
    match random::credential() {
        Ok(random) => {
            let random: String = random.chars().take(20).collect();
            Some(format!("evt_{:012x}{random}", clock.wall().as_millis()))
        }
        Err(error) => {
            // The change needed none: it must not fail for this.
            tracing::error!(%error, "an event is not told");
            None
        }
    }
}

/// Event JSON, as webhooks, listeners and the API see it.
pub fn shown(event: &Event) -> Value {
    json!({ "id": event.id, "event": event.kind, "at": event.at, "data": event.data })
}

fn told(happening: &Happening<'_>) -> Vec<(EventKind, Value)> {
    match happening {
        Happening::Consumer { before, after } => of_consumer(*before, *after),
        Happening::Delegated { before, after } => of_delegated(before, *after),
        Happening::UserToken(token) => of_user_token(token),
        Happening::UserTokensOf(user, count) => {
            let mut data = of_user("bearer", *user);
            add(&mut data, "count", (*count).into());
            vec![(EventKind::TokenRevoked, data)]
        }
        Happening::Account { .. } => Vec::new(),
    }
}

fn of_consumer(before: Option<&ConsumerRecord>, after: Option<&ConsumerRecord>) -> Vec<(EventKind, Value)> {
    let mut told = Vec::new();
    let Some(now) = after.or(before) else { return told };
    let (had, has) = (before.and_then(access_token), after.and_then(access_token));
    if now.integration.is_some() {
        let kinds = of_integration(before, after, (had, has));
        told.extend(kinds.into_iter().map(|kind| (kind, integration(now))));
    }
    if had != has {
        let token = json!({
            "token": "access",
            "consumer_id": now.consumer.id,
            "integration_id": now.integration.as_ref().map(|one| one.id),
        });
        let revoked = had.map(|_| (EventKind::TokenRevoked, token.clone()));
        told.extend(revoked);
        told.extend(has.map(|_| (EventKind::TokenIssued, token)));
    }
    told
}

fn of_integration(
    before: Option<&ConsumerRecord>,
    after: Option<&ConsumerRecord>,
    (had, has): (Option<&str>, Option<&str>),
) -> Vec<EventKind> {
    let (Some(before), Some(after)) = (before, after) else {
        return vec![if after.is_some() {
            EventKind::IntegrationCreated
        } else {
            EventKind::IntegrationDeleted
        }];
    };
    let definition = |record: &ConsumerRecord| record.integration.as_ref().map(|one| one.definition.clone());
    let is_active = |record: &ConsumerRecord| {
        let status = record.integration.as_ref().map(|one| one.status);
        status == Some(Status::Active)
    };
    let is_replaced = had.is_some() && had != has && after.token.is_some();
    let (was_active, is_active) = (is_active(before), is_active(after));
    let happened = [
        (EventKind::IntegrationUpdated, definition(before) != definition(after)),
        (EventKind::IntegrationReauthorized, is_replaced),
        (EventKind::IntegrationActivated, !was_active && is_active),
        (
            EventKind::IntegrationDeactivated,
            was_active && !is_active && !is_replaced,
        ),
    ];
    let happened = happened.into_iter().filter(|(_, happened)| *happened);
    happened.map(|(kind, _)| kind).collect()
}

/// The access token that counts, if there is one.
fn access_token(record: &ConsumerRecord) -> Option<&str> {
    match &record.token {
        Some(OwnToken::Access {
            token, revoked: false, ..
        }) => Some(token),
        Some(OwnToken::Access { revoked: true, .. } | OwnToken::Verifier { .. } | OwnToken::Request { .. }) | None => {
            None
        }
    }
}

fn integration(record: &ConsumerRecord) -> Value {
    let integration = record.integration.as_ref();
    json!({
        "integration": {
            "id": integration.map(|one| one.id),
            "name": integration.map(|one| &one.definition.name),
            "status": integration.map(|one| one.status),
            "setup": integration.map(|one| one.definition.setup),
            "consumer_id": record.consumer.id,
        }
    })
}

fn of_delegated(before: &Delegated, after: Option<&Delegated>) -> Vec<(EventKind, Value)> {
    let user = |row: &Delegated| match &row.stage {
        DelegatedStage::Access {
            user, revoked: false, ..
        } => Some(*user),
        DelegatedStage::Access { revoked: true, .. }
        | DelegatedStage::Pending { .. }
        | DelegatedStage::Approved { .. }
        | DelegatedStage::Rejected => None,
    };
    let (kind, user) = match (user(before), after.and_then(user)) {
        (None, Some(user)) => (EventKind::TokenIssued, user),
        (Some(user), None) => (EventKind::TokenRevoked, user),
        (None, None) | (Some(_), Some(_)) => return Vec::new(),
    };
    let mut data = of_user("delegated", user);
    add(&mut data, "consumer_id", before.consumer_id.0.into());
    vec![(kind, data)]
}

fn of_user_token(token: &UserToken) -> Vec<(EventKind, Value)> {
    let (kind, who) = match token.user.kind {
        UserKind::Admin => (EventKind::AdminLogin, "admin"),
        UserKind::Customer => (EventKind::CustomerLogin, "customer"),
    };
    let mut issued = of_user("bearer", token.user);
    add(&mut issued, "expires_at", token.expires_at.into());
    let login = json!({ who: { "id": token.user.id }, "expires_at": token.expires_at });
    vec![(kind, login), (EventKind::TokenIssued, issued)]
}

fn of_user(token: &str, user: User) -> Value {
    json!({ "token": token, "user_type": user.kind, "user_id": user.id })
}

fn add(data: &mut Value, name: &str, value: Value) {
    if let Some(members) = data.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

//! Records for the suite.

use std::collections::BTreeSet;

use crate::codec::token_digest;
use crate::{
    Consumer, ConsumerId, ConsumerRecord, Delegated, DelegatedStage, Grant, Integration, IntegrationId, NewAccount,
    NewAuditEntry, NewConsumer, NewIntegration, OwnToken, Role, Secret, Setup, Status, UnixSeconds, User, UserKind,
    UserToken,
};

/// A second in the life of the records; nothing here depends on which.
pub(crate) const THEN: UnixSeconds = 1_800_000_000;

pub(crate) const ALICE: User = User {
    kind: UserKind::Customer,
    id: 7,
};
pub(crate) const BOB: User = User {
    kind: UserKind::Customer,
    id: 8,
};
/// The same number as Alice's, another kind.
pub(crate) const ADMIN: User = User {
    kind: UserKind::Admin,
    id: 7,
};

pub(crate) fn integration(name: &str) -> NewIntegration {
    NewIntegration {
        name: name.to_owned(),
        email: "who@example.org".to_owned(),
        endpoint: Some("https://example.org/callback?a=b".to_owned()),
        identity_link_url: None,
        setup: Setup::Manual,
        grant: Grant::Listed(BTreeSet::from(["Magento_Catalog::products".to_owned()])),
        signature_methods: Some(vec!["HMAC-SHA256".to_owned()]),
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: vec!["https://example.org/done".to_owned()],
        flags: BTreeSet::new(),
    }
}

/// A consumer with an integration of that name.
pub(crate) fn consumer(name: &str) -> NewConsumer {
    NewConsumer {
        integration: Some(integration(name)),
        ..lone_consumer(&format!("key of {name}"))
    }
}

/// A consumer without an integration.
pub(crate) fn lone_consumer(key: &str) -> NewConsumer {
    NewConsumer {
        name: None,
        key: key.to_owned(),
        secret: Secret::new("consumer secret"),
        callback_url: Some("https://example.org/callback".to_owned()),
        rejected_callback_url: None,
        integration: None,
    }
}

/// A record that brings its own numbers, as an import does.
pub(crate) fn record(id: u64, name: &str) -> ConsumerRecord {
    ConsumerRecord {
        version: 1,
        consumer: Consumer {
            id: ConsumerId(id),
            name: format!("Integration{id}"),
            key: format!("key of {name}"),
            secret: Secret::new("consumer secret"),
            previous_secret: None,
            callback_url: None,
            rejected_callback_url: None,
            created_at: THEN,
            updated_at: THEN,
            posted_at: None,
        },
        integration: Some(Integration {
            id: IntegrationId(id),
            consumer_id: ConsumerId(id),
            status: Status::Active,
            created_at: THEN,
            updated_at: THEN,
            definition: integration(name),
        }),
        token: Some(access(&format!("token of {name}"))),
    }
}

pub(crate) fn access(token: &str) -> OwnToken {
    OwnToken::Access {
        token: token.to_owned(),
        secret: Secret::new("token secret"),
        revoked: false,
        created_at: THEN,
        exchanged: None,
    }
}

pub(crate) fn renamed(mut record: ConsumerRecord, name: &str) -> ConsumerRecord {
    if let Some(integration) = &mut record.integration {
        integration.definition.name = name.to_owned();
    }
    record
}

pub(crate) fn with_token(mut record: ConsumerRecord, token: &str) -> ConsumerRecord {
    record.token = Some(access(token));
    record
}

pub(crate) fn delegated(consumer: ConsumerId, token: &str) -> Delegated {
    Delegated {
        version: 0,
        consumer_id: consumer,
        token: token.to_owned(),
        secret: Secret::new("token secret"),
        created_at: THEN,
        expires_at: Some(THEN + 600),
        stage: DelegatedStage::Approved {
            callback: "oob".to_owned(),
            user: ALICE,
            revoked_before: THEN - 1,
            verifier: Secret::new("verifier"),
            tries: 0,
        },
    }
}

/// What an exchange makes of a delegated row.
pub(crate) fn exchanged(row: &Delegated, token: &str) -> Delegated {
    Delegated {
        token: token.to_owned(),
        expires_at: None,
        stage: DelegatedStage::Access {
            user: ALICE,
            revoked_before: THEN - 1,
            revoked: false,
        },
        ..row.clone()
    }
}

pub(crate) fn user_token(token: &str, user: User, expires_at: Option<UnixSeconds>) -> UserToken {
    UserToken {
        digest: token_digest(token),
        user,
        created_at: THEN,
        expires_at,
        upstream_token: Some(Secret::new("upstream")),
        is_beside_jwt: false,
    }
}

pub(crate) fn account(kind: UserKind, username: &str) -> NewAccount {
    NewAccount {
        kind,
        username: username.to_owned(),
        email: "who@example.org".to_owned(),
        password_hash: Secret::new("$argon2id$"),
        role: Role::Operator,
        active: true,
        resources: Some(BTreeSet::from(["Magento_Sales::sales".to_owned()])),
        totp: None,
    }
}

pub(crate) fn entry(subject: &str) -> NewAuditEntry {
    NewAuditEntry {
        at: THEN,
        actor: "jane".to_owned(),
        origin: "127.0.0.1".to_owned(),
        action: "integration.activated".to_owned(),
        subject: subject.to_owned(),
        before: serde_json::Value::Null,
        after: serde_json::json!({"z": [1, -2, 1.5, "é\u{0}"], "a": {"nested": null}, "most": u64::MAX}),
    }
}

//! What `serve`, `sandbox` and `admin create` share: opening the store of a configuration, and the gateway's admin side.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use token_store::{NewAccount, OpenError, OpenOptions, Role, Secret, Store, StoreError, UserKind, open};

use crate::admin::{self, Context, Serving};
use crate::app::Parts;
use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::password::{HashFailed, Passwords};
use crate::integration::Integrations;
use crate::integration::address::OwnAddresses;

/// Opens the store.
pub(super) async fn store(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    open(&OpenOptions {
        url: config.store.url.clone(),
        encryption_keys: config.store.encryption_keys.clone(),
        timeout: config.store.timeout,
        connect_timeout: config.store.connect_timeout,
        cache: config.store.cache,
        now: clock.now(),
    })
    .await
}

/// The control socket beside an embedded store; Redis is reached from anywhere, so it needs none.
pub(super) fn control_socket(config: &Config) -> Option<PathBuf> {
    config
        .store
        .url
        .strip_prefix("embedded:")
        .map(|folder| PathBuf::from(folder).join("control.sock"))
}

/// Opens the admin listener of a running gateway.
pub(super) async fn admin(
    parts: Parts,
    config: &Config,
    public: &[SocketAddr],
) -> std::io::Result<(Serving, Integrations)> {
    let listener = tokio::net::TcpListener::bind(config.admin.listen).await?;
    let own = OwnAddresses {
        addresses: public.iter().copied().chain([listener.local_addr()?]).collect(),
        names: store_servers(&config.store.url),
    };
    let integrations = Integrations::new(
        Arc::clone(&parts.store),
        parts.clock,
        Arc::clone(&parts.live),
        own,
        Arc::clone(&parts.handshakes),
    );
    let context = Context {
        parts,
        integrations: integrations.clone(),
    };
    let serving = admin::serve(context, listener, control_socket(config).as_deref())?;
    Ok((serving, integrations))
}

/// The servers of a Redis URL.
fn store_servers(url: &str) -> Vec<(String, u16)> {
    let Some((_, rest)) = url.split_once("://") else {
        return Vec::new();
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let server = |host: &str| {
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && !port.ends_with(']') => (name, port.parse().ok()?),
            Some(_) | None => (host, REDIS_PORT),
        };
        Some((name.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
    };
    hosts.split(',').filter_map(server).collect()
}

/// Why the first account could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum AccountError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hash(#[from] HashFailed),
    #[error("an account with the name {0:?} exists")]
    Exists(String),
    #[error("{0}")]
    Invalid(&'static str),
}

/// An admin account, straight in the store.
pub(super) async fn create_admin(
    store: &Arc<dyn Store>,
    clock: Clock,
    (username, email): (&str, &str),
    password: &Secret,
    role: Role,
) -> Result<u64, AccountError> {
    check_account(username, password)?;
    let password_hash = Passwords::new()?.hash(password).await?;
    let new = NewAccount {
        kind: UserKind::Admin,
        username: username.to_owned(),
        email: email.to_owned(),
        password_hash,
        role,
        active: true,
        resources: None,
        totp: None,
    };
    let made = store.create_account(new, clock.now()).await?;
    let made = made.ok_or_else(|| AccountError::Exists(username.to_owned()))?;
    let entry = token_store::NewAuditEntry {
        at: clock.now(),
        actor: "cli".to_owned(),
        origin: String::new(),
        action: "admin.created".to_owned(),
        subject: format!("admin/{}", made.id.0),
        before: serde_json::Value::Null,
        after: serde_json::json!({ "username": username, "role": role }),
    };
    store.append_audit(entry).await?;
    Ok(made.id.0)
}

/// What a name and a password must be.
pub(super) fn check_account(username: &str, password: &Secret) -> Result<(), AccountError> {
    if username.is_empty() || username.chars().count() > 255 || username.chars().any(char::is_whitespace) {
        return Err(AccountError::Invalid(
            "the user name has 1 to 255 characters and no white space",
        ));
    }
    if !(8..=1024).contains(&password.expose().chars().count()) {
        return Err(AccountError::Invalid("the password has from 8 to 1024 characters"));
    }
    Ok(())
}

const REDIS_PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_a_store_are_read_from_its_url() {
        let servers = store_servers("rediss://user:p@ss@a.example:6380,[::1]:6381,b,[::2]/0?x=y");

        let servers: Vec<(&str, u16)> = servers.iter().map(|(name, port)| (name.as_str(), *port)).collect();
        assert_eq!(
            servers,
            [("a.example", 6380), ("::1", 6381), ("b", 6379), ("::2", 6379)]
        );
        assert!(store_servers("embedded:var/countersign").is_empty());
    }
}

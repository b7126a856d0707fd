//! What `serve`, `sandbox` and `admin create` share: opening the store of a configuration, and the gateway's admin side.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use token_store::audit::noted;
use token_store::event::Happening;
use token_store::{OpenError, OpenOptions, Role, Secret, Store, open};

use super::doctor::running;
use super::remark;
use crate::admin::{self, Context, Serving};
use crate::app::Parts;
use crate::clock::Clock;
use crate::config::Config;
use crate::exchange::account::{AccountError, Accounts, Creation, shown};
use crate::exchange::password::Passwords;
use crate::integration::Integrations;
use crate::integration::address::OwnAddresses;
use crate::observe::audit::{self, of_account};

/// Opens the store for a command that may be the first to need one: that it is made is said.
pub(super) async fn first(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    if let Some(folder) = absent(config) {
        remark(&format_args!("a new store is made in {folder}"));
        if running::look(config).await.is_up() {
            remark(&format_args!("warning: {}", elsewhere(config)));
        }
    }
    store(config, clock, false).await
}

/// Opens the store for a command that only shows or changes what is there: it makes none.
pub(super) async fn existing(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    let Some(folder) = absent(config) else {
        return store(config, clock, false).await;
    };
    let why = if running::look(config).await.is_up() {
        format!("no store is there; {}", elsewhere(config))
    } else {
        "no store is there: `countersign serve` or `countersign admin create` makes one".to_owned()
    };
    Err(OpenError::File(folder, std::io::Error::other(why).into()))
}

fn elsewhere(config: &Config) -> String {
    format!(
        "the gateway at {} has its store elsewhere: store.url is relative to the working directory",
        config.admin.listen
    )
}

/// The folder of an embedded store that was never made.
fn absent(config: &Config) -> Option<String> {
    let folder = std::path::absolute(config.store.url.strip_prefix("embedded:")?).ok()?;
    let is_there = folder.join(token_store::embedded::FILE).exists();
    (!is_there).then(|| folder.display().to_string())
}

/// Opens the store.
pub(super) async fn store(config: &Config, clock: Clock, serves: bool) -> Result<Arc<dyn Store>, OpenError> {
    open(&OpenOptions {
        url: config.store.url.clone(),
        encryption_keys: config.store.encryption_keys.clone(),
        timeout: config.store.timeout,
        connect_timeout: config.store.connect_timeout,
        cache: config.store.cache,
        now: clock.now(),
        serves,
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

/// Admin accounts, straight in the store.
pub(super) fn accounts(store: &Arc<dyn Store>, clock: Clock) -> Result<Accounts, AccountError> {
    Ok(Accounts::new(Arc::clone(store), clock, Passwords::new()?))
}

/// An admin account, straight in the store.
pub(super) async fn create_admin(
    store: &Arc<dyn Store>,
    clock: Clock,
    (username, email): (&str, &str),
    password: &Secret,
    role: Role,
) -> Result<u64, AccountError> {
    let new = Creation {
        username: username.to_owned(),
        password: password.clone(),
        role,
        email: email.to_owned(),
    };
    let accounts = accounts(store, clock)?;
    let made = change(clock, "admin.created", accounts.create(new)).await?;
    Ok(made.id.0)
}

/// Changes an admin account straight in the store, audited as what the API does.
pub(super) async fn change<T>(clock: Clock, action: &str, change: impl Future<Output = T>) -> T {
    let told = |happening: &Happening<'_>| of_account(happening, |id| format!("admin/{id}"), shown);
    let note = audit::note(audit::of(clock.now(), "cli", "", action), told);
    noted(note, change).await.0
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

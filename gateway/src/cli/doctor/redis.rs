//! A store in Redis: whether it is reached, whether it could evict or lose what must be kept, and its clock.

use std::time::Duration;

use token_store::redis::{Inspected, Obstacle, Settings, inspect, inspect_keys};
use token_store::{OpenError, OpenOptions, StoreError};

use super::{ALL_KEYS, About, Finding, skew};
use crate::cli::with_causes;
use crate::clock::Clock;
use crate::config::Config;

pub(super) async fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let options = OpenOptions {
        url: config.store.url.clone(),
        encryption_keys: config.store.encryption_keys.clone(),
        timeout: config.store.timeout.max(PATIENCE),
        connect_timeout: config.store.connect_timeout.max(PATIENCE),
        cache: config.store.cache,
        now: clock.now(),
        serves: false,
    };
    let servers = match inspect(&options).await {
        Ok(servers) => servers,
        Err(error) => {
            let about = About::new(CHECK, "redis");
            return vec![match &error {
                OpenError::Store(error) => unreached(&about, error),
                OpenError::BadUrl(..)
                | OpenError::WrongKey
                | OpenError::KeyMissing
                | OpenError::KeyNeeded
                | OpenError::Locked(_)
                | OpenError::Unsafe(_)
                | OpenError::Damaged(..)
                | OpenError::Emptied(_)
                | OpenError::File(..) => about.fail(with_causes(&error), "correct store.url"),
            }];
        }
    };
    let mut findings = Vec::new();
    for (at, asked) in servers {
        let about = About::new(CHECK, format!("redis {at}"));
        match asked {
            Ok(server) => {
                findings.extend([
                    skew::judge(
                        &About::new("clock", format!("redis {at}")),
                        clock.wall(),
                        server.clock,
                        Duration::ZERO,
                    ),
                    eviction(&about, &server),
                    memory(&about, &server),
                ]);
                findings.extend(durability(&about, &server));
            }
            Err(error) => findings.push(unreached(&about, &error)),
        }
    }
    findings.extend(keys(&options).await);
    findings
}

/// Whether a start would open what the store holds. Where its servers can't be asked, that was said of them.
async fn keys(options: &OpenOptions) -> Option<Finding> {
    let about = About::new(CHECK, "encryption keys");
    match inspect_keys(options).await {
        Ok(()) => Some(about.ok("open what the store holds")),
        Err(OpenError::Store(_)) => None,
        Err(error) => Some(about.fail(with_causes(&error), ALL_KEYS)),
    }
}

/// Each kind of silence has a cure of its own.
fn unreached(about: &About, error: &StoreError) -> Finding {
    let login = "correct the user and password in store.url";
    match Obstacle::of(error) {
        Obstacle::ConnectionRefused => about.fail(
            "nothing listens there: the connection is refused",
            "start it, or correct store.url",
        ),
        Obstacle::PasswordMissing => about.fail("demands a password, and store.url has none (NOAUTH)", login),
        Obstacle::PasswordWrong => about.fail(format!("takes no such login: {}", with_causes(error)), login),
        Obstacle::NoRedis => about.fail("what answers there is not a Redis", "correct store.url"),
        Obstacle::Other => about.fail(
            format!("does not answer: {}", with_causes(error)),
            "start it, open its port to this machine, or correct store.url",
        ),
    }
}

fn eviction(about: &About, server: &Inspected) -> Finding {
    if server.eviction == "noeviction" {
        return about.ok("evicts nothing: maxmemory-policy is noeviction");
    }
    about.fail(
        format!(
            "maxmemory-policy is {}, which evicts nonces and tokens; no gateway starts on it",
            server.eviction
        ),
        "set maxmemory-policy noeviction",
    )
}

fn memory(about: &About, server: &Inspected) -> Finding {
    let mib = |octets: u64| format!("{} MiB", octets.div_ceil(MIB));
    let used = mib(server.memory);
    if server.memory_limit == 0 {
        return about.ok(format!("uses {used} of memory, without a maxmemory"));
    }
    let found = format!("uses {used} of its {} of memory", mib(server.memory_limit));
    if server.memory.saturating_mul(10) < server.memory_limit.saturating_mul(8) {
        return about.ok(found);
    }
    about.warn(
        found,
        "raise maxmemory: when it is reached, every signed request is answered with 503",
    )
}

fn durability(about: &About, server: &Inspected) -> Vec<Finding> {
    let mut findings = Vec::new();
    if server.disk_failed {
        findings.push(about.fail(
            "its last write to disk failed",
            "see its log: the disk may be full, or the folder not its own",
        ));
    }
    let settings = server.settings.as_ref();
    findings.push(kept_on_disk(about, server, settings));
    findings.extend(replicas(about, server, settings));
    findings
}

fn kept_on_disk(about: &About, server: &Inspected, settings: Option<&Settings>) -> Finding {
    let cure = "set appendonly yes";
    match (server.append_only, settings) {
        (true, None) => about.ok("is kept on disk: appendonly"),
        (true, Some(settings)) if settings.append_sync == "no" => about.warn(
            "appendfsync is no: a crash of the machine loses what the system had not written yet",
            "set appendfsync everysec, or always",
        ),
        (true, Some(settings)) => about.ok(format!("is kept on disk: appendonly, synced {}", settings.append_sync)),
        (false, None) => about.warn(
            "writes no append-only file, and its user may not read whether snapshots are written: a crash loses tokens and nonces",
            cure,
        ),
        (false, Some(settings)) if settings.save.is_empty() => about.fail(
            "keeps nothing on disk: a restart loses every integration, token and nonce",
            cure,
        ),
        (false, Some(settings)) => about.warn(
            format!("is kept by snapshots only (save {}): a crash loses tokens and nonces since the last one", settings.save),
            cure,
        ),
    }
}

fn replicas(about: &About, server: &Inspected, settings: Option<&Settings>) -> Option<Finding> {
    let has = server.replicas;
    match settings.map(|settings| settings.replicas_to_write) {
        None | Some(0) if has == 0 => None,
        None => Some(about.warn(
            format!("has {has} replicas; its user may not read whether it waits for them (CONFIG GET)"),
            "see yourself that min-replicas-to-write is 1 or more",
        )),
        Some(0) => Some(about.warn(
            format!(
                "has {has} replicas, yet min-replicas-to-write is 0: a primary cut off from them takes writes that a failover loses"
            ),
            "set min-replicas-to-write 1 and min-replicas-max-lag 10",
        )),
        Some(needs) if has < needs => Some(about.fail(
            format!("has {has} replicas and takes no write below min-replicas-to-write {needs}"),
            "bring its replicas back",
        )),
        Some(needs) => Some(about.ok(format!("has {has} replicas, takes writes with {needs} or more"))),
    }
}

const CHECK: &str = "store";
const MIB: u64 = 1024 * 1024;
/// One that is slow is found by its own line, not by none at all.
const PATIENCE: Duration = Duration::from_secs(2);

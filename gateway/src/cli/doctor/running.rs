//! Whether a gateway of this configuration runs, and how it says it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use http::Method;
use oauth1::Scheme;
use rustls::RootCertStore;
use serde_json::Value;

use super::{ANSWER, About, Finding};
use crate::config::{Config, UpstreamTarget};
use crate::upstream::ask::Ask;
use crate::upstream::{authority, connect};

/// What its admin listener said of it.
pub(in crate::cli) enum Running {
    /// Nobody answers there, or somebody else.
    No,
    /// `/health/ready`
    Yes(Value),
}

pub(in crate::cli) async fn look(config: &Config) -> Running {
    let listen = config.admin.listen;
    let host = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    let target = UpstreamTarget {
        scheme: Scheme::Http,
        host: host.to_string(),
        port: listen.port(),
    };
    let Ok(tls) = connect::client_config(RootCertStore::empty()) else {
        return Running::No;
    };
    let ask = Ask {
        target: &target,
        name: &target.host,
        tls,
        connect_timeout: CONNECT,
        timeout: ANSWER,
    };
    let answer = ask.ask(Method::GET, "/health/ready", &authority(&target)).await;
    let health = answer
        .ok()
        .and_then(|answer| serde_json::from_slice(answer.body()).ok());
    match health {
        Some(health @ Value::Object(_)) if health.get("components").is_some() => Running::Yes(health),
        Some(_) | None => Running::No,
    }
}

impl Running {
    pub(in crate::cli) fn is_up(&self) -> bool {
        matches!(self, Self::Yes(_))
    }

    /// What the running gateway says of its store.
    pub(super) fn store(&self) -> Option<&str> {
        match self {
            Self::No => None,
            Self::Yes(health) => health.pointer("/components/store/status").and_then(Value::as_str),
        }
    }

    pub(super) fn finding(&self) -> Finding {
        let about = About::new("gateway", "process");
        match self {
            Self::No => about.ok("none runs with this configuration: checked as before a start"),
            Self::Yes(health) if health.get("status").and_then(Value::as_str) == Some("ok") => {
                about.ok("runs and is ready")
            }
            Self::Yes(health) => {
                let components = health.get("components").map(ToString::to_string);
                about.fail(
                    format!("runs, but is not ready: {}", components.unwrap_or_default()),
                    "see the lines below and the gateway's log",
                )
            }
        }
    }
}

const CONNECT: Duration = Duration::from_secs(1);

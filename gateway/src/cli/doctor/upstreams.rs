//! Upstreams: whether each target is reached and answers, and its clock by the `Date` of the answer.

use std::sync::Arc;
use std::time::Duration;

use http::header::DATE;
use http::{Method, Response};
use rustls::ClientConfig;
use tokio::task::JoinSet;

use super::{ANSWER, About, Finding, skew};
use crate::clock::Clock;
use crate::config::{Config, Upstream, UpstreamTarget};
use crate::listen::tls::authorities;
use crate::upstream::ask::{Ask, AskError};
use crate::upstream::connect::{client_config, system_roots};
use crate::upstream::{authority, certificate_name, health};

pub(super) async fn examine(config: &Config, clock: Clock) -> Vec<Finding> {
    let mut asking = JoinSet::new();
    let system = system_roots();
    let mut findings = Vec::new();
    for (name, upstream) in &config.upstreams {
        let roots = match &upstream.ca {
            None => Ok(system.clone()),
            Some(path) => authorities(path).map_err(|error| error.to_string()),
        };
        let tls = roots.and_then(|roots| client_config(roots).map_err(|error| error.to_string()));
        for target in &upstream.targets {
            let subject = format!("{name} {}://{}", target.scheme.as_str(), authority(target));
            match &tls {
                Ok(tls) => {
                    let (number, tls) = (asking.len(), Arc::clone(tls));
                    let (target, upstream) = (target.clone(), upstream.clone());
                    asking.spawn(async move { (number, examine_one(subject, &target, &upstream, tls, clock).await) });
                }
                Err(error) => findings
                    .push(About::new(CHECK, subject).fail(error.clone(), format!("correct upstreams.{name}.ca"))),
            }
        }
    }
    let mut answered = asking.join_all().await;
    answered.sort_by_key(|(number, _)| *number);
    findings.extend(answered.into_iter().flat_map(|(_, some)| some));
    findings
}

async fn examine_one(
    subject: String,
    target: &UpstreamTarget,
    upstream: &Upstream,
    tls: Arc<ClientConfig>,
    clock: Clock,
) -> Vec<Finding> {
    let about = About::new(CHECK, subject);
    let host = upstream.host.clone().unwrap_or_else(|| authority(target));
    let name = upstream.host.as_deref().map_or(target.host.as_str(), certificate_name);
    let ask = Ask {
        target,
        name,
        tls,
        connect_timeout: upstream.connect_timeout,
        timeout: ANSWER,
    };
    let (method, path) = match &upstream.health_check {
        Some(check) => (Method::GET, check.path.as_str()),
        None => (Method::HEAD, "/"),
    };
    let answer = match ask.ask(method.clone(), path, &host).await {
        Ok(answer) => answer,
        Err(error) => return vec![about.fail(error.to_string(), cure(&error))],
    };
    let status = answer.status();
    let found = format!("answers {method} {path} with {status}");
    let reached = if upstream.health_check.is_some() && !health::passes(status) {
        let found = format!("{found}: it fails its health check and gets no requests");
        about.fail(
            found,
            "see the storefront's own log, or correct health_check.path of the upstream",
        )
    } else if status.is_server_error() {
        about.warn(found, "see the storefront's own log")
    } else {
        about.ok(found)
    };
    let its_clock = About::new("clock", about.subject);
    let finding = match date_of(&answer) {
        Some(theirs) => skew::judge(&its_clock, clock.wall(), theirs, SECOND),
        None => its_clock.ok("its answer carries no Date to compare"),
    };
    vec![reached, finding]
}

fn cure(error: &AskError) -> &'static str {
    match error {
        // What TLS finds wrong with the other side.
        AskError::Connect(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            "have its certificate renewed, or set host and ca of the upstream to what it shows"
        }
        AskError::Connect(_) => "start it, open its port to this machine, or correct targets of the upstream",
        AskError::Broken(_) => "see that it speaks HTTP/1.1 there, and whether http or https",
        AskError::Late(_) => "see what it waits for",
    }
}

/// RFC 9110, 6.6.1.
fn date_of<B>(answer: &Response<B>) -> Option<Duration> {
    let text = answer.headers().get(DATE)?.to_str().ok()?;
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(time.as_second()).ok().map(Duration::from_secs)
}

const CHECK: &str = "upstreams";
const SECOND: Duration = Duration::from_secs(1);

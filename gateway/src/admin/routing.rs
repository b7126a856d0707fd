//! `/api/v1/routes`, `/upstreams`, `/limits`: the configuration at work.

use std::num::NonZeroUsize;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use token_store::{IntegrationId, Status};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of};
use super::ask::{Asked, Sent};
use super::page::{Paging, page};
use crate::config::{self, Balance, Credentials, Per, RateLimit, Requirement};
use crate::live::Live;
use crate::refusal::Cause;
use crate::rehearsal::{Outcome, Place, Verdict};
use crate::upstream::board::TargetNow;

/// Which routes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    path: Option<String>,
    method: Option<String>,
    resource: Option<String>,
    after: Option<usize>,
    limit: Option<NonZeroUsize>,
}

/// The routes at work, in the configuration's order.
pub async fn routes(
    State(context): State<Context>,
    caller: Caller,
    Asked(listing): Asked<Listing>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let live = context.parts.live.load();
    let takes = |route: &config::Route| {
        let is_part = |part: &String| route.path.contains(part.as_str());
        let serves = |method: &String| route.methods.iter().any(|own| own.eq_ignore_ascii_case(method));
        let needs = |id: &String| resources(&route.requirement).contains(&id.as_str());
        listing.path.as_ref().is_none_or(is_part)
            && listing.method.as_ref().is_none_or(serves)
            && listing.resource.as_ref().is_none_or(needs)
    };
    let routes = live.routes.iter().map(|route| &route.config);
    let items = routes.filter(|route| takes(route)).map(shown).collect();
    Ok(json_of(StatusCode::OK, &page(items, listing.after, listing.limit)))
}

/// A request that nobody sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    method: Option<String>,
    url: Option<String>,
    integration_id: Option<u64>,
}

/// What would become of it: which route, and whether an integration may use it.
pub async fn test(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Sent<Question>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Operate)?;
    let Sent(question) = body?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let method = filled(question.method).ok_or_else(|| ApiError::required("method"))?;
    let url = filled(question.url).ok_or_else(|| ApiError::required("url"))?;
    let live = context.parts.live.load();
    let place = Place::of(&url, &live.public).map_err(|what| ApiError::new(StatusCode::BAD_REQUEST, &what))?;
    let refused =
        |cause: Cause, why: &str| json!({ "cause": cause.as_str(), "status": cause.status().as_u16(), "why": why });
    let mut answer = json!({
        "host": place.host, "path": place.path, "decision": "refuse", "refusal": null, "route": null, "integration": null,
    });
    let mut say = |name: &str, value: Value| {
        if let Some(members) = answer.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    match place.outcome(&method.to_ascii_uppercase(), &live.public, &live.table) {
        Outcome::Endpoint => say("decision", json!("endpoint")),
        Outcome::Refused(cause, status, why) => say(
            "refusal",
            json!({ "cause": cause.as_str(), "status": status.as_u16(), "why": why }),
        ),
        Outcome::Route(index) => {
            let route = live.routes.get(index).map(|route| &route.config);
            let route = route.ok_or_else(|| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error."))?;
            say("route", shown(route));
            if place.needs_https(route) {
                say(
                    "refusal",
                    refused(Cause::HttpsRequired, "the route is secure: https only"),
                );
                return Ok(json_of(StatusCode::OK, &answer));
            }
            let denied = match question.integration_id {
                None => (route.requirement == Requirement::Nothing)
                    .then(|| (Cause::ResourceDenied, "the route names no resource".to_owned())),
                Some(id) => {
                    let (integration, denied) = judged(&context, &live, route, id).await?;
                    say("integration", integration);
                    denied
                }
            };
            match denied {
                Some((cause, why)) if !route.observe => say("refusal", refused(cause, &why)),
                Some(_) | None => say("decision", json!("forward")),
            }
        }
    }
    Ok(json_of(StatusCode::OK, &answer))
}

/// An integration of the store, what it lacks, and why it would be refused.
async fn judged(
    context: &Context,
    live: &Live,
    route: &config::Route,
    id: u64,
) -> Result<(Value, Option<(Cause, String)>), ApiError> {
    let record = context.integrations.get(IntegrationId(id)).await?;
    let integration = record
        .integration
        .as_ref()
        .ok_or_else(|| ApiError::no_such(&id.to_string()))?;
    let verdict = Verdict::of(route, &integration.definition.grant, &live.tree);
    let lacking = match &verdict {
        Verdict::Lacks(ids) => ids.clone(),
        Verdict::Granted | Verdict::Nobody => Vec::new(),
    };
    let shown = json!({
        "id": id,
        "name": integration.definition.name,
        "status": integration.status,
        "granted": verdict == Verdict::Granted,
        "lacking": lacking,
    });
    let denied = match verdict {
        _ if route.requirement == Requirement::Anonymous => None,
        _ if integration.status != Status::Active => Some((Cause::IntegrationInactive, "it isn't active".to_owned())),
        Verdict::Granted => None,
        Verdict::Lacks(ids) => Some((Cause::ResourceDenied, format!("it lacks {}", ids.join(", ")))),
        Verdict::Nobody => Some((
            Cause::ResourceDenied,
            "no integration may with its own token".to_owned(),
        )),
    };
    Ok((shown, denied))
}

/// Upstreams and their targets, as all workers together see them.
pub async fn upstreams(
    State(context): State<Context>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let live = context.parts.live.load();
    let shown = |upstream: &crate::live::Upstream| {
        let now = context.parts.board.targets(&upstream.config);
        let targets: Vec<Value> = upstream.config.targets.iter().zip(now).map(target).collect();
        json!({
            "name": upstream.name,
            "balance": match upstream.config.balance {
                Balance::RoundRobin => "round-robin",
                Balance::LeastRequests => "least-requests",
                Balance::Hash => "hash",
            },
            "credentials": mode(&upstream.config.credentials),
            "targets": targets,
        })
    };
    let items = live.upstreams.iter().map(shown).collect();
    Ok(json_of(StatusCode::OK, &paging.of(items)))
}

fn target((target, now): (&config::UpstreamTarget, TargetNow)) -> Value {
    let host = if target.host.contains(':') {
        format!("[{}]", target.host)
    } else {
        target.host.clone()
    };
    json!({
        "url": format!("{}://{host}:{}", target.scheme.as_str(), target.port),
        "status": now.status(),
        "active_requests": now.active,
        "idle_connections": now.idle,
    })
}

/// What upstream demands, without the secret.
fn mode(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::None => "none",
        Credentials::Bearer { .. } => "bearer",
        Credentials::Basic { .. } => "basic",
        Credentials::Header { .. } => "header",
        Credentials::Oauth1(_) => "oauth1",
        Credentials::Customer => "customer",
    }
}

/// Limits, and how many subjects each counts now.
pub async fn limits(
    State(context): State<Context>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let live = context.parts.live.load();
    let shown = |(limit, counted): (&RateLimit, usize)| {
        json!({
            "per": match limit.per {
                Per::Address => "address",
                Per::Integration => "integration",
                Per::Route => "route",
            },
            "requests": limit.requests,
            "window_seconds": limit.window.as_secs_f64(),
            "burst": limit.burst,
            "concurrency": limit.concurrency,
            "only": limit.only,
            "counted": counted,
        })
    };
    let items = live.rates.status().map(shown).collect();
    Ok(json_of(StatusCode::OK, &paging.of(items)))
}

/// A route as its configuration says it.
fn shown(route: &config::Route) -> Value {
    let force: Map<String, Value> = route
        .force
        .iter()
        .map(|one| (one.names.join("."), Value::from(&one.value)))
        .collect();
    json!({
        "path": route.path,
        "host": route.host,
        "methods": route.methods,
        "upstream": route.upstream,
        "resources": resources(&route.requirement),
        "mode": if route.observe { "observe" } else { "enforce" },
        "secure": route.secure,
        "encoded_slash": if route.encoded_slash { "allow" } else { "refuse" },
        "keep_oauth": route.keep_oauth,
        "force": force,
    })
}

fn resources(requirement: &Requirement) -> Vec<&str> {
    match requirement {
        Requirement::Nothing => Vec::new(),
        Requirement::Anonymous => vec!["anonymous"],
        Requirement::Own => vec!["self"],
        Requirement::Resources(ids) => ids.iter().map(String::as_str).collect(),
    }
}

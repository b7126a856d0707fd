//! `countersign route …`: what the configuration does with a request, without sending it.

use std::process::ExitCode;

use token_store::NewIntegration;

use super::{ConfigFile, exit_code, fail, misused, say};
use crate::authorize::resources::ResourceTree;
use crate::config::{Config, Credentials, Per, RateLimit, Requirement, Route};
use crate::proxy::headers;
use crate::proxy::route::Routes;
use crate::rehearsal::{Outcome, Place, Verdict};

/// Routes: what the configuration does with a request
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say which route, upstream, resources, limits and headers a request meets, and what is decided, from the configuration alone
    #[command(after_help = "\
Nothing is sent and no store is asked: the decision is what a valid signature, or a valid token, would meet. Of a path alone
the first public.base_url says whether it is https. Exit code 0 when a route serves the request, 1 when none does.

Examples:
  countersign route test GET /rest/V1/products/24-MB01
  countersign route test GET https://shop.example/rest/default/V1/orders?searchCriteria --config conf/magento/countersign.toml")]
    Test(Test),
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// GET, POST, PUT …
    method: String,
    /// The URL, or its path alone
    url: String,
    /// Also say whether this integration of the configuration is granted what the route needs
    #[arg(long, value_name = "NAME")]
    integration: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Test(test) = command;
    exit_code(tell(test))
}

fn tell(test: &Test) -> Result<(), ExitCode> {
    let config = test.file.load()?;
    let place = Place::of(&test.url, &config.public).map_err(|what| misused(&what))?;
    let table = Routes::new(&config.routes).map_err(|_| fail(&"the routes can't be read"))?;
    match place.outcome(&test.method.to_ascii_uppercase(), &config.public, &table) {
        Outcome::Endpoint => say(&format!("endpoint    {}: our own, not forwarded", place.path)),
        Outcome::Route(index) => {
            let route = config.routes.get(index);
            let route = route.ok_or_else(|| fail(&"the routes can't be read"))?;
            let caller = test.integration.as_deref().map(|name| integration(&config, name));
            let caller = caller.transpose().map_err(|what| misused(&what))?;
            say(&format!(
                "{}\n{}\n{}\n{}\ndecision    {}",
                description(&config, route),
                needs(route),
                limits(&config.limits, route, caller),
                headers(&config, route, caller),
                decision(&config, route, &place, caller)
            ))
        }
        Outcome::Refused(cause, status, what) => {
            say(&format!("decision    {} {}: {what}", status.as_u16(), cause.as_str()))?;
            Err(ExitCode::FAILURE)
        }
    }
}

fn description(config: &Config, route: &Route) -> String {
    let host = route.host.as_deref().map(|host| format!("\nhost        {host}"));
    let targets = config.upstreams.get(&route.upstream).map(|upstream| &upstream.targets);
    let targets: Vec<String> = targets
        .into_iter()
        .flatten()
        .map(|target| format!("{}://{}:{}", target.scheme.as_str(), target.host, target.port))
        .collect();
    format!(
        "route       {} {}{}\nupstream    {} ({})\nmode        {}",
        route.methods.join(","),
        route.path,
        host.unwrap_or_default(),
        route.upstream,
        targets.join(", "),
        if route.observe { "observe" } else { "enforce" },
    )
}

fn integration<'c>(config: &'c Config, name: &str) -> Result<&'c NewIntegration, String> {
    let found = config.integrations.iter().find(|one| one.name == name);
    found.ok_or_else(|| format!("the configuration defines no integration {name:?}"))
}

/// What it takes to be served.
fn needs(route: &Route) -> String {
    let needed = match &route.requirement {
        Requirement::Nothing => "none listed: every request is 401 resource_denied".to_owned(),
        Requirement::Anonymous => "anonymous: anybody".to_owned(),
        Requirement::Own => "self: a customer, by bearer token or a token that they delegated".to_owned(),
        Requirement::Resources(ids) => ids.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let mut told = format!("resources   {needed}");
    if route.secure {
        told.push_str("\nsecure      https only: a plain request is 400 https_required");
    }
    for one in &route.force {
        told.push_str("\nforced      ");
        told.push_str(&one.to_string());
    }
    told
}

/// The `[[limits]]` that count such a request, a line each.
fn limits(all: &[RateLimit], route: &Route, caller: Option<&NewIntegration>) -> String {
    let concerns = |limit: &&RateLimit| {
        let named = |name: &String| limit.only.is_empty() || limit.only.contains(name);
        match limit.per {
            Per::Address => true,
            Per::Route => named(&route.path),
            Per::Integration => caller.is_none_or(|one| named(&one.name)),
        }
    };
    let line = |limit: &RateLimit| {
        let per = match limit.per {
            Per::Address => "address",
            Per::Integration => "integration",
            Per::Route => "route",
        };
        let rate = limit
            .requests
            .map(|requests| format!("{requests} in {:?}, {} at once", limit.window, limit.burst));
        let under_way = limit.concurrency.map(|most| format!("{most} under way"));
        let most: Vec<String> = rate.into_iter().chain(under_way).collect();
        let only = limit.only.iter().cloned().collect::<Vec<_>>().join(", ");
        let only = match limit.per {
            Per::Address | Per::Integration if !only.is_empty() => format!(" (only {only})"),
            Per::Address | Per::Integration | Per::Route => String::new(),
        };
        format!("limit       per {per}{only}: {}", most.join("; "))
    };
    let lines: Vec<String> = all.iter().filter(concerns).map(line).collect();
    if lines.is_empty() {
        "limit       none".to_owned()
    } else {
        lines.join("\n")
    }
}

/// What upstream gets beside the client's own headers, and what it doesn't get of them.
fn headers(config: &Config, route: &Route, caller: Option<&NewIntegration>) -> String {
    let may_sign = match &route.requirement {
        Requirement::Resources(_) => true,
        Requirement::Anonymous => caller.is_some(),
        Requirement::Nothing | Requirement::Own => false,
    };
    let mut added: Vec<String> = headers::added(may_sign).map(|name| name.to_string()).collect();
    if route.requirement == Requirement::Own {
        added.insert(0, "x-user-id".to_owned());
    }
    let upstream = config.upstreams.get(&route.upstream);
    if upstream.is_some_and(|one| one.assertion.is_some()) {
        added.push("x-countersign-assertion".to_owned());
    }
    let credential = upstream.and_then(|one| match &one.credentials {
        Credentials::None => None,
        Credentials::Bearer { .. } => Some("authorization (bearer)".to_owned()),
        Credentials::Basic { .. } => Some("authorization (basic)".to_owned()),
        Credentials::Header { name, .. } => Some(name.to_string()),
        Credentials::Oauth1(_) => Some("authorization (oauth1, signed anew)".to_owned()),
        Credentials::Customer => Some("authorization (a customer's own token)".to_owned()),
    });
    added.extend(credential);
    let removed = if route.keep_oauth {
        "kept        the client's authorization and oauth_* query parameters"
    } else {
        "removed     the client's authorization and oauth_* parameters"
    };
    format!("headers     {}\n{removed}", added.join(", "))
}

/// What becomes of it; without an integration, of whom.
fn decision(config: &Config, route: &Route, place: &Place, caller: Option<&NewIntegration>) -> String {
    if place.needs_https(route) {
        return "400 https_required: the route is secure, and this is plain http".to_owned();
    }
    let tree = ResourceTree::new(&config.resources);
    let verdict = caller.map(|one| Verdict::of(route, &one.grant, &tree));
    let denied = match (&verdict, &route.requirement) {
        (Some(Verdict::Lacks(ids)), _) => format!("401 resource_denied: lacks {}", ids.join(", ")),
        (Some(Verdict::Nobody), _) => "401 resource_denied: no integration may with its own token".to_owned(),
        (Some(Verdict::Granted), _) => return "granted: a request with a valid signature is forwarded".to_owned(),
        (None, Requirement::Nothing) => "401 resource_denied: the route names no resource".to_owned(),
        (None, Requirement::Anonymous) => return "forwarded, whoever calls".to_owned(),
        (None, _) if route.observe => return "forwarded, whoever calls; who may not is recorded (observe)".to_owned(),
        (None, Requirement::Own) => {
            return "forwarded for a customer, by bearer token or signed with a token that they delegated; 401 for others".to_owned();
        }
        (None, Requirement::Resources(_)) => {
            return "forwarded for who is granted the resources; 401 for others".to_owned();
        }
    };
    if route.observe {
        format!("forwarded as a guest's (observe); recorded is {denied}")
    } else {
        denied
    }
}

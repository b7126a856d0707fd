//! `countersign route …`: what the configuration does with a request, without sending it.

use std::process::ExitCode;

use oauth1::Target;
use token_store::{Grant, NewIntegration};

use super::{ConfigFile, exit_code, fail, misused, say};
use crate::authenticate::target::without_port;
use crate::authorize::resources::ResourceTree;
use crate::config::{Config, Requirement, Route};
use crate::exchange::Endpoint;
use crate::proxy::route::{Found, Routes};

/// Routes: what the configuration does with a request
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Say which route, upstream and resources a request meets, from the configuration alone
    #[command(after_help = "\
Nothing is sent and no store is asked. Exit code 0 when a route serves the request, 1 when none does.

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
    let (host, path) = place(&config, &test.url).map_err(|what| misused(&what))?;
    let method = test.method.to_ascii_uppercase();
    if Endpoint::of(&config.public.paths, &path).is_some() {
        return say(&format!("endpoint    {path}: our own, not forwarded"));
    }
    let table = Routes::new(&config.routes).map_err(|_| fail(&"the routes can't be read"))?;
    let refused = match table.find(&host, &method, &path) {
        Found::Route(index) => {
            let route = config.routes.get(index);
            let route = route.ok_or_else(|| fail(&"the routes can't be read"))?;
            let decision = decision(&config, route, test.integration.as_deref()).map_err(|what| misused(&what))?;
            return say(&format!("{}\n{decision}", description(&config, route)));
        }
        Found::OtherMethods(allow) => format!("405 method_refused: this path takes {allow}"),
        Found::Unknown => "404 route_unknown: no route has this path".to_owned(),
        Found::Refused => {
            "400 target_refused: dot or empty segments, controls, backslashes, broken escapes, or %2F where the \
                           route doesn't say encoded_slash = \"allow\""
                .to_owned()
        }
    };
    say(&format!("decision    {refused}"))?;
    Err(ExitCode::FAILURE)
}

/// Host and path as a route is looked up by them: without a base URL's prefix, which the proxy in front strips.
fn place(config: &Config, url: &str) -> Result<(String, String), String> {
    if url.starts_with('/') {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let host = config.public.base_urls.first().map(|url| without_port(&url.authority));
        return Ok((host.unwrap_or_default().to_owned(), path.to_owned()));
    }
    let target = Target::from_url(url).ok_or_else(|| format!("{url:?} is neither a URL nor a path"))?;
    let host = without_port(target.authority).to_ascii_lowercase();
    let path = if target.path.is_empty() { "/" } else { target.path };
    let base = config
        .public
        .base_urls
        .iter()
        .find(|url| url.authority.eq_ignore_ascii_case(target.authority));
    let path = base.and_then(|base| path.strip_prefix(&base.prefix)).unwrap_or(path);
    Ok((host, path.to_owned()))
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

/// What it takes to be served; for an integration of the configuration also whether it may.
fn decision(config: &Config, route: &Route, integration: Option<&str>) -> Result<String, String> {
    let needed = match &route.requirement {
        Requirement::Nothing => "none listed: every request is 401 resource_denied".to_owned(),
        Requirement::Anonymous => "anonymous: anybody".to_owned(),
        Requirement::Own => "self: a customer with a bearer token".to_owned(),
        Requirement::Resources(ids) => ids.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let mut told = format!("resources   {needed}");
    if route.secure {
        told.push_str("\nsecure      https only: a plain request is 400 https_required");
    }
    if let Some(name) = integration {
        let found = config.integrations.iter().find(|one| one.name == name);
        let found = found.ok_or_else(|| format!("the configuration defines no integration {name:?}"))?;
        told.push_str("\ndecision    ");
        told.push_str(&verdict(config, route, found));
    }
    Ok(told)
}

fn verdict(config: &Config, route: &Route, integration: &NewIntegration) -> String {
    let tree = ResourceTree::new(&config.resources);
    let granted = match &route.requirement {
        Requirement::Anonymous => true,
        Requirement::Nothing | Requirement::Own => false,
        Requirement::Resources(ids) => tree.permits(&integration.grant, ids),
    };
    if granted {
        return "granted: a request with a valid signature is forwarded".to_owned();
    }
    let lacking = match (&route.requirement, &integration.grant) {
        (Requirement::Resources(ids), Grant::Listed(listed)) => ids.difference(listed).cloned().collect(),
        _ => Vec::new(),
    };
    format!(
        "401 resource_denied: {}",
        if lacking.is_empty() {
            "no integration may".to_owned()
        } else {
            format!("lacks {}", lacking.join(", "))
        }
    )
}

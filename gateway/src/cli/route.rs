//! `countersign route …`: what the configuration does with a request, without sending it.

use std::process::ExitCode;

use token_store::NewIntegration;

use super::{ConfigFile, exit_code, fail, misused, say};
use crate::authorize::resources::ResourceTree;
use crate::config::{Config, Requirement, Route};
use crate::proxy::route::Routes;
use crate::rehearsal::{Outcome, Place, Verdict};

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
    let place = Place::of(&test.url, &config.public).map_err(|what| misused(&what))?;
    let table = Routes::new(&config.routes).map_err(|_| fail(&"the routes can't be read"))?;
    match place.outcome(&test.method.to_ascii_uppercase(), &config.public, &table) {
        Outcome::Endpoint => say(&format!("endpoint    {}: our own, not forwarded", place.path)),
        Outcome::Route(index) => {
            let route = config.routes.get(index);
            let route = route.ok_or_else(|| fail(&"the routes can't be read"))?;
            let decision = decision(&config, route, test.integration.as_deref()).map_err(|what| misused(&what))?;
            say(&format!("{}\n{decision}", description(&config, route)))
        }
        Outcome::Refused(cause, what) => {
            let status = cause.status().as_u16();
            say(&format!("decision    {status} {}: {what}", cause.as_str()))?;
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
    for one in &route.force {
        told.push_str("\nforced      ");
        told.push_str(&one.to_string());
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
    match Verdict::of(route, &integration.grant, &tree) {
        Verdict::Granted => "granted: a request with a valid signature is forwarded".to_owned(),
        Verdict::Lacks(ids) => format!("401 resource_denied: lacks {}", ids.join(", ")),
        Verdict::Nobody => "401 resource_denied: no integration may".to_owned(),
    }
}

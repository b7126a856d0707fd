//! `/routes` with its test box, `/resources`, `/limits`, `/upstreams`: the configuration at work.

use std::collections::BTreeMap;

use axum::extract::RawQuery;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::Role;

use super::client::{Problem, query};
use super::integrations::tree::{Resource, Tree};
use super::live;
use super::page::{Page, Place};
use super::parts::{Tone, count, icon, note, tag, turns};
use super::visitor::{Form, Visitor};

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
    next: Option<String>,
    total: u64,
}

#[derive(Deserialize)]
struct Route {
    path: String,
    host: Option<String>,
    methods: Vec<String>,
    upstream: String,
    resources: Vec<String>,
    mode: String,
    secure: bool,
    #[serde(default)]
    force: BTreeMap<String, Value>,
}

/// What a test of a request says.
#[derive(Deserialize)]
struct Tested {
    path: String,
    decision: String,
    refusal: Option<Refusal>,
    route: Option<Route>,
    integration: Option<Judged>,
}

#[derive(Deserialize)]
struct Refusal {
    cause: String,
    status: u16,
    why: String,
}

#[derive(Deserialize)]
struct Judged {
    id: u64,
    name: String,
    granted: bool,
    lacking: Vec<String>,
}

/// `GET /routes`
pub(super) async fn routes(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let wanted = Form::of(query.unwrap_or_default().as_bytes());
    let page = render_routes(&visitor, &wanted).await;
    visitor.show(page)
}

async fn render_routes(visitor: &Visitor, wanted: &Form) -> Result<Response, Problem> {
    let filter = [
        ("path", wanted.get("q").trim()),
        ("resource", wanted.get("resource").trim()),
        ("after", wanted.get("after")),
        ("limit", &ROUTES.to_string()),
    ];
    let routes: List<Route> = visitor.api.get(&format!("/routes?{}", query(filter))).await?;
    let page_after = |after: &str| {
        format!(
            "?{}",
            query([
                ("q", wanted.get("q")),
                ("resource", wanted.get("resource")),
                ("after", after)
            ])
        )
    };
    // They go by their number in the table.
    let begins: usize = wanted.get("after").parse().unwrap_or_default();
    let previous = (begins > 0).then(|| page_after(&begins.saturating_sub(ROUTES).to_string()));
    let next = routes.next.as_deref().map(page_after);
    let body = html! {
        (test_box(visitor, wanted).await?)
        section.stack aria-labelledby="tbl" id="routes" data-swap {
            h2 id="tbl" { "All routes" }
            form.filter method="get" action="/routes" role="search" {
                div.field.wide { label for="q" { "Path" } div.seek { (icon("search")) input.in id="q" name="q" type="search" value=(wanted.get("q")) placeholder="products" data-slash; } }
                div.field.wide { label for="resource" { "Resource" } input.in.mono id="resource" name="resource" value=(wanted.get("resource")) placeholder="Magento_Catalog::products" autocomplete="off"; }
                div.acts { button.b type="submit" { "Filter" } a.b.plain href="/routes" { "Clear" } }
            }
            @if routes.items.is_empty() {
                section.card { div.empty { h3 { "No route fits" } p { "Routes are " code { "[[routes]]" } " of the configuration." } a.b href="/routes" { "Clear the filter" } } }
            } @else { (route_table(&routes.items)) }
            nav.pager aria-label="Pages" {
                span { (count(routes.total)) @if routes.total == 1 { " route" } @else { " routes" } }
                (turns([("Previous", previous.as_deref()), ("Next", next.as_deref())]))
            }
        }
    };
    let page = Page {
        lead: html! { p.lead { "The live table, from the configuration. A literal segment beats a variable." } },
        acts: html! { a.b href="/resources" { "Resources" } },
        ..Page::new(Place::Routes, "Routes", body)
    };
    Ok(visitor.frame().page(&page))
}

fn route_table(routes: &[Route]) -> Markup {
    html! {
        div.card { div.scroll {
            table.fold {
                thead { tr { th scope="col" { "Method" } th scope="col" { "Path" } th scope="col" { "Needs" } th scope="col" { "Upstream" } th scope="col" { "Mode" } } }
                tbody {
                    @for route in routes {
                        tr {
                            td { @for method in &route.methods { span class=(if method == "GET" { "verb" } else { "verb w" }) { (method) } " " } }
                            td.lead {
                                code { (route.path) }
                                @if let Some(host) = &route.host { span.sub { "at " (host) } }
                                @if !route.force.is_empty() { span.sub { "forces " (route.force.keys().cloned().collect::<Vec<_>>().join(", ")) } }
                            }
                            td.line { @for id in &route.resources { code.dim { (id) } " " } @if route.resources.is_empty() { span.bad-t { "nothing listed: every request is refused" } } }
                            td.none { (route.upstream) }
                            td { (tag(if route.mode == "observe" { Tone::Warn } else { Tone::Plain }, &route.mode)) @if route.secure { " " (tag(Tone::Plain, "https only")) } }
                        }
                    }
                }
            }
        } }
    }
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    name: String,
}

async fn test_box(visitor: &Visitor, wanted: &Form) -> Result<Markup, Problem> {
    let may = visitor.may(Role::Operator);
    let (method, url, who) = (wanted.get("method"), wanted.get("url").trim(), wanted.get("as").trim());
    let mut said = html! {};
    if may && !url.is_empty() {
        said = match asked(visitor, method, url, who).await {
            Ok(tested) => result(&tested, method),
            Err(problem) if problem.status.is_client_error() => note(
                Tone::Bad,
                "warn",
                &html! { strong { "Not tested: " (problem.message) } },
            ),
            Err(problem) => return Err(problem),
        };
    }
    Ok(html! {
        section.card aria-labelledby="test" {
            header { h2 id="test" { "Test a request" } span.sm.faint { "Nothing is sent to the upstream." } }
            div.in-card {
                form.filter method="get" action="/routes" {
                    div.field {
                        label for="m" { "Method" }
                        select.in id="m" name="method" disabled[!may] { @for one in METHODS { option selected[one == method] { (one) } } }
                    }
                    div.field.wide { label for="u" { "URL" } input.in.mono id="u" name="url" value=(url) placeholder="/rest/V1/products/24-MB01" spellcheck="false" inputmode="url" disabled[!may]; }
                    div.field { label for="as" { "As (name of an integration)" } input.in id="as" name="as" value=(who) placeholder="Whoever may" autocomplete="off" disabled[!may]; }
                    div.acts { button.b.main type="submit" disabled[!may] { "Test" } }
                }
                @if !may { p.hint { "Testing takes the role operator." } }
                div.stack id="result" role="status" { (said) }
            }
        }
    })
}

async fn asked(visitor: &Visitor, method: &str, url: &str, who: &str) -> Result<Tested, Problem> {
    let mut question = json!({ "method": method, "url": url });
    if !who.is_empty() {
        let found: List<Named> = visitor
            .api
            .get(&format!(
                "/integrations?{}",
                query([("name", who), ("sort", "name"), ("limit", "100")])
            ))
            .await?;
        let exact = found.items.iter().find(|one| one.name.eq_ignore_ascii_case(who));
        let Some(one) = exact.or_else(|| found.items.first()) else {
            return Err(Problem::refused(&format!("no integration is called “{who}”.")));
        };
        if let Some(members) = question.as_object_mut() {
            members.insert("integration_id".to_owned(), one.id.into());
        }
    }
    let answer = visitor.api.post("/routes/test", Some(&question)).await?;
    serde_json::from_value(answer.body).map_err(|error| Problem::unreadable(&error))
}

/// What a call takes and who lacks which of it, as things stand now.
pub(super) struct Needs {
    /// By id.
    pub(super) resources: Vec<String>,
    /// Of these, what is not granted.
    pub(super) lacking: Vec<String>,
    /// The integration's name.
    pub(super) name: String,
}

/// The route that a refused call met, matched again.
pub(super) async fn needs(visitor: &Visitor, method: &str, path: &str, integration: u64) -> Option<Needs> {
    let question = json!({ "method": method, "url": path, "integration_id": integration });
    let answer = visitor.api.post("/routes/test", Some(&question)).await.ok()?;
    let tested: Tested = serde_json::from_value(answer.body).ok()?;
    let judged = tested.integration?;
    Some(Needs {
        resources: tested.route?.resources,
        lacking: judged.lacking,
        name: judged.name,
    })
}

fn result(tested: &Tested, method: &str) -> Markup {
    let who = tested.integration.as_ref();
    let check = |is_good: bool, text: &Markup, beside: &str| {
        html! { li class=(if is_good { "y" } else { "n" }) { (icon(if is_good { "check" } else { "x" })) span { (text) } span.s { (beside) } } }
    };
    html! {
        @match (tested.decision.as_str(), &tested.refusal) {
            (_, Some(refusal)) => (note(Tone::Bad, "ban", &html! {
                strong { "Refused: " code { (refusal.cause) } "." } " The client is told " (refusal.status) ": " (refusal.why) "."
                @if let Some(who) = who { @if refusal.cause == "resource_denied" { " " a href={ "/integrations/" (who.id) "#api" } { "Change its grants" } } }
            })),
            ("endpoint", None) => (note(Tone::Good, "check", &html! { strong { "An endpoint of Countersign itself." } " It is not forwarded." })),
            (_, None) => (note(Tone::Good, "check", &html! {
                strong { "Forwarded" @if let Some(route) = &tested.route { " to " (route.upstream) } "." }
                @match who { Some(who) => { " " (who.name) " may." }, None => " For whoever has what the route needs." }
            })),
        }
        @if let Some(route) = &tested.route {
            ol.chk {
                (check(true, &html! { "Route " code { (route.path) } }, &route.methods.join(", ")))
                (check(true, &html! { "Path " code { (tested.path) } }, method))
                @for id in &route.resources {
                    @let is_granted = who.is_none_or(|who| who.granted || !who.lacking.contains(id));
                    (check(is_granted, &html! { "Needs " code { (id) } }, match who { None => "", Some(_) if is_granted => "granted", Some(_) => "not granted" }))
                }
                @if route.mode == "observe" { (check(true, &html! { "Mode observe: judged, recorded, forwarded anyway" }, "")) }
            }
        }
    }
}

/// `GET /resources`
pub(super) async fn resources(visitor: Visitor) -> Response {
    let page = async {
        let tree = Tree::load(&visitor).await?;
        let routes = all_routes(&visitor).await?;
        let mut uses: BTreeMap<&str, u64> = BTreeMap::new();
        for id in routes.iter().flat_map(|route| &route.resources) {
            *uses.entry(id).or_default() += 1;
        }
        let mut rows = Vec::new();
        for root in tree.roots() {
            flatten(&tree, root, 0, &mut rows);
        }
        let body = html! {
            @if rows.is_empty() { section.card { div.empty { h2 { "No resource is defined" } p { "Define them under " code { "[[resources]]" } ", or import them from a Magento." } } } }
            @else { div.card { div.scroll { table.fold {
                thead { tr { th scope="col" { "Resource" } th.num scope="col" { "Routes" } th.num scope="col" { "Usage" } } }
                tbody { @for (depth, one) in &rows {
                    tr {
                        td.lead { @for _ in 0..*depth { span.faint aria-hidden="true" { "· " } } span.who { (one.title) } span.sub { code { (one.id) } } }
                        td.num data-l="Routes" {
                            @match uses.get(one.id.as_str()) {
                                Some(number) => a href={ "/routes?" (query([("resource", one.id.as_str())])) } { (count(*number)) span.vh { " routes need " (one.title) } },
                                None => span.faint { "0" },
                            }
                        }
                        td.num { a href={ "/usage?" (query([("resource", one.id.as_str())])) } { "Who uses it" span.vh { ": " (one.title) } } }
                    }
                } }
            } } } }
        };
        let page = Page {
            crumb: Some(("/routes", "Routes")),
            lead: html! { p.lead { "The tree that grants are made of, from " code { "[[resources]]" } " of the configuration." } },
            ..Page::new(Place::Routes, "Resources", body)
        };
        Ok(visitor.frame().page(&page))
    };
    let page = page.await;
    visitor.show(page)
}

async fn all_routes(visitor: &Visitor) -> Result<Vec<Route>, Problem> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page: List<Route> = visitor
            .api
            .get(&format!(
                "/routes?{}",
                query([("after", after.as_str()), ("limit", "1000")])
            ))
            .await?;
        all.extend(page.items);
        match page.next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

fn flatten<'a>(tree: &'a Tree, one: &'a Resource, depth: usize, rows: &mut Vec<(usize, &'a Resource)>) {
    rows.push((depth, one));
    for child in tree.below(&one.id) {
        flatten(tree, child, depth + 1, rows);
    }
}

#[derive(Deserialize)]
struct Limit {
    per: String,
    requests: Option<u64>,
    window_seconds: Option<f64>,
    burst: Option<u64>,
    concurrency: Option<u64>,
    only: Option<Value>,
    counted: u64,
}

/// `GET /limits`
pub(super) async fn limits(visitor: Visitor) -> Response {
    let page = async {
        let body = html! {
            (limits_part(&visitor).await?)
            p.hint { "Limits live in " code { "[[limits]]" } " of the configuration; " code { "countersign reload" } " takes changes without dropping a call." }
        };
        let what = html! { "Rate and concurrency, as configured, and how many subjects each counts on this gateway." };
        let page = Page {
            lead: live::mark(&visitor, "/limits/live", live::BEAT, &what),
            acts: html! { a.b.nojs-only href="/limits" { (icon("refresh")) "Refresh" } },
            ..Page::new(Place::Limits, "Limits", body)
        };
        Ok(visitor.frame().page(&page))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}

/// What follows along.
pub(super) async fn limits_part(visitor: &Visitor) -> Result<Markup, Problem> {
    let limits: List<Limit> = visitor.api.get("/limits?limit=1000").await?;
    Ok(html! {
        div id="limits" data-refresh="5000" {
            @if limits.items.is_empty() {
                section.card { div.empty { h2 { "No limit is set" } p { "Limits live in " code { "[[limits]]" } " of the configuration: requests in a time, and how many at once, by integration, route or address." } } }
            } @else {
                div.card { div.scroll { table.fold {
                    thead { tr { th scope="col" { "Limit" } th scope="col" { "Allows" } th scope="col" { "At once" } th scope="col" { "Only" } th.num scope="col" { "Counted now" } } }
                    tbody { @for limit in &limits.items {
                        tr {
                            td.lead { span.who { "per " (limit.per) } }
                            td data-l="Allows" { (rate(limit)) }
                            td data-l="At once" { @match limit.concurrency { Some(most) => (count(most)), None => span.faint { "any" } } }
                            td.line data-l="Only" { @match limit.only.as_ref().filter(|only| !only.is_null() && only.as_array().is_none_or(|all| !all.is_empty())) { Some(only) => code { (plain(only)) }, None => span.faint { "all" } } }
                            td.num data-l="Counted now" { (count(limit.counted)) }
                        }
                    } }
                } } }
            }
        }
    })
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

fn rate(limit: &Limit) -> Markup {
    html! {
        @match (limit.requests, limit.window_seconds) {
            (Some(requests), Some(window)) => {
                (count(requests)) " in " @if (window - 1.0).abs() < f64::EPSILON { "a second" } @else { (window) " s" }
                @if let Some(burst) = limit.burst { ", burst " (count(burst)) }
            },
            (_, _) => span.faint { "any rate" },
        }
    }
}

#[derive(Deserialize)]
struct Upstream {
    name: String,
    balance: String,
    credentials: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    url: String,
    status: String,
    active_requests: u64,
    idle_connections: u64,
}

/// `GET /upstreams`
pub(super) async fn upstreams(visitor: Visitor) -> Response {
    let page = async {
        let what = html! { "Where permitted calls go, and how the targets feel, as this gateway sees them." };
        let page = Page {
            lead: live::mark(&visitor, "/upstreams/live", live::BEAT, &what),
            acts: html! { a.b.nojs-only href="/upstreams" { (icon("refresh")) "Refresh" } },
            ..Page::new(Place::Upstreams, "Upstreams", upstreams_part(&visitor).await?)
        };
        Ok(visitor.frame().page(&page))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}

/// What follows along.
pub(super) async fn upstreams_part(visitor: &Visitor) -> Result<Markup, Problem> {
    let upstreams: List<Upstream> = visitor.api.get("/upstreams?limit=1000").await?;
    Ok(html! {
        div.stack id="upstreams" data-refresh="5000" {
            @if upstreams.items.is_empty() { section.card { div.empty { h2 { "No upstream yet" } p { "Name the storefront under " code { "[upstreams.NAME]" } " of the configuration." } } } }
            @for (place, upstream) in upstreams.items.iter().enumerate() { (one_upstream(place, upstream)) }
        }
    })
}

fn one_upstream(place: usize, upstream: &Upstream) -> Markup {
    let heading = format!("u{place}");
    let credentials = match upstream.credentials.as_str() {
        "none" => "without credentials of its own",
        "oauth1" => "re-signs with OAuth 1.0a",
        "customer" => "with the customer's own token",
        _ => "with a configured credential",
    };
    html! {
        section.card aria-labelledby=(heading) {
            header { h2 id=(heading) { (upstream.name) } span.sm.dim { (upstream.balance) " · " (credentials) } }
            div.scroll { table.fold {
                thead { tr { th scope="col" { "Target" } th scope="col" { "Health" } th.num scope="col" { "Requests now" } th.num scope="col" { "Idle connections" } } }
                tbody { @for target in &upstream.targets {
                    @let is_up = target.status == "ok";
                    tr {
                        td.lead { span class=(if is_up { "dot ok" } else { "dot bad" }) {} " " code { (target.url) } }
                        td { @if is_up { (tag(Tone::Good, "Up")) } @else { span.tag.bad { (icon("warn")) "Down" } " " span.sm.dim { (what_is_wrong(&target.status)) } } }
                        td.num data-l="Requests now" { (count(target.active_requests)) }
                        td.num data-l="Idle" { (count(target.idle_connections)) }
                    }
                } }
            } }
        }
    }
}

fn what_is_wrong(status: &str) -> &str {
    match status {
        "unreachable" => "can't be reached",
        "open" => "rests: it failed too often",
        "unhealthy" => "fails its health check",
        other => other,
    }
}

const ROUTES: usize = 50;
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"];

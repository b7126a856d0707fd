//! `/rejections` and `/rejections/{request_id}`: what was refused of late, and why, first as a sentence.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use token_store::Role;

use super::client::{Problem, query};
use super::explanation::{Explanation, copy_report};
use super::integrations::{Integration, who_may};
use super::page::{Page, Place, only_look};
use super::parts::{Tone, count, full_time, icon, note, sentence, tag, time};
use super::routing::{self, Needs};
use super::visitor::{Form, Visitor};
use crate::refusal::Cause;

#[derive(Deserialize)]
struct Rejections {
    items: Vec<Rejection>,
    total: u64,
}

#[derive(Deserialize)]
struct Rejection {
    request_id: String,
    at: u64,
    cause: String,
    observed: bool,
    method: String,
    path: String,
    client: String,
    consumer_key: String,
    #[serde(default)]
    finding: Option<String>,
}

/// One explained.
#[derive(Deserialize)]
struct Explained {
    #[serde(flatten)]
    rejection: Rejection,
    integration_id: Option<u64>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// `GET /rejections`
pub(super) async fn index(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let wanted = Form::of(query.unwrap_or_default().as_bytes());
    let page = render(&visitor, &wanted).await;
    visitor.show(page)
}

async fn render(visitor: &Visitor, wanted: &Form) -> Result<Response, Problem> {
    let (cause, key) = (wanted.get("cause").trim(), wanted.get("key").trim());
    let listing = query([("cause", cause), ("consumer_key", key), ("limit", "100")]);
    let found: Rejections = visitor.api.get(&format!("/rejections?{listing}")).await?;
    let causes = causes(visitor, cause).await?;
    let names = names(visitor, &found.items).await;
    let now = visitor.console.now();
    let is_filtered = !cause.is_empty() || !key.is_empty();
    let body = html! {
        form.filter method="get" action="/rejections" role="search" data-auto {
            div.field.wide {
                label for="cause" { "Cause" }
                select.in id="cause" name="cause" data-slash {
                    option value="" { "Any" }
                    @for one in &causes { option value=(one) selected[one == cause] { (one) } }
                }
            }
            div.field.wide { label for="key" { "Consumer key" } input.in.mono id="key" name="key" value=(key) placeholder="All 32 characters" autocomplete="off"; }
            div.acts { button.b type="submit" { "Filter" } a.b.plain href="/rejections" { "Clear" } }
        }
        @if found.items.is_empty() {
            section.card { div.empty {
                @if is_filtered { h2 { "No refusal fits" } a.b href="/rejections" { "Clear the filter" } }
                @else { h2 { "No signed call was refused of late" } p { "When one is, it appears here with the reason and what to change." } }
            } }
        } @else {
            (table(visitor, &found.items, &names, now))
            nav.pager aria-label="Pages" { span { "The latest " (found.items.len()) " of " (count(found.total)) " that this gateway keeps" } a.b.small href={ "/rejections?" (query([("cause", cause), ("key", key)])) } { (icon("refresh")) "Look again" } }
        }
    };
    let page = Page {
        lead: html! { p.lead { "Signed calls that this gateway refused in the last 15 minutes. The overview counts all refusals of an hour, also of calls without a signature, which leave nothing to explain. Each gateway keeps its own." } },
        acts: html! { a.b href="/explain" { "Explain a pasted request" } },
        ..Page::new(Place::Rejections, "Rejections", body)
    };
    Ok(visitor.frame().page(&page))
}

/// What may be chosen: the causes that are among them, and the one that was.
async fn causes(visitor: &Visitor, chosen: &str) -> Result<BTreeSet<String>, Problem> {
    let all: Rejections = visitor.api.get("/rejections?limit=1000").await?;
    let chosen = Some(chosen.to_owned()).filter(|cause| !cause.is_empty());
    Ok(all.items.into_iter().map(|one| one.cause).chain(chosen).collect())
}

/// Whose keys they are, of the first few keys: anybody may send any number of others.
async fn names(visitor: &Visitor, items: &[Rejection]) -> BTreeMap<String, Integration> {
    #[derive(Deserialize)]
    struct Found<T> {
        items: Vec<T>,
    }
    #[derive(Deserialize)]
    struct Consumer {
        id: u64,
    }
    let keys: BTreeSet<&String> = items.iter().map(|one| &one.consumer_key).collect();
    let mut names = BTreeMap::new();
    for key in keys.into_iter().filter(|key| !key.is_empty()).take(MOST_NAMES) {
        let asked = format!("/consumers?{}", query([("key", key.as_str())]));
        let Ok(Found::<Consumer> { items }) = visitor.api.get(&asked).await else {
            continue;
        };
        let Some(consumer) = items.first() else { continue };
        let asked = format!("/integrations?consumer_id={}", consumer.id);
        let found: Result<Found<Integration>, Problem> = visitor.api.get(&asked).await;
        let one = found.ok().and_then(|found| found.items.into_iter().next());
        names.extend(one.map(|one| (key.clone(), one)));
    }
    names
}

fn table(visitor: &Visitor, items: &[Rejection], names: &BTreeMap<String, Integration>, now: u64) -> Markup {
    let may = visitor.may(Role::Operator);
    html! {
        div.card { div.scroll { table.fold {
            thead { tr { th scope="col" { "Time (UTC)" } th scope="col" { "Cause" } th scope="col" { "Call" } th scope="col" { "Integration" } th scope="col" { "What we see" } th.num scope="col" { "Actions" } } }
            tbody { @for one in items {
                tr {
                    td.nowrap { (time(one.at, now)) }
                    td { span.tag.cause { (one.cause) } @if one.observed { " " (tag(Tone::Plain, "observed")) } }
                    td.lead { code { (one.method) " " (one.path) } span.sub { "from " (one.client) } }
                    td.line {
                        @match names.get(&one.consumer_key) {
                            Some(integration) => { a.who href=(integration.address()) { bdi { (integration.name) } } span.sub { code { (one.consumer_key) } } },
                            None if one.consumer_key.is_empty() => span.faint { "no consumer key" },
                            None => { span.faint { "unknown key" } span.sub { code { (one.consumer_key) } } },
                        }
                    }
                    @if let Some(finding) = &one.finding { td.dim.line { (finding) } } @else { td.none {} }
                    td { div.acts {
                        @if may { a.b.small href={ "/rejections/" (one.request_id) } { "Explain" span.vh { " the call at " (full_time(one.at)) } } }
                        @else { button.b.small type="button" disabled title="Needs the role operator" { "Explain" span.vh { " (needs the role operator)" } } }
                    } }
                }
            } }
        } } }
    }
}

/// `GET /rejections/{request_id}`
pub(super) async fn show(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        if !visitor.may(Role::Operator) {
            let who = who_may(&visitor, Role::Operator).await;
            let page = Page {
                crumb: Some(("/rejections", "Rejections")),
                status: StatusCode::FORBIDDEN,
                ..Page::new(
                    Place::Rejections,
                    "Why a call was refused",
                    only_look(&visitor, Role::Operator, &who),
                )
            };
            return Ok(visitor.frame().page(&page));
        }
        let named: String = url::form_urlencoded::byte_serialize(id.as_bytes()).collect();
        let explained: Explained = match visitor.api.get(&format!("/rejections/{named}")).await {
            Err(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
                return waiting(&visitor, &id, problem).await;
            }
            Err(problem) if problem.status == StatusCode::NOT_FOUND => return Ok(not_kept(&visitor, &problem)),
            explained => explained?,
        };
        let rejection = &explained.rejection;
        let needs = match explained
            .integration_id
            .filter(|_| rejection.cause == Cause::ResourceDenied.as_str())
        {
            Some(id) => routing::needs(&visitor, &rejection.method, &rejection.path, id).await,
            None => None,
        };
        Ok(explanation(&visitor, &explained, needs.as_ref()))
    };
    let page = page.await;
    visitor.show(page)
}

/// What a call that was denied needs, as a sentence, with the way to grant it.
fn denied(needs: &Needs, integration: u64) -> Markup {
    let ids = if needs.lacking.is_empty() {
        &needs.resources
    } else {
        &needs.lacking
    };
    html! {
        "It needs "
        @for (place, id) in ids.iter().enumerate() { @if place > 0 { " and " } code { (id) } }
        ", which " bdi { (needs.name) }
        @if needs.lacking.is_empty() { " has been granted since." } @else {
            " was not granted. " a href={ "/integrations/" (integration) "#api" } { "Change its grants" }
        }
    }
}

/// It was never here, or too long ago.
fn not_kept(visitor: &Visitor, problem: &Problem) -> Response {
    let body = html! {
        section.card { div.empty { h2 { "This refusal is not kept here" } p { (problem.message) } a.b href="/rejections" { "Open Rejections" } } }
    };
    let page = Page {
        crumb: Some(("/rejections", "Rejections")),
        status: problem.status,
        ..Page::new(Place::Rejections, "Why a call was refused", body)
    };
    visitor.frame().page(&page)
}

/// What is known without an explanation, where that must wait.
async fn waiting(visitor: &Visitor, id: &str, problem: Problem) -> Result<Response, Problem> {
    let kept: Rejections = visitor.api.get("/rejections?limit=1000").await?;
    let Some(rejection) = kept.items.into_iter().find(|one| one.request_id == id) else {
        return Err(problem);
    };
    let wait = html! { strong { "The explanation must wait." } " " (sentence(&problem.message)) "." };
    let body = html! {
        (note(Tone::Warn, "clock", &wait))
        @if let Some(finding) = &rejection.finding { p { (sentence(finding)) } }
        (request(&rejection, None))
    };
    let acts = html! { a.b href={ "/rejections/" (rejection.request_id) } { (icon("refresh")) "Try again" } };
    Ok(page(visitor, &rejection, acts, body, problem.status))
}

fn page(visitor: &Visitor, rejection: &Rejection, acts: Markup, body: Markup, status: StatusCode) -> Response {
    let now = visitor.console.now();
    let page = Page {
        crumb: Some(("/rejections", "Rejections")),
        marks: html! { span.tag.cause { (rejection.cause) } },
        lead: html! { p.lead { code { (rejection.method) " " (rejection.path) } ", " (time(rejection.at, now)) " UTC" } },
        acts,
        status,
        ..Page::new(Place::Rejections, "Why a call was refused", body)
    };
    visitor.frame().page(&page)
}

fn request(rejection: &Rejection, integration: Option<u64>) -> Markup {
    html! {
        section.card aria-labelledby="ctx" {
            header { h2 id="ctx" { "Request" } }
            div.in-card { dl.kv {
                dt { "Id" } dd { code { (rejection.request_id) } }
                dt { "At" } dd { (full_time(rejection.at)) " UTC" }
                dt { "From" } dd { (rejection.client) }
                dt { "Call" } dd { code { (rejection.method) " " (rejection.path) } }
                dt { "Cause" } dd { code { (rejection.cause) } }
                dt { "Consumer key" } dd { code { (rejection.consumer_key) } }
                @if let Some(id) = integration { dt { "Integration" } dd { a href={ "/integrations/" (id) } { "Open it" } } }
            } }
        }
    }
}

fn explanation(visitor: &Visitor, explained: &Explained, needs: Option<&Needs>) -> Response {
    let rejection = &explained.rejection;
    let context = request(rejection, explained.integration_id);
    let mut refused = format!(
        "Request {} ({} {}) was refused: {}.",
        rejection.request_id, rejection.method, rejection.path, rejection.cause
    );
    let mut valid = html! { "The call was refused for another reason: the cause says which." };
    if let (Some(needs), Some(id)) = (needs, explained.integration_id) {
        if !needs.lacking.is_empty() {
            let lacking = needs.lacking.join(" and ");
            refused = format!("{refused} It needs {lacking}, which {} was not granted.", needs.name);
        }
        valid = denied(needs, id);
    }
    let body = explained.explanation.show(&valid, &context, &refused);
    page(visitor, rejection, copy_report(), body, StatusCode::OK)
}

const MOST_NAMES: usize = 20;

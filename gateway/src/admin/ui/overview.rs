//! `/`: what needs somebody, then the figures that prove the rest is well.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use token_store::Role;

use super::super::status::store_fault;
use super::client::{Problem, query};
use super::live;
use super::needs::{Needs, Upstreams};
use super::page::{Page, Place};
use super::parts::{Tone, count, icon, tag, time};
use super::visitor::Visitor;

#[derive(Deserialize)]
struct Traffic {
    items: Vec<Step>,
    causes: Vec<Refused>,
    median_micros: Option<u64>,
    p99_micros: Option<u64>,
}

#[derive(Deserialize)]
struct Step {
    at: u64,
    seconds: u64,
    requests: u64,
    refused: u64,
}

#[derive(Deserialize)]
struct Refused {
    cause: String,
    count: u64,
}

#[derive(Deserialize)]
struct Total {
    total: u64,
}

#[derive(Deserialize)]
struct Usage {
    items: Vec<Used>,
    since: u64,
}

#[derive(Deserialize)]
struct Used {
    integration_id: u64,
    integration: Option<String>,
    count: u64,
}

/// `GET /`
pub(super) async fn index(visitor: Visitor) -> Response {
    let page = render(&visitor).await;
    visitor.show(page)
}

async fn render(visitor: &Visitor) -> Result<Response, Problem> {
    let page = Page {
        lead: live::mark(visitor, "/live", live::BEAT, &html! { "This gateway, the last hour." }),
        acts: html! { a.b.small.nojs-only href="/" { (icon("refresh")) "Refresh" } },
        ..Page::new(Place::Overview, "Overview", part(visitor).await?)
    };
    Ok(visitor.frame().page(&page))
}

/// What follows along.
pub(super) async fn part(visitor: &Visitor) -> Result<Markup, Problem> {
    let traffic: Traffic = visitor.api.get("/traffic").await?;
    let needs = Needs::load(&visitor.api, visitor.console.now()).await?;
    let counted = async |status: &str| -> Result<u64, Problem> {
        let listing = query([("status", status), ("limit", "1")]);
        let found: Total = visitor.api.get(&format!("/integrations?{listing}")).await?;
        Ok(found.total)
    };
    let (all, active) = (counted("").await?, counted("active").await?);
    let usage: Usage = visitor.api.get("/usage?limit=1000").await?;
    Ok(html! {
        div.stack.wide id="overview" data-refresh="5000" {
            @if all == 0 { (welcome(visitor)) }
            (list(&needs))
            (figures(&traffic, active, all))
            div.cols.a21 { (chart(&traffic.items)) (causes(&traffic.causes)) }
            div.cols.a21 { (busiest(&usage, visitor.console.now())) (health(visitor, &needs.upstreams).await) }
        }
    })
}

fn welcome(visitor: &Visitor) -> Markup {
    html! {
        section.card { div.empty {
            h2 { "Your gateway runs. Let something in." }
            p { "Nothing may call the storefront yet: create an integration, activate it, and sign a call." }
            @if visitor.may(Role::Admin) { a.b.main href="/integrations/new" { "Add New Integration" } }
        } }
    }
}

fn list(needs: &Needs) -> Markup {
    let number = needs.count();
    html! {
        section.card aria-labelledby="need" {
            header { h2 id="need" { "Needs you" } span.sm.faint { (count(number)) } }
            @if number == 0 { p.in-card.dim { "Nothing. Configured integrations stand as defined, no activation waits, and every target answers." } }
            @else {
                ul.rows.need {
                    @for one in &needs.reset.items {
                        li {
                            span.tag.warn { (icon("refresh")) "Reset" }
                            span.grow { strong { bdi { (one.name) } } " was reset because its definition changed. Its calls are refused." }
                            a.b.small href={ (one.address()) "/permissions" } data-dialog { "Activate" span.vh { " " (one.name) } }
                        }
                    }
                    @for (one, at) in needs.waiting.iter().take(FEW) {
                        li {
                            @if at.is_stuck { span.tag.bad { (icon("warn")) "Stuck" } } @else { span.tag.acc { (icon("clock")) "Waits" } }
                            span.grow { "The activation of " strong { bdi { (one.name) } } " is at step " (at.step) " of 5: " (at.what) "." }
                            a.b.small href={ (one.address()) "/handshake" } { "Open" span.vh { " the handshake of " (one.name) } }
                        }
                    }
                    @for (upstream, target) in needs.down().take(FEW) {
                        li {
                            span.tag.bad { (icon("warn")) "Down" }
                            span.grow { "Target " code { (target.url) } " of " strong { (upstream.name) } " is not answering." }
                            a.b.small href="/upstreams" { "Open upstreams" }
                        }
                    }
                }
            }
        }
    }
}

/// By the resources that they used.
fn busiest(usage: &Usage, now: u64) -> Markup {
    let mut counts: BTreeMap<u64, (u64, &str)> = BTreeMap::new();
    for used in usage.items.iter().filter(|used| used.count > 0) {
        let Some(name) = &used.integration else { continue };
        counts.entry(used.integration_id).or_insert((0, name)).0 += used.count;
    }
    let mut most: Vec<(u64, (u64, &str))> = counts.into_iter().collect();
    most.sort_by_key(|(_, (calls, _))| std::cmp::Reverse(*calls));
    html! {
        section.card aria-labelledby="busy" {
            header { h2 id="busy" { "Busiest integrations" } a.sm href="/usage" { "Who uses what" } }
            @if most.is_empty() { p.in-card.dim { "None has called yet." } }
            @else {
                table.fold {
                    thead { tr { th scope="col" { "Name" } th.num scope="col" { "Calls since " (time(usage.since, now)) } } }
                    tbody { @for (id, (calls, name)) in most.into_iter().take(FEW) {
                        tr {
                            td.lead { a.who href={ "/integrations/" (id) } { bdi { (name) } } }
                            td.num { (count(calls)) }
                        }
                    } }
                }
            }
        }
    }
}

fn figures(traffic: &Traffic, active: u64, all: u64) -> Markup {
    let requests: u64 = traffic.items.iter().map(|step| step.requests).sum();
    let refused: u64 = traffic.items.iter().map(|step| step.refused).sum();
    let last = traffic.items.iter().rev().find(|step| step.seconds >= 2);
    let rate = last.map_or(0, |step| step.requests.div_ceil(step.seconds));
    let tenths = (refused * 1000).checked_div(requests).unwrap_or(0);
    let of = |read: fn(&Step) -> u64| {
        traffic
            .items
            .iter()
            .map(|step| read(step) / step.seconds.max(1))
            .collect::<Vec<_>>()
    };
    html! {
        dl.kpis id="kpis" {
            div.kpi { dt { "Requests" } dd.v { (count(rate)) " " small { "/s" } } dd.d { (count(requests)) " in this hour" } dd { (spark(&of(|step| step.requests), "Requests over the last hour", false)) } }
            div.kpi { dt { "Refused" } dd.v { (tenths / 10) "." (tenths % 10) " " small { "%" } } dd.d { (count(refused)) " in this hour" } dd { (spark(&of(|step| step.refused), "Refusals over the last hour", true)) } }
            div.kpi { dt { "Answered within, p99" } dd.v { (millis(traffic.p99_micros)) } dd.d { "p50 " (millis(traffic.median_micros)) ", upstream included" } }
            div.kpi { dt { "Active integrations" } dd.v { (count(active)) } dd.d { "of " (count(all)) } }
        }
    }
}

fn millis(micros: Option<u64>) -> Markup {
    match micros {
        None => html! { "–" },
        Some(micros) if micros < 10_000 => html! { (micros / 1000) "." (micros % 1000 / 100) " " small { "ms" } },
        Some(micros) => html! { (count(micros / 1000)) " " small { "ms" } },
    }
}

/// A line without axes: only its shape is meant.
fn spark(values: &[u64], label: &str, is_bad: bool) -> Markup {
    let path = line(values, (100, 28), values.iter().copied().max().unwrap_or(0));
    html! {
        svg class=(if is_bad { "spark bad" } else { "spark" }) viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label=(label) {
            @if values.len() > 1 { path.ln d=(path) {} }
        }
    }
}

/// Points from left to right; the highest value reaches the top.
fn line(values: &[u64], (width, height): (u64, u64), top: u64) -> String {
    let mut path = String::new();
    let steps = u64::try_from(values.len()).unwrap_or(1).saturating_sub(1).max(1);
    for (place, value) in (0_u64..).zip(values) {
        let x = place * width * 10 / steps;
        let y = (height - 2) * 10 - (value * (height - 4) * 10).checked_div(top).unwrap_or(0);
        let lead = if place == 0 { 'M' } else { ' ' };
        let written = write!(path, "{lead}{}.{},{}.{}", x / 10, x % 10, y / 10, y % 10);
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    path
}

fn chart(steps: &[Step]) -> Markup {
    let rates = |read: fn(&Step) -> u64| {
        steps
            .iter()
            .map(|step| read(step) / step.seconds.max(1))
            .collect::<Vec<u64>>()
    };
    let (requests, refused) = (rates(|step| step.requests), rates(|step| step.refused));
    let top = requests.iter().copied().max().unwrap_or(0).max(4).div_ceil(4) * 4;
    let (upper, lower) = (line(&requests, (720, 200), top), line(&refused, (720, 200), top));
    let most = requests.iter().copied().max().unwrap_or(0);
    let label = format!(
        "Requests a second over the last hour: at most {most}. Refusals at most {}.",
        refused.iter().max().unwrap_or(&0)
    );
    html! {
        section.card aria-labelledby="traffic" {
            header { h2 id="traffic" { "Requests and refusals, per second" } p.key { span { "Requests" } span.r { "Refusals" } } }
            div.in-card { div.plot {
                div.y aria-hidden="true" { @for part in (0..=4).rev() { span { (count(top * part / 4)) } } }
                svg.area viewBox="0 0 720 200" preserveAspectRatio="none" role="img" aria-label=(label) {
                    path.gr d="M0,0 H720 M0,50 H720 M0,100 H720 M0,150 H720 M0,200 H720" {}
                    @if steps.len() > 1 {
                        path.fl d={ (upper) " L720,200 0,200z" } {}
                        path.ln d=(upper) {}
                        path.fl2 d={ (lower) " L720,200 0,200z" } {}
                        path.ln2 d=(lower) {}
                    }
                }
                div.x aria-hidden="true" { @for at in ticks(steps) { span { (at) } } }
            } }
        }
    }
}

/// Up to five times under the chart.
fn ticks(steps: &[Step]) -> Vec<Markup> {
    let last = steps.len().saturating_sub(1);
    if last == 0 {
        return Vec::new();
    }
    let places = (0..5).map(|part| last * part / 4);
    let mut shown: Vec<usize> = places.collect();
    shown.dedup();
    shown
        .into_iter()
        .filter_map(|place| steps.get(place))
        .map(|step| time(step.at, step.at))
        .collect()
}

fn causes(causes: &[Refused]) -> Markup {
    let most = causes.iter().map(|one| one.count).max().unwrap_or(1).max(1);
    html! {
        section.card aria-labelledby="why" {
            header { h2 id="why" { "Refusals by cause" } a.sm href="/rejections" { "Rejections" } }
            @if causes.is_empty() { p.in-card.dim { "Nothing was refused in the last hour." } }
            @else {
                ul.bars { @for one in causes.iter().take(8) {
                    li {
                        a href={ "/rejections?" (query([("cause", one.cause.as_str())])) } { (one.cause) }
                        span.num { (count(one.count)) }
                        svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" { rect.bg width="100" height="4" rx="1" {} rect width=(one.count * 100 / most) height="4" rx="1" {} }
                    }
                } }
            }
        }
    }
}

async fn health(visitor: &Visitor, upstreams: &Upstreams) -> Markup {
    let parts = &visitor.console.context.parts;
    let clock = parts.clock;
    let began = clock.instant();
    let store = store_fault(parts).await;
    let took = clock.instant().duration_since(began).as_micros();
    let is_draining = parts.draining.is_cancelled();
    let row = |tone: &str, name: &Markup, beside: &Markup| html! { li { span class={ "dot " (tone) } {} span.grow { (name) } span.faint { (beside) } } };
    html! {
        section.card aria-labelledby="health" {
            header { h2 id="health" { "Health" } span.sm.faint { "checked now" } }
            ul.rows.tight.sm {
                @match store {
                    None => (row("ok", &html! { "Store" }, &html! { (took / 1000) "." (took % 1000 / 100) " ms" })),
                    Some(fault) => (row("bad", &html! { "Store: " (fault) }, &tag(Tone::Bad, "store_unavailable"))),
                }
                @for upstream in &upstreams.items {
                    @let down = upstream.down().count();
                    @let all = upstream.targets.len();
                    (row(if down == 0 { "ok" } else if down < all { "warn" } else { "bad" }, &html! { a href="/upstreams" { "Upstream " (upstream.name) } }, &html! { (all - down) " of " (all) " targets" }))
                }
                (row(if is_draining { "warn" } else { "ok" }, &html! { "Public listener" }, &html! { @if is_draining { "draining" } @else { "open" } }))
            }
        }
    }
}

/// Of each kind, on one page.
const FEW: usize = 5;

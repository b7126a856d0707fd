//! `/usage`: who uses what, since this gateway started. What is granted and never used makes a stolen key worth more.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::RawQuery;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;

use super::client::{Problem, query};
use super::integrations::Integration;
use super::integrations::tree::{Resource, Tree};
use super::page::{Page, Place};
use super::parts::{count, full_time, icon, turns};
use super::visitor::{Form, Visitor};

#[derive(Deserialize)]
struct Usage {
    items: Vec<Seen>,
    next: Option<String>,
    since: u64,
}

#[derive(Deserialize)]
struct Seen {
    integration_id: u64,
    resource: String,
    count: u64,
    refused: u64,
}

/// By integration and resource: calls, and refusals for want of a grant.
type Matrix = BTreeMap<(u64, String), (u64, u64)>;

#[derive(Deserialize)]
struct Rows {
    items: Vec<Integration>,
    next: Option<String>,
    total: u64,
}

/// `GET /usage`
pub(super) async fn index(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let wanted = Form::of(query.unwrap_or_default().as_bytes());
    let page = render(&visitor, &wanted).await;
    visitor.show(page)
}

async fn render(visitor: &Visitor, wanted: &Form) -> Result<Response, Problem> {
    let tree = Tree::load(visitor).await?;
    let (name, branch, resource) = (wanted.get("q").trim(), wanted.get("branch"), wanted.get("resource"));
    let listing = [
        ("name", name),
        ("sort", "name"),
        ("after", wanted.get("after")),
        ("limit", ROWS),
    ];
    let rows: Rows = visitor.api.get(&format!("/integrations?{}", query(listing))).await?;
    let page_after = |after: &str| {
        format!(
            "/usage?{}",
            query([
                ("q", name),
                ("branch", branch),
                ("resource", resource),
                ("after", after)
            ])
        )
    };
    let previous = before(visitor, (name, wanted.get("after"))).await?;
    let previous = previous.as_deref().map(page_after);
    let next = rows.next.as_deref().map(page_after);
    let (seen, since) = seen(visitor, &rows.items).await?;
    let granted = rows.items.iter().flat_map(|row| &row.resources);
    let at_work: BTreeSet<&String> = granted.chain(seen.keys().map(|(_, id)| id)).collect();
    let columns = columns(&tree, branch, resource, &at_work);
    let body = html! {
        form.filter method="get" action="/usage" role="search" data-auto {
            div.field.wide { label for="q" { "Integration" } div.seek { (icon("search")) input.in id="q" name="q" type="search" value=(name) placeholder="Part of a name" data-slash; } }
            div.field.wide {
                label for="branch" { "Branch" }
                select.in id="branch" name="branch" {
                    option value="" { "The first resources of all" }
                    @for root in tree.roots() { option value=(root.id) selected[root.id == branch] { (root.title) } }
                }
            }
            div.acts { button.b type="submit" { "Show" } a.b.plain href="/usage" { "Clear" } }
        }
        @if rows.items.is_empty() || columns.is_empty() {
            section.card { div.empty { h2 { "Nothing to show" } p { "There is no integration of that name, or no resource in this branch." } a.b href="/usage" { "Clear the filter" } } }
        } @else { (matrix(&rows.items, &tree, &columns, &seen)) (key()) }
        nav.pager aria-label="Pages" {
            span { (count(rows.total)) @if rows.total == 1 { " integration" } @else { " integrations" } }
            (turns([("Previous", previous.as_deref()), ("Next", next.as_deref())]))
        }
    };
    let page = Page {
        lead: html! { p.lead { "Calls since this gateway started, " (full_time(since)) " UTC, by integration and resource. A dashed zero is a grant that nobody needed; a cross, a resource that was asked for and not granted." } },
        ..Page::new(Place::Usage, "Who uses what", body)
    };
    Ok(visitor.frame().page(&page))
}

/// Where the page before began, read backwards; `None`: this is the first.
async fn before(visitor: &Visitor, (name, after): (&str, &str)) -> Result<Option<String>, Problem> {
    if after.is_empty() {
        return Ok(None);
    }
    let listing = [("name", name), ("sort", "-name"), ("after", after), ("limit", ROWS)];
    let rows: Rows = visitor.api.get(&format!("/integrations?{}", query(listing))).await?;
    Ok(Some(rows.next.unwrap_or_default()))
}

/// One resource, a branch of them, or the first of all. One with others below it has a column where it is granted or used
/// itself.
fn columns<'a>(tree: &'a Tree, branch: &str, resource: &str, at_work: &BTreeSet<&String>) -> Vec<&'a Resource> {
    let mut columns = Vec::new();
    let mut rest: Vec<&Resource> = tree.roots().iter().rev().collect();
    while let Some(one) = rest.pop() {
        let below = tree.below(&one.id);
        rest.extend(below.iter().rev());
        let is_wanted = if resource.is_empty() {
            (below.is_empty() || at_work.contains(&one.id)) && (branch.is_empty() || tree.is_below(&one.id, branch))
        } else {
            one.id == resource
        };
        if is_wanted {
            columns.push(one);
        }
    }
    columns.truncate(MOST_COLUMNS);
    columns
}

/// How often each of these used which resource.
async fn seen(visitor: &Visitor, rows: &[Integration]) -> Result<(Matrix, u64), Problem> {
    let ids: BTreeSet<u64> = rows.iter().map(|row| row.id).collect();
    let (mut seen, mut after) = (BTreeMap::new(), String::new());
    loop {
        let paging = query([("after", after.as_str()), ("limit", "1000")]);
        let page: Usage = visitor.api.get(&format!("/usage?{paging}")).await?;
        let known = page.items.into_iter().filter(|one| ids.contains(&one.integration_id));
        seen.extend(known.map(|one| ((one.integration_id, one.resource), (one.count, one.refused))));
        match page.next {
            Some(next) => after = next,
            None => return Ok((seen, page.since)),
        }
    }
}

fn matrix(rows: &[Integration], tree: &Tree, columns: &[&Resource], seen: &Matrix) -> Markup {
    let most = seen.values().map(|(calls, _)| *calls).max().unwrap_or(1).max(1);
    html! {
        div.card { div.scroll tabindex="0" role="region" aria-label="Calls by integration and resource, scrolls sideways" {
            table.grid-m {
                thead { tr { th scope="col" { "Integration" } @for one in columns { th scope="col" title=(one.id) { (one.title) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" {
                                a.who href=(row.address()) { bdi { (row.name) } }
                                small { @if row.all_resources { "all resources" } @else { (tree.count_of(&row.resources)) " granted" } }
                            }
                            @for one in columns { td { (cell(row, one, seen, most)) } }
                        }
                    }
                }
            }
        } }
    }
}

fn cell(row: &Integration, one: &Resource, seen: &Matrix, most: u64) -> Markup {
    let (calls, refused) = seen.get(&(row.id, one.id.clone())).copied().unwrap_or_default();
    let is_granted = row.all_resources || row.resources.contains(&one.id);
    let heat = match calls.saturating_mul(1000) / most {
        0..=9 => "cell h1",
        10..=99 => "cell h2",
        100..=499 => "cell h3",
        _ => "cell h4",
    };
    html! {
        @if refused > 0 && !is_granted {
            a.cell.hx href={ "/rejections?" (query([("cause", "resource_denied"), ("key", row.consumer_key.as_str())])) } title={ "Asked for " (count(refused)) @if refused == 1 { " time" } @else { " times" } ", refused" } {
                span aria-hidden="true" { "\u{2715}" } span.vh { "asked for, refused" }
            }
        }
        @else if calls > 0 { span class=(heat) { span { (count(calls)) span.vh { " calls" @if !is_granted { ", no longer granted" } } } } }
        @else if is_granted { span.cell.h0 title="Granted, not used" { span { "0" span.vh { " calls, granted but not used" } } } }
        @else { span.cell.hn { span aria-hidden="true" { "·" } span.vh { "not granted" } } }
    }
}

fn key() -> Markup {
    html! {
        p.key.dim.sm {
            span.lbl { span.cell.h1 {} span.cell.h4 {} " few to many calls" }
            span.lbl { span.cell.h0 { "0" } " granted, not used" }
            span.lbl { span.cell.hx { "\u{2715}" } " asked for, refused" }
        }
    }
}

const ROWS: &str = "25";
const MOST_COLUMNS: usize = 16;

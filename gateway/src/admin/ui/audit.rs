//! `/audit`: who changed what, the latest first.

use axum::extract::RawQuery;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::client::{Problem, query};
use super::page::{Page, Place};
use super::parts::{count, full_time, icon, time, turns};
use super::visitor::{Form, Visitor};

#[derive(Deserialize)]
struct Entries {
    items: Vec<Entry>,
    /// How many there are: they are numbered without gaps, so it is the number of the last.
    total: u64,
}

#[derive(Clone, Deserialize)]
struct Entry {
    number: u64,
    at: u64,
    actor: String,
    origin: String,
    action: String,
    subject: String,
    before: Value,
    after: Value,
}

/// What the address asks for.
struct Wanted {
    sought: String,
    who: String,
    /// Of a page: what is older than this number.
    before: Option<u64>,
    /// Of a page: the first that are newer.
    after: Option<u64>,
}

/// A page, and where the ways from it begin.
struct Found {
    /// The latest first.
    entries: Vec<Entry>,
    /// `before` of the next page.
    older: Option<u64>,
    /// `after` of the page before.
    newer: Option<u64>,
}

/// `GET /audit`
pub(super) async fn index(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let query = Form::of(query.unwrap_or_default().as_bytes());
    let wanted = Wanted {
        sought: query.get("q").trim().to_owned(),
        who: query.get("who").trim().to_owned(),
        before: query.get("before").parse().ok(),
        after: query.get("after").parse().ok(),
    };
    let page = render(&visitor, &wanted).await;
    visitor.show(page)
}

impl Wanted {
    fn takes(&self, entry: &Entry) -> bool {
        let sought = self.sought.to_lowercase();
        if is_target(&sought) {
            return entry.subject == sought && self.is_by(entry);
        }
        let says = |text: &str| text.to_lowercase().contains(&sought);
        let is_found = sought.is_empty()
            || says(&entry.action)
            || says(&entry.subject)
            || says(&entry.before.to_string())
            || says(&entry.after.to_string());
        is_found && self.is_by(entry)
    }

    /// How many are read at once: what is not filtered is read page by page.
    fn chunk(&self) -> u64 {
        if self.sought.is_empty() && self.who.is_empty() {
            PAGE_AND_ONE
        } else {
            CHUNK
        }
    }

    fn address(&self, name: &str, number: u64) -> String {
        let number = number.to_string();
        format!(
            "/audit?{}",
            query([("q", self.sought.as_str()), ("who", self.who.as_str()), (name, &number)])
        )
    }

    fn is_by(&self, entry: &Entry) -> bool {
        self.who.is_empty() || entry.actor == self.who
    }
}

/// `kind/number` names one target: none whose number only begins so, and nothing that mentions it.
fn is_target(sought: &str) -> bool {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let parts = sought.split_once('/');
    parts.is_some_and(|(kind, id)| {
        !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()) && is_number(id)
    })
}

/// The latest change of one subject, where it is not long ago.
pub(super) struct Last {
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) at: u64,
}

/// Who changed `subject` last.
pub(super) async fn last(visitor: &Visitor, subject: &str) -> Option<Last> {
    let after = latest(visitor).await.ok()?.saturating_sub(CHUNK);
    let path = format!("/audit?after={after}&limit={CHUNK}");
    let entries: Entries = visitor.api.get(&path).await.ok()?;
    let entry = entries.items.into_iter().rfind(|entry| entry.subject == subject)?;
    Some(Last {
        actor: entry.actor,
        action: entry.action,
        at: entry.at,
    })
}

/// The number of the latest entry.
async fn latest(visitor: &Visitor) -> Result<u64, Problem> {
    let entries: Entries = visitor.api.get("/audit?limit=1").await?;
    Ok(entries.total)
}

/// A page of those that fit; not all of a long log is read for one.
async fn read(visitor: &Visitor, wanted: &Wanted) -> Result<Found, Problem> {
    if let Some(after) = wanted.after
        && let Some(found) = newer(visitor, wanted, after).await?
    {
        return Ok(found);
    }
    let (entries, older) = older(visitor, wanted).await?;
    let newer = wanted.before.map(|before| before.saturating_sub(1));
    Ok(Found { entries, older, newer })
}

/// The latest that fit, and where older ones begin.
async fn older(visitor: &Visitor, wanted: &Wanted) -> Result<(Vec<Entry>, Option<u64>), Problem> {
    let mut until = match wanted.before {
        Some(before) => before.saturating_sub(1),
        None => latest(visitor).await?,
    };
    let mut found = Vec::new();
    let chunk = wanted.chunk();
    for _ in 0..CHUNKS {
        if until == 0 {
            return Ok((found, None));
        }
        let after = until.saturating_sub(chunk);
        let entries = part(visitor, after, until - after).await?;
        for entry in entries.into_iter().rev().filter(|entry| wanted.takes(entry)) {
            if found.len() == PAGE {
                return Ok((found, Some(entry.number + 1)));
            }
            found.push(entry);
        }
        until = after;
    }
    Ok((found, (until > 0).then_some(until + 1)))
}

/// The page above a number; `None`: it is the first one, which begins with the latest.
async fn newer(visitor: &Visitor, wanted: &Wanted, after: u64) -> Result<Option<Found>, Problem> {
    let (mut entries, mut at) = (Vec::new(), after);
    let chunk = wanted.chunk();
    let mut newer = None;
    for _ in 0..CHUNKS {
        let read = part(visitor, at, chunk).await?;
        let Some(last) = read.last().map(|entry| entry.number) else {
            return Ok(None);
        };
        for entry in read.into_iter().filter(|entry| wanted.takes(entry)) {
            if entries.len() == PAGE {
                newer = Some(entry.number - 1);
                break;
            }
            entries.push(entry);
        }
        if newer.is_some() {
            break;
        }
        at = last;
    }
    entries.reverse();
    Ok(Some(Found {
        entries,
        older: Some(after + 1),
        newer: newer.or(Some(at)),
    }))
}

async fn part(visitor: &Visitor, after: u64, limit: u64) -> Result<Vec<Entry>, Problem> {
    let entries: Entries = visitor.api.get(&format!("/audit?after={after}&limit={limit}")).await?;
    Ok(entries.items)
}

async fn render(visitor: &Visitor, wanted: &Wanted) -> Result<Response, Problem> {
    let Found { entries, older, newer } = read(visitor, wanted).await?;
    let newer = newer.map(|number| wanted.address("after", number));
    let next = older.map(|number| wanted.address("before", number));
    let now = visitor.console.now();
    let body = html! {
        form.filter method="get" action="/audit" role="search" {
            div.field.wide {
                label for="q" { "Target or change" }
                div.seek { (icon("search")) input.in id="q" name="q" type="search" value=(wanted.sought) placeholder="integration/7, rotated, a name" data-slash; }
            }
            div.field { label for="who" { "Who" } input.in id="who" name="who" value=(wanted.who) placeholder="Anyone" autocomplete="off"; }
            div.acts { button.b type="submit" { "Filter" } a.b.plain href="/audit" { "Clear" } }
        }
        @if entries.is_empty() {
            section.card { div.empty {
                h2 { "No entry fits" }
                p { @if older.is_some() { "The latest " (count(CHUNK * CHUNKS)) " entries were searched." } @else { "All entries were searched." } }
                a.b href="/audit" { "Clear the filter" }
            } }
        } @else { (table(&entries, now)) }
        nav.pager aria-label="Pages" { span {} (turns([("Newer", newer.as_deref()), ("Older", next.as_deref())])) }
    };
    let page = Page {
        lead: html! { p.lead { "Who changed what. Entries can’t be edited or removed; secrets are masked." } },
        ..Page::new(Place::Audit, "Audit log", body)
    };
    Ok(visitor.frame().page(&page))
}

fn table(entries: &[Entry], now: u64) -> Markup {
    html! {
        div.card { div.scroll {
            table.fold {
                thead { tr { th scope="col" { "Time (UTC)" } th scope="col" { "Who" } th scope="col" { "Did" } th scope="col" { "To" } th scope="col" { "Change" } } }
                tbody {
                    @for entry in entries {
                        tr {
                            td.nowrap.top { (time(entry.at, now)) }
                            td.top.lead { span.who { (entry.actor) } span.sub { (entry.origin) } }
                            td.top.nowrap { code { (entry.action) } }
                            td.top.wrap { (subject(&entry.subject)) }
                            td.top.line { (changes(entry)) }
                        }
                    }
                }
            }
        } }
    }
}

/// A link, where it is something with a page.
fn subject(subject: &str) -> Markup {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    match subject.split_once('/') {
        Some(("integration", id)) if is_number(id) => html! { a href={ "/integrations/" (id) } { (subject) } },
        Some(("admin", id)) if is_number(id) => html! { a href={ "/accounts/" (id) } { (subject) } },
        _ => html! { (subject) },
    }
}

/// What differs, field by field.
fn changes(entry: &Entry) -> Markup {
    let nothing = serde_json::Map::new();
    let (before, after) = (entry.before.as_object(), entry.after.as_object());
    if before.is_none() && after.is_none() {
        return html! { span.faint { "–" } };
    }
    let (before, after) = (before.unwrap_or(&nothing), after.unwrap_or(&nothing));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let differing = names
        .into_iter()
        .filter(|name| *name != "updated_at" && before.get(*name) != after.get(*name))
        .filter(|name| {
            [before.get(*name), after.get(*name)]
                .into_iter()
                .flatten()
                .any(says_something)
        });
    let is_new = before.is_empty() || after.is_empty();
    let differing: Vec<&String> = differing
        .filter(|name| !is_new || TELLING.contains(&name.as_str()) || (before.len() + after.len()) < 5)
        .collect();
    html! {
        @for (place, name) in differing.iter().enumerate() {
            @if place > 0 { br; }
            span.dim { (name) " " }
            span.dif {
                @if let Some(value) = before.get(*name).filter(|value| !value.is_null()) { del { (told(name, value)) } " " }
                @if let Some(value) = after.get(*name).filter(|value| !value.is_null()) { ins { (told(name, value)) } }
            }
        }
        @if differing.is_empty() { span.faint { "–" } }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

/// A value for people: a time is one.
fn told(name: &str, value: &Value) -> Markup {
    let is_time = name.ends_with("_at") || name.ends_with("_until");
    let time = value.as_u64().filter(|_| is_time);
    html! { @if let Some(at) = time { (full_time(at)) " UTC" } @else { (brief(value)) } }
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.len() > 3 => format!("{} of them", items.len()),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() <= 120 {
        return text;
    }
    text.chars().take(119).chain(['…']).collect()
}

/// Of something new or gone, these say what it is.
const TELLING: [&str; 6] = ["name", "username", "role", "endpoint", "resources", "all_resources"];
const PAGE: usize = 50;
/// The one more tells whether there are older ones.
const PAGE_AND_ONE: u64 = 51;
const CHUNK: u64 = 500;
const CHUNKS: u64 = 10;

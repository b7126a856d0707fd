//! The list: `adminhtml_integration_index`, `_grid_block` and `_grid` (magento.md 6.1 to 6.3).

use axum::extract::RawQuery;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use token_store::{Role, Status};

use super::super::client::{Problem, query};
use super::super::page::{Page, Place};
use super::super::parts::{Tone, count, icon, note, role_name, status, status_name, status_word, time, turns};
use super::super::visitor::{Form, Visitor};
use super::tree::Tree;
use super::{Integration, from_config, link, not_secure};

/// What the address asks for.
#[derive(Clone, Debug, Default)]
struct Wanted {
    name: String,
    key: String,
    status: String,
    in_clear: bool,
    sort: String,
    after: String,
    /// The number of the first row, for people: no offset is read by it.
    from: u64,
}

#[derive(Deserialize)]
struct Rows {
    items: Vec<Integration>,
    next: Option<String>,
    total: u64,
}

#[derive(Deserialize)]
struct Consumers {
    items: Vec<Consumer>,
}

#[derive(Deserialize)]
struct Consumer {
    id: u64,
}

/// `GET /integrations`
pub(super) async fn index(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let wanted = Wanted::of(&Form::of(query.unwrap_or_default().as_bytes()));
    let page = render(&visitor, &wanted).await;
    visitor.show(page)
}

impl Wanted {
    fn of(query: &Form) -> Self {
        let sort = query.get("sort");
        let known = ["id", "name", "status", "updated_at"].contains(&sort.trim_start_matches('-'));
        let is_status = ["inactive", "active", "recreated"].contains(&query.get("status"));
        Self {
            name: query.get("name").trim().to_owned(),
            key: query.get("key").trim().to_owned(),
            status: if is_status { query.get("status") } else { "" }.to_owned(),
            in_clear: query.get("secure") == "0",
            sort: if known { sort } else { "id" }.to_owned(),
            after: query.get("after").to_owned(),
            from: query.get("from").parse().ok().filter(|from| *from > 0).unwrap_or(1),
        }
    }

    /// Without the page: what filters and sorts.
    fn address(&self, changes: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("name", self.name.as_str()),
            ("key", self.key.as_str()),
            ("status", self.status.as_str()),
            ("secure", if self.in_clear { "0" } else { "" }),
            ("sort", if self.sort == "id" { "" } else { self.sort.as_str() }),
        ];
        for (name, value) in changes {
            pairs.retain(|(known, _)| known != name);
            pairs.push((name, value));
        }
        format!("?{}", query(pairs))
    }

    fn is_filtered(&self) -> bool {
        !self.name.is_empty() || !self.key.is_empty() || !self.status.is_empty() || self.in_clear
    }

    /// The API's address of a page of it.
    fn listing(&self, sort: &str, after: &str, limit: &str) -> String {
        let pairs = [
            ("name", self.name.as_str()),
            ("status", self.status.as_str()),
            ("secure", if self.in_clear { "false" } else { "" }),
            ("sort", sort),
            ("after", after),
            ("limit", limit),
        ];
        format!("/integrations?{}", query(pairs))
    }

    async fn rows(&self, visitor: &Visitor) -> Result<Rows, Problem> {
        if self.key.is_empty() {
            return visitor.api.get(&self.listing(&self.sort, &self.after, PAGE)).await;
        }
        let key = query([("key", self.key.as_str())]);
        let found: Consumers = visitor.api.get(&format!("/consumers?{key}")).await?;
        let Some(consumer) = found.items.first() else {
            return Ok(Rows {
                items: Vec::new(),
                next: None,
                total: 0,
            });
        };
        let listing = format!("/integrations?consumer_id={}", consumer.id);
        visitor.api.get(&listing).await
    }

    /// Where the page before began; `None`: this is the first. Read backwards from where this one begins, so that rows which
    /// came or went meanwhile shift nothing.
    async fn before(&self, visitor: &Visitor) -> Result<Option<String>, Problem> {
        if self.after.is_empty() {
            return Ok(None);
        }
        let reversed = match self.sort.strip_prefix('-') {
            Some(sort) => sort.to_owned(),
            None => format!("-{}", self.sort),
        };
        let rows: Rows = visitor.api.get(&self.listing(&reversed, &self.after, PAGE)).await?;
        Ok(Some(rows.next.unwrap_or_default()))
    }
}

async fn render(visitor: &Visitor, wanted: &Wanted) -> Result<Response, Problem> {
    let rows = wanted.rows(visitor).await?;
    let before = wanted.before(visitor).await?;
    let tree = Tree::load(visitor).await?;
    let mut counts = Vec::new();
    for state in [
        None,
        Some(Status::Active),
        Some(Status::Inactive),
        Some(Status::Recreated),
    ] {
        counts.push((state, total(visitor, state.map_or("", status_name), "").await?));
    }
    let in_clear = total(visitor, "", "false").await?;
    let all = counts.first().map_or(0, |(_, total)| *total);
    let add = link(
        visitor,
        Role::Admin,
        ("main", "/integrations/new", false),
        "Add New Integration",
    );
    let body = html! {
        @if in_clear > 0 { (in_clear_note(in_clear)) }
        section.stack aria-label="Integrations" id="integrationGrid" data-swap {
            (tabs(wanted, &counts))
            (filter(wanted))
            @if rows.items.is_empty() { (empty(visitor, wanted, all)) }
            @else {
                (table(visitor, wanted, &rows.items, &tree))
                (pager(wanted, &rows, before.as_deref()))
            }
        }
    };
    let page = Page {
        lead: html! { p.lead { "Every program that may call the storefront, with the resources it was granted." } },
        acts: add,
        ..Page::new(Place::Integrations, "Integrations", body)
    };
    Ok(visitor.frame().page(&page))
}

async fn total(visitor: &Visitor, status: &str, secure: &str) -> Result<u64, Problem> {
    let listing = query([("status", status), ("secure", secure), ("limit", "1")]);
    Ok(visitor
        .api
        .get::<Rows>(&format!("/integrations?{listing}"))
        .await?
        .total)
}

fn in_clear_note(number: u64) -> Markup {
    let text = html! {
        strong { @if number == 1 { "1 integration sends" } @else { (count(number)) " integrations send" } " data in clear." }
        " The callback or identity link starts with " code { "http:" } ", so anyone on the way can read the secrets. Use HTTPS. "
        a href="?secure=0" { "Show them" }
    };
    note(Tone::Warn, "unlock", &text)
}

fn tabs(wanted: &Wanted, counts: &[(Option<Status>, u64)]) -> Markup {
    html! {
        nav.tabs aria-label="Status" {
            @for (state, number) in counts {
                @let name = state.map_or("", status_name);
                a href=(wanted.address(&[("status", name), ("secure", "")])) aria-current=[(wanted.status == name && !wanted.in_clear).then_some("true")] {
                    (state.map_or("All", status_word)) " " span { (count(*number)) }
                }
            }
        }
    }
}

fn filter(wanted: &Wanted) -> Markup {
    html! {
        form.filter method="get" action="/integrations" role="search" data-auto {
            @if !wanted.status.is_empty() { input type="hidden" name="status" value=(wanted.status); }
            @if wanted.in_clear { input type="hidden" name="secure" value="0"; }
            @if wanted.sort != "id" { input type="hidden" name="sort" value=(wanted.sort); }
            div.field.wide {
                label for="f-n" { "Name" }
                div.seek { (icon("search")) input.in id="f-n" name="name" type="search" value=(wanted.name) placeholder="Part of a name" data-slash; }
            }
            div.field.wide {
                label for="f-c" { "Consumer key" }
                input.in.mono id="f-c" name="key" value=(wanted.key) placeholder="All 32 characters" autocomplete="off" spellcheck="false";
            }
            div.acts { button.b type="submit" { "Filter" } a.b.plain href="/integrations" { "Clear" } }
        }
    }
}

fn empty(visitor: &Visitor, wanted: &Wanted, all: u64) -> Markup {
    let shown = match (&wanted.name, &wanted.key) {
        (name, _) if !name.is_empty() => format!("No integration is called “{name}”"),
        (_, key) if !key.is_empty() => format!("No integration has the consumer key “{key}”"),
        _ => "No integration is in this state".to_owned(),
    };
    html! {
        section.card { div.empty {
            @if wanted.is_filtered() {
                h2 { (shown) }
                p { (count(all)) " are hidden by this filter." }
                a.b href="/integrations" { "Clear the filter" }
            } @else if !wanted.after.is_empty() {
                h2 { "Nothing comes after that" }
                p { "The list ends before this page." }
                a.b href="/integrations" { "To its first page" }
            } @else {
                h2 { "No integration yet" }
                p { "An integration is a program that calls the storefront. Give it a name, tick what it may reach, activate it." }
                (link(visitor, Role::Admin, ("", "/integrations/new", false), "Add New Integration"))
            }
        } }
    }
}

fn table(visitor: &Visitor, wanted: &Wanted, items: &[Integration], tree: &Tree) -> Markup {
    let now = visitor.console.now();
    let head = |name: &str, label: &str| {
        let (here, down) = (wanted.sort == name, wanted.sort.strip_prefix('-') == Some(name));
        let turned = format!("-{name}");
        let sort = if here { turned.as_str() } else { name };
        let order = if here {
            Some("ascending")
        } else if down {
            Some("descending")
        } else {
            None
        };
        let numeric = (name == "id" || name == "updated_at").then_some("num");
        html! {
            th scope="col" class=[numeric] aria-sort=[order] {
                a href=(wanted.address(&[("sort", sort)])) { (label) @if here { " ↑" } @if down { " ↓" } }
            }
        }
    };
    html! {
        div.card { div.scroll {
            table.fold {
                thead { tr {
                    (head("id", "ID")) (head("name", "Name")) (head("status", "Status"))
                    th.num scope="col" { "Resources" }
                    (head("updated_at", "Changed"))
                    th.num scope="col" { "Actions" }
                } }
                tbody { @for item in items { (row(visitor, item, tree, now)) } }
            }
        } }
    }
}

fn row(visitor: &Visitor, item: &Integration, tree: &Tree, now: u64) -> Markup {
    html! {
        tr {
            td.num.faint.none { (item.id) }
            td.lead {
                a.who href=(item.address()) { bdi { (item.name) } }
                @if item.is_from_config() { " " (from_config()) }
                @if item.is_in_clear() { " " (not_secure()) }
                span.sub { @match item.host() { Some(host) => (host), None => "No callback URL: keys are copied by hand" } }
            }
            td {
                @if item.is_exchange() && item.status == Status::Inactive {
                    a href={ (item.address()) "/handshake" } { (status(item.status)) span.vh { ": handshake" } }
                } @else { (status(item.status)) }
            }
            td.num data-l="Resources" { @if item.all_resources { "All" } @else { (tree.count_of(&item.resources)) } }
            td.num.nowrap data-l="Changed" { (time(item.updated_at, now)) }
            td.line { div.acts { (activate(visitor, item)) (edit(visitor, item)) (delete(visitor, item)) } }
        }
    }
}

fn activate(visitor: &Visitor, item: &Integration) -> Markup {
    let (label, soft) = (item.caption(), item.status != Status::Active);
    if !visitor.may(Role::Operator) {
        return disabled("b small", label, &item.name, Role::Operator);
    }
    html! {
        a class=(if soft { "b small soft" } else { "b small" }) href={ (item.address()) "/permissions" } data-dialog
            data-row-id=(item.id) data-row-name=(item.name)
            data-row-is-reauthorize=(u8::from(item.is_reauthorize())) data-row-is-token-exchange=(u8::from(item.is_exchange())) {
            (label) span.vh { " " (item.name) }
        }
    }
}

fn edit(visitor: &Visitor, item: &Integration) -> Markup {
    let can_edit = !item.is_from_config() && visitor.may(Role::Admin);
    let (label, symbol) = if can_edit { ("Edit", "edit") } else { ("View", "info") };
    html! { a.b.plain.icon href=(item.address()) title=(label) { (icon(symbol)) span.vh { (label) " " (item.name) } } }
}

fn delete(visitor: &Visitor, item: &Integration) -> Markup {
    if item.is_from_config() {
        return html! {
            button.b.plain.icon type="button" disabled title="Defined by configuration" {
                (icon("trash")) span.vh { (item.name) " is defined by configuration and can't be deleted here" }
            }
        };
    }
    if !visitor.may(Role::Admin) {
        return html! {
            button.b.plain.icon type="button" disabled title="Needs the role admin" {
                (icon("trash")) span.vh { "Delete " (item.name) " (needs the role admin)" }
            }
        };
    }
    html! {
        a.b.plain.icon href={ (item.address()) "/delete" } data-dialog title="Delete" { (icon("trash")) span.vh { "Delete " (item.name) } }
    }
}

fn disabled(class: &str, label: &str, name: &str, needs: Role) -> Markup {
    html! {
        button class=(class) type="button" disabled title={ "Needs the role " (role_name(needs)) } {
            (label) span.vh { " " (name) " (needs the role " (role_name(needs)) ")" }
        }
    }
}

fn pager(wanted: &Wanted, rows: &Rows, before: Option<&str>) -> Markup {
    let shown = u64::try_from(rows.items.len()).unwrap_or_default();
    let last = wanted.from + shown - 1;
    let size = PAGE.parse().unwrap_or(25);
    let (onward, backward) = ((last + 1).to_string(), wanted.from.saturating_sub(size).to_string());
    let previous = before.map(|before| {
        let from = if before.is_empty() { "" } else { &backward };
        wanted.address(&[("after", before), ("from", from)])
    });
    let next = rows.next.as_deref();
    let next = next.map(|next| wanted.address(&[("after", next), ("from", &onward)]));
    html! {
        nav.pager aria-label="Pages" {
            span { (count(wanted.from)) " to " (count(last)) " of " (count(rows.total)) }
            (turns([("Previous", previous.as_deref()), ("Next", next.as_deref())]))
        }
    }
}

const PAGE: &str = "25";

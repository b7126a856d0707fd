//! New and Edit: `adminhtml_integration_new` and `_edit` (magento.md 6.4, 6.5, 6.7). What was typed comes back where it is
//! refused, but the password.

mod entries;
mod signing;

use std::collections::BTreeSet;

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};
use token_store::Role;

use self::entries::{Entries, Refused, conflict};
use self::signing::Signing;
use super::super::super::integrations::Body;
use super::super::audit;
use super::super::client::Problem;
use super::super::confirm::{Confirmed, confirm};
use super::super::page::{Page, Place, only_look};
use super::super::parts::{Field, csrf, icon, time, your_password};
use super::super::resume::is_again;
use super::super::visitor::{Form, Submitted, Visitor, done};
use super::tree::{Shown, Tree};
use super::{Integration, deactivate, link, marks, number, view, who_may};
use crate::integration::definition::Invalid;

/// `GET /integrations/new`
pub(super) async fn new(visitor: Visitor) -> Response {
    let page = render_new(&visitor, &Entries::default(), &Refused::default()).await;
    visitor.show(page)
}

/// `GET /integrations/{id}`
pub(super) async fn edit(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let read = visitor.api.read(&format!("/integrations/{}", number(&id)?)).await?;
        let integration = Integration::of(read.body)?;
        if integration.is_from_config() {
            return Ok(view::render(&visitor, &integration));
        }
        let entries = Entries::standing(&integration, read.etag.unwrap_or_default());
        render_edit(&visitor, &integration, &entries, &Refused::default()).await
    };
    let page = page.await;
    visitor.show(page)
}

/// `POST /integrations`
pub(super) async fn create(Submitted { visitor, form }: Submitted) -> Response {
    let entries = Entries::of(&form);
    if is_search(&form) || is_again(&form) {
        let page = render_new(&visitor, &entries, &Refused::shown_again(&form)).await;
        return visitor.show(page);
    }
    let refused = match made(&visitor, &form, &entries).await {
        Ok(away) => return away,
        Err(refused) => refused,
    };
    let page = render_new(&visitor, &entries, &refused).await;
    visitor.show(page)
}

async fn made(visitor: &Visitor, form: &Form, entries: &Entries) -> Result<Response, Refused> {
    let tree = Tree::load(visitor).await.map_err(Refused::of)?;
    let mut body = json!({});
    entries.write(&tree, &BTreeSet::new(), &mut body);
    match confirm(visitor, form).await.map_err(Refused::of)? {
        Confirmed::Yes => {}
        Confirmed::No(message) => {
            return Err(Refused::field("current_password", message).with(faults(visitor, &body)));
        }
        Confirmed::Locked(away) => return Ok(away),
    }
    let made = visitor.api.post("/integrations", Some(&body)).await;
    let made = made.map_err(|problem| Refused::of(problem).with(faults(visitor, &body)))?;
    let made = Integration::of(made.body).map_err(Refused::of)?;
    let said = format!("The integration '{}' has been saved.", made.name);
    Ok(if form.get("do") == "activate" {
        done(&format!("{}/permissions", made.address()), &said)
    } else {
        done("/integrations", &said)
    })
}

/// `POST /integrations/{id}`
pub(super) async fn save(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let mut entries = Entries::of(&form);
        let read = match visitor.api.read(&format!("/integrations/{}", number(&id)?)).await {
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                return render_new(&visitor, &entries, &Refused::gone()).await;
            }
            read => read?,
        };
        let standing = Integration::of(read.body.clone())?;
        if (is_search(&form) || is_again(&form)) && !standing.is_from_config() {
            return render_edit(&visitor, &standing, &entries, &Refused::shown_again(&form)).await;
        }
        let refused = match changed(&visitor, &form, &entries, &standing, read.body).await {
            Ok(away) => return Ok(away),
            Err(refused) => refused,
        };
        if refused.status != StatusCode::PRECONDITION_FAILED {
            return render_edit(&visitor, &standing, &entries, &refused).await;
        }
        let now = visitor.api.read(&format!("/integrations/{}", standing.id)).await?;
        let standing = Integration::of(now.body)?;
        let stands = Entries::standing(&standing, now.etag.unwrap_or_default());
        entries.version.clone_from(&stands.version);
        let last = audit::last(&visitor, &format!("integration/{}", standing.id)).await;
        let conflict = conflict(&entries, &stands, last.as_ref().map(|last| last.actor.as_str()));
        render_edit(&visitor, &standing, &entries, &conflict).await
    };
    let page = page.await;
    visitor.show(page)
}

async fn changed(
    visitor: &Visitor,
    form: &Form,
    entries: &Entries,
    standing: &Integration,
    mut body: Value,
) -> Result<Response, Refused> {
    let tree = Tree::load(visitor).await.map_err(Refused::of)?;
    let granted = standing.resources.iter().cloned().collect();
    entries.write(&tree, &granted, &mut body);
    match confirm(visitor, form).await.map_err(Refused::of)? {
        Confirmed::Yes => {}
        Confirmed::No(message) => {
            return Err(Refused::field("current_password", message).with(faults(visitor, &body)));
        }
        Confirmed::Locked(away) => return Ok(away),
    }
    let path = format!("/integrations/{}", standing.id);
    let saved = visitor
        .api
        .call(Method::PUT, &path, Some(&entries.version), Some(&body))
        .await;
    let saved = saved.map_err(|problem| Refused::of(problem).with(faults(visitor, &body)))?;
    let saved = Integration::of(saved.body).map_err(Refused::of)?;
    Ok(done(
        "/integrations",
        &format!("The integration '{}' has been saved.", saved.name),
    ))
}

/// All that is wrong in what the form says; the API stops at the first.
fn faults(visitor: &Visitor, body: &Value) -> Vec<Invalid> {
    let said: Option<Body> = serde_json::from_value(body.clone()).ok();
    let integrations = &visitor.console.context.integrations;
    said.map(|said| integrations.faults(&said.definition()))
        .unwrap_or_default()
}

async fn render_new(visitor: &Visitor, entries: &Entries, refused: &Refused) -> Result<Response, Problem> {
    let tree = Tree::load(visitor).await?;
    let may = visitor.may(Role::Admin);
    let body = html! {
        @if may { (refused.note()) } @else { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
        form method="post" action="/integrations" data-guard novalidate {
            (csrf(&visitor.csrf()))
            (enter())
            fieldset.plain disabled[!may] {
                (general(entries, refused))
                (api(entries, refused, &tree))
                (how_it_signs(entries, refused))
                @if may { (verification(refused)) }
            }
            (save_bar(may, &html! {}, true))
        }
    };
    let page = Page {
        crumb: Some(("/integrations", "Integrations")),
        is_narrow: true,
        status: refused.status,
        ..Page::new(Place::Integrations, "New Integration", body)
    };
    Ok(visitor.frame().page(&page))
}

async fn render_edit(
    visitor: &Visitor,
    integration: &Integration,
    entries: &Entries,
    refused: &Refused,
) -> Result<Response, Problem> {
    let tree = Tree::load(visitor).await?;
    let may = visitor.may(Role::Admin);
    let address = integration.address();
    let now = visitor.console.now();
    let said = html! { "Last saved " (time(integration.updated_at, now)) " UTC." };
    let body = html! {
        @if may { (refused.note()) } @else { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
        form method="post" action=(address) data-guard novalidate {
            (csrf(&visitor.csrf()))
            (enter())
            input type="hidden" name="version" value=(entries.version);
            fieldset.plain disabled[!may] {
                (general(entries, refused))
                (api(entries, refused, &tree))
                (how_it_signs(entries, refused))
                (view::details(visitor, integration))
                @if may { (verification(refused)) }
            }
            (save_bar(may, &said, false))
        }
    };
    let title = format!("Edit \"{}\" Integration", integration.name);
    let acts = html! {
        @if integration.is_exchange() { a.b href={ (address) "/handshake" } { "Handshake" } }
        (link(visitor, Role::Operator, ("", &format!("{address}/permissions"), true), integration.caption()))
        (deactivate::button(visitor, integration))
        (link(visitor, Role::Admin, ("risk", &format!("{address}/delete"), true), "Delete"))
    };
    let page = Page {
        crumb: Some(("/integrations", "Integrations")),
        marks: marks(integration),
        acts,
        is_narrow: true,
        status: refused.status,
        ..Page::new(Place::Integrations, &title, body)
    };
    Ok(visitor.frame().page(&page))
}

/// The enter key presses a form's first button, whether it is seen or not: that one saves, and isn't *Find*.
fn enter() -> Markup {
    html! { button type="submit" name="do" value="enter" hidden { "Save" } }
}

/// Whether the form was sent to search the tree: by *Find*, or by the enter key in its field, before anything is confirmed.
fn is_search(form: &Form) -> bool {
    let is_typed = !form.get("find").is_empty() && form.get("current_password").is_empty();
    form.get("do") == "find" || form.get("do") == "enter" && is_typed
}

fn group(id: &str, title: &str, hint: &str, content: &Markup) -> Markup {
    let heading = format!("g-{id}");
    html! {
        section.group id=(id) aria-labelledby=(heading) {
            div { h2 id=(heading) { (title) } p.hint { (hint) } }
            div.stack { (content) }
        }
    }
}

fn general(entries: &Entries, refused: &Refused) -> Markup {
    let name = Field {
        most: Some(255),
        error: refused.error("name"),
        ..Field::new("name", "Name", &entries.name)
    };
    let email = Field {
        kind: "email",
        most: Some(254),
        is_optional: true,
        error: refused.error("email"),
        ..Field::new("email", "Email", &entries.email)
    };
    let endpoint = Field {
        kind: "url",
        is_optional: true,
        error: refused.error("endpoint"),
        hint: Some(
            "Countersign POSTs the keys here when you activate: use https. Leave it empty to copy the keys by hand.",
        ),
        ..Field::new("endpoint", "Callback URL", &entries.endpoint)
    };
    let identity_link = Field {
        kind: "url",
        is_optional: true,
        error: refused.error("identity_link_url"),
        hint: Some("Where you sign in to the other service. It opens in a window during activation."),
        ..Field::new("identity_link_url", "Identity Link URL", &entries.identity_link_url)
    };
    let content = html! { div.two { (name.show()) (email.show()) } (endpoint.show()) (identity_link.show()) };
    group(
        "general",
        "General",
        "Who calls, and where its keys are sent.",
        &content,
    )
}

fn api(entries: &Entries, refused: &Refused, tree: &Tree) -> Markup {
    let sought = entries.sought.to_lowercase();
    let shown = Shown {
        tree,
        granted: &entries.resources,
        sought: &sought,
        is_fixed: false,
    };
    let choice = |value: &str, is_chosen: bool, name: &str, hint: &str| {
        html! {
            label.pick {
                input.dot-in type="radio" name="all_resources" value=(value) checked[is_chosen];
                span { strong { (name) } span.hint { (hint) } }
            }
        }
    };
    let granted = tree.count_of(&entries.resources);
    let content = html! {
        fieldset.stack.tight {
            legend.lab { "Resource Access" }
            div.two {
                (choice("0", !entries.all_resources, "Custom", "Only what is ticked below"))
                (choice("1", entries.all_resources, "All", "Everything, also what is added later"))
            }
        }
        @if let Some(error) = refused.error("resources") { p.err { (icon("warn")) span { (error) } } }
        div.treebox.custom-only {
            div.bar {
                div.seek {
                    (icon("search"))
                    label.vh for="find" { "Find a resource" }
                    input.in id="find" name="find" type="search" value=(entries.sought) placeholder="Find by name or id";
                }
                button.b.nojs-only type="submit" name="do" value="find" formnovalidate { "Find" }
                span.sm.dim id="granted" { (granted) " of " (tree.size()) " granted" }
            }
            p.empty id="found" hidden { "No resource has that name or id." }
            (shown.show())
        }
        p.hint.custom-only { "A ticked resource takes the ones above it along." }
    };
    group(
        "api",
        "API",
        "What it may reach. Changes take effect at once; tokens stay valid.",
        &content,
    )
}

fn how_it_signs(entries: &Entries, refused: &Refused) -> Markup {
    let none = Signing::default();
    let shown = entries.signing.as_ref().unwrap_or(&none).show(refused);
    let hint = "As the configuration has it, unless something is chosen here.";
    group("signing", "Signing", hint, &shown)
}

fn verification(refused: &Refused) -> Markup {
    let content = html! { div.two { (your_password("current_password", refused.error("current_password"))) } };
    let hint = "Asked for every change, so that an unlocked screen is not enough.";
    group("verify", "Current User Identity Verification", hint, &content)
}

fn save_bar(may: bool, said: &Markup, activates: bool) -> Markup {
    html! {
        div.savebar {
            span.say role="status" { (said) }
            a.b.plain href="/integrations" { "Back" }
            @if may {
                button.b type="reset" { "Reset" }
                button class=(if activates { "b" } else { "b main" }) type="submit" name="do" value="save" { "Save" }
                @if activates { button.b.main type="submit" name="do" value="activate" { "Save & Activate" } }
            }
        }
    }
}

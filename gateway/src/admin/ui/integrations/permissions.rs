//! The permissions dialog: `adminhtml_integration_permissionsdialog`, and what *Allow* does (magento.md 3.1, 3.3, 6.6).

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;
use token_store::{Role, Status};

use super::super::client::Problem;
use super::super::page::only_look;
use super::super::parts::{Tone, csrf, icon, note, tag};
use super::super::visitor::{Submitted, Visitor, done, see_other};
use super::tree::{Resource, Shown, Tree};
use super::{Integration, handshake, keys, last_call, not_again, number, who_may};
use crate::config::Requirement;

/// `GET /integrations/{id}/permissions`
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (integration, version) = Integration::load_versioned(&visitor, &id).await?;
        let tree = Tree::load(&visitor).await?;
        render(&visitor, &integration, &version, &tree).await
    };
    let page = page.await;
    visitor.show(page)
}

/// What the routes of a resource do.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    routes: usize,
    changing: usize,
}

async fn render(visitor: &Visitor, integration: &Integration, version: &str, tree: &Tree) -> Result<Response, Problem> {
    let granted: BTreeSet<String> = integration.resources.iter().cloned().collect();
    let may = visitor.may(Role::Operator);
    let name = &integration.name;
    let is_anew = integration.status == Status::Active;
    let title = if is_anew {
        format!("Reauthorize {name}?")
    } else {
        format!("Allow {name} to use these resources?")
    };
    let section = html! {
        header { h1 id="pd" tabindex="-1" autofocus { (title) } p { (summary(visitor, integration, tree, &granted)) } }
        div.dlg-body {
            @if !may { (only_look(visitor, Role::Operator, &who_may(visitor, Role::Operator).await)) }
            @if integration.is_from_config() {
                div.treebox { (Shown { tree, granted: &granted, sought: "", is_fixed: true }.show()) }
            } @else if !integration.all_resources && !granted.is_empty() {
                (branches(visitor, tree, &granted))
            }
            @if is_anew {
                (note(Tone::Warn, "warn", &html! {
                    strong { "Its access token ends at once." } " Its calls are refused until it has the new one. "
                    (last_call(visitor, integration).await)
                }))
            }
            (what_next(visitor, integration))
        }
        footer {
            a.b href="/integrations" data-close { "Cancel" }
            form method="post" action={ (integration.address()) "/permissions" } {
                (csrf(&visitor.csrf()))
                input type="hidden" name="version" value=(version);
                input type="hidden" name="reauthorize" value=(u8::from(integration.is_reauthorize()));
                button.b.main type="submit" disabled[!may] { @if is_anew { "Reauthorize" } @else { "Allow" } }
            }
        }
    };
    let response = visitor.frame().dialog(
        (&title, "pd"),
        ("/integrations", "Integrations"),
        &section,
        StatusCode::OK,
    );
    Ok(response)
}

fn summary(visitor: &Visitor, integration: &Integration, tree: &Tree, granted: &BTreeSet<String>) -> String {
    if integration.all_resources {
        return "It asks for everything, also what is added later.".to_owned();
    }
    if granted.is_empty() {
        return "There are no permissions requested: it can call only what is open to everybody.".to_owned();
    }
    let uses = uses(visitor);
    let (routes, changing) = granted
        .iter()
        .filter_map(|id| uses.get(id))
        .fold((0, 0), |(routes, changing), one| {
            (routes + one.routes, changing + one.changing)
        });
    let asked = format!("It asks for {} of {} resources.", tree.count_of(granted), tree.size());
    match (routes, changing) {
        (0, _) => format!("{asked} No route needs them yet."),
        (1, 0) => format!("{asked} They open 1 route, which reads."),
        (1, _) => format!("{asked} They open 1 route, which changes data."),
        (routes, 0) => format!("{asked} They open {routes} routes, which only read."),
        (routes, changing) => format!("{asked} They open {routes} routes; {changing} of those change data."),
    }
}

/// What the routes at work do, by resource.
fn uses(visitor: &Visitor) -> BTreeMap<String, Use> {
    let live = visitor.console.context.parts.live.load();
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    for route in &live.routes {
        let Requirement::Resources(ids) = &route.config.requirement else {
            continue;
        };
        let changes = route
            .config
            .methods
            .iter()
            .any(|method| !READING.contains(&method.as_str()));
        for id in ids {
            let known = uses.entry(id.clone()).or_default();
            known.routes += 1;
            known.changing += usize::from(changes);
        }
    }
    uses
}

/// By the topmost resource above each.
fn branches(visitor: &Visitor, tree: &Tree, granted: &BTreeSet<String>) -> Markup {
    let uses = uses(visitor);
    html! {
        ul.perm {
            @for root in tree.roots() {
                @let held = held(tree, root, granted);
                @if !held.is_empty() {
                    li {
                        h2 { (root.title) " " span.faint { (held.len()) @if held.len() == 1 { " resource" } @else { " resources" } } }
                        ul {
                            @for one in held {
                                li {
                                    span { (one.title) } code { (one.id) }
                                    @match uses.get(&one.id) {
                                        Some(known) if known.changing > 0 => (tag(Tone::Warn, "changes data")),
                                        Some(_) => (tag(Tone::Plain, "reads")),
                                        None => span.faint.sm { "no route" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The granted ones of a branch, in its order.
fn held<'a>(tree: &'a Tree, root: &'a Resource, granted: &BTreeSet<String>) -> Vec<&'a Resource> {
    let mut held = Vec::new();
    let mut rest = vec![root];
    while let Some(one) = rest.pop() {
        if granted.contains(&one.id) {
            held.push(one);
        }
        rest.extend(tree.below(&one.id).iter().rev());
    }
    held
}

fn what_next(visitor: &Visitor, integration: &Integration) -> Markup {
    let text = match (&integration.endpoint, &integration.identity_link_url) {
        (Some(endpoint), Some(_)) => html! {
            strong { "What happens next." } " Countersign POSTs the keys to " code { (endpoint) }
            ", then you sign in to the other service in a window. You can follow each step."
        },
        (Some(endpoint), None) => html! {
            strong { "What happens next." } " Countersign POSTs the keys to " code { (endpoint) }
            ", and the other side fetches its tokens. You can follow each step."
        },
        (None, _) if visitor.may(Role::Admin) => html! {
            strong { "What happens next." } " It is active at once, and its keys are shown to you, to copy into the extension."
        },
        (None, _) => html! {
            strong { "What happens next." } " It is active at once. Its keys are copied into the extension by hand: an admin can show them."
        },
    };
    html! { div.note { (icon("info")) div { (text) } } }
}

/// `POST /integrations/{id}/permissions`: *Allow* or *Reauthorize*.
pub(super) async fn allow(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let id = number(&id)?;
        let is_anew = form.get("reauthorize") == "1";
        let verb = if is_anew { "reauthorize" } else { "activate" };
        let path = format!("/integrations/{id}/{verb}");
        let tracker = format!("{}/handshake", integration.address());
        let name = &integration.name;
        let version = Some(form.get("version"));
        let answer = match visitor.api.call(Method::POST, &path, version, Some(&json!({}))).await {
            Ok(answer) => answer,
            // Sent again, it must not end the keys that were just copied.
            Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
                let done = if is_anew {
                    ("integration.reauthorized", "reauthorized")
                } else {
                    ("integration.activated", "activated")
                };
                return Ok(not_again(&visitor, &integration, done).await);
            }
            // The activation stands; the tracker shows what the callback did and offers the next try.
            Err(problem) if problem.code.as_deref() == Some("callback_failed") => {
                return Ok(see_other(&tracker));
            }
            Err(problem) => return Err(problem),
        };
        if answer.body.get("consumer_secret").is_some() {
            return keys::issued(&visitor, &integration, answer.body, is_anew);
        }
        if handshake::is_refused(&answer.body) {
            return Ok(see_other(&tracker));
        }
        let is_exchange = answer.body.get("exchange").and_then(serde_json::Value::as_bool) == Some(true);
        Ok(match (is_exchange, is_anew) {
            (true, true) => done(
                &tracker,
                &format!("The integration '{name}' has been sent for re-activation."),
            ),
            (true, false) => done(
                &tracker,
                &format!("The integration '{name}' has been sent for activation."),
            ),
            (false, true) => done(
                "/integrations",
                &format!("The integration '{name}' has been re-authorized."),
            ),
            (false, false) => done(
                "/integrations",
                &format!("The integration '{name}' has been activated."),
            ),
        })
    };
    let page = page.await;
    visitor.show(page)
}

const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

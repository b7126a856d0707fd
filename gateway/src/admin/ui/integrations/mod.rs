//! The pages of integrations: Magento's `adminhtml_integration_*` handles (magento.md 6).

mod deactivate;
mod debug_token;
mod delete;
mod form;
mod grid;
pub(super) mod handshake;
mod keys;
mod permissions;
pub(super) mod tree;
mod view;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use token_store::{Role, Setup, Status};

use super::super::{ask, login_success};
use super::client::Problem;
use super::page::{Page, Place};
use super::parts::{Tone, icon, role_name, tag, time};
use super::visitor::Visitor;
use super::{Console, audit};

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/integrations", get(grid::index).post(form::create))
        .route("/integrations/new", get(form::new))
        .route(login_success::PATH, get(handshake::signed_in))
        .route("/integrations/{id}", get(form::edit).post(form::save))
        .route(
            "/integrations/{id}/deactivate",
            get(deactivate::ask).post(deactivate::act),
        )
        .route("/integrations/{id}/delete", get(delete::ask).post(delete::delete))
        .route(
            "/integrations/{id}/permissions",
            get(permissions::ask).post(permissions::allow),
        )
        .route(
            "/integrations/{id}/handshake",
            get(handshake::tracker).post(handshake::act),
        )
        .route("/integrations/{id}/tokens", get(keys::ask).post(keys::show))
        .route(
            "/integrations/{id}/debug-token",
            get(debug_token::ask).post(debug_token::issue),
        )
        .route("/integrations/{id}/rotate", get(keys::ask_rotation).post(keys::rotate))
}

/// An integration, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Integration {
    pub(super) id: u64,
    pub(super) name: String,
    email: String,
    endpoint: Option<String>,
    identity_link_url: Option<String>,
    pub(super) status: Status,
    setup: Setup,
    consumer_id: u64,
    pub(super) consumer_key: String,
    pub(super) all_resources: bool,
    pub(super) resources: Vec<String>,
    signature_methods: Option<Vec<String>>,
    rsa_public_key: Option<String>,
    two_legged: bool,
    placements: Option<Vec<String>>,
    callback_urls: Vec<String>,
    flags: Vec<String>,
    created_at: u64,
    updated_at: u64,
}

impl Integration {
    async fn load(visitor: &Visitor, id: &str) -> Result<Self, Problem> {
        visitor.api.get(&format!("/integrations/{}", number(id)?)).await
    }

    /// With its version, which a form that decides on what is shown brings back.
    async fn load_versioned(visitor: &Visitor, id: &str) -> Result<(Self, String), Problem> {
        let read = visitor.api.read(&format!("/integrations/{}", number(id)?)).await?;
        Ok((Self::of(read.body)?, read.etag.unwrap_or_default()))
    }

    fn of(value: Value) -> Result<Self, Problem> {
        serde_json::from_value(value).map_err(|error| Problem::unreadable(&error))
    }

    fn is_from_config(&self) -> bool {
        self.setup == Setup::Config
    }

    /// Whether activating it posts the keys to its callback.
    fn is_exchange(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Magento's flag is "not inactive" (magento.md 3.4).
    fn is_reauthorize(&self) -> bool {
        self.status != Status::Inactive
    }

    /// The caption of what activates it.
    fn caption(&self) -> &'static str {
        match self.status {
            Status::Active => "Reauthorize",
            Status::Inactive | Status::Recreated => "Activate",
        }
    }

    /// Whether something that it is sent can be read on the way.
    fn is_in_clear(&self) -> bool {
        [&self.endpoint, &self.identity_link_url]
            .into_iter()
            .flatten()
            .any(|url| url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:")))
    }

    /// The host of its callback.
    fn host(&self) -> Option<String> {
        let url = self.endpoint.as_ref().or(self.identity_link_url.as_ref())?;
        url::Url::parse(url).ok()?.host_str().map(str::to_owned)
    }

    pub(super) fn address(&self) -> String {
        format!("/integrations/{}", self.id)
    }
}

/// A number in an address, in its one spelling: nothing else gets into a path of the API.
fn number(id: &str) -> Result<u64, Problem> {
    ask::number(id).ok_or_else(|| Problem::not_found("Integration ID is not specified or is invalid."))
}

/// Defined by configuration.
fn from_config() -> Markup {
    html! { span.tag { (icon("file")) "From config" } }
}

/// A link of the rows and heads of pages that takes a role; without it a button that says so.
fn link(visitor: &Visitor, needs: Role, (class, href, is_dialog): (&str, &str, bool), label: &str) -> Markup {
    if visitor.may(needs) {
        return html! { a class={ "b " (class) } href=(href) data-dialog[is_dialog] { (label) } };
    }
    html! { button class={ "b " (class) } type="button" disabled title={ "Needs the role " (role_name(needs)) } { (label) span.vh { " (needs the role " (role_name(needs)) ")" } } }
}

/// "Not secure", where a URL is http.
fn not_secure() -> Markup {
    html! { span.tag.bad { (icon("unlock")) "Not secure" span.vh { ": a URL of it starts with http:" } } }
}

/// Names of those who have a role at least.
pub(super) async fn who_may(visitor: &Visitor, role: Role) -> Vec<String> {
    #[derive(Deserialize)]
    struct Accounts {
        items: Vec<Named>,
    }
    #[derive(Deserialize)]
    struct Named {
        username: String,
        role: Role,
        active: bool,
    }
    let Ok(accounts) = visitor.api.get::<Accounts>("/admins").await else {
        return Vec::new();
    };
    let able = accounts.items.into_iter().filter(|one| one.active && one.role >= role);
    able.map(|one| one.username).take(5).collect()
}

/// For a form that was sent again, or that decided on what no longer stands: what it would have done is not done.
async fn not_again(visitor: &Visitor, integration: &Integration, (action, done): (&str, &str)) -> Response {
    let last = audit::last(visitor, &format!("integration/{}", integration.id)).await;
    let is_done = last.as_ref().is_some_and(|last| last.action == action);
    let by =
        last.map(|last| html! { " by " strong { (last.actor) } ", " (time(last.at, visitor.console.now())) " UTC" });
    let body = html! {
        section.card { div.empty {
            h2 {
                bdi { (integration.name) }
                @if is_done { " was already " (done) "; nothing was changed." } @else { " changed since this page was opened; nothing was done." }
            }
            p {
                @if is_done { "That was" } @else { "The last change was" } (by.unwrap_or_default()) ". "
                "Look at how it stands now, then decide again."
            }
            @if is_done && integration.status == Status::Active { p { "Keys that were issued then still hold. An admin can show them again." } }
            a.b href=(integration.address()) { "Open the integration" }
        } }
    };
    let page = Page {
        crumb: Some(("/integrations", "Integrations")),
        status: StatusCode::PRECONDITION_FAILED,
        ..Page::new(Place::Integrations, "Not done a second time", body)
    };
    visitor.frame().page(&page)
}

/// When it last called, as this gateway saw it.
async fn last_call(visitor: &Visitor, integration: &Integration) -> Markup {
    #[derive(Deserialize)]
    struct Usage {
        items: Vec<Seen>,
        since: u64,
    }
    #[derive(Deserialize)]
    struct Seen {
        last_seen: Option<u64>,
    }
    let path = format!("/usage?integration_id={}&limit=1000", integration.id);
    let Ok(usage) = visitor.api.get::<Usage>(&path).await else {
        return html! {};
    };
    let now = visitor.console.now();
    html! {
        @match usage.items.iter().filter_map(|seen| seen.last_seen).max() {
            Some(at) => { "It last called through this gateway " (time(at, now)) " UTC." },
            None => { "It has called for no resource through this gateway since " (time(usage.since, now)) " UTC." },
        }
    }
}

/// A state beside a heading.
fn marks(integration: &Integration) -> Markup {
    html! {
        (super::parts::status(integration.status))
        @if integration.is_from_config() { (from_config()) }
        @if integration.is_in_clear() { (not_secure()) }
    }
}

/// Nothing of a kind.
fn none(text: &str) -> Markup {
    tag(Tone::Plain, text)
}

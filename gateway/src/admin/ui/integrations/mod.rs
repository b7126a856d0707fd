//! The pages of integrations: Magento's `adminhtml_integration_*` handles (magento.md 6).

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
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use token_store::{Role, Setup, Status};

use super::super::{ask, login_success};
use super::Console;
use super::client::Problem;
use super::parts::{Tone, role_name};
use super::parts::{icon, tag};
use super::visitor::Visitor;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/integrations", get(grid::index).post(form::create))
        .route("/integrations/new", get(form::new))
        .route(login_success::PATH, get(handshake::signed_in))
        .route("/integrations/{id}", get(form::edit).post(form::save))
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
    status: Status,
    setup: Setup,
    consumer_id: u64,
    consumer_key: String,
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
async fn who_may(visitor: &Visitor, role: Role) -> Vec<String> {
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

//! View of an integration that the configuration defines: no API part, no Save (magento.md 3.7); and the part with the keys
//! that Edit has, too.

use axum::response::Response;
use maud::{Markup, html};
use token_store::{Role, Status};

use super::super::page::{Page, Place};
use super::super::parts::{Tone, icon, note, secret, time};
use super::super::visitor::Visitor;
use super::{Integration, deactivate, link, marks, none};

pub(super) fn render(visitor: &Visitor, integration: &Integration) -> Response {
    let address = integration.address();
    let url = |url: &Option<String>| match url {
        Some(url) => html! { code { (url) } },
        None => none("none"),
    };
    let body = html! {
        @if integration.status == Status::Recreated {
            (note(Tone::Warn, "refresh", &html! {
                strong { "Reset because its definition changed." }
                " Its old tokens are refused. Activate it to issue new ones."
            }))
        }
        section.card aria-labelledby="vg" {
            header { h2 id="vg" { "General" } }
            div.in-card { dl.kv {
                dt { "Name" } dd { (integration.name) }
                dt { "Email" } dd { @if integration.email.is_empty() { (none("none")) } @else { (integration.email) } }
                dt { "Callback URL" } dd { (url(&integration.endpoint)) }
                dt { "Identity Link URL" } dd { (url(&integration.identity_link_url)) }
            } }
        }
        section.card aria-labelledby="vd" {
            header { h2 id="vd" { "Integration Details" } }
            div.in-card { (keys(visitor, integration)) }
        }
    };
    let title = format!("View \"{}\" Integration", integration.name);
    let page = Page {
        crumb: Some(("/integrations", "Integrations")),
        marks: marks(integration),
        lead: html! { p.lead { "Defined in the configuration, under " code { "[[integrations]]" } ". Change it there, then run " code { "countersign reload" } "." } },
        acts: html! {
            @if integration.is_exchange() { a.b href={ (address) "/handshake" } { "Handshake" } }
            (deactivate::button(visitor, integration))
            (link(visitor, Role::Operator, ("main", &format!("{address}/permissions"), true), integration.caption()))
        },
        is_narrow: true,
        ..Page::new(Place::Integrations, &title, body)
    };
    visitor.frame().page(&page)
}

/// Integration Details of Edit.
pub(super) fn details(visitor: &Visitor, integration: &Integration) -> Markup {
    html! {
        section.group id="details" aria-labelledby="g-details" {
            div { h2 id="g-details" { "Integration Details" } p.hint { "Keys of the consumer and its access token. Saving never changes them." } }
            div.stack { (keys(visitor, integration)) }
        }
    }
}

fn keys(visitor: &Visitor, integration: &Integration) -> Markup {
    let now = visitor.console.now();
    let address = integration.address();
    let token = if integration.status == Status::Active {
        "Issued. Shown again only to an admin, on request."
    } else {
        "None that opens anything until it is activated."
    };
    let (tokens, rotate) = (format!("{address}/tokens"), format!("{address}/rotate"));
    let debug = format!("{address}/debug-token");
    html! {
        (secret("ck", "Consumer Key", &integration.consumer_key, false))
        div.two {
            div.field { span.lab { "Consumer Secret" } p.sm.dim { "Issued " (time(integration.created_at, now)) " or at its last rotation." } }
            div.field { span.lab { "Access Token and Secret" } p.sm.dim { (token) } }
        }
        div.acts {
            @if integration.status == Status::Active { (link(visitor, Role::Admin, ("", &tokens, true), "Show the keys again")) }
            (link(visitor, Role::Admin, ("", &rotate, true), "Rotate consumer secret"))
            (link(visitor, Role::Admin, ("", &debug, true), "Issue debug token"))
        }
        @if integration.is_in_clear() { p.hint { (icon("unlock")) " A URL of it starts with " code { "http:" } ": its secrets can be read on the way." } }
    }
}

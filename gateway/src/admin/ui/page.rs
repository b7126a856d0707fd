//! What is round each page: the rail, the sheet, the headers that keep it to itself.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};
use token_store::Role;

use super::assets::{MARK, SCRIPT, STYLE};
use super::client::Problem;
use super::parts::{Tone, count, csrf, icon, initials, note, role_name};
use super::resume::Kept;
use super::visitor::{FORGET_FLASH, View, Visitor};
use crate::refusal::Cause;

/// An entry of the rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`
    Overview,
    /// `/rejections`
    Rejections,
    /// `/integrations`
    Integrations,
    /// `/usage`
    Usage,
    /// `/routes`
    Routes,
    /// `/limits`
    Limits,
    /// `/upstreams`
    Upstreams,
    /// `/audit`
    Audit,
    /// `/accounts`
    Accounts,
    /// None of them.
    Elsewhere,
}

/// An entry: its place, address, symbol and name.
type Entry = (Place, &'static str, &'static str, &'static str);

/// The rail: groups of entries.
const RAIL: [(&str, &[Entry]); 4] = [
    ("", &[(Place::Overview, "/", "overview", "Overview")]),
    (
        "Access",
        &[
            (Place::Integrations, "/integrations", "plug", "Integrations"),
            (Place::Usage, "/usage", "matrix", "Who uses what"),
        ],
    ),
    (
        "Traffic",
        &[
            (Place::Rejections, "/rejections", "ban", "Rejections"),
            (Place::Routes, "/routes", "route", "Routes"),
            (Place::Limits, "/limits", "gauge", "Limits"),
            (Place::Upstreams, "/upstreams", "server", "Upstreams"),
        ],
    ),
    (
        "Administration",
        &[
            (Place::Audit, "/audit", "log", "Audit log"),
            (Place::Accounts, "/accounts", "users", "Accounts"),
        ],
    ),
];

/// A page before it is framed.
pub(super) struct Page<'a> {
    /// In the browser's tab, and the heading where no other is given.
    pub(super) title: &'a str,
    /// The current place.
    pub(super) place: Place,
    /// One step back: address and name.
    pub(super) crumb: Option<(&'a str, &'a str)>,
    /// Beside the heading.
    pub(super) marks: Markup,
    /// Under the heading.
    pub(super) lead: Markup,
    /// What can be done.
    pub(super) acts: Markup,
    /// The rest.
    pub(super) body: Markup,
    /// For forms and what is read line by line.
    pub(super) is_narrow: bool,
    /// Its status.
    pub(super) status: StatusCode,
}

impl<'a> Page<'a> {
    /// A page with a heading.
    pub(super) fn new(place: Place, title: &'a str, body: Markup) -> Self {
        Self {
            title,
            place,
            crumb: None,
            marks: html! {},
            lead: html! {},
            acts: html! {},
            body,
            is_narrow: false,
            status: StatusCode::OK,
        }
    }
}

/// What is the same on all pages of a visitor.
pub(super) struct Frame<'a> {
    visitor: &'a Visitor,
}

impl<'a> Frame<'a> {
    /// For this visitor.
    pub(super) fn of(visitor: &'a Visitor) -> Self {
        Self { visitor }
    }

    /// A page with its heading.
    pub(super) fn page(&self, page: &Page<'_>) -> Response {
        let flash = self.visitor.view().flash.as_deref();
        let content = html! {
            div class=(if page.is_narrow { "page narrow" } else { "page" }) {
                header.head {
                    div {
                        @if let Some((href, name)) = page.crumb { p.crumb { a href=(href) { (icon("left")) (name) } } }
                        div.title { h1 { (page.title) } (page.marks) }
                        (page.lead)
                    }
                    @if !page.acts.0.is_empty() { div.acts { (page.acts) } }
                }
                @if let Some(done) = flash { div.note.ok role="status" { (icon("check")) div { (done) } } }
                (page.body)
            }
        };
        self.respond(page.status, page.title, page.place, &content)
    }

    /// A dialog: by itself without script, over the page it was opened from with it.
    pub(super) fn dialog(
        &self,
        (title, heading_id): (&str, &str),
        (crumb, name): (&str, &str),
        section: &Markup,
        status: StatusCode,
    ) -> Response {
        let place = if crumb.starts_with("/accounts") {
            Place::Accounts
        } else {
            Place::Integrations
        };
        let content = html! {
            div.page {
                p.crumb { a href=(crumb) { (icon("left")) (name) } }
                section.dlg.alone data-fragment aria-labelledby=(heading_id) { (section) }
            }
        };
        self.respond(status, title, place, &content)
    }

    fn respond(&self, status: StatusCode, title: &str, place: Place, content: &Markup) -> Response {
        let view = self.visitor.view();
        let body = if view.is_fragment {
            html! { main { (content) } }
        } else {
            html! {
                a.skip href="#main" { "Skip to content" }
                div.frame {
                    header.topbar {
                        (brand())
                        button.b type="button" popovertarget="rail" { (icon("menu")) "Menu" }
                    }
                    (self.rail(place))
                    main.sheet id="main" tabindex="-1" { (content) }
                }
                dialog id="dialog" {}
            }
        };
        let mut response = document(view, status, title, &body);
        if view.flash.is_some() && !view.is_fragment {
            let forget = HeaderValue::from_static(FORGET_FLASH);
            response.headers_mut().append(SET_COOKIE, forget);
        }
        response
    }

    fn rail(&self, place: Place) -> Markup {
        let account = &self.visitor.account().definition;
        html! {
            nav.rail id="rail" popover aria-label="Console" {
                (brand())
                div.where {
                    b { (self.visitor.console.name()) }
                    @match self.visitor.needs() {
                        Some(0) => span { span.dot.ok {} "Nothing needs you" },
                        Some(1) => a href="/" { span.dot.warn {} "1 thing needs you" },
                        Some(number) => a href="/" { span.dot.warn {} (count(number)) " things need you" },
                        None => span { "Admin console" },
                    }
                }
                @for (group, entries) in RAIL {
                    div {
                        @if !group.is_empty() { h2 { (group) } }
                        ul {
                            @for (entry, href, symbol, name) in entries {
                                li { a href=(href) aria-current=[(*entry == place).then_some("page")] { (icon(symbol)) (name) } }
                            }
                        }
                    }
                }
                div.me {
                    span.face aria-hidden="true" { (initials(&account.username)) }
                    span { a href="/accounts" { (account.username) } small { (role_name(account.role)) } }
                    form method="post" action="/sign-out" {
                        (csrf(&self.visitor.csrf()))
                        button.b.plain.icon type="submit" title="Sign out" { (icon("out")) span.vh { "Sign out" } }
                    }
                }
            }
        }
    }
}

fn brand() -> Markup {
    html! { a.brand href="/" { img src=(MARK.path) alt="" width="24" height="24"; "Countersign" } }
}

/// A page without the rail: sign-in, and what is seen without one.
pub(super) fn stage(view: &View, status: StatusCode, title: &str, footer: &str, content: &Markup) -> Response {
    let body = html! {
        div.stage {
            main id="main" { (brand()) (content) }
            footer { (footer) }
        }
    };
    document(view, status, title, &body)
}

fn document(view: &View, status: StatusCode, title: &str, body: &Markup) -> Response {
    let markup = html! {
        (DOCTYPE)
        html lang="en" data-theme=[view.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Countersign" }
                link rel="icon" href=(MARK.path) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            body { (body) div.toasts id="toasts" role="status" aria-live="polite" {} }
        }
    };
    let mut response = (status, markup.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(VARY, HeaderValue::from_static("Countersign-Fragment, Cookie"));
    guard(&mut response);
    response
}

/// Never framed, never cached, and with nothing from elsewhere.
pub(super) fn guard(response: &mut Response) {
    let fixed: [(HeaderName, &'static str); 5] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// What could not be read or done, in the frame, so that the rest stays in reach.
pub(super) fn of_problem(visitor: &Visitor, problem: &Problem) -> Response {
    let (title, advice) = match problem.status {
        StatusCode::NOT_FOUND => ("There is nothing here", "It was deleted, or the address is mistyped."),
        StatusCode::FORBIDDEN => (
            "Not yours to do",
            "Ask somebody with that role; the accounts are listed under Accounts.",
        ),
        StatusCode::SERVICE_UNAVAILABLE if problem.code.as_deref() == Some(Cause::Overloaded.as_str()) => {
            ("Too much at once", "Nothing was changed. Try again in a moment.")
        }
        StatusCode::SERVICE_UNAVAILABLE => (
            "The store can’t answer right now",
            "Nothing was changed. Calls with known keys still pass where the gateway can be sure of them.",
        ),
        StatusCode::TOO_MANY_REQUESTS => ("Too much at once", "Nothing was changed. Try again in a moment."),
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => (
            "Not done: it changed meanwhile",
            "Look at how it stands now, then decide again.",
        ),
        _ => ("That did not work", "Nothing was changed."),
    };
    let body = html! {
        section.card {
            div.empty {
                h2 { (problem.message) }
                p { (advice) }
                @if problem.status == StatusCode::TOO_MANY_REQUESTS { a.b href="/rejections" { "Back to Rejections" } }
                @else { a.b href="/integrations" { "Open Integrations" } }
                @if let Some(code) = &problem.code { p.sm { "Cause " code { (code) } } }
            }
        }
    };
    let page = Page {
        status: problem.status,
        ..Page::new(Place::Elsewhere, title, body)
    };
    visitor.frame().page(&page)
}

/// A form that did not come from a page of this session: it goes back to its page, filled where it was ours.
pub(super) fn out_of_date(visitor: &Visitor, form_page: &str, kept: Option<&Kept>) -> Response {
    let text = html! {
        strong { "Nothing was changed." }
        " The page was out of date, or was not ours. "
        @if kept.is_some() { "What you typed is kept, except passwords." } @else { "Open it again and repeat the change." }
    };
    let body = html! {
        (note(Tone::Bad, "warn", &text))
        @match kept {
            Some(kept) => (kept.back(&visitor.csrf())),
            None => div.acts { a.b.main href=(form_page) { "Open the page again" } },
        }
    };
    let page = Page {
        status: StatusCode::FORBIDDEN,
        ..Page::new(Place::Elsewhere, "This page was out of date", body)
    };
    visitor.frame().page(&page)
}

/// Nobody can be told apart while the store is away.
pub(super) fn store_is_gone(view: &View) -> Response {
    let content = html! {
        section.panel {
            h1 { "The store can’t answer right now" }
            p.dim { "Without it nobody can be signed in. Try again in a moment." }
            p.sm { "Cause " code { "store_unavailable" } }
        }
    };
    stage(view, StatusCode::SERVICE_UNAVAILABLE, "Store unavailable", "", &content)
}

/// No such page.
pub(super) fn not_found(visitor: &Visitor) -> Response {
    of_problem(visitor, &Problem::not_found("No page has this address."))
}

/// The note of pages whose forms this role can't send.
pub(super) fn only_look(visitor: &Visitor, needs: Role, who: &[String]) -> Markup {
    let role = role_name(visitor.account().definition.role);
    let text = html! {
        strong { "You can look, not change." } " Your role is " (role) "."
        " This takes the role " (role_name(needs)) @if !who.is_empty() { ": ask " bdi { (who.join(", ")) } } "."
    };
    note(Tone::Plain, "info", &text)
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

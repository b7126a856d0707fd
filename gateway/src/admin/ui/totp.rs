//! Two-step sign-in of an account: enrolment with a code to scan, its proof, its end. The key is in one answer only.

use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use serde_json::json;
use token_store::Role;

use super::accounts::Account;
use super::client::Problem;
use super::integrations::who_may;
use super::page::{Page, Place, only_look};
use super::parts::{Field, csrf, icon, secret};
use super::visitor::{Submitted, Visitor, done};

/// The part of an account's page.
pub(super) fn card(visitor: &Visitor, account: &Account) -> Markup {
    let is_mine = account.id == visitor.account().id.0;
    let (may_begin, may_remove) = (is_mine || visitor.may(Role::Admin), visitor.may(Role::Admin));
    html! {
        section.card aria-labelledby="ts" {
            header { h2 id="ts" { "Two-step sign-in" } span.sm.dim { @if account.totp { "on" } @else { "off" } } }
            div.in-card {
                p.dim { "A code from an authenticator app is asked for beside the password." }
                @if let Some(left) = account.recovery_codes {
                    p class=(if left <= FEW { "bad-t" } else { "dim" }) {
                        @if left == 1 { "1 recovery code is left." } @else { (left) " recovery codes are left." }
                        @if left <= FEW { " Turn it off and on again for ten new ones." }
                    }
                }
                div.acts {
                    @if may_begin && !account.totp { a.b href={ (account.address()) "/totp" } { "Turn on" } }
                    @if account.totp {
                        @if may_remove { a.b.risk.long href={ (account.address()) "/totp/off" } data-dialog { "Turn off for " (account.username) } }
                        @else { button.b.risk.long type="button" disabled { "Turn off for " (account.username) } }
                    }
                    @if !may_begin { span.faint.sm { "Only its owner and admins can turn it on." } }
                }
            }
        }
    }
}

/// `GET /accounts/{id}/totp`
pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        let may = account.id == visitor.account().id.0 || visitor.may(Role::Admin);
        let content = html! {
            @if !may { (only_look(&visitor, Role::Admin, &who_may(&visitor, Role::Admin).await)) }
            p { "From then on a code from your phone is asked for beside the password. Until a code has proved that it works, nothing changes." }
            form.acts method="post" {
                (csrf(&visitor.csrf()))
                button.b.main type="submit" name="do" value="begin" disabled[!may] { "Show the code to scan" }
                a.b.plain href=(account.address()) { "Not now" }
            }
        };
        Ok(framed(&visitor, &account, content, StatusCode::OK))
    };
    let page = page.await;
    visitor.show(page)
}

fn framed(visitor: &Visitor, account: &Account, body: Markup, status: StatusCode) -> Response {
    let address = account.address();
    let page = Page {
        crumb: Some((&address, &account.username)),
        is_narrow: true,
        status,
        ..Page::new(Place::Accounts, "Turn on two-step sign-in", body)
    };
    visitor.frame().page(&page)
}

/// `POST /accounts/{id}/totp`
pub(super) async fn act(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        let path = format!("/admins/{}/totp", account.id);
        let name = &account.username;
        if form.get("do") == "begin" {
            let handed = visitor.api.post(&path, None).await?;
            let handed = serde_json::from_value(handed.body).map_err(|error| Problem::unreadable(&error))?;
            return Ok(enrolment(&visitor, &account, &handed));
        }
        let code = json!({ "code": form.get("code").trim() });
        match visitor.api.post(&format!("{path}/confirm"), Some(&code)).await {
            Ok(_) => Ok(done(
                &account.address(),
                &format!("Two-step sign-in of '{name}' is on."),
            )),
            Err(problem) if problem.status.is_client_error() => {
                let content = html! {
                    (proof(&visitor, Some(&problem.message)))
                    p.hint { "Or begin again: the code to scan is shown only once. " a.inline href={ (account.address()) "/totp" } { "Begin again" } }
                };
                Ok(framed(&visitor, &account, content, problem.status))
            }
            Err(problem) => Err(problem),
        }
    };
    let page = page.await;
    visitor.show(page)
}

/// What the API hands out.
#[derive(Deserialize)]
struct Handed {
    secret: String,
    uri: String,
    recovery_codes: Vec<String>,
}

fn enrolment(visitor: &Visitor, account: &Account, handed: &Handed) -> Response {
    let key: Vec<String> = handed
        .secret
        .chars()
        .collect::<Vec<_>>()
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    let content = html! {
        section.group aria-labelledby="q1" {
            div { h2 id="q1" { "Scan" } p.hint { "With any authenticator app. It is shown only now." } }
            div.stack { (qr(&handed.uri)) (secret("tk", "Or type this key", &key.join(" "), false)) }
        }
        section.group aria-labelledby="q2" {
            div { h2 id="q2" { "Keep" } p.hint { "Ten recovery codes, each good once, for when the device is lost. They are shown only now." } }
            div.stack {
                div.codes id="rc" { @for code in &handed.recovery_codes { code { (code) } } }
                div.acts.js-only { button.b type="button" data-save="rc" data-file="countersign-recovery.txt" { (icon("down")) "Download" } }
            }
        }
        section.group aria-labelledby="q3" {
            div { h2 id="q3" { "Prove" } p.hint { "Your old way in stays until this is right." } }
            div.stack { (proof(visitor, None)) }
        }
    };
    framed(visitor, account, content, StatusCode::OK)
}

fn proof(visitor: &Visitor, error: Option<&str>) -> Markup {
    let code = Field {
        autocomplete: "one-time-code",
        most: Some(6),
        error,
        ..Field::new("code", "Code shown in the app", "")
    };
    html! {
        form.stack method="post" novalidate {
            (csrf(&visitor.csrf()))
            div.two { (code.show()) }
            div.acts { button.b.main type="submit" name="do" value="confirm" { "Turn on" } }
        }
    }
}

/// Drawn by the server, so that the key goes nowhere else.
fn qr(uri: &str) -> Markup {
    let Ok(code) = QrCode::encode_text(uri, QrCodeEcc::Medium) else {
        return html! {};
    };
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        let mut x = 0;
        while x < size {
            let from = x;
            while x < size && code.get_module(x, y) {
                x += 1;
            }
            if x > from {
                let written = write!(path, "M{from} {y}h{}v1h-{}z", x - from, x - from);
                debug_assert!(written.is_ok(), "a String takes everything");
            }
            x += 1;
        }
    }
    let view = format!("-1 -1 {} {}", size + 2, size + 2);
    html! { svg.qr viewBox=(view) role="img" aria-label="Code to scan; the key below says the same" { path d=(path) {} } }
}

/// So few recovery codes are left that it is time for new ones.
const FEW: u64 = 3;

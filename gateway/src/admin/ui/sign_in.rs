//! `/sign-in` and `/sign-out`.
//!
//! One sentence for all failures, and the same work; a name that was tried too often is locked whether anybody has it or not,
//! so that the page may say so. Each sign-in draws a new session: one that somebody planted is worth nothing.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::super::session;
use super::Console;
use super::page;
use super::parts::{Field, Tone, csrf, full_time, note};
use super::resume::{Kept, LARGEST};
use super::visitor::{Form, Submitted, View, is_same_site, see_other};
use crate::exchange::user_token::Credentials;
use crate::random;
use crate::refusal::Cause;

/// The form.
pub(super) async fn page(State(console): State<Console>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = Form::of(query.unwrap_or_default().as_bytes());
    let view = View::of(&headers);
    match session::of(&headers, &console.context).await {
        Ok(Some(_)) => return see_other(next(&query)),
        Ok(None) => {}
        Err(error) => {
            crate::observe::store_failed(&error);
            return page::store_is_gone(&view);
        }
    }
    let faults = [("locked", Fault::SignedOut), ("changed", Fault::PasswordChanged)];
    let fault = faults.into_iter().find(|(name, _)| !query.get(name).is_empty());
    let fault = fault.map(|(_, fault)| fault);
    show(&console, &headers, &query, fault.as_ref())
}

/// The form in place of a page that can't be shown: what was typed there is kept, and brought back after the sign-in.
pub(super) fn expired(console: &Console, headers: &HeaderMap, next: &str, kept: Option<&Kept>) -> Response {
    let form = Form::default().with("next", next);
    show_with(console, headers, &form, Some(&Fault::Expired), kept)
}

/// Why the form is shown again.
enum Fault {
    /// One for all failed sign-ins.
    Failed,
    /// Too many of them: until when.
    Locked(u64),
    Incomplete,
    /// Too many sign-ins at once: this one was not tried.
    Busy,
    /// The password is right, the code of the second factor is absent.
    CodeNeeded,
    OutOfDate,
    Expired,
    /// Too many wrong passwords where one was asked for again (magento.md 6.7).
    SignedOut,
    /// None: a new password ended the session.
    PasswordChanged,
}

impl Fault {
    fn status(&self) -> StatusCode {
        match self {
            Self::Failed | Self::Locked(_) | Self::CodeNeeded | Self::Expired => StatusCode::UNAUTHORIZED,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::OutOfDate => StatusCode::FORBIDDEN,
            Self::SignedOut | Self::PasswordChanged => StatusCode::OK,
        }
    }

    fn note(&self, is_kept: bool) -> Markup {
        let (tone, text) = match self {
            Self::Failed => {
                let text = "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";
                (Tone::Bad, html! { strong { (text) } })
            }
            Self::Locked(until) => (
                Tone::Bad,
                html! {
                    strong { "Your account is temporarily disabled. Please try again later." }
                    " It opens again at " (full_time(*until)) " UTC."
                },
            ),
            Self::SignedOut => (
                Tone::Bad,
                html! { strong { "Your account is temporarily disabled. Please try again later." } " You were signed out." },
            ),
            Self::PasswordChanged => {
                let text = html! { strong { "Your password was changed." } " Sign in with the new one." };
                return note(Tone::Good, "check", &text);
            }
            Self::Incomplete => (
                Tone::Bad,
                html! { strong { "Enter your user name and your password." } },
            ),
            Self::Busy => (
                Tone::Warn,
                html! { strong { "Too many sign-ins are under way." } " Yours was not tried: do it again in a moment." },
            ),
            Self::CodeNeeded => (
                Tone::Plain,
                html! { strong { "Enter the six-digit code, too." } " It is shown by the authenticator app of this account. Without the device a recovery code does." },
            ),
            Self::OutOfDate => (
                Tone::Bad,
                html! { strong { "This page was out of date, or cookies are switched off." } " Nothing was done: try again." },
            ),
            Self::Expired => (
                Tone::Plain,
                html! {
                    strong { "Your session has ended." }
                    " What you just sent was not done. "
                    @if is_kept { "Sign in, and the form is back with what you typed, except passwords." } @else { "Sign in, then repeat it." }
                },
            ),
        };
        note(tone, "warn", &text)
    }
}

fn show(console: &Console, headers: &HeaderMap, form: &Form, fault: Option<&Fault>) -> Response {
    show_with(console, headers, form, fault, Kept::carried(form).as_ref())
}

fn show_with(
    console: &Console,
    headers: &HeaderMap,
    form: &Form,
    fault: Option<&Fault>,
    kept: Option<&Kept>,
) -> Response {
    let view = View::of(headers);
    let known = form_secret(headers).map(str::to_owned);
    let Some(secret) = known.clone().or_else(|| random::credential().ok()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let username = Field {
        autocomplete: "username",
        has_focus: matches!(fault, Some(Fault::Expired)),
        ..Field::new("username", "User name", form.get("username"))
    };
    let password = Field {
        kind: "password",
        autocomplete: "current-password",
        has_focus: matches!(
            fault,
            Some(Fault::Failed | Fault::Locked(_) | Fault::Incomplete | Fault::Busy)
        ),
        ..Field::new("password", "Password", "")
    };
    let code = Field {
        autocomplete: "one-time-code",
        most: Some(6),
        is_optional: true,
        has_focus: matches!(fault, Some(Fault::CodeNeeded)),
        hint: Some("From the authenticator app, where the account has two-step sign-in."),
        ..Field::new("code", "Six-digit code", "")
    };
    // Of its own, since a phone's keyboard for digits has no letters.
    let recovery = Field {
        is_optional: true,
        hint: Some("One of the ten that were shown when two-step sign-in was turned on. Each is good once."),
        ..Field::new("recovery", "Recovery code", "")
    };
    let name = console.name();
    let content = html! {
        section.panel {
            div.stack.tight.ctr { h1 { "Sign in" } p.dim { "to the console of " strong { (name) } } }
            @if let Some(fault) = fault { (fault.note(kept.is_some())) }
            form method="post" action="/sign-in" {
                (csrf(&token_of(&secret)))
                input type="hidden" name="next" value=(form.get("next"));
                @if let Some(kept) = kept { (kept.hidden()) }
                (username.show())
                (password.show())
                (code.show())
                details.sm { summary { "Use a recovery code" } (recovery.show()) }
                button.b.main type="submit" { "Sign in" }
            }
        }
        p.sm.dim.ctr { "No account yet? Whoever runs the gateway makes the first one:" br; code { "countersign admin create" } }
    };
    let footer = format!("{name} · Countersign {}", env!("CARGO_PKG_VERSION"));
    let status = fault.map_or(StatusCode::OK, Fault::status);
    let mut response = page::stage(&view, status, "Sign in", &footer, &content);
    if known.is_none() {
        let secure = if view.is_secure { "; Secure" } else { "" };
        let cookie = format!("{FORM}={secret}; Path=/sign-in; HttpOnly; SameSite=Strict{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
    }
    response
}

/// `POST /sign-in`: `username`, `password`, and for an account with a second factor `code`, or `recovery` in its place.
pub(super) async fn submit(State(console): State<Console>, headers: HeaderMap, body: Bytes) -> Response {
    let form = Form::of(&body);
    if !is_ours(&headers, &form) {
        return show(&console, &headers, &form, Some(&Fault::OutOfDate));
    }
    let typed = |name| Some(form.get(name).to_owned());
    let credentials = match Credentials::new(typed("username"), typed("password")) {
        Ok(credentials) => {
            let code = Some(form.get("code").trim()).filter(|code| !code.is_empty());
            credentials.with_code(Some(code.unwrap_or_else(|| form.get("recovery").trim()).to_owned()))
        }
        Err(refusal) if refusal.cause() == Cause::ParameterAbsent => {
            return show(&console, &headers, &form, Some(&Fault::Incomplete));
        }
        Err(_) => return show(&console, &headers, &form, Some(&Fault::Failed)),
    };
    let users = &console.context.parts.users;
    let begun = match users.begin_session(&credentials).await {
        Ok(begun) => begun,
        Err(refusal) if refusal.asks_for_code() => return show(&console, &headers, &form, Some(&Fault::CodeNeeded)),
        Err(refusal) if refusal.cause() == Cause::SignInFailed => {
            let until = users.locked_until(form.get("username")).await.unwrap_or_default();
            return show(
                &console,
                &headers,
                &form,
                Some(&until.map_or(Fault::Failed, Fault::Locked)),
            );
        }
        Err(refusal) if refusal.cause() == Cause::Overloaded => {
            return show(&console, &headers, &form, Some(&Fault::Busy));
        }
        Err(refusal) if refusal.cause() == Cause::StoreUnavailable => return page::store_is_gone(&View::of(&headers)),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    // Whatever session the browser had ends: it may be another account's.
    if let Some(before) = session::secret(&headers) {
        let ended = users.end_session(before).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "an old session could not be ended; it expires");
        }
    }
    let mut response = match Kept::carried(&form) {
        Some(kept) => brought_back(&console, &View::of(&headers), &kept, &begun.csrf()),
        None => see_other(next(&form)),
    };
    let is_secure = session::is_secure(&headers);
    let cookie = session::set_cookie(begun.secret(), is_secure, users.session_lifetime().as_secs());
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

/// Signed in, and on to the form that was under way.
fn brought_back(console: &Console, view: &View, kept: &Kept, token: &str) -> Response {
    let content = html! {
        section.panel {
            div.stack.tight.ctr { h1 { "You are signed in" } p.dim { "What you typed before is kept." } }
            (kept.back(token))
        }
    };
    page::stage(view, StatusCode::OK, "Signed in", &console.name(), &content)
}

/// Signs out: the session ends in the store, not just in this browser.
pub(super) async fn sign_out(Submitted { visitor, .. }: Submitted) -> Response {
    let users = &visitor.console.context.parts.users;
    if let Err(error) = users.end_session(visitor.session().secret()).await {
        crate::observe::store_failed(&error);
        return page::store_is_gone(visitor.view());
    }
    let mut response = see_other("/sign-in");
    let cookies = [true, false].map(|is_secure| session::set_cookie("", is_secure, 0));
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// A browser's form counts from our page alone: another site must not sign somebody in as somebody else. What is no browser
/// says nothing of where it comes from, and nothing can make it call.
fn is_ours(headers: &HeaderMap, form: &Form) -> bool {
    if !is_same_site(headers) {
        return false;
    }
    let is_opaque =
        !headers.contains_key("sec-fetch-site") && headers.get(ORIGIN).is_some_and(|origin| origin == "null");
    !is_opaque
        || form_secret(headers)
            .is_some_and(|secret| token_of(secret).as_bytes().ct_eq(form.get("csrf").as_bytes()).into())
}

fn form_secret(headers: &HeaderMap) -> Option<&str> {
    session::cookie(headers, FORM).filter(|secret| {
        secret.len() == random::CREDENTIAL_LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn token_of(secret: &str) -> String {
    let digest = sha2::Sha256::digest(format!("sign-in\n{secret}"));
    base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest)
}

/// Where to go then: a page of ours, or the first.
fn next(form: &Form) -> &str {
    let next = form.get("next");
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours { next } else { "/" }
}

/// Anybody may send one, so it has room for a name, a password and a code, where to go then, and what was typed in a form
/// there, encoded once more.
pub(super) const LARGEST_FORM: usize = 2 * LARGEST + 16 * 1024;
const FORM: &str = "countersign_form";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_sign_in_only_pages_of_ours_are_opened() {
        let next_of = |text: &str| next(&Form::of(text.as_bytes())).to_owned();

        assert_eq!(next_of("next=%2Fintegrations%3Fname%3Da"), "/integrations?name=a");
        for elsewhere in [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "/\t/evil.example",
            "",
        ] {
            let query = super::super::client::query([("next", elsewhere)]);
            assert_eq!(next_of(&query), "/", "{elsewhere}");
        }
    }
}

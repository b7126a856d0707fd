//! The tracker of a handshake: `adminhtml_integration_tokensexchange`, and where the other side sends its window back to.
//!
//! It follows what the server saw, not whether a window closed: by a reload, or along the stream of `live` where script runs.

mod progress;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use token_store::Role;

use self::progress::{Event, Handshake, Mark, Progress, Step};
use super::super::super::login_success;
use super::super::Console;
use super::super::client::{Client, Problem, query};
use super::super::live::{self, Standing};
use super::super::page::{self, Page, Place};
use super::super::parts::{Tone, csrf, icon, note, status, time};
use super::super::visitor::{Submitted, View, Visitor, done, see_other};
use super::{Integration, deactivate, tree};
use crate::clock::span;
use crate::integration::identity_link;

/// `GET /integrations/{id}/handshake`
pub(super) async fn tracker(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (integration, handshake) = load(&visitor, &id).await?;
        Ok(render(&visitor, &integration, &handshake))
    };
    let page = page.await;
    visitor.show(page)
}

async fn load(visitor: &Visitor, id: &str) -> Result<(Integration, Handshake), Problem> {
    let integration = Integration::load(visitor, id).await?;
    let path = format!("/integrations/{}/handshake", integration.id);
    let handshake = visitor.api.get(&path).await?;
    Ok((integration, handshake))
}

/// Whether the callback hardly took the keys: the tracker says so, and nothing that was done hides it.
pub(super) fn is_refused(activated: &serde_json::Value) -> bool {
    let status = activated.get("callback_status").and_then(serde_json::Value::as_u64);
    status.is_some_and(|status| status >= u64::from(DOUBTFUL))
}

/// From this status on the other side did something else than to take the keys: redirects are not followed.
const DOUBTFUL: u16 = 300;

/// An activation under way.
pub(in super::super) struct Waiting {
    /// Of the five.
    pub(in super::super) step: usize,
    /// What it waits for.
    pub(in super::super) what: &'static str,
    /// Whether it waits for somebody here.
    pub(in super::super) is_stuck: bool,
}

/// Where an activation waits, if one is under way.
pub(in super::super) async fn waiting(
    api: &Client,
    integration: &Integration,
    now: u64,
) -> Result<Option<Waiting>, Problem> {
    if !integration.is_exchange() {
        return Ok(None);
    }
    let path = format!("/integrations/{}/handshake", integration.id);
    let handshake: Handshake = match api.get(&path).await {
        Ok(handshake) => handshake,
        // Deleted meanwhile.
        Err(problem) if problem.status == StatusCode::NOT_FOUND => return Ok(None),
        Err(problem) => return Err(problem),
    };
    let progress = Progress::of(&handshake, now);
    let is_open = |mark: &Mark| matches!(mark, Mark::Now | Mark::Failed);
    let Some(step @ 1..) = progress.marks.iter().position(is_open) else {
        return Ok(None);
    };
    let is_failed = progress.mark(1) == Mark::Failed;
    let what = match step {
        _ if is_failed => "its keys did not arrive",
        _ if progress.is_lapsed => "its time ran out, post the keys again",
        2 if integration.identity_link_url.is_some() => "somebody must sign in to the other service",
        2 => "the other side has not fetched its request token",
        _ => "the other side has not fetched its access token",
    };
    let is_link_absent = step == 2 && integration.identity_link_url.is_none();
    Ok(Some(Waiting {
        step: if is_link_absent { 4 } else { step + 1 },
        what,
        is_stuck: is_failed || progress.is_lapsed,
    }))
}

/// What follows along.
pub(in super::super) async fn standing(visitor: &Visitor, id: &str) -> Result<Standing, Problem> {
    let (integration, handshake) = load(visitor, id).await?;
    let progress = Progress::of(&handshake, visitor.console.now());
    Ok(Standing {
        fragments: vec![
            lead(&integration, &progress),
            marks(&handshake, &progress),
            acts(visitor, &integration, &progress),
            part(visitor, &integration, &handshake, &progress),
        ],
        is_final: !is_live(&handshake, &progress),
    })
}

fn render(visitor: &Visitor, integration: &Integration, handshake: &Handshake) -> Response {
    let progress = Progress::of(handshake, visitor.console.now());
    let address = integration.address();
    let title = format!("Handshake of {}", integration.name);
    let lead = lead(integration, &progress);
    let page = Page {
        crumb: Some(("/integrations", "Integrations")),
        marks: marks(handshake, &progress),
        lead: if is_live(handshake, &progress) {
            live::mark(visitor, &format!("{address}/handshake/live"), live::QUICK_BEAT, &lead)
        } else {
            html! { p.lead { (lead) } }
        },
        acts: acts(visitor, integration, &progress),
        is_narrow: true,
        ..Page::new(
            Place::Integrations,
            &title,
            part(visitor, integration, handshake, &progress),
        )
    };
    visitor.frame().page(&page)
}

fn is_live(handshake: &Handshake, progress: &Progress<'_>) -> bool {
    !progress.is_active() && handshake.exchange
}

fn part(visitor: &Visitor, integration: &Integration, handshake: &Handshake, progress: &Progress<'_>) -> Markup {
    let now = visitor.console.now();
    html! {
        div.stack.wide id="handshake" data-refresh=[is_live(handshake, progress).then_some("2000")] {
            @if handshake.exchange {
                // What was just done says the same.
                @if !(progress.is_active() && visitor.view().flash.is_some()) { (banner(integration, handshake, progress, now)) }
                div.cols.a21 {
                    (steps(visitor, integration, progress, now))
                    div.stack { (calls(progress, &integration.consumer_key, now)) @if !progress.is_active() { (if_it_hangs(visitor)) } }
                }
            } @else {
                (note(Tone::Plain, "info", &html! {
                    strong { "There is no handshake." } " It has no callback URL: its keys are shown when it is activated, to be copied by hand."
                }))
            }
        }
    }
}

fn lead(integration: &Integration, progress: &Progress<'_>) -> Markup {
    let text = if progress.is_active() {
        "It has its tokens. Nothing is left to do."
    } else if progress.mark(0) == Mark::Now {
        "Activate it, and its keys are posted to its callback."
    } else if progress.mark(1) == Mark::Failed {
        "Its keys did not arrive. Once its callback answers, post them again."
    } else if progress.is_lapsed {
        "It did not fetch its tokens in time."
    } else if integration.identity_link_url.is_some() {
        "Sign in to the other service in the window, then come back here. This page follows along."
    } else {
        "The other side fetches its tokens now. This page follows along."
    };
    html! { span id="told" data-also { (text) } }
}

fn marks(handshake: &Handshake, progress: &Progress<'_>) -> Markup {
    html! {
        span.marks id="marks" data-also {
            (status(handshake.status))
            @if handshake.exchange { span.pips aria-hidden="true" { @for mark in progress.marks { i class=(mark.pip()) {} } } }
        }
    }
}

fn acts(visitor: &Visitor, integration: &Integration, progress: &Progress<'_>) -> Markup {
    let address = integration.address();
    html! {
        span.acts id="handshake-acts" data-also {
            a.b.nojs-only href={ (address) "/handshake" } { (icon("refresh")) "Refresh" }
            a.b href=(address) { @if integration.is_from_config() { "View" } @else { "Edit" } }
            (deactivate::button(visitor, integration))
            (sign_in_link(visitor, integration, progress))
        }
    }
}

/// The pop-up of magento.md 3.1: opened by the admin's own click, so that no browser blocks it; nothing watches it.
fn sign_in_link(visitor: &Visitor, integration: &Integration, progress: &Progress<'_>) -> Markup {
    let Some(href) = sign_in_address(visitor, integration) else {
        return html! {};
    };
    html! {
        @if is_sign_in_due(visitor, progress) { a.b.main href=(href) target="_blank" rel="noopener noreferrer" data-window { (icon("ext")) "Open sign-in" } }
    }
}

fn is_sign_in_due(visitor: &Visitor, progress: &Progress<'_>) -> bool {
    let is_open = !progress.is_active() && !progress.is_lapsed;
    is_open && progress.mark(1) == Mark::Done && visitor.may(Role::Operator)
}

fn sign_in_address(visitor: &Visitor, integration: &Integration) -> Option<String> {
    let back = format!("{}{}", visitor.base(), login_success::PATH);
    identity_link::complete(
        integration.identity_link_url.as_deref()?,
        &integration.consumer_key,
        &back,
    )
}

fn banner(integration: &Integration, handshake: &Handshake, progress: &Progress<'_>, now: u64) -> Markup {
    if progress.is_active() {
        let text = html! { strong { (integration.name) " is active." } " Its access token opens what it was granted." };
        return note(Tone::Good, "check", &text);
    }
    match (progress.mark(0), progress.mark(1), handshake.deadline) {
        (Mark::Now, _, _) => note(
            Tone::Plain,
            "info",
            &html! { strong { "Nothing is under way." } " Activate it to begin." },
        ),
        (_, Mark::Failed, _) => note(
            Tone::Bad,
            "warn",
            &html! { strong { "The keys did not arrive." } " Mend what the answer below says, then post them again: the verifier stays the same." },
        ),
        (_, _, Some(deadline)) if progress.is_lapsed => note(
            Tone::Warn,
            "clock",
            &html! { strong { "The time ran out at " (time(deadline, now)) " UTC." } " Post the keys again to open it anew." },
        ),
        (_, _, Some(deadline)) if progress.answered().is_some_and(|status| status >= DOUBTFUL) => note(
            Tone::Warn,
            "warn",
            &html! {
                strong { "The other side answered " (progress.answered().unwrap_or_default()) " to the keys." }
                @if progress.answered().is_some_and(|status| status < 400) { " Redirects are not followed." }
                " It has hardly taken them: ask it why, then post them again. It has until " (time(deadline, now)) " UTC."
            },
        ),
        (_, _, Some(deadline)) => note(
            Tone::Accent,
            "clock",
            &html! {
                strong { (span(deadline.saturating_sub(now))) " left." }
                " The next step must be made before " (time(deadline, now)) " UTC. After that, post the keys again."
            },
        ),
        (_, _, None) => html! {},
    }
}

fn steps(visitor: &Visitor, integration: &Integration, progress: &Progress<'_>, now: u64) -> Markup {
    let endpoint = integration.endpoint.as_deref().unwrap_or_default();
    let has_link = integration.identity_link_url.is_some();
    let step = |place: usize, title: &str, beside: &Markup, text: &Markup| {
        let mark = progress.mark(place);
        html! {
            li class=(mark.class()) {
                div {
                    h2 aria-current=[(mark == Mark::Now).then_some("step")] { (title) " " (beside) }
                    div.stack.tight { (text) }
                }
            }
        }
    };
    let at = |event: Option<&Event>| html! { @if let Some(event) = event { (time(event.at, now)) } };
    let granted = if integration.all_resources {
        "It was granted all resources.".to_owned()
    } else {
        match integration.resources.iter().filter(|id| !tree::is_frame(id)).count() {
            1 => "It was granted 1 resource.".to_owned(),
            number => format!("It was granted {number} resources."),
        }
    };
    let permissions = format!("{}/permissions", integration.address());
    html! {
        ol.steps aria-label="Steps" {
            (step(0, "Allowed", &html! {}, &html! {
                p.dim.sm { (granted) " " a.inline href=(permissions) data-dialog { "See them" } }
            }))
            (step(1, "Keys posted to the callback", &at(progress.posts.last().copied()), &posted(visitor, progress, endpoint, now)))
            @if has_link {
                (step(2, "Sign in at the other service", &html! {}, &html! {
                    @if is_sign_in_due(visitor, progress) { p.dim.sm { "If your browser blocked the window, use " em { "Open sign-in" } " again." } }
                    @if progress.mark(2) == Mark::Now { (again(visitor)) }
                }))
            }
            (step(3, "Request token", &at(progress.requested), &html! {
                p.dim.sm { "The other side calls " code { "POST /oauth/token/request" } ", signed with its consumer secret." }
                @if !has_link && progress.mark(2) == Mark::Now { (again(visitor)) }
            }))
            (step(4, "Access token, then active", &at(progress.granted), &html! {
                p.dim.sm { "The other side calls " code { "POST /oauth/token/access" } " with the verifier. Its status turns to Active." }
                @if progress.mark(4) == Mark::Now { (again(visitor)) }
            }))
        }
    }
}

fn posted(visitor: &Visitor, progress: &Progress<'_>, endpoint: &str, now: u64) -> Markup {
    html! {
        p.dim.sm {
            code { (endpoint) }
            @if let Some(Event { step: Step::VerifierPosted { status, error, took_ms, .. }, .. }) = progress.posts.last() {
                @match (error, status) {
                    (Some(error), _) => { " did not answer: " span.bad-t { (error) } },
                    (None, Some(status)) => { " answered " strong.warn-t[*status >= DOUBTFUL] { (status) } },
                    (None, None) => { " was called" },
                }
                @if let Some(took) = took_ms { " after " (took) " ms" }
                "."
            }
        }
        @if !progress.posts.is_empty() {
            details.sm {
                summary { @if progress.posts.len() == 1 { "The try, and what was sent" } @else { "All " (progress.posts.len()) " tries, and what was sent" } }
                div.stack.tight {
                    div.scroll tabindex="0" role="region" aria-label="Tries" {
                        table {
                            thead { tr { th scope="col" { "Time" } th scope="col" { "Address" } th scope="col" { "Answer" } th.num scope="col" { "Took" } } }
                            tbody { @for event in &progress.posts { (one_try(event, now)) } }
                        }
                    }
                    pre.code.wrap tabindex="0" { "oauth_consumer_key=…  oauth_consumer_secret=(hidden)\nstore_base_url=" (visitor.console.store_base_url()) "  oauth_verifier=(hidden)" }
                }
            }
        }
        @if progress.mark(1) == Mark::Failed { (again(visitor)) }
    }
}

fn one_try(event: &Event, now: u64) -> Markup {
    let Step::VerifierPosted {
        endpoint,
        took_ms,
        address,
        status,
        body,
        error,
    } = &event.step
    else {
        return html! {};
    };
    html! {
        tr {
            td.nowrap { (time(event.at, now)) }
            td { @match (address, endpoint) { (Some(address), _) => (address), (None, Some(endpoint)) => (endpoint), (None, None) => "–" } }
            td {
                @match (error, status) {
                    (Some(error), _) => span.bad-t { (error) },
                    (None, Some(status)) if *status >= DOUBTFUL => span.bad-t { (status) },
                    (None, Some(status)) => (status),
                    (None, None) => "not kept",
                }
                @if let Some(body) = body.as_ref().filter(|body| !body.is_empty()) { span.sub { (body) } }
            }
            td.num.nowrap { @match took_ms { Some(took) => { (took) " ms" }, None => "–" } }
        }
    }
}

/// Post again, or stop.
fn again(visitor: &Visitor) -> Markup {
    if !visitor.may(Role::Operator) {
        return html! {};
    }
    html! {
        form.acts method="post" {
            (csrf(&visitor.csrf()))
            button.b.small type="submit" name="do" value="post" { (icon("refresh")) "Post the keys again" }
            button.b.small.plain type="submit" name="do" value="stop" { "Stop this activation" }
        }
    }
}

fn calls(progress: &Progress<'_>, key: &str, now: u64) -> Markup {
    if progress.refused.is_empty() {
        return html! {};
    }
    html! {
        section.card aria-labelledby="calls" {
            header { h2 id="calls" { "Refused calls from it" } }
            ul.rows.tight.sm {
                @for call in &progress.refused {
                    li.top {
                        span.dot.bad {}
                        span.grow {
                            code { "POST " (call.path) } br;
                            span.faint {
                                (time(call.at, now)) " · " code { (call.cause) }
                                @if !call.is_proven { br; "Not proven to be its own: only its consumer key is." }
                            }
                        }
                        a href={ "/rejections?" (query([("key", key), ("cause", call.cause)])) } { "Explain" }
                    }
                }
            }
        }
    }
}

fn if_it_hangs(visitor: &Visitor) -> Markup {
    html! {
        section.card aria-labelledby="hang" {
            header { h2 id="hang" { "If it hangs" } }
            ul.rows.tight.sm.dim {
                li { span { "Callback answers 3xx, 4xx or 5xx: the other side did not take the keys; redirects are not followed. Ask them, then post again." } }
                li { span { "No request token: its server can’t reach " code.nowrap { (visitor.console.name()) } "." } }
                li { span { "A call of it is refused: the cause is shown above this box." } }
            }
        }
    }
}

/// `POST /integrations/{id}/handshake`: the keys again, or an end.
pub(super) async fn act(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let (name, address) = (&integration.name, integration.address());
        if form.get("do") == "stop" {
            visitor
                .api
                .post(&format!("/integrations/{}/deactivate", integration.id), None)
                .await?;
            return Ok(done(
                "/integrations",
                &format!("The activation of '{name}' was stopped."),
            ));
        }
        let posted = visitor
            .api
            .post(&format!("/integrations/{}/activate", integration.id), None)
            .await;
        let said = match posted {
            Ok(answer) if is_refused(&answer.body) => return Ok(see_other(&format!("{address}/handshake"))),
            Ok(_) => format!("The keys of '{name}' were posted again."),
            Err(problem) if problem.code.as_deref() == Some("callback_failed") => {
                return Ok(see_other(&format!("{address}/handshake")));
            }
            Err(problem) => return Err(problem),
        };
        Ok(done(&format!("{address}/handshake"), &said))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}

/// `GET /integration/loginSuccessCallback`: where the other side sends its window back to. Nobody needs to be signed in here.
pub(super) async fn signed_in(State(console): State<Console>, headers: HeaderMap) -> Response {
    let content = html! {
        section.panel.ctr data-closes {
            div.stack.tight { h1 { "You are signed in at the other service" } p.dim { "Close this window. The handshake goes on in the one you came from." } }
            p.sm { a href={ "/integrations?" (query([("status", "inactive")])) } { "Open the integrations here instead" } }
        }
    };
    page::stage(
        &View::of(&headers),
        StatusCode::OK,
        "Signed in",
        &console.name(),
        &content,
    )
}

//! Live parts of pages: server-sent events named `fragment`, whose data is HTML with ids that takes the place of what has
//! them. Each beat says when it is as of; what did not change is not sent again. Who is signed out, and a gateway that drains,
//! hears no more; a page without its stream asks by itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Path;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use maud::{Markup, html};

use super::super::sse;
use super::client::Problem;
use super::integrations::handshake;
use super::parts::time;
use super::visitor::Visitor;
use super::{overview, routing};

/// A page that follows along.
enum Part {
    Overview,
    Limits,
    Upstreams,
    /// Of an integration, by the number in its address.
    Handshake(String),
}

/// What stands now.
pub(super) struct Standing {
    /// With an id, each.
    pub(super) fragments: Vec<Markup>,
    /// Whether nothing will change any more.
    pub(super) is_final: bool,
}

/// `GET /live`
pub(super) async fn overview(visitor: Visitor) -> Response {
    follow(visitor, Part::Overview)
}

/// `GET /limits/live`
pub(super) async fn limits(visitor: Visitor) -> Response {
    follow(visitor, Part::Limits)
}

/// `GET /upstreams/live`
pub(super) async fn upstreams(visitor: Visitor) -> Response {
    follow(visitor, Part::Upstreams)
}

/// `GET /integrations/{id}/handshake/live`
pub(super) async fn handshake(visitor: Visitor, Path(id): Path<String>) -> Response {
    follow(visitor, Part::Handshake(id))
}

/// The line under a page's heading: as of when, and where what follows comes from.
pub(super) fn mark(visitor: &Visitor, address: &str, beat: Duration, what: &Markup) -> Markup {
    html! {
        p.lead id="live" data-live-url=(address) data-beat=(beat.as_millis()) { (as_of(visitor)) " " (what) }
    }
}

fn as_of(visitor: &Visitor) -> Markup {
    let now = visitor.console.now();
    html! { span.nowrap id="as-of" { "As of " (time(now, now)) " UTC." } }
}

fn follow(visitor: Visitor, part: Part) -> Response {
    let streams = Arc::clone(&visitor.console.streams);
    let Some(turn) = Turn::take(&streams, visitor.session().secret()) else {
        let mut response = (StatusCode::SERVICE_UNAVAILABLE, "Too many pages follow along already.").into_response();
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("30"));
        return response;
    };
    let began = visitor.console.context.parts.clock.instant();
    let following = Following {
        visitor,
        part,
        told: Vec::new(),
        began,
        is_first: true,
        is_over: false,
        _turn: turn,
    };
    sse::response(following, |following| Box::pin(following.next()))
}

/// A page that follows, between two beats.
struct Following {
    visitor: Visitor,
    part: Part,
    /// What was sent last.
    told: Vec<String>,
    began: Instant,
    is_first: bool,
    is_over: bool,
    _turn: Turn,
}

impl Following {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.is_over {
            return None;
        }
        loop {
            if !std::mem::take(&mut self.is_first) {
                self.wait().await?;
            }
            // A store that is away is asked again; meanwhile the page sees that no beat comes.
            let Ok(is_signed_in) = self.is_signed_in().await else {
                continue;
            };
            if !is_signed_in {
                return None;
            }
            let Ok(standing) = self.part.standing(&self.visitor).await else {
                continue;
            };
            let text = self.text(standing);
            return Some((Bytes::from(text), self));
        }
    }

    /// For the next beat; `None`: there is none.
    async fn wait(&self) -> Option<()> {
        let parts = &self.visitor.console.context.parts;
        if parts.clock.instant().duration_since(self.began) >= LONGEST {
            return None;
        }
        tokio::select! {
            () = parts.draining.cancelled() => None,
            () = tokio::time::sleep(self.part.beat()) => Some(()),
        }
    }

    async fn is_signed_in(&self) -> Result<bool, token_store::StoreError> {
        let users = &self.visitor.console.context.parts.users;
        let session = users.session(self.visitor.session().secret()).await?;
        // Another role may see other things: the page is to be read again.
        let role = self.visitor.account().definition.role;
        Ok(session.is_some_and(|session| session.account.definition.role == role))
    }

    fn text(&mut self, standing: Standing) -> String {
        let mut text = String::new();
        event(&mut text, "fragment", &as_of(&self.visitor).into_string());
        let fragments: Vec<String> = standing.fragments.into_iter().map(Markup::into_string).collect();
        for fragment in fragments.iter().filter(|fragment| !self.told.contains(fragment)) {
            event(&mut text, "fragment", fragment);
        }
        self.told = fragments;
        if standing.is_final {
            event(&mut text, "final", "");
            self.is_over = true;
        }
        text
    }
}

/// A line break in the data would end it.
fn event(text: &mut String, name: &str, data: &str) {
    // Writing to a String can't fail.
    let _written = writeln!(text, "event: {name}");
    for line in data.split(['\r', '\n']) {
        let _written = writeln!(text, "data: {line}");
    }
    text.push('\n');
}

impl Part {
    fn beat(&self) -> Duration {
        match self {
            Self::Overview | Self::Limits | Self::Upstreams => BEAT,
            Self::Handshake(_) => QUICK_BEAT,
        }
    }

    async fn standing(&self, visitor: &Visitor) -> Result<Standing, Problem> {
        let one = |fragment| Standing {
            fragments: vec![fragment],
            is_final: false,
        };
        match self {
            Self::Overview => overview::part(visitor).await.map(one),
            Self::Limits => routing::limits_part(visitor).await.map(one),
            Self::Upstreams => routing::upstreams_part(visitor).await.map(one),
            Self::Handshake(id) => handshake::standing(visitor, id).await,
        }
    }
}

/// How many follow, in all and of each session.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<BTreeMap<String, usize>>);

/// One that follows.
struct Turn {
    streams: Arc<Streams>,
    session: String,
}

impl Turn {
    fn take(streams: &Arc<Streams>, session: &str) -> Option<Self> {
        let mut taken = streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_session = taken.get(session).copied().unwrap_or_default();
        if of_session >= MOST_OF_A_SESSION || taken.values().sum::<usize>() >= MOST {
            return None;
        }
        taken.insert(session.to_owned(), of_session + 1);
        Some(Self {
            streams: Arc::clone(streams),
            session: session.to_owned(),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.session) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.remove(&self.session);
            }
        }
    }
}

/// Between two looks.
pub(super) const BEAT: Duration = Duration::from_secs(5);
/// Where somebody waits for the other side.
pub(super) const QUICK_BEAT: Duration = Duration::from_secs(2);
/// Then the browser begins a new one.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Of one session: as many as a browser opens connections to one server, less those that it needs for pages.
const MOST_OF_A_SESSION: usize = 4;
/// A quarter of the listener's connections.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_bounded_by_session_and_in_all_and_make_room_when_they_end() {
        let streams = Arc::new(Streams::default());
        let take = |session: usize| Turn::take(&streams, &session.to_string());

        let mut own: Vec<_> = (0..MOST_OF_A_SESSION).map(|_| take(0)).collect();
        let one_more = take(0).is_some();
        own.pop();
        let after_an_end = take(0);
        let others: Vec<_> = (MOST_OF_A_SESSION..MOST)
            .map(|at| take(1 + at / MOST_OF_A_SESSION))
            .collect();
        let in_all = take(1000).is_some();
        drop((own, others, after_an_end));

        assert!(!one_more && !in_all);
        assert!(
            streams.0.lock().is_ok_and(|taken| taken.is_empty()),
            "nothing is kept of who ended"
        );
    }

    #[test]
    fn no_line_break_ends_an_event_early() {
        let mut text = String::new();

        event(&mut text, "fragment", "<p>a\n\r\nevent: b</p>");

        assert_eq!(
            text,
            "event: fragment\ndata: <p>a\ndata: \ndata: \ndata: event: b</p>\n\n"
        );
    }
}

//! Who looks at a page, and who sends a form: the session, its cookie, its CSRF token.

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequest, FromRequestParts, Request};
use axum::http::header::{HOST, LOCATION, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use token_store::{Account, Role};

use super::super::access::Origin;
use super::super::session;
use super::Console;
use super::client::{Client, Problem, query};
use super::needs::Needs;
use super::page::{self, Frame};
use super::resume::{self, Kept, page_of};
use super::sign_in;
use crate::exchange::session::Session;

/// A signed-in account and what its browser said.
pub(super) struct Visitor {
    /// The admin API as this account.
    pub(super) api: Client,
    /// The gateway.
    pub(super) console: Console,
    session: Session,
    view: View,
    needs: Option<u64>,
}

/// How the browser wants to see things.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Without the frame: a part that script shows over or in a page.
    pub(super) is_fragment: bool,
    /// `light`, `dark`, or as the system has it.
    pub(super) theme: Option<&'static str>,
    /// What was done, said once.
    pub(super) flash: Option<String>,
    /// Whether the browser speaks TLS to us.
    pub(super) is_secure: bool,
    /// `Host`
    pub(super) host: String,
}

impl View {
    /// From a request's headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let host = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        Self {
            is_fragment: headers.contains_key("countersign-fragment"),
            theme: session::cookie(headers, "theme").and_then(|theme| THEMES.into_iter().find(|known| *known == theme)),
            flash: session::cookie(headers, FLASH).map(|text| {
                let text = format!("f={text}");
                let mut pairs = url::form_urlencoded::parse(text.as_bytes());
                pairs.next().map(|(_, text)| text.into_owned()).unwrap_or_default()
            }),
            is_secure: session::is_secure(headers),
            host: host.to_owned(),
        }
    }
}

impl Visitor {
    /// Who.
    pub(super) fn account(&self) -> &Account {
        &self.session.account
    }

    /// The session's secret is needed to end it.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// How much needs somebody; `None` where it is not asked or not known.
    pub(super) fn needs(&self) -> Option<u64> {
        self.needs
    }

    /// What the browser said.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Whether the role reaches.
    pub(super) fn may(&self, role: Role) -> bool {
        self.account().definition.role >= role
    }

    /// For the hidden field of each form.
    pub(super) fn csrf(&self) -> String {
        self.session.csrf()
    }

    /// The console's own address, as the browser knows it.
    pub(super) fn base(&self) -> String {
        let scheme = if self.view.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.view.host)
    }

    /// A page, or why there is none.
    pub(super) fn show(&self, page: Result<Response, Problem>) -> Response {
        page.unwrap_or_else(|problem| page::of_problem(self, &problem))
    }

    /// What is round this visitor's pages.
    pub(super) fn frame(&self) -> Frame<'_> {
        Frame::of(self)
    }
}

impl FromRequestParts<Console> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let Ok(Extension(origin)) = Extension::<Origin>::from_request_parts(parts, console).await else {
            return Err(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        let view = View::of(&parts.headers);
        match session::of(&parts.headers, &console.context).await {
            Ok(Some(session)) => {
                let api = Client::new(console.api.clone(), std::sync::Arc::clone(&session.account), origin);
                // For the rail, which parts of pages have not.
                let has_rail = !view.is_fragment && !parts.uri.path().ends_with("/live");
                let needs = if has_rail {
                    Needs::load(&api, console.now()).await.ok().map(|needs| needs.count())
                } else {
                    None
                };
                Ok(Self {
                    api,
                    console: console.clone(),
                    session,
                    view,
                    needs,
                })
            }
            Ok(None) => Err(to_sign_in(&parts.uri, &view)),
            Err(error) => {
                crate::observe::store_failed(&error);
                Err(page::store_is_gone(&view))
            }
        }
    }
}

/// To the sign-in, and back to where the visitor wanted to go.
fn to_sign_in(wanted: &Uri, view: &View) -> Response {
    let wanted = wanted.path_and_query().map_or("/", |wanted| wanted.as_str());
    // A part can't be a sign-in: the script opens the page instead.
    let next = if wanted == "/" || view.is_fragment { "" } else { wanted };
    let query = query([("next", next)]);
    see_other(&if query.is_empty() {
        "/sign-in".to_owned()
    } else {
        format!("/sign-in?{query}")
    })
}

/// A form of somebody who is signed in, sent from one of our pages.
pub(super) struct Submitted {
    /// Who sent it.
    pub(super) visitor: Visitor,
    /// What it says.
    pub(super) form: Form,
}

impl FromRequest<Console> for Submitted {
    type Rejection = Response;

    async fn from_request(request: Request, console: &Console) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = match Visitor::from_request_parts(&mut parts, console).await {
            Ok(visitor) => visitor,
            Err(away) if away.status() == StatusCode::SEE_OTHER => return Err(signed_out(console, &parts, body).await),
            Err(other) => return Err(other),
        };
        let path = parts.uri.path().to_owned();
        let given = parts.headers.get("x-csrf-token").cloned();
        let is_same_site = is_same_site(&parts.headers);
        let body = Bytes::from_request(Request::from_parts(parts, body), console).await;
        let form = Form::of(&body.map_err(axum::response::IntoResponse::into_response)?);
        let given = given.as_ref().and_then(|given| given.to_str().ok());
        if is_same_site && visitor.session.allows(given.unwrap_or_else(|| form.get("csrf"))) {
            return Ok(Self { visitor, form });
        }
        // Another site's form is not brought back to anybody.
        let kept = is_same_site.then(|| Kept::of(&path, &form)).flatten();
        Err(page::out_of_date(&visitor, page_of(&path), kept.as_ref()))
    }
}

/// The session of a form ended while it was open: the sign-in takes what was typed along, and leads back to it.
async fn signed_out(console: &Console, parts: &Parts, body: Body) -> Response {
    if !is_same_site(&parts.headers) {
        return see_other("/sign-in");
    }
    let path = parts.uri.path();
    let form = axum::body::to_bytes(body, resume::LARGEST + 1024)
        .await
        .map(|body| Form::of(&body));
    let kept = form.ok().and_then(|form| Kept::of(path, &form));
    sign_in::expired(console, &parts.headers, page_of(path), kept.as_ref())
}

/// The fields of a form, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Of a body or a query.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first field of that name, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// One more field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without the fields of these names.
    pub(super) fn forget(&mut self, names: &[&str]) {
        self.0.retain(|(known, _)| !names.contains(&known.as_str()));
    }

    /// Each field with its value.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// As a browser sends it.
    pub(super) fn encoded(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.pairs())
            .finish()
    }

    /// All of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Browsers say where a form was sent from; what doesn't say is no browser, and no other site can make it call. Under our
/// referrer policy an origin may be opaque: then the CSRF token decides alone.
pub(super) fn is_same_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    headers.get(ORIGIN).is_none_or(|origin| {
        let authority = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .map(|(_, authority)| authority);
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        origin == "null"
            || authority.is_some_and(|authority| host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
    })
}

/// 303: what was sent is done, look there.
pub(super) fn see_other(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(to) = HeaderValue::try_from(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    page::guard(&mut response);
    response
}

/// 303, and the next page says what was done.
pub(super) fn done(to: &str, what: &str) -> Response {
    let mut response = see_other(to);
    let text: String = url::form_urlencoded::byte_serialize(what.as_bytes()).collect();
    let cookie = format!("{FLASH}={text}; Path=/; HttpOnly; SameSite=Strict; Max-Age=60");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// What makes the browser forget what was said.
pub(super) const FORGET_FLASH: &str = "countersign_flash=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0";
const FLASH: &str = "countersign_flash";
/// What `data-theme` may say.
pub(super) const THEMES: [&str; 2] = ["light", "dark"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_sends_from_elsewhere_is_known_by_what_it_says_of_it() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let host = [("host", "gate.example:9090")];
            is_same_site(&host.iter().chain(pairs).map(pair).collect())
        };

        for ours in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://gate.example:9090")],
            &[("origin", "http://GATE.example:9090")],
            &[("origin", "null")],
        ] {
            assert!(from(ours), "{ours:?}");
        }
        for elsewhere in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[
                ("sec-fetch-site", "cross-site"),
                ("origin", "https://gate.example:9090"),
            ],
            &[("origin", "https://gate.example")],
            &[("origin", "https://gate.example:9090.evil.example")],
            &[("origin", "https://evil.example/gate.example:9090")],
            &[("origin", "gate.example:9090")],
            &[("origin", "")],
        ] {
            assert!(!from(elsewhere), "{elsewhere:?}");
        }
    }
}

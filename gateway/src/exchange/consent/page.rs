//! The consent page as HTML. Everything that comes from outside is escaped by the template.

use std::sync::LazyLock;

use base64::Engine as _;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, PRAGMA, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::Digest as _;

use crate::body::ResponseBody;
use crate::refusal::Cause;

/// A page, and where its form may lead.
pub(super) struct Page {
    markup: Markup,
    /// Beside this server itself: the callback to which the decision leads.
    leads_to: Option<String>,
}

/// What the page asks.
pub(super) struct Asked<'a> {
    /// Who asks.
    pub(super) name: &'a str,
    /// Whose account it is about: the address that was called.
    pub(super) store: &'a str,
    /// Where the decision is sent; `None`: a code is shown.
    pub(super) callback: Option<&'a str>,
    pub(super) token: &'a str,
    pub(super) csrf: &'a str,
    pub(super) action: &'a str,
    /// As typed before; the password never comes back.
    pub(super) username: &'a str,
    pub(super) fault: Option<Fault>,
}

/// Why the form comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The one message for every failed sign-in.
    SignIn,
    /// The account has a second factor.
    Code,
    Incomplete,
    Undecided,
    OutOfDate,
}

impl Fault {
    fn sentence(self) -> &'static str {
        match self {
            Self::SignIn => {
                "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later."
            }
            Self::Code => "Enter the code that your app shows, and your password again.",
            Self::Incomplete => "Enter your user name or e-mail address and your password.",
            Self::Undecided => "Choose Authorize or Reject.",
            Self::OutOfDate => {
                "This page was out of date, or cookies are switched off. Nothing was decided: please try again."
            }
        }
    }
}

impl Page {
    /// Sign in, allow or reject.
    pub(super) fn ask(asked: &Asked<'_>) -> Self {
        let host = asked.callback.and_then(|url| url::Url::parse(url).ok());
        let goes_to = host.as_ref().and_then(url::Url::host_str).map(str::to_owned);
        let title = format!("Let {} use your account at {}?", asked.name, asked.store);
        let body = html! {
            div.parties aria-hidden="true" { span.party { (initials(asked.name)) } span.arrow { "→" } span.party { (initials(asked.store)) } }
            h1 { (title) }
            p.dim { "If you authorize it, it can act for you at " strong { (asked.store) } " in what you and it are both allowed to do. It does not see your password." }
            @if let Some(fault) = asked.fault { p.bad role="alert" id="fault" { (fault.sentence()) } }
            form method="post" action=(asked.action) {
                input type="hidden" name="oauth_token" value=(asked.token);
                input type="hidden" name="csrf" value=(asked.csrf);
                div.field {
                    label for="username" { "E-mail address, or user name of an admin" }
                    input id="username" name="username" value=(asked.username) autocomplete="username" autocapitalize="none" spellcheck="false" aria-describedby=[asked.fault.map(|_| "fault")];
                }
                div.field {
                    label for="password" { "Password" }
                    input id="password" name="password" type="password" autocomplete="current-password" aria-describedby=[asked.fault.map(|_| "fault")];
                }
                @if asked.fault == Some(Fault::Code) {
                    div.field {
                        label for="code" { "Code of your authenticator app, or a recovery code" }
                        input id="code" name="code" autocomplete="one-time-code" autocapitalize="none" spellcheck="false" aria-describedby="fault";
                    }
                }
                button.main type="submit" name="decision" value="allow" { "Authorize" }
                button type="submit" name="decision" value="reject" { "Reject" }
            }
            @match &goes_to {
                Some(host) => p.hint { "You go back to " strong { (host) } "." },
                None if asked.callback.is_some() => p.hint { "You go back to the application." },
                None => p.hint { "You get a code to enter in the application. Give it to nobody else." },
            }
        };
        let leads_to = host.as_ref().map(|url| match url.origin() {
            origin @ url::Origin::Tuple(..) => origin.ascii_serialization(),
            url::Origin::Opaque(_) => format!("{}:", url.scheme()),
        });
        Self {
            markup: frame(&format!("Authorize {}", asked.name), &body),
            leads_to,
        }
    }

    /// The verifier, for the user to carry over.
    pub(super) fn code(name: &str, verifier: &str) -> Self {
        Self::plain(
            "Authorized",
            &html! {
                h1 { (name) " is authorized" }
                p.dim { "Enter this code there. It works once, and only for this application: give it to nobody else." }
                p.code { code { (verifier) } }
            },
        )
    }

    /// The user said no, and there is nowhere to go back to.
    pub(super) fn rejected(name: &str) -> Self {
        let text =
            html! { h1 { "Rejected" } p.dim { (name) " has no access to your account. You can close this page." } };
        Self::plain("Rejected", &text)
    }

    /// Unknown, expired or decided: the link leads nowhere.
    pub(super) fn no_request() -> Self {
        Self::plain(
            "Nothing to authorize",
            &html! {
                h1 { "The authorization request is invalid" }
                p.dim { "It has expired, was decided already, or never existed. Go back to the application and start anew." }
            },
        )
    }

    /// The request could not be served.
    pub(super) fn refused(cause: Cause) -> Self {
        let (title, text) = if cause == Cause::IntegrationInactive {
            let text = "Its access was withdrawn. Nobody can authorize it until it is active again.";
            ("The application is not active", text)
        } else if cause.status().is_server_error() || cause == Cause::RateLimited {
            let text = "This could not be answered just now. Go back and try again in a moment.";
            ("Please try again", text)
        } else {
            ("The request was refused", cause.sentence())
        };
        Self::plain(title, &html! { h1 { (title) } p.dim { (text) } })
    }

    /// For clients that don't follow a redirect.
    pub(super) fn leaving() -> Self {
        Self::plain(
            "Done",
            &html! { h1 { "Done" } p.dim { "You are being sent back to the application." } },
        )
    }

    fn plain(title: &str, body: &Markup) -> Self {
        Self {
            markup: frame(title, body),
            leads_to: None,
        }
    }

    /// Never framed, never cached, and without anything from elsewhere.
    pub(super) fn respond(self, status: StatusCode) -> Response<ResponseBody> {
        let leads_to = self.leads_to.map(|to| format!(" {to}")).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; style-src '{}'; form-action 'self'{leads_to}; frame-ancestors 'none'; base-uri 'none'",
            *STYLE_HASH
        );
        let mut response = Response::new(ResponseBody::from(self.markup.into_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let fixed: [(HeaderName, &'static str); 6] = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (PRAGMA, "no-cache"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        // A host can't hold what would break the header; were it to, nothing may be sent anywhere.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        response
    }
}

fn frame(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Countersign" }
                style { (PreEscaped(STYLE)) }
            }
            body { main id="main" { section.panel { (body) } } }
        }
    }
}

/// Up to two letters that stand for a name.
fn initials(name: &str) -> String {
    let letters = name
        .split(|letter: char| !letter.is_alphanumeric())
        .filter_map(|word| word.chars().next());
    letters.take(2).flat_map(char::to_uppercase).collect()
}

const STYLE: &str = include_str!("style.css");
static STYLE_HASH: LazyLock<String> = LazyLock::new(|| {
    let digest = sha2::Sha256::digest(STYLE);
    format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(digest))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text_on_the_page() {
        let script = "<script>alert(1)</script>\"'";
        let asked = Asked {
            name: script,
            store: script,
            callback: Some("https://app.example:8443/cb"),
            token: script,
            csrf: script,
            action: "/oauth/authorize",
            username: script,
            fault: Some(Fault::SignIn),
        };

        let page = Page::ask(&asked);

        assert!(!page.markup.0.contains("<script"));
        assert!(page.markup.0.contains("&lt;script&gt;"));
        let policy = page.respond(StatusCode::OK).headers()[CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(policy.contains("form-action 'self' https://app.example:8443;"));
        assert!(policy.contains("frame-ancestors 'none'"));
    }
}

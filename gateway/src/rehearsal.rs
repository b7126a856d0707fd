//! What the configuration does with a request that nobody sent: for `countersign route test` and the admin API.

use http::{Method, StatusCode};
use oauth1::{Scheme, Target};
use token_store::Grant;

use crate::authenticate::target::{Claimed, Origin, without_port};
use crate::authorize::resources::ResourceTree;
use crate::config::{Public, Requirement, Route};
use crate::exchange::Endpoint;
use crate::proxy::route::{Found, Routes};
use crate::refusal::Cause;
use crate::service::head::check_method;

/// Host and path, as a route is looked up by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Without its port.
    pub host: String,
    /// Without a base URL's prefix, which the proxy in front strips.
    pub path: String,
    /// As the gateway takes it: the base URL's that serves the host, else the URL's own; `None`: nothing says.
    pub scheme: Option<Scheme>,
}

/// Where a request would end up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An endpoint of our own.
    Endpoint,
    /// The route of that place in the configuration.
    Route(usize),
    /// None: the cause, its status, and what is wrong.
    Refused(Cause, StatusCode, String),
}

/// Whether a grant opens a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Granted,
    /// These are missing.
    Lacks(Vec<String>),
    /// No integration may.
    Nobody,
}

impl Place {
    /// Of a URL, or of a path alone: then the first base URL's host is asked.
    pub fn of(url: &str, public: &Public) -> Result<Self, String> {
        if url.starts_with('/') {
            let path = url.split(['?', '#']).next().unwrap_or_default();
            let base = public.base_urls.first();
            let host = base.map(|url| without_port(&url.authority));
            return Ok(Self {
                host: host.unwrap_or_default().to_owned(),
                path: path.to_owned(),
                scheme: base.map(|url| url.scheme),
            });
        }
        let target = Target::from_url(url).ok_or_else(|| format!("{url:?} is neither a URL nor a path"))?;
        let path = if target.path.is_empty() { "/" } else { target.path };
        let claimed = Claimed {
            tls: target.scheme == Scheme::Https,
            host: target.authority,
            forwarded: None,
        };
        let base = public
            .base_urls
            .iter()
            .find(|url| url.authority.eq_ignore_ascii_case(target.authority));
        let path = base.and_then(|base| path.strip_prefix(&base.prefix)).unwrap_or(path);
        Ok(Self {
            host: without_port(target.authority).to_ascii_lowercase(),
            path: path.to_owned(),
            scheme: Some(Origin::of(&public.base_urls, &claimed).scheme),
        })
    }

    /// Whether a route refuses it for coming by plain http, even one that only observes.
    pub fn needs_https(&self, route: &Route) -> bool {
        route.secure && self.scheme == Some(Scheme::Http)
    }

    /// What becomes of a request there.
    pub fn outcome(&self, method: &str, public: &Public, table: &Routes) -> Outcome {
        let refused = |cause: Cause, what: String| Outcome::Refused(cause, cause.status(), what);
        let method = Method::from_bytes(method.as_bytes());
        let Ok(method) = method else {
            return refused(Cause::RequestMalformed, "that is no method".to_owned());
        };
        if let Err(refusal) = check_method(&method, &self.path) {
            let what = "GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS are served";
            return Outcome::Refused(refusal.cause(), refusal.status(), what.to_owned());
        }
        if Endpoint::of(&public.paths, &self.path).is_some() {
            return Outcome::Endpoint;
        }
        match table.find(&self.host, method.as_str(), &self.path) {
            Found::Route(index) => Outcome::Route(index),
            Found::OtherMethods(allow) => refused(Cause::MethodRefused, format!("this path takes {allow}")),
            Found::Unknown => refused(Cause::RouteUnknown, "no route has this path".to_owned()),
            Found::Refused => {
                let what = "dot or empty segments, controls, backslashes, broken escapes, or %2F where the route doesn't say \
                            encoded_slash = \"allow\"";
                refused(Cause::TargetRefused, what.to_owned())
            }
        }
    }
}

impl Verdict {
    /// Of an integration with that grant.
    pub fn of(route: &Route, grant: &Grant, tree: &ResourceTree) -> Self {
        let ids = match &route.requirement {
            Requirement::Anonymous => return Self::Granted,
            Requirement::Nothing | Requirement::Own => return Self::Nobody,
            Requirement::Resources(ids) => ids,
        };
        match grant {
            _ if tree.permits(grant, ids) => Self::Granted,
            Grant::All => Self::Granted,
            Grant::Listed(listed) => Self::Lacks(ids.difference(listed).cloned().collect()),
        }
    }
}

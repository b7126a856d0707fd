//! The request read for its explanation: every pair with its wire form, the public address, what the body looks like.

use std::borrow::Cow;

use super::draft::{Draft, Pair};
use super::encoder::Encoder;
use super::order::Order;
use super::{Options, RawRequest};
use crate::authorization::{Authorization, Pairs};
use crate::target::host_and_port;
use crate::{
    Limits, OauthRequest, ParameterName, Placement, Placements, Problem, RequestParts, Rules, Scheme, SignatureMethod,
    Target, percent,
};

/// Where a parameter stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `Authorization: OAuth …`
    Header,
    /// The query.
    Query,
    /// A form body.
    Form,
}

impl Origin {
    /// `header`, `query` or `form`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Form => "form",
        }
    }
}

/// One pair as it was sent.
pub(super) struct Sent {
    pub(super) origin: Origin,
    pub(super) wire_name: Vec<u8>,
    pub(super) wire_value: Vec<u8>,
    pub(super) has_equals: bool,
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Why no signature can be looked for.
pub(super) enum Flaw {
    /// The request is malformed: what is wrong with it.
    Malformed(String),
    /// No OAuth parameters.
    NoOauth,
    /// Some, without these.
    Lacks(Vec<ParameterName>),
}

/// What a body looks like, whatever its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Empty,
    Json,
    Form,
    Other,
}

/// A request with sound OAuth parameters.
pub(super) struct Source<'a> {
    pub(super) raw: &'a RawRequest,
    pub(super) scheme: Scheme,
    pub(super) authority: String,
    /// The path of the configured public address, without a slash at its end.
    pub(super) public_path: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    /// All that is signed, as sent: header, query, form.
    pub(super) sent: Vec<Sent>,
    pub(super) realm: Option<Vec<u8>>,
    pub(super) signature: Vec<u8>,
    pub(super) placement: Placement,
    pub(super) look: Look,
}

impl<'a> Source<'a> {
    pub(super) fn read(raw: &'a RawRequest, options: &Options) -> Result<Self, Flaw> {
        let absolute = Target::from_url(&raw.target);
        let public = match options.base_url.as_deref() {
            Some(url) => Some(Target::from_url(url).ok_or_else(|| flawed("base_url isn't an http or https URL"))?),
            None => absolute,
        };
        let (path, query) = match absolute {
            Some(target) => (target.path, target.query),
            None => split_query(&raw.target),
        };
        let mut hosts = raw.all("host");
        let host = hosts.next().and_then(|host| std::str::from_utf8(host).ok());
        if hosts.next().is_some() {
            return Err(flawed("the request holds two Host headers"));
        }
        let (scheme, authority, public_path) = match (public, host) {
            (Some(public), _) => (public.scheme, public.authority, public.path.trim_end_matches('/')),
            (None, Some(host)) => (Scheme::Http, host, ""),
            (None, None) => return Err(flawed("the request has no Host header")),
        };
        let mut headers = raw.all("authorization");
        let header = headers.next();
        if headers.next().is_some() {
            return Err(flawed("the request holds two Authorization headers"));
        }
        let parts = RequestParts {
            method: &raw.method,
            target: Target {
                scheme,
                authority,
                path,
                query,
            },
            authorization: header,
            form: raw.has_form().then_some(raw.body.as_slice()),
        };
        let (placement, signature) = check(&parts)?;
        let (sent, realm) = collect(&parts, placement);
        Ok(Self {
            raw,
            scheme,
            authority: authority.to_owned(),
            public_path: public_path.to_owned(),
            path: if path.is_empty() { "/" } else { path }.to_owned(),
            query: query.map(str::to_owned),
            sent,
            realm,
            signature,
            placement,
            look: look(&raw.body),
        })
    }

    /// The base string's inputs by RFC 5849.
    pub(super) fn right(&self) -> Draft<'_> {
        let (host, port) = host_and_port(self.authority.as_bytes());
        let port = if port == self.scheme.default_port() { b"" } else { port };
        Draft {
            method: Cow::Owned(self.raw.method.to_ascii_uppercase().into_bytes()),
            scheme: self.scheme.as_str(),
            host: Cow::Owned(host.to_ascii_lowercase()),
            port: Cow::Borrowed(port),
            path: Cow::Borrowed(self.path.as_bytes()),
            behind: Vec::new(),
            port_behind_path: false,
            pairs: self.sent.iter().map(Pair::of).collect(),
            order: Order::Rfc,
            names: Encoder::Rfc,
            values: Encoder::Rfc,
            url: Encoder::Rfc,
            joined: Encoder::Rfc,
        }
    }

    /// An `oauth_*` parameter's decoded value.
    pub(super) fn get(&self, name: ParameterName) -> Option<&[u8]> {
        let name = name.as_str().as_bytes();
        let found = self.sent.iter().find(|sent| sent.name == name);
        found.map(|sent| sent.value.as_slice())
    }

    /// The same as text; empty when absent.
    pub(super) fn text(&self, name: ParameterName) -> Cow<'_, str> {
        String::from_utf8_lossy(self.get(name).unwrap_or_default())
    }

    /// `oauth_token`; `None` when absent or empty (C14).
    pub(super) fn token(&self) -> Option<&[u8]> {
        self.get(ParameterName::Token).filter(|token| !token.is_empty())
    }
}

/// Splits at `&`, then at the first `=`; empty pieces are skipped (C34, C35).
pub(super) fn fields(text: &[u8], origin: Origin) -> impl Iterator<Item = Sent> {
    let pieces = text.split(|octet| *octet == b'&').filter(|piece| !piece.is_empty());
    pieces.map(move |piece| {
        let equals = piece.iter().position(|octet| *octet == b'=');
        let (name, value) = equals.map_or((piece, &[][..]), |at| piece.split_at(at));
        let value = value.get(1..).unwrap_or_default();
        Sent {
            origin,
            wire_name: name.to_owned(),
            wire_value: value.to_owned(),
            has_equals: equals.is_some(),
            name: decode_form(name),
            value: decode_form(value),
        }
    })
}

/// Percent-decoded alone; a `+` stays.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    percent::decode_into(text, &mut decoded);
    decoded
}

/// Decoded by the form rule.
pub(super) fn decode_form(text: &[u8]) -> Vec<u8> {
    decode(&replaced(text, b'+', b" "))
}

/// With every `octet` replaced.
pub(super) fn replaced(text: &[u8], octet: u8, by: &[u8]) -> Vec<u8> {
    let mut pieces = text.split(|other| *other == octet);
    let mut out = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        out.extend_from_slice(by);
        out.extend_from_slice(piece);
    }
    out
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)))
}

/// The placement and the decoded signature of a request whose parameters are sound.
fn check(parts: &RequestParts<'_>) -> Result<(Placement, Vec<u8>), Flaw> {
    let rules = Rules {
        placements: Placements {
            header: true,
            query: true,
            form: true,
        },
        limits: Limits {
            parameters: MAX_PARAMETERS,
            authorization: MAX_AUTHORIZATION,
            oauth_value: MAX_AUTHORIZATION,
        },
        // Magento's own client repeats its verifier in the form.
        repeat_in_form: parts.target.path.trim_end_matches('/').ends_with("/token/access"),
    };
    let found = OauthRequest::parse(parts, &rules).map_err(|problem| flawed(&describe(&problem)))?;
    let request = found.ok_or(Flaw::NoOauth)?;
    let is_absent = |name: &ParameterName| request.get(*name).is_none_or(<[u8]>::is_empty);
    let is_plaintext =
        request.get(ParameterName::SignatureMethod) == Some(SignatureMethod::Plaintext.as_str().as_bytes());
    let always = REQUIRED.into_iter().chain(UNIQUE.into_iter().filter(|_| !is_plaintext));
    let lacking: Vec<_> = always.filter(is_absent).collect();
    match request.get(ParameterName::Signature).filter(|_| lacking.is_empty()) {
        Some(signature) => Ok((request.placement(), signature.to_owned())),
        None => Err(Flaw::Lacks(lacking)),
    }
}

/// Every signed pair as sent, and the realm.
fn collect(parts: &RequestParts<'_>, placement: Placement) -> (Vec<Sent>, Option<Vec<u8>>) {
    let (mut sent, mut realm) = (Vec::new(), None);
    if let Authorization::OAuth(rest) = Authorization::read(parts.authorization) {
        let mut pairs = Pairs::new(rest);
        while let Ok(Some(pair)) = pairs.next() {
            let (name, value) = (pair.name.octets(), pair.value.octets());
            if name.eq_ignore_ascii_case(b"realm") {
                realm = Some(value.to_owned());
                continue;
            }
            sent.push(Sent {
                origin: Origin::Header,
                wire_name: name.to_owned(),
                wire_value: value.to_owned(),
                has_equals: true,
                name: decode(name),
                value: decode(value),
            });
        }
    }
    sent.extend(fields(parts.target.query.unwrap_or_default().as_bytes(), Origin::Query));
    // What a form repeats of the header counts once.
    let folds = placement == Placement::Header;
    let form = fields(parts.form.unwrap_or_default(), Origin::Form);
    sent.extend(form.filter(|field| !(folds && field.name.starts_with(b"oauth_"))));
    sent.retain(|one| one.name != ParameterName::Signature.as_str().as_bytes());
    (sent, realm)
}

fn look(body: &[u8]) -> Look {
    let body = body.trim_ascii();
    match body.first() {
        None => Look::Empty,
        Some(b'{' | b'[') => Look::Json,
        Some(_) if body.contains(&b'=') && !body.contains(&b'\n') && !body.starts_with(b"<") => Look::Form,
        Some(_) => Look::Other,
    }
}

fn flawed(what: &str) -> Flaw {
    Flaw::Malformed(what.to_owned())
}

fn describe(problem: &Problem) -> String {
    match problem {
        Problem::TooLarge => "it holds too many parameters".to_owned(),
        Problem::TwoPlacements => "oauth_ parameters stand in two places".to_owned(),
        Problem::PlacementRefused(placement) => {
            format!("oauth_ parameters in the {} are not accepted", placement.as_str())
        }
        Problem::FormRefused => "a GET or HEAD carries a form".to_owned(),
        Problem::Rejected(name) => format!("the parameter {name} stands twice or may not be sent"),
        Problem::Malformed
        | Problem::Absent(_)
        | Problem::VersionRejected(_)
        | Problem::LengthInvalid(_)
        | Problem::SignatureMethodRejected(_)
        | Problem::TimestampRefused
        | Problem::NonceInvalid
        | Problem::SignatureInvalid
        | Problem::BodyHashInvalid => "its OAuth parameters can't be read".to_owned(),
    }
}

/// What every signed request carries.
const REQUIRED: [ParameterName; 3] = [
    ParameterName::ConsumerKey,
    ParameterName::SignatureMethod,
    ParameterName::Signature,
];
/// All but PLAINTEXT too (C18).
const UNIQUE: [ParameterName; 2] = [ParameterName::Timestamp, ParameterName::Nonce];
/// As a server's own bounds (C16).
const MAX_PARAMETERS: usize = 1000;
const MAX_AUTHORIZATION: usize = 16 * 1024;

//! A request's OAuth parameters: found, checked for what the call needs, verified.

use std::fmt;

use crate::{
    Keys, MethodSet, ParameterName, Problem, SignatureMethod, Target,
    authorization::Authorization,
    base_string,
    form::mentions_oauth,
    parameters::{Known, Parameters},
    text::Text,
    timestamp::{self, Window},
};

/// Where the `oauth_*` parameters stood (RFC 5849 section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Placement {
    /// `Authorization: OAuth …`
    Header,
    /// The query of the request URI.
    Query,
    /// A form body.
    Form,
}

impl Placement {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "Authorization header",
            Self::Query => "query",
            Self::Form => "form",
        }
    }
}

/// Which placements are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placements {
    /// `Authorization: OAuth …`
    pub header: bool,
    /// The query of the request URI.
    pub query: bool,
    /// A form body.
    pub form: bool,
}

/// Bounds that hold before any cryptography (C16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Parameters of query and form together.
    pub parameters: usize,
    /// Octets of the `Authorization` header.
    pub authorization: usize,
    /// Octets of one decoded `oauth_*` value.
    pub oauth_value: usize,
}

/// What a server accepts of any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Where `oauth_*` may stand.
    pub placements: Placements,
    /// Bounds.
    pub limits: Limits,
    /// Whether a form field may repeat a header parameter with the same value (it counts once): Magento's own client sends
    /// `oauth_verifier` twice on `/oauth/token/access`.
    pub repeat_in_form: bool,
}

/// A request as it came, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// The real method, as sent.
    pub method: &'a str,
    /// The URL as the client saw it.
    pub target: Target<'a>,
    /// The one `Authorization` header's value, if any (two of them: the caller refuses).
    pub authorization: Option<&'a [u8]>,
    /// The body's octets, if the body is a form (C11).
    pub form: Option<&'a [u8]>,
}

/// Which call is made: what it must carry (magento.md 2.4; RFC 5849 sections 2 and 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `/oauth/token/request`
    RequestToken,
    /// `/oauth/token/access`, `/oauth/token`
    AccessToken,
    /// `/oauth/initiate`: needs `oauth_callback` too.
    Initiate,
    /// A resource; `two_legged`: without a token.
    Resource {
        /// Whether `oauth_token` may be absent or empty.
        two_legged: bool,
    },
}

/// What is accepted of one consumer's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Methods; others are [`Problem::SignatureMethodRejected`].
    pub methods: MethodSet,
    /// Whether `oauth_version=1.0A` (or `1.0a`) passes (Q1).
    pub version_1_0a: bool,
}

/// How the base string is built: RFC 5849, or one of the forms real clients and Magento need (magento.md 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "quirks of clients, each on its own")]
pub struct BaseForm {
    /// Natural-order sort of encoded names: `[2]` before `[10]`.
    pub magento_sort: bool,
    /// Host as sent, default port kept.
    pub magento_host: bool,
    /// Identical pairs once (Q3).
    pub collapse_identical_pairs: bool,
    /// The value of `oauth_body_hash` as it is, not encoded a first time (Q9).
    pub raw_body_hash: bool,
}

/// The OAuth parameters of a request, found in one placement; nothing required yet.
pub struct OauthRequest<'a> {
    http_method: &'a str,
    target: Target<'a>,
    parameters: Parameters<'a>,
    known: Known<'a>,
    placement: Placement,
    realm: Option<Text<'a>>,
}

impl<'a> OauthRequest<'a> {
    /// Finds them. `None`: the request carries no `oauth_*` parameter and no `OAuth` scheme: not an OAuth request.
    pub fn parse(parts: &RequestParts<'a>, rules: &Rules) -> Result<Option<Self>, Problem> {
        let header = match look(parts)? {
            Seen::Nowhere => return Ok(None),
            Seen::Header(rest) if rest.len() > rules.limits.authorization => return Err(Problem::TooLarge),
            Seen::Header(rest) => Some(rest),
            Seen::Elsewhere => None,
        };
        let (mut parameters, realm) = Parameters::collect(parts, header, rules.limits.parameters)?;
        parameters.sort();
        let placement = find_placement(header.is_some(), &mut parameters, rules)?;
        check_placement(placement, parts, rules)?;
        let known = parameters.known(rules.limits.oauth_value)?;
        let request = Self {
            http_method: parts.method,
            target: parts.target,
            parameters,
            known,
            placement,
            realm,
        };
        request.check_values(parts.form)?;
        Ok(Some(request))
    }

    /// Where they stood.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// One parameter, decoded; `None` when absent.
    pub fn get(&self, name: ParameterName) -> Option<&[u8]> {
        self.known.get(name).map(|value| self.parameters.octets(value))
    }

    /// The header's `realm`, which isn't signed (C6).
    pub fn realm(&self) -> Option<&[u8]> {
        self.realm.map(|value| self.parameters.octets(value))
    }

    /// Checks all that needs no key, in Magento's order (magento.md 2.5 stage A): version, required, token length, method;
    /// then timestamp syntax and nonce length.
    pub fn require(self, call: Call, accept: &Acceptance) -> Result<SignedRequest<'a>, Problem> {
        self.check_version(*accept)?;
        self.check_presence(call)?;
        self.check_token_length(call)?;
        let method = self.accepted_method(*accept)?;
        let timestamp = self.get(ParameterName::Timestamp).map(timestamp::parse).transpose()?;
        if self
            .get(ParameterName::Nonce)
            .is_some_and(|nonce| !is_sound_nonce(nonce))
        {
            return Err(Problem::NonceInvalid);
        }
        Ok(SignedRequest {
            request: self,
            method,
            timestamp,
        })
    }

    /// Key and token are text without control characters (P20); a form carries no body hash, since its fields are signed
    /// (X3); the path could stand in a request line (C45).
    fn check_values(&self, form: Option<&[u8]>) -> Result<(), Problem> {
        for name in [ParameterName::ConsumerKey, ParameterName::Token] {
            let is_text = |value| std::str::from_utf8(value).is_ok_and(|text| !text.contains(char::is_control));
            if !self.known.is_plain(name) && !self.get(name).is_none_or(is_text) {
                return Err(Problem::Rejected(name.as_str().to_owned()));
            }
        }
        if self.known.get(ParameterName::BodyHash).is_some() && form.is_some_and(|form| !form.is_empty()) {
            return Err(Problem::Rejected(ParameterName::BodyHash.as_str().to_owned()));
        }
        if self.target.has_sound_path() {
            Ok(())
        } else {
            Err(Problem::Malformed)
        }
    }

    fn check_version(&self, accept: Acceptance) -> Result<(), Problem> {
        match self.get(ParameterName::Version) {
            None | Some(b"1.0") => Ok(()),
            Some(b"1.0A" | b"1.0a") if accept.version_1_0a => Ok(()),
            Some(other) => Err(Problem::VersionRejected(String::from_utf8_lossy(other).into_owned())),
        }
    }

    /// Presence only; an empty value passes (magento.md 2.4). PLAINTEXT may leave out timestamp and nonce (C18).
    fn check_presence(&self, call: Call) -> Result<(), Problem> {
        let is_absent = |name: &ParameterName| self.known.get(*name).is_none();
        let required = required(call);
        if !required.iter().any(is_absent) {
            return Ok(());
        }
        let is_plaintext =
            self.get(ParameterName::SignatureMethod) == Some(SignatureMethod::Plaintext.as_str().as_bytes());
        let absent: Vec<_> = required
            .iter()
            .filter(|name| is_absent(name))
            .filter(|name| !(is_plaintext && matches!(name, ParameterName::Timestamp | ParameterName::Nonce)))
            .copied()
            .collect();
        if absent.is_empty() {
            Ok(())
        } else {
            Err(Problem::Absent(absent))
        }
    }

    fn check_token_length(&self, call: Call) -> Result<(), Problem> {
        let may_be_empty = match call {
            Call::Initiate => return Ok(()),
            Call::Resource { two_legged } => two_legged,
            Call::RequestToken | Call::AccessToken => false,
        };
        match self.get(ParameterName::Token).map(<[u8]>::len) {
            None | Some(TOKEN_LENGTH) => Ok(()),
            Some(0) if may_be_empty => Ok(()),
            Some(_) => Err(Problem::LengthInvalid(ParameterName::Token)),
        }
    }

    fn accepted_method(&self, accept: Acceptance) -> Result<SignatureMethod, Problem> {
        let name = self.get(ParameterName::SignatureMethod).unwrap_or_default();
        SignatureMethod::of(name)
            .filter(|method| accept.methods.contains(*method))
            .ok_or_else(|| Problem::SignatureMethodRejected(String::from_utf8_lossy(name).into_owned()))
    }

    fn text(&self, name: ParameterName) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl fmt::Debug for OauthRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OauthRequest")
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// A request that carries all that its call needs. It is not verified yet: [`SignedRequest::verify`] does that.
pub struct SignedRequest<'a> {
    request: OauthRequest<'a>,
    method: SignatureMethod,
    timestamp: Option<u64>,
}

impl SignedRequest<'_> {
    /// `oauth_consumer_key`; may be of any length.
    pub fn consumer_key(&self) -> &str {
        self.request.text(ParameterName::ConsumerKey).unwrap_or_default()
    }

    /// `oauth_token`; `None` when absent or empty (C14).
    pub fn token(&self) -> Option<&str> {
        self.request
            .text(ParameterName::Token)
            .filter(|token| !token.is_empty())
    }

    /// The declared method.
    pub fn method(&self) -> SignatureMethod {
        self.method
    }

    /// `oauth_timestamp` and `oauth_nonce`; `None` only with PLAINTEXT, which may omit them (C18).
    pub fn timestamp_and_nonce(&self) -> Option<(u64, &[u8])> {
        self.timestamp.zip(self.request.get(ParameterName::Nonce))
    }

    /// `oauth_verifier`, decoded.
    pub fn verifier(&self) -> Option<&[u8]> {
        self.request.get(ParameterName::Verifier)
    }

    /// `oauth_callback`, decoded.
    pub fn callback(&self) -> Option<&[u8]> {
        self.request.get(ParameterName::Callback)
    }

    /// `oauth_body_hash`, as sent (base64).
    pub fn body_hash(&self) -> Option<&[u8]> {
        self.request.get(ParameterName::BodyHash)
    }

    /// The header's `realm`, which isn't signed (C6).
    pub fn realm(&self) -> Option<&[u8]> {
        self.request.realm()
    }

    /// Whether the timestamp is inside the window at `now` (Unix seconds).
    pub fn check_timestamp(&self, window: Window, now: u64) -> Result<(), Problem> {
        match self.timestamp {
            Some(timestamp) if !window.contains(timestamp, now) => Err(Problem::TimestampRefused),
            Some(_) | None => Ok(()),
        }
    }

    /// The signature base string in the given form (RFC 5849 section 3.4.1). Holds no secret.
    pub fn base_string(&self, form: BaseForm) -> Vec<u8> {
        let OauthRequest {
            http_method,
            target,
            parameters,
            ..
        } = &self.request;
        base_string::build(http_method, target, parameters, form)
    }

    /// Verifies in constant time against `keys`, in each form until one holds; answers the one that did.
    pub fn verify(&self, keys: &Keys, forms: &[BaseForm]) -> Result<BaseForm, Problem> {
        let mut tried: Vec<Vec<u8>> = Vec::new();
        for (at, form) in forms.iter().enumerate() {
            let base = self.base_string(*form);
            if tried.contains(&base) {
                continue;
            }
            if keys.verify(self.method, &base, self.signature()) {
                return Ok(*form);
            }
            if at + 1 < forms.len() {
                tried.push(base);
            }
        }
        Err(Problem::SignatureInvalid)
    }

    /// Whether it would verify as another request (for hints in the log).
    pub fn verify_against(&self, parts: &RequestParts<'_>, keys: &Keys) -> bool {
        base_string::of(parts, BaseForm::default()).is_ok_and(|base| keys.verify(self.method, &base, self.signature()))
    }

    /// Whether it would verify with another hash.
    pub fn verify_other_hash(&self, keys: &Keys) -> bool {
        let base = self.base_string(BaseForm::default());
        let mut others = SignatureMethod::ALL.into_iter().filter(|other| *other != self.method);
        others.any(|other| keys.verify(other, &base, self.signature()))
    }

    fn signature(&self) -> &[u8] {
        self.request.get(ParameterName::Signature).unwrap_or_default()
    }
}

impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignedRequest")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Where OAuth parameters were seen before anything is parsed.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Nowhere,
    /// Behind the `OAuth` scheme, perhaps elsewhere too.
    Header(&'a [u8]),
    /// In query or form.
    Elsewhere,
}

fn look<'a>(parts: &RequestParts<'a>) -> Result<Seen<'a>, Problem> {
    let is_mentioned = || {
        let in_query = parts.target.query.is_some_and(|query| mentions_oauth(query.as_bytes()));
        in_query || parts.form.is_some_and(mentions_oauth)
    };
    match Authorization::read(parts.authorization) {
        Authorization::OAuth(rest) => Ok(Seen::Header(rest)),
        Authorization::Several => Err(Problem::Malformed),
        Authorization::Bearer if is_mentioned() => Err(Problem::Malformed),
        Authorization::Other if is_mentioned() => Ok(Seen::Elsewhere),
        Authorization::Bearer | Authorization::Other => Ok(Seen::Nowhere),
    }
}

/// The one placement (C2). What a form may repeat is folded into the header.
fn find_placement(has_header: bool, parameters: &mut Parameters<'_>, rules: &Rules) -> Result<Placement, Problem> {
    let found = parameters.oauth();
    match (has_header, found.query, found.form) {
        (true, false, false) => Ok(Placement::Header),
        (true, false, true) if rules.repeat_in_form => parameters.fold_repeats().map(|()| Placement::Header),
        (false, true, false) => Ok(Placement::Query),
        (false, false, true) => Ok(Placement::Form),
        (true, _, _) | (_, true, true) => Err(Problem::TwoPlacements),
        (false, false, false) => Err(Problem::Malformed),
    }
}

/// A switched-off placement is refused, and so is a form on GET and HEAD, whose body few servers agree on (C1, C13).
fn check_placement(placement: Placement, parts: &RequestParts<'_>, rules: &Rules) -> Result<(), Problem> {
    let is_accepted = match placement {
        Placement::Header => rules.placements.header,
        Placement::Query => rules.placements.query,
        Placement::Form => rules.placements.form,
    };
    if !is_accepted {
        return Err(Problem::PlacementRefused(placement));
    }
    let is_bodyless = ["GET", "HEAD"]
        .iter()
        .any(|method| parts.method.eq_ignore_ascii_case(method));
    if is_bodyless && parts.form.is_some_and(|form| !form.is_empty()) {
        return Err(Problem::FormRefused);
    }
    Ok(())
}

/// What a call must carry, in the order in which Magento lists it (magento.md 2.4).
fn required(call: Call) -> &'static [ParameterName] {
    use ParameterName::{Callback, ConsumerKey, Nonce, Signature, SignatureMethod, Timestamp, Token, Verifier};
    match call {
        Call::RequestToken | Call::Resource { two_legged: true } => {
            &[ConsumerKey, Signature, SignatureMethod, Nonce, Timestamp]
        }
        Call::AccessToken => &[
            ConsumerKey,
            Signature,
            SignatureMethod,
            Nonce,
            Timestamp,
            Token,
            Verifier,
        ],
        Call::Initiate => &[ConsumerKey, Signature, SignatureMethod, Nonce, Timestamp, Callback],
        Call::Resource { two_legged: false } => &[ConsumerKey, Signature, SignatureMethod, Nonce, Timestamp, Token],
    }
}

/// 1 to 255 octets of whatever a client likes, but no control characters (C69, P20).
fn is_sound_nonce(nonce: &[u8]) -> bool {
    let holds_control = nonce
        .iter()
        .fold(false, |holds, octet| holds | octet.is_ascii_control());
    (1..=MAX_NONCE_LENGTH).contains(&nonce.len()) && !holds_control
}

/// Octets of every token (magento.md 1.7).
const TOKEN_LENGTH: usize = 32;

const MAX_NONCE_LENGTH: usize = 255;

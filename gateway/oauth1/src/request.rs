//! A request's OAuth parameters: found, checked for what the call needs, verified.

use crate::{Keys, MethodSet, ParameterName, Problem, SignatureMethod, Target, timestamp::Window};

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
pub struct BaseForm {
    /// Natural-order sort of encoded names: `[2]` before `[10]`.
    pub magento_sort: bool,
    /// Host as sent, default port kept.
    pub magento_host: bool,
    /// Identical pairs once (Q3).
    pub collapse_identical_pairs: bool,
}

/// The OAuth parameters of a request, found in one placement; nothing required yet.
#[derive(Debug)]
pub struct OauthRequest<'a>(std::marker::PhantomData<&'a ()>);

impl<'a> OauthRequest<'a> {
    /// Finds them. `None`: the request carries no `oauth_*` parameter and no `OAuth` scheme: not an OAuth request.
    pub fn parse(_parts: &RequestParts<'a>, _rules: &Rules) -> Result<Option<Self>, Problem> {
        todo!()
    }

    /// Where they stood.
    pub fn placement(&self) -> Placement {
        todo!()
    }

    /// One parameter, decoded; `None` when absent.
    pub fn get(&self, _name: ParameterName) -> Option<&[u8]> {
        todo!()
    }

    /// Checks all that needs no key, in Magento's order (magento.md 2.5 stage A): version, required, token length, method;
    /// then timestamp syntax and nonce length.
    pub fn require(self, _call: Call, _accept: &Acceptance) -> Result<SignedRequest<'a>, Problem> {
        todo!()
    }
}

/// A request that carries all that its call needs. It is not verified yet: [`SignedRequest::verify`] does that.
#[derive(Debug)]
pub struct SignedRequest<'a>(std::marker::PhantomData<&'a ()>);

impl SignedRequest<'_> {
    /// `oauth_consumer_key`; may be of any length.
    pub fn consumer_key(&self) -> &str {
        todo!()
    }

    /// `oauth_token`; `None` when absent or empty (C14).
    pub fn token(&self) -> Option<&str> {
        todo!()
    }

    /// The declared method.
    pub fn method(&self) -> SignatureMethod {
        todo!()
    }

    /// `oauth_timestamp` and `oauth_nonce`; `None` only with PLAINTEXT, which may omit them (C18).
    pub fn timestamp_and_nonce(&self) -> Option<(u64, &[u8])> {
        todo!()
    }

    /// `oauth_verifier`, decoded.
    pub fn verifier(&self) -> Option<&[u8]> {
        todo!()
    }

    /// `oauth_callback`, decoded.
    pub fn callback(&self) -> Option<&[u8]> {
        todo!()
    }

    /// `oauth_body_hash`, as sent (base64).
    pub fn body_hash(&self) -> Option<&[u8]> {
        todo!()
    }

    /// Whether the timestamp is inside the window at `now` (Unix seconds).
    pub fn check_timestamp(&self, _window: Window, _now: u64) -> Result<(), Problem> {
        todo!()
    }

    /// The signature base string in the given form (RFC 5849 section 3.4.1). Holds no secret.
    pub fn base_string(&self, _form: BaseForm) -> Vec<u8> {
        todo!()
    }

    /// Verifies in constant time against `keys`, in each form until one holds; answers the one that did.
    pub fn verify(&self, _keys: &Keys, _forms: &[BaseForm]) -> Result<BaseForm, Problem> {
        todo!()
    }

    /// Whether it would verify as another request (for hints in the log).
    pub fn verify_against(&self, _parts: &RequestParts<'_>, _keys: &Keys) -> bool {
        todo!()
    }

    /// Whether it would verify with another hash.
    pub fn verify_other_hash(&self, _keys: &Keys) -> bool {
        todo!()
    }
}

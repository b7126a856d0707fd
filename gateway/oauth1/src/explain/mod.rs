//! Why a signature does not verify: the known mistakes of clients are made, one by one and in pairs, until one reproduces
//! the client's signature. A mistake is named only when it does.
//!
//! Bounded: at most 6,000 MACs over at most 512 MiB of base strings, whatever the request; the same answer on any machine.
//! Nothing that is answered tells a secret, its length or a computed signature. It takes its time and tells whether a
//! guessed secret is right, so it never runs for a caller who isn't known, and never in the way of a request.

mod catalogue;
mod curl;
mod digest;
mod draft;
mod encoder;
mod judge;
mod keys;
mod order;
mod raw;
mod rows;
mod rsa;
mod search;
mod source;
mod value;
mod words;

use zeroize::Zeroizing;

pub use crate::form::mentions_oauth;
pub use catalogue::Id;
pub use raw::{REMOVED, RawRequest};
pub use source::Origin;
pub use words::Finding;

use catalogue::Catalogue;
use draft::Draft;
use source::{Flaw, Source};

use crate::{ParameterName, SignatureMethod};

/// What the server knows of the request's consumer and token. What is absent isn't compared.
#[derive(Clone, Default)]
pub struct Secrets {
    /// `oauth_consumer_key`
    pub consumer_key: Option<String>,
    /// Its secret.
    pub consumer_secret: Option<Zeroizing<String>>,
    /// `oauth_token`
    pub token: Option<String>,
    /// Its secret.
    pub token_secret: Option<Zeroizing<String>>,
    /// The request token that `token` was exchanged from.
    pub request_token: Option<String>,
    /// Its secret.
    pub request_token_secret: Option<Zeroizing<String>>,
    /// Replaced by a rotation.
    pub previous_consumer_secrets: Vec<Zeroizing<String>>,
    /// Of earlier tokens of the same user.
    pub previous_token_secrets: Vec<Zeroizing<String>>,
    /// PEM.
    pub rsa_public_key: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets(..)")
    }
}

/// How the server takes the request.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Scheme and authority that clients sign; absent: what the request itself says.
    pub base_url: Option<String>,
    /// Unix seconds; absent: the clock isn't judged.
    pub received_at: Option<u64>,
    /// Seconds around `received_at`.
    pub timestamp_window: u64,
    /// Forms that verify here beside RFC 5849's, each alone and all together.
    pub compat: crate::BaseForm,
    /// Whether the nonce was used before.
    pub nonce_used: bool,
    /// Whether the request comes without its body, so that a declared hash can't be compared.
    pub without_body: bool,
    /// Whether the request came with a form that isn't here: its fields are signed, so that nothing can be said of the
    /// signature.
    pub without_form: bool,
}

/// How an explanation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The signature holds, and nothing else is wrong.
    Valid,
    /// Something is wrong, and it is known what.
    Diagnosed,
    /// The signature doesn't hold, and none of the known mistakes makes it.
    Unknown,
    /// There was no signature to look at.
    Malformed,
}

impl Outcome {
    /// As it stands in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Diagnosed => "diagnosed",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
        }
    }
}

/// Why an answer without a diagnosis says less than that no known mistake was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The signature wasn't kept: nothing was tried.
    Signature,
    /// The same; it looked like two secrets in clear, where a signature belongs.
    Clear,
    /// The form wasn't kept, whose fields are signed: nothing was tried.
    Form,
    /// No secret (or public key) is known: nothing was tried.
    Secret,
    /// The value is no digest in any known form: nothing could be tried.
    Value,
    /// The token's secret isn't known: only keys without one were tried.
    TokenSecret,
    /// The request is so long that not every mistake, or not every pair, was tried.
    Budget,
}

/// The base string that the server built, and its three parts unencoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseString {
    /// Whole.
    pub text: String,
    /// The method.
    pub method: String,
    /// Scheme, authority and path.
    pub url: String,
    /// The normalised parameters, encoded once.
    pub parameters: String,
}

/// A parameter as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Decoded.
    pub name: String,
    /// Decoded; a signature is cut to its first four characters.
    pub value: String,
    /// Where it stood.
    pub origin: Origin,
    /// Whether it is part of the base string.
    pub is_signed: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// How it ended.
    pub outcome: Outcome,
    /// One entry a mistake.
    pub diagnosis: Vec<Finding>,
    /// What is wrong with a malformed request.
    pub flaw: Option<String>,
    /// Where the outcome is unknown: what kept the search from being a whole one.
    pub gaps: Vec<Gap>,
    /// None for PLAINTEXT, whose key is its signature, for a malformed request, and without the form.
    pub base_string: Option<BaseString>,
    /// The one that the client signed instead: the mistakes make it, and it gives the client's signature. None where it
    /// signed the same under another key, or nothing was found.
    pub signed_base_string: Option<String>,
    /// In the order of header, query and form.
    pub parameters: Vec<Parameter>,
    /// Which parts the right key has.
    pub key_shape: Option<String>,
    /// MACs that were computed.
    pub macs: u32,
}

/// Explains one request.
pub fn explain(request: &RawRequest, secrets: &Secrets, options: &Options) -> Explanation {
    let catalogue = Catalogue::read();
    match Source::read(request, options) {
        Ok(source) => judge::judge(&catalogue, &source, secrets, options),
        // They may have been fields of the form.
        Err(Flaw::NoOauth) if options.without_form => Explanation {
            gaps: vec![Gap::Form],
            ..Explanation::new(Outcome::Unknown)
        },
        Err(Flaw::NoOauth) => Explanation::malformed(&catalogue, Id::Note(6), None),
        Err(Flaw::Lacks(names)) => Explanation::lacking(&catalogue, &names),
        Err(Flaw::Malformed(what)) => Explanation::malformed(&catalogue, Id::Note(5), Some(what)),
    }
}

/// Explains one that somebody brings as text: what an editor put behind it may not be part of it.
pub fn explain_pasted(request: &RawRequest, secrets: &Secrets, options: &Options) -> Explanation {
    let explanation = explain(request, secrets, options);
    if explanation.outcome != Outcome::Unknown {
        return explanation;
    }
    let shorter = request.without_last_line_end();
    let again = shorter.map(|request| explain(&request, secrets, options));
    again
        .filter(|again| again.outcome != Outcome::Unknown)
        .unwrap_or(explanation)
}

/// Why a request that couldn't even be read is refused.
pub fn explain_unreadable(what: &str) -> Explanation {
    Explanation::malformed(&Catalogue::read(), Id::Note(5), Some(what.to_owned()))
}

impl Explanation {
    fn malformed(catalogue: &Catalogue, id: Id, flaw: Option<String>) -> Self {
        let mut finding = Finding::new(catalogue, id, &[]);
        if let Some(flaw) = &flaw {
            finding.sentence = format!("{} ({flaw})", finding.sentence);
        }
        Self {
            diagnosis: vec![finding],
            flaw,
            ..Self::new(Outcome::Malformed)
        }
    }

    /// Others arrived, so it is not the header that was lost.
    fn lacking(catalogue: &Catalogue, names: &[ParameterName]) -> Self {
        let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
        let mut explanation = Self::malformed(catalogue, Id::Note(6), None);
        for finding in &mut explanation.diagnosis {
            finding.sentence = format!(
                "The OAuth parameters arrived without {}: every signed request must carry {}.",
                names.join(" and "),
                if names.len() == 1 { "it" } else { "them" },
            );
        }
        explanation
    }

    /// With nothing in it.
    fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            diagnosis: Vec::new(),
            flaw: None,
            gaps: Vec::new(),
            base_string: None,
            signed_base_string: None,
            parameters: Vec::new(),
            key_shape: None,
            macs: 0,
        }
    }

    /// Of a readable request, before anything is known.
    fn of(source: &Source<'_>, right: &Draft<'_>, key_shape: String) -> Self {
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        let is_plaintext = source.text(ParameterName::SignatureMethod) == SignatureMethod::Plaintext.as_str();
        let base_string = BaseString {
            text: text(right.build()),
            method: text(right.method.to_vec()),
            url: text(right.url_text()),
            parameters: text(right.parameters_text()),
        };
        Self {
            base_string: (!is_plaintext).then_some(base_string),
            parameters: parameters(source),
            key_shape: Some(key_shape),
            ..Self::new(Outcome::Unknown)
        }
    }
}

fn parameters(source: &Source<'_>) -> Vec<Parameter> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let signed = source.sent.iter().map(|sent| Parameter {
        name: text(&sent.name),
        value: text(&sent.value),
        origin: sent.origin,
        is_signed: true,
    });
    let mut all: Vec<_> = signed.collect();
    let origin = match source.placement {
        crate::Placement::Header => Origin::Header,
        crate::Placement::Query => Origin::Query,
        crate::Placement::Form => Origin::Form,
    };
    all.extend(source.realm.as_ref().map(|realm| Parameter {
        name: "realm".to_owned(),
        value: text(realm),
        origin: Origin::Header,
        is_signed: false,
    }));
    all.push(Parameter {
        name: ParameterName::Signature.as_str().to_owned(),
        value: judge::shown_signature(source),
        origin,
        is_signed: false,
    });
    all
}

//! OAuth 1.0a: parse, look up, verify, and only then claim the nonce (product.md 4 and 6; magento.md 2.5).
//!
//! Two steps with a type between them: [`Proven`] says that the signature holds; [`Verifier::claim`] turns it into the
//! only request with that nonce. Between the two a declared body hash is compared. Unknown consumers and tokens are
//! verified against a dummy key, so that timing tells nothing.

mod hint;
mod policy;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use oauth1::{
    Acceptance, BaseForm, Call, Keys, MethodSet, OauthRequest, ParameterName, Placement, Problem, RequestParts,
    SignedRequest, timestamp::Window,
};
use token_store::{Claim, Delegated, NonceClaim, Store};

pub use self::policy::rules;
use self::policy::{allows, check_method};
use super::Lookup;
use super::credential::{Credential, Credentials};
use super::secret_use::ConsumerSecret;
use crate::config;
use crate::random::CREDENTIAL_LENGTH;
use crate::refusal::{Cause, Message, Refusal};

/// What verifying needs, lent by the worker.
#[derive(Clone, Copy)]
pub struct Verifier<'w> {
    /// The worker's memory.
    pub credentials: &'w Credentials,
    /// For what memory doesn't hold.
    pub store: &'w Arc<dyn Store>,
    /// `[oauth]`
    pub oauth: &'w config::Oauth,
    /// Verifies nothing, at the usual cost.
    pub dummy: &'w Keys,
    /// Unix seconds by which the request is judged.
    pub now: u64,
    /// The same moment, for what memory may be believed.
    pub instant: Instant,
    /// The `Host` that the request came with, for what the log says of a bad signature.
    pub called: &'w str,
}

/// A request whose signature holds; whether it may count is not known yet.
pub struct Proven<'a> {
    /// Who signed.
    pub credential: Rc<Credential>,
    /// With which token.
    pub token: TokenUse,
    signed: SignedRequest<'a>,
    placement: Placement,
}

/// The token that a request was signed with.
pub enum TokenUse {
    /// None: two-legged, or a call that takes none.
    None,
    /// The consumer's own, whatever its stage.
    Own,
    /// One that a user delegated.
    Delegated(Arc<Delegated>),
}

/// Which refusal a token that can't be found gets.
#[derive(Clone, Copy)]
struct TokenSentences {
    foreign: &'static str,
}

impl Verifier<'_> {
    /// A resource request: the signature with whatever token it names.
    pub fn resource<'v, 'a: 'v>(
        &'v self,
        parts: &'v RequestParts<'a>,
        request: OauthRequest<'a>,
    ) -> Lookup<'v, Proven<'a>> {
        match self.known(&request) {
            Some(credential) => Lookup::Known(self.of_known(parts, request, credential)),
            None => Lookup::Asking(Box::pin(self.of_stored(parts, request))),
        }
    }

    /// The consumer, where memory holds it and the request names its access token in use: all but a few requests do.
    fn known(&self, request: &OauthRequest<'_>) -> Option<Rc<Credential>> {
        let version = request.get(ParameterName::Version);
        if version.is_some_and(|version| version != b"1.0") {
            return None;
        }
        let (key, token) = (
            request.get(ParameterName::ConsumerKey)?,
            request.get(ParameterName::Token)?,
        );
        self.credentials
            .in_memory(key, self.instant)
            .filter(|credential| credential.is_settled_token(token))
    }

    fn of_known<'a>(
        &self,
        parts: &RequestParts<'a>,
        request: OauthRequest<'a>,
        credential: Rc<Credential>,
    ) -> Result<Proven<'a>, Refusal> {
        let (signed, placement) = Self::require(request, Call::Resource { two_legged: false }, None)?;
        self.check_policy(parts, &credential, &signed, placement)?;
        self.verify(parts, &signed, &credential, &TokenUse::Own)?;
        Ok(Proven {
            credential,
            token: TokenUse::Own,
            signed,
            placement,
        })
    }

    async fn of_stored<'a>(&self, parts: &RequestParts<'a>, request: OauthRequest<'a>) -> Result<Proven<'a>, Refusal> {
        let early = self.early(&request).await?;
        let two_legged = early.as_ref().is_some_and(|one| one.two_legged());
        let (signed, placement) = Self::require(request, Call::Resource { two_legged }, early.as_deref())?;
        let credential = self.consumer(
            parts,
            &signed,
            self.credentials.by_key(self.key(parts, &signed)?).await?,
        )?;
        self.check_policy(parts, &credential, &signed, placement)?;
        let token = if signed.token().is_none() {
            TokenUse::None
        } else {
            let sentences = TokenSentences {
                foreign: "Token is not associated with the specified consumer",
            };
            self.find_token(parts, &credential, &signed, sentences).await?
        };
        self.verify(parts, &signed, &credential, &token)?;
        Ok(Proven {
            credential,
            token,
            signed,
            placement,
        })
    }

    /// `/oauth/token/request` and `/oauth/initiate`: signed by the consumer alone.
    pub async fn consumer_only<'a>(
        &self,
        parts: &RequestParts<'a>,
        request: OauthRequest<'a>,
        call: Call,
    ) -> Result<Proven<'a>, Refusal> {
        let early = self.early(&request).await?;
        let (signed, placement) = Self::require(request, call, early.as_deref())?;
        let credential = self.consumer(
            parts,
            &signed,
            self.credentials.current(self.key(parts, &signed)?).await?,
        )?;
        self.check_policy(parts, &credential, &signed, placement)?;
        self.verify(parts, &signed, &credential, &TokenUse::None)?;
        Ok(Proven {
            credential,
            token: TokenUse::None,
            signed,
            placement,
        })
    }

    /// `/oauth/token/access` and `/oauth/token`: signed with a request token, found by `find` among what the consumer has.
    pub async fn exchange<'a>(
        &self,
        parts: &RequestParts<'a>,
        request: OauthRequest<'a>,
    ) -> Result<Proven<'a>, Refusal> {
        let early = self.early(&request).await?;
        let (signed, placement) = Self::require(request, Call::AccessToken, early.as_deref())?;
        let credential = self.consumer(
            parts,
            &signed,
            self.credentials.current(self.key(parts, &signed)?).await?,
        )?;
        self.check_policy(parts, &credential, &signed, placement)?;
        let sentences = TokenSentences {
            foreign: "Request token is not associated with the specified consumer",
        };
        let token = self.find_token(parts, &credential, &signed, sentences).await?;
        self.verify(parts, &signed, &credential, &token)?;
        Ok(Proven {
            credential,
            token,
            signed,
            placement,
        })
    }

    /// Claims the nonce: from here on the request counts, and only this once.
    pub async fn claim(&self, proven: &Proven<'_>) -> Result<(), Refusal> {
        // Only PLAINTEXT may come without (C18); TLS is what keeps it from being seen and repeated.
        let Some((timestamp, nonce)) = proven.signed.timestamp_and_nonce() else {
            return Ok(());
        };
        let consumer = proven.credential.id();
        let claim = NonceClaim {
            consumer,
            token: proven.signed.token(),
            timestamp,
            nonce,
            now: self.now,
        };
        match self.store.claim_nonce(claim).await? {
            Claim::Fresh => Ok(()),
            Claim::Used => Err(Refusal::saying(
                Cause::NonceUsed,
                Message::Positional(
                    "The nonce is already being used by the consumer with ID %1",
                    consumer.0.to_string(),
                ),
            )),
            Claim::Unsure => Err(Cause::ReplayUnsure.into()),
        }
    }

    /// The consumer, looked up before the required parameters are checked: only where what is required depends on it.
    async fn early(&self, request: &OauthRequest<'_>) -> Result<Option<Rc<Credential>>, Refusal> {
        let no_token = request.get(ParameterName::Token).is_none_or(<[u8]>::is_empty);
        let odd_version = request
            .get(ParameterName::Version)
            .is_some_and(|version| version != b"1.0");
        if !no_token && !odd_version {
            return Ok(None);
        }
        let key = request
            .get(ParameterName::ConsumerKey)
            .and_then(|key| std::str::from_utf8(key).ok());
        match key.filter(|key| key.len() == CREDENTIAL_LENGTH) {
            Some(key) => Ok(self.credentials.by_key(key).await?),
            None => Ok(None),
        }
    }

    fn require<'a>(
        request: OauthRequest<'a>,
        call: Call,
        early: Option<&Credential>,
    ) -> Result<(SignedRequest<'a>, Placement), Refusal> {
        let placement = request.placement();
        let acceptance = Acceptance {
            methods: MethodSet::ALL,
            version_1_0a: early.is_some_and(|one| one.flag("accept_version_1_0A")),
        };
        Ok((request.require(call, &acceptance)?, placement))
    }

    fn key<'s>(&self, parts: &RequestParts<'_>, signed: &'s SignedRequest<'_>) -> Result<&'s str, Refusal> {
        let key = signed.consumer_key();
        if key.is_empty() || key.len() == CREDENTIAL_LENGTH {
            return Ok(key);
        }
        self.verify_nothing(parts, signed);
        Err(Refusal::saying(
            Cause::ConsumerKeyUnknown,
            Message::Plain("Consumer key is not the correct length"),
        ))
    }

    fn consumer(
        &self,
        parts: &RequestParts<'_>,
        signed: &SignedRequest<'_>,
        found: Option<Rc<Credential>>,
    ) -> Result<Rc<Credential>, Refusal> {
        if let Some(credential) = found {
            return Ok(credential);
        }
        check_method(self.oauth.signature_methods, parts, signed)?;
        self.verify_nothing(parts, signed);
        if self.oauth.uniform_errors {
            // As of who is known, or a stale request would tell the two apart.
            self.check_clock(signed).map_err(|_| Cause::TimestampRefused)?;
        }
        Err(Cause::ConsumerKeyUnknown.into())
    }

    /// What this consumer may use: its methods, its placements.
    fn check_policy(
        &self,
        parts: &RequestParts<'_>,
        credential: &Credential,
        signed: &SignedRequest<'_>,
        placement: Placement,
    ) -> Result<(), Refusal> {
        check_method(credential.methods(), parts, signed)?;
        let allowed = credential.placements().unwrap_or(self.oauth.placements);
        if allows(allowed, placement) {
            Ok(())
        } else {
            Err(Problem::PlacementRefused(placement).into())
        }
    }

    async fn find_token(
        &self,
        parts: &RequestParts<'_>,
        credential: &Credential,
        signed: &SignedRequest<'_>,
        sentences: TokenSentences,
    ) -> Result<TokenUse, Refusal> {
        let token = signed.token().unwrap_or_default();
        let record = credential.record();
        if record
            .token
            .as_ref()
            .is_some_and(|own| own.token() == Some(token) || own.exchanged_from(token).is_some())
        {
            return Ok(TokenUse::Own);
        }
        if let Some(delegated) = self.store.delegated(record.consumer.id, token).await? {
            return Ok(TokenUse::Delegated(delegated));
        }
        let foreign = self
            .store
            .consumer_of_token(token)
            .await?
            .is_some_and(|owner| owner != record.consumer.id);
        self.verify_nothing(parts, signed);
        // The clock is judged before the token (magento.md 2.5), but needs no answer of the store's.
        self.check_clock(signed).map_err(|_| Cause::TimestampRefused)?;
        let sentence = if foreign {
            sentences.foreign
        } else {
            "Specified token does not exist"
        };
        Err(Refusal::saying(Cause::TokenRejected, Message::Plain(sentence)))
    }

    /// The signature, then the clock: which timestamps would do is told only to who holds the secret.
    fn verify(
        &self,
        parts: &RequestParts<'_>,
        signed: &SignedRequest<'_>,
        credential: &Credential,
        token: &TokenUse,
    ) -> Result<(), Refusal> {
        let clock = self.check_clock(signed);
        let made;
        let exchanged = match token {
            TokenUse::Own if !credential.has_settled_token() => {
                credential.exchanged_from(signed.token().unwrap_or_default())
            }
            TokenUse::Own | TokenUse::None | TokenUse::Delegated(_) => None,
        };
        let keys = match (token, exchanged) {
            (TokenUse::None, _) => credential.keys_without_token(),
            (TokenUse::Delegated(row), _) => {
                made = credential.keys_with(row.secret.expose());
                &made
            }
            (TokenUse::Own, Some(exchanged)) => {
                made = credential.keys_with(exchanged.request_secret.expose());
                &made
            }
            (TokenUse::Own, None) => credential.keys_with_own_token().unwrap_or(self.dummy),
        };
        let (forms, count) = self.forms(Some(credential));
        let forms = forms.get(..count).unwrap_or_default();
        let holds = if signed.verify(keys, forms).is_ok() {
            Some(ConsumerSecret::Current)
        } else {
            let token_secret = match (token, exchanged) {
                (TokenUse::None, _) => "",
                (TokenUse::Delegated(row), _) => row.secret.expose(),
                (TokenUse::Own, Some(exchanged)) => exchanged.request_secret.expose(),
                (TokenUse::Own, None) => credential.own_token_secret().unwrap_or_default(),
            };
            let previous = credential.previous_keys(token_secret, self.now);
            let previous = previous.filter(|previous| signed.verify(previous, forms).is_ok());
            previous.map(|_| ConsumerSecret::Previous)
        };
        match (holds, clock) {
            (Some(which), Ok(())) => {
                self.credentials.saw(credential, which, self.now);
                Ok(())
            }
            (Some(_), Err(_)) => {
                let window = self.oauth.timestamp_window.as_secs();
                Err(Refusal::timestamp_outside(self.now, window))
            }
            (None, Err(_)) => Err(Cause::TimestampRefused.into()),
            (None, Ok(())) => {
                hint::log(parts, signed, keys, self.called);
                Err(Cause::SignatureInvalid.into())
            }
        }
    }

    fn check_clock(&self, signed: &SignedRequest<'_>) -> Result<(), Problem> {
        let window = Window {
            secs: self.oauth.timestamp_window.as_secs(),
        };
        signed.check_timestamp(window, self.now)
    }

    /// The base string forms to try, RFC 5849's first.
    fn forms(&self, credential: Option<&Credential>) -> ([BaseForm; 6], usize) {
        let collapses = credential.is_some_and(Credential::collapses_identical_pairs);
        let rfc = BaseForm::default();
        let raw_body_hash = credential.is_some_and(Credential::leaves_body_hash_raw);
        let mut forms = [rfc; 6];
        if !(self.oauth.magento_sort || self.oauth.magento_host || collapses || raw_body_hash) {
            return (forms, 1);
        }
        let extra = [
            (
                self.oauth.magento_sort,
                BaseForm {
                    magento_sort: true,
                    ..rfc
                },
            ),
            (
                self.oauth.magento_host,
                BaseForm {
                    magento_host: true,
                    ..rfc
                },
            ),
            (
                self.oauth.magento_host && self.oauth.magento_sort,
                BaseForm {
                    magento_sort: true,
                    magento_host: true,
                    ..rfc
                },
            ),
            (
                collapses,
                BaseForm {
                    collapse_identical_pairs: true,
                    ..rfc
                },
            ),
            (raw_body_hash, BaseForm { raw_body_hash, ..rfc }),
        ];
        let enabled = extra.into_iter().filter_map(|(on, form)| on.then_some(form));
        let mut count = 1;
        for (slot, form) in forms.iter_mut().skip(1).zip(enabled) {
            *slot = form;
            count += 1;
        }
        (forms, count)
    }

    fn verify_nothing(&self, parts: &RequestParts<'_>, signed: &SignedRequest<'_>) {
        // The outcome is known; the work is what counts (P5), that of the hint along with it.
        let (forms, count) = self.forms(None);
        let _never = signed.verify(self.dummy, forms.get(..count).unwrap_or_default());
        let _neither = hint::find(parts, signed, self.dummy, self.called);
    }
}

impl Proven<'_> {
    /// The request as it was signed.
    pub fn signed(&self) -> &SignedRequest<'_> {
        &self.signed
    }

    /// Where its parameters stood.
    pub fn placement(&self) -> Placement {
        self.placement
    }
}

//! Other implementations: HMACs by AWS-LC, whole requests by the crate `oauth1-request` where it is right (names of
//! unreserved characters, none twice).

use std::num::NonZeroU64;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use oauth1::{BaseForm, Keys, RequestParts, Scheme, SignatureMethod, Target};
use oauth1_request::signature_method::{HmacSha1, Plaintext};
use oauth1_request::{Builder, Credentials, ParameterList};
use proptest::prelude::*;

use crate::model::encode;
use crate::{all, verify};

/// The signature of a base string, unencoded.
pub(crate) fn signature(method: SignatureMethod, secrets: &(String, String), base: &str) -> String {
    let key = format!("{}&{}", encode(secrets.0.as_bytes()), encode(secrets.1.as_bytes()));
    let algorithm = match method {
        SignatureMethod::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        SignatureMethod::HmacSha256 => hmac::HMAC_SHA256,
        SignatureMethod::HmacSha512 => hmac::HMAC_SHA512,
        SignatureMethod::Plaintext => return key,
        SignatureMethod::RsaSha1 | SignatureMethod::RsaSha256 => unreachable!("not among the methods tried"),
    };
    STANDARD.encode(hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), base.as_bytes()))
}

proptest! {
    #[test]
    fn what_another_crate_signs_verifies(
        names in proptest::collection::btree_set("[a-zA-Z0-9._~-]{1,12}", 0..6),
        value in "\\PC{0,12}",
        keys in ("[a-z0-9]{32}", "[a-zA-Z0-9]{0,12}|\\PC{0,12}", "[a-z0-9]{32}", "[a-zA-Z0-9]{0,12}|\\PC{0,12}"),
        nonce in "[a-zA-Z0-9]{1,32}",
        timestamp in 1_u64..1_000_000_000_000,
        is_plaintext: bool,
        is_form: bool,
    ) {
        let names: Vec<_> = names.into_iter().filter(|name| !name.starts_with("oauth_")).collect();
        let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
        let parameters = ParameterList::new(pairs);
        let client = Credentials::new(keys.0.as_str(), keys.1.as_str());
        let token = Credentials::new(keys.2.as_str(), keys.3.as_str());
        let method = if is_form { "POST" } else { "GET" };
        let uri = "https://shop.example/rest/V1/products";
        let timestamp = NonZeroU64::new(timestamp).expect("at least one");
        // It sends a PLAINTEXT signature encoded once, not twice.
        prop_assume!(!is_plaintext || [&keys.1, &keys.3].iter().all(|secret| encode(secret.as_bytes()).len() == secret.len()));
        let header = if is_plaintext {
            let mut builder = Builder::<_, _, _>::new(client, Plaintext::new());
            builder.token(token).nonce(nonce.as_str()).timestamp(timestamp);
            builder.authorize(method, uri, &parameters)
        } else {
            let mut builder = Builder::<_, _, _>::new(client, HmacSha1::new());
            builder.token(token).nonce(nonce.as_str()).timestamp(timestamp);
            builder.authorize(method, uri, &parameters)
        };

        let pairs: Vec<_> = names.iter().map(|name| format!("{name}={}", encode(value.as_bytes()))).collect();
        let pairs = pairs.join("&");
        let parts = RequestParts {
            method,
            target: Target {
                scheme: Scheme::Https,
                authority: "shop.example",
                path: "/rest/V1/products",
                query: (!is_form).then_some(&pairs),
            },
            authorization: Some(header.as_bytes()),
            form: is_form.then_some(pairs.as_bytes()),
        };
        prop_assert_eq!(verify(&parts, &Keys::new(all(), &keys.1, &keys.3)), Ok(BaseForm::default()));
    }
}

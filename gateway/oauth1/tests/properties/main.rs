//! What holds for any request: with an independent, naive model beside the crate, and with other implementations where they
//! can speak.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    unreachable_pub,
    reason = "test harness: a request that can't be built is a failed test, and slow is fine"
)]

mod model;
mod natural;
mod oracle;
mod parsers;
mod strategies;

use model::{Model, Wire, encode};
use oauth1::sign::{Credentials, Stamp, authorization};
use oauth1::{
    Acceptance, BaseForm, Call, Keys, Limits, MethodSet, OauthRequest, ParameterName, Placements, Problem,
    RequestParts, Rules, SignatureMethod, base_string,
};
use proptest::prelude::*;
use strategies::{change, method, octets, pairs, request};

const RULES: Rules = Rules {
    placements: Placements {
        header: true,
        query: true,
        form: true,
    },
    limits: Limits {
        parameters: 1000,
        authorization: 8192,
        oauth_value: 2048,
    },
    repeat_in_form: false,
};

fn all() -> MethodSet {
    SignatureMethod::ALL.into_iter().collect()
}

fn base(wire: &Wire) -> Result<String, Problem> {
    base_string::of(&wire.parts(), BaseForm::default()).map(|base| String::from_utf8_lossy(&base).into_owned())
}

fn verify(parts: &RequestParts<'_>, keys: &Keys) -> Result<BaseForm, Problem> {
    let accept = Acceptance {
        methods: all(),
        version_1_0a: false,
    };
    let found = OauthRequest::parse(parts, &RULES)?.ok_or(Problem::Malformed)?;
    let signed = found.require(Call::Resource { two_legged: true }, &accept)?;
    signed.verify(keys, &[BaseForm::default()])
}

/// The request with the signature that another implementation of HMAC makes of the model's base string.
fn signed(model: &Model, method: SignatureMethod, secrets: &(String, String)) -> Model {
    let mut signed = model.clone();
    let header = signed.header.get_or_insert_default();
    header.push((b"oauth_signature_method".to_vec(), method.as_str().as_bytes().to_vec()));
    let signature = oracle::signature(method, secrets, &signed.base_string());
    let header = signed.header.get_or_insert_default();
    header.push((b"oauth_signature".to_vec(), signature.into_bytes()));
    signed
}

fn signature_of(model: &Model) -> Option<&[u8]> {
    let mut header = model.header.iter().flatten();
    header
        .find(|(name, _)| name == b"oauth_signature")
        .map(|(_, value)| value.as_slice())
}

fn secrets() -> impl Strategy<Value = (String, String)> {
    ("\\PC{0,12}", "\\PC{0,12}")
}

proptest! {
    /// C24 to C48.
    #[test]
    fn any_spelling_has_the_naive_base_string(request in request(), seed: u64) {
        prop_assert_eq!(base(&request.write(seed)), Ok(request.base_string()));
    }

    /// C31 to C36, for names that no request could have twice, too.
    #[test]
    fn any_parameters_are_normalised_as_the_naive_model_does(query in pairs(), form in pairs(), seed: u64) {
        let oauth = |(name, value): (Vec<u8>, Vec<u8>)| ([b"oauth_", name.as_slice()].concat(), value);
        let request = Model {
            method: "POST".to_owned(),
            scheme: oauth1::Scheme::Http,
            host: "h".to_owned(),
            port: None,
            path: String::new(),
            header: None,
            query: query.clone().into_iter().chain(query.into_iter().map(oauth)).collect(),
            form: Some(form),
        };
        prop_assert_eq!(base(&request.write(seed)), Ok(request.base_string()));
    }

    /// C58
    #[test]
    fn what_is_signed_verifies(
        request in request(), method in method(), secrets in secrets(), nonce in "[a-z0-9+/=.]{1,20}", seed: u64,
    ) {
        let wire = Model { header: None, ..request }.write(seed);
        let (key, token) = ("k".repeat(32), "t".repeat(32));
        let credentials = Credentials {
            consumer_key: &key,
            consumer_secret: &secrets.0,
            token: Some(&token),
            token_secret: &secrets.1,
        };
        let stamp = Stamp { method, timestamp: 1, nonce: &nonce, extra: &[("oauth_callback", &secrets.0)] };

        let header = authorization(&wire.parts(), &credentials, &stamp).expect("no RSA method");

        let parts = RequestParts { authorization: Some(header.as_bytes()), ..wire.parts() };
        prop_assert_eq!(verify(&parts, &Keys::new(all(), &secrets.0, &secrets.1)), Ok(BaseForm::default()));
    }

    /// However it is written: order, escapes, case, spacing, default port, realm.
    #[test]
    fn any_spelling_of_a_signed_request_verifies(
        request in request(), method in method(), secrets in secrets(), seed: u64,
    ) {
        let wire = signed(&request, method, &secrets).write(seed);
        prop_assert_eq!(verify(&wire.parts(), &Keys::new(all(), &secrets.0, &secrets.1)), Ok(BaseForm::default()));
    }

    /// P10, P28, T1: it verifies exactly when the base string is the same.
    #[test]
    fn a_changed_request_verifies_only_if_its_base_string_is_the_same(
        request in request(), change in change(), secrets in secrets(), seed: u64,
    ) {
        let signed = signed(&request, SignatureMethod::HmacSha256, &secrets);
        let changed = change.apply(&signed);
        let is_same = changed.base_string() == signed.base_string();

        let verdict = verify(&changed.write(seed).parts(), &Keys::new(all(), &secrets.0, &secrets.1));

        if is_same && signature_of(&changed) == signature_of(&signed) {
            prop_assert_eq!(verdict, Ok(BaseForm::default()));
        } else {
            prop_assert!(verdict.is_err());
        }
    }

    /// C1: the same pairs in another placement.
    #[test]
    fn the_placement_is_not_signed(request in request(), secrets in secrets(), to_form: bool, seed: u64) {
        let mut moved = signed(&Model { method: "POST".to_owned(), ..request }, SignatureMethod::HmacSha1, &secrets);
        let header = moved.header.take().expect("a signed request");
        if to_form { moved.form.get_or_insert_default() } else { &mut moved.query }.extend(header);

        let verdict = verify(&moved.write(seed).parts(), &Keys::new(all(), &secrets.0, &secrets.1));

        prop_assert_eq!(verdict, Ok(BaseForm::default()));
    }

    #[test]
    fn another_secret_or_method_verifies_nothing(
        request in request(), method in method(), other in method(), secrets in secrets(), others in secrets(), seed: u64,
    ) {
        let wire = signed(&request, method, &secrets).write(seed);
        let is_same = secrets == others && method == other;
        let keys = Keys::new(MethodSet::EMPTY.with(other), &others.0, &others.1);
        prop_assert_eq!(verify(&wire.parts(), &keys).is_ok(), is_same);
    }

    /// C4, C28: each value comes back as it was meant.
    #[test]
    fn what_is_encoded_is_decoded_to_the_same(value in octets(), seed: u64) {
        let pair = (b"oauth_verifier".to_vec(), value.clone());
        let bare = Model {
            method: "POST".to_owned(),
            scheme: oauth1::Scheme::Http,
            host: "h".to_owned(),
            port: None,
            path: String::new(),
            header: None,
            query: Vec::new(),
            form: None,
        };
        for model in [
            Model { header: Some(vec![pair.clone()]), ..bare.clone() },
            Model { query: vec![pair.clone()], ..bare.clone() },
            Model { form: Some(vec![pair.clone()]), ..bare.clone() },
        ] {
            let wire = model.write(seed);
            let found = OauthRequest::parse(&wire.parts(), &RULES).expect("no problem").expect("an OAuth request");
            prop_assert_eq!(found.get(ParameterName::Verifier), Some(value.as_slice()));
        }
        prop_assert_eq!(oauth1::percent::encode(&value), encode(&value));
    }
}

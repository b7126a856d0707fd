//! What a request must carry (1.2: C17 to C23), and how long it may be.

use oauth1::{Acceptance, Call, ParameterName, Placement, Problem, SignatureMethod};

use super::{RESOURCE, TOKEN, URL, get, header, parse, problem, refused, require, usual, with, without};

/// C17, C20: in the order in which Magento lists them (magento.md 2.4).
#[test]
fn every_absent_parameter_is_named() {
    for (absent, name) in [
        ("oauth_consumer_key", ParameterName::ConsumerKey),
        ("oauth_signature", ParameterName::Signature),
        ("oauth_signature_method", ParameterName::SignatureMethod),
        ("oauth_nonce", ParameterName::Nonce),
        ("oauth_timestamp", ParameterName::Timestamp),
        ("oauth_token", ParameterName::Token),
    ] {
        assert_eq!(refused(&without(absent)), Some(Problem::Absent(vec![name])));
    }
    let all = vec![
        ParameterName::ConsumerKey,
        ParameterName::Signature,
        ParameterName::SignatureMethod,
        ParameterName::Nonce,
        ParameterName::Timestamp,
        ParameterName::Token,
    ];
    assert_eq!(refused(&[("realm", "x")]), Some(Problem::Absent(all)));
}

/// C18
#[test]
fn plaintext_may_leave_out_timestamp_and_nonce() {
    let plaintext = |absent: &[&str]| {
        let mut parameters = with("oauth_signature_method", "PLAINTEXT");
        parameters.retain(|(name, _)| !absent.contains(name));
        let written = header(&parameters);
        require(&get(URL, &written), RESOURCE).map(|signed| signed.timestamp_and_nonce().is_some())
    };

    assert_eq!(plaintext(&["oauth_timestamp", "oauth_nonce"]), Ok(false));
    assert_eq!(plaintext(&["oauth_nonce"]), Ok(false));
    assert_eq!(plaintext(&[]), Ok(true));
}

/// C19: the version comes before what is absent (magento.md 2.4).
#[test]
fn another_version_is_refused() {
    assert_eq!(refused(&with("oauth_version", "1.0")), None);
    for version in ["1.0A", "1.0a", "2.0", "1", "", "1.0%20"] {
        let rejected = refused(&[("oauth_version", version)]);
        let sent = version.replace("%20", " ");
        assert_eq!(rejected, Some(Problem::VersionRejected(sent)));
    }
}

/// Q1
#[test]
fn a_version_of_1_0a_passes_by_a_consumers_flag() {
    let accept = Acceptance {
        methods: SignatureMethod::ALL.into_iter().collect(),
        version_1_0a: true,
    };
    let with_version = |version| {
        let written = header(&with("oauth_version", version));
        parse(&get(URL, &written)).and_then(|found| found.require(RESOURCE, &accept).map(|_| ()))
    };

    assert_eq!(with_version("1.0A"), Ok(()));
    assert_eq!(with_version("1.0a"), Ok(()));
    assert_eq!(with_version("1.1"), Err(Problem::VersionRejected("1.1".to_owned())));
}

/// C20, X11
#[test]
fn a_two_legged_request_needs_no_token() {
    let two_legged = Call::Resource { two_legged: true };
    let written = header(&without("oauth_token"));

    let signed = require(&get(URL, &written), two_legged).map(|signed| signed.token().map(str::to_owned));

    assert_eq!(signed, Ok(None));
}

/// C21, C22
#[test]
fn initiating_needs_a_callback_and_exchanging_a_verifier() {
    let refused = |parameters: &[(&str, &str)], call| require(&get(URL, &header(parameters)), call).err();
    let absent = |name| Some(Problem::Absent(vec![name]));

    assert_eq!(
        refused(&without("oauth_token"), Call::Initiate),
        absent(ParameterName::Callback)
    );
    assert_eq!(refused(&usual(), Call::AccessToken), absent(ParameterName::Verifier));
    assert_eq!(refused(&with("oauth_verifier", "v"), Call::AccessToken), None);
    assert_eq!(refused(&with("oauth_callback", "oob"), Call::Initiate), None);
    assert_eq!(refused(&without("oauth_token"), Call::RequestToken), None);
}

/// C23
#[test]
fn a_parameter_of_another_call_is_signed_and_ignored() {
    let mut parameters = with("oauth_verifier", "v");
    parameters.push(("oauth_callback", "oob"));
    let written = header(&parameters);
    let parts = get(URL, &written);

    assert!(require(&parts, RESOURCE).is_ok());
    assert!(super::normalised(&parts).starts_with("oauth_callback=oob&"));
    assert!(super::normalised(&parts).ends_with("&oauth_verifier=v"));
}

/// product.md 6, magento.md 2.5 A3: exactly 32, on the request-token call too when it comes.
#[test]
fn a_token_has_32_octets() {
    let refused = |token, call| require(&get(URL, &header(&with("oauth_token", token))), call).err();
    let ill_sized = Some(Problem::LengthInvalid(ParameterName::Token));
    let two_legged = Call::Resource { two_legged: true };

    for call in [RESOURCE, two_legged, Call::RequestToken] {
        assert_eq!(refused(TOKEN, call), None, "{call:?}");
        assert_eq!(refused("ttttttttttttttttttttttttttttttt", call), ill_sized, "{call:?}");
        assert_eq!(
            refused("tttttttttttttttttttttttttttttttt%20", call),
            ill_sized,
            "{call:?}"
        );
    }
    assert_eq!(refused("", RESOURCE), ill_sized);
    assert_eq!(refused("", Call::RequestToken), ill_sized);
    assert_eq!(refused("", two_legged), None);
    // Escapes count as what they stand for.
    assert_eq!(refused("%74ttttttttttttttttttttttttttttttt", RESOURCE), None);
}

/// P20
#[test]
fn keys_and_tokens_are_text_without_control_characters() {
    for name in ["oauth_consumer_key", "oauth_token"] {
        for value in ["a%00b", "a%0Ab", "a%7F", "%FF", "%C2%85"] {
            let rejected = problem(&get(URL, &header(&with(name, value))));
            assert_eq!(rejected, Problem::Rejected(name.to_owned()), "{value}");
        }
        assert!(parse(&get(URL, &header(&with(name, "%C3%A9%20+")))).is_ok());
    }
}

/// P31: whatever the placement, and although they are refused, nothing of them is repeated.
#[test]
fn a_secret_is_never_taken_as_a_parameter() {
    for name in ["oauth_consumer_secret", "oauth_token_secret"] {
        let parameters = with(name, "hush");
        let url = format!("{URL}?{}", super::form(&parameters));
        for parts in [get(URL, &header(&parameters)), super::request("GET", &url)] {
            assert_eq!(problem(&parts), Problem::Rejected(name.to_owned()));
        }
    }
}

/// X16: realm may say for whom.
#[test]
fn a_signed_request_still_knows_its_realm_and_placement() {
    let written = format!("{}, realm=\"account 7\"", header(&usual()));
    let parts = get(URL, &written);

    let placement = parse(&parts).map(|found| found.placement());
    let signed = require(&parts, RESOURCE).expect("complete");

    assert_eq!(placement, Ok(Placement::Header));
    assert_eq!(signed.realm(), Some(&b"account 7"[..]));
}

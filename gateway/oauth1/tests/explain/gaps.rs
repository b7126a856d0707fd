//! Long requests, requests of which something is missing, and what can't be told apart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use oauth1::explain::{Explanation, Gap, Options, Outcome, RawRequest, Secrets, explain, explain_pasted};
use zeroize::Zeroizing;

use crate::{mac, names};

const KEY: &str = "consumer-secret&token-secret";
const OAUTH: &str = "oauth_consumer_key%3Dck%26oauth_nonce%3Dn%26oauth_signature_method%3DHMAC-SHA1%26\
                     oauth_timestamp%3D1700000000%26oauth_token%3Dtk";

/// A request whose client signed `base` under `key`.
fn request(target: &str, content_type: &str, body: &str, (base, key): (&str, &str)) -> RawRequest {
    let signature = mac::<Hmac<sha1::Sha1>>(key, base)
        .replace('+', "%2B")
        .replace('/', "%2F");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: shop.example\r\nContent-Type: {content_type}\r\nAuthorization: OAuth \
         oauth_consumer_key=\"ck\", oauth_token=\"tk\", oauth_signature_method=\"HMAC-SHA1\", oauth_nonce=\"n\", \
         oauth_timestamp=\"1700000000\", oauth_signature=\"{signature}\"\r\n\r\n{body}"
    );
    RawRequest::parse(head.as_bytes()).expect("a request")
}

const FORM: &str = "application/x-www-form-urlencoded";

fn secrets() -> Secrets {
    Secrets {
        consumer_key: Some("ck".to_owned()),
        consumer_secret: Some(Zeroizing::new("consumer-secret".to_owned())),
        token: Some("tk".to_owned()),
        token_secret: Some(Zeroizing::new("token-secret".to_owned())),
        ..Secrets::default()
    }
}

fn options() -> Options {
    Options {
        base_url: Some("https://shop.example".to_owned()),
        ..Options::default()
    }
}

fn explained(request: &RawRequest) -> Explanation {
    explain(request, &secrets(), &options())
}

fn also(explanation: &Explanation) -> Vec<String> {
    let also = explanation.diagnosis.iter().flat_map(|finding| &finding.also);
    also.map(ToString::to_string).collect()
}

#[test]
fn parameters_that_are_missing_are_named_where_others_arrived() {
    let explained = |authorization: &str| {
        let raw = format!("GET /a HTTP/1.1\r\nHost: shop.example\r\n{authorization}\r\n");
        let request = RawRequest::parse(raw.as_bytes()).expect("a request");
        let explanation = explained(&request);
        assert_eq!(names(&explanation), ["N6"]);
        assert_eq!(explanation.outcome, Outcome::Malformed);
        explanation.diagnosis[0].sentence.clone()
    };
    let most = "Authorization: OAuth oauth_consumer_key=\"ck\", oauth_signature_method=\"HMAC-SHA1\", \
                oauth_timestamp=\"1700000000\"";

    assert_eq!(
        explained(&format!("{most}, oauth_nonce=\"n\"\r\n")),
        "The OAuth parameters arrived without oauth_signature: every signed request must carry it."
    );
    assert_eq!(
        explained(&format!("{most}, oauth_signature=\"\"\r\n")),
        "The OAuth parameters arrived without oauth_signature and oauth_nonce: every signed request must carry them."
    );
    assert!(explained("").starts_with("No OAuth parameters arrived"));
}

#[test]
fn the_url_that_a_pair_of_mistakes_signed_is_the_one_that_both_make() {
    let base = format!("POST&https%3A%2F%2F127.0.0.1%2Fa&{OAUTH}");
    let options = Options {
        base_url: Some("http://127.0.0.1:18480".to_owned()),
        ..options()
    };

    let both = explain(&request("/a", "text/plain", "", (&base, KEY)), &secrets(), &options);

    assert_eq!(names(&both), ["E2", "E4"]);
    let sentence = &both.diagnosis[0].sentence;
    assert!(
        sentence.starts_with("Your client signed https://127.0.0.1/a; it called http://127.0.0.1:18480/a:"),
        "{sentence}"
    );
}

#[test]
fn sha1_is_called_the_default_only_where_it_was_used() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let explained = |method: &str, digest: &dyn Fn(&str) -> String| {
        let base = base.replace("HMAC-SHA1", method);
        let signature = digest(&base).replace('+', "%2B").replace('/', "%2F");
        let head = format!(
            "POST /a HTTP/1.1\r\nHost: shop.example\r\nAuthorization: OAuth oauth_consumer_key=\"ck\", oauth_token=\"tk\", \
             oauth_signature_method=\"{method}\", oauth_nonce=\"n\", oauth_timestamp=\"1700000000\", \
             oauth_signature=\"{signature}\"\r\n\r\n"
        );
        let explanation = explained(&RawRequest::parse(head.as_bytes()).expect("a request"));
        assert_eq!(names(&explanation), ["E91"]);
        explanation.diagnosis[0].usual_cause
    };

    let by_sha1 = explained("HMAC-SHA256", &|base| mac::<Hmac<sha1::Sha1>>(KEY, base));
    let by_sha256 = explained("HMAC-MD5", &|base| mac::<Hmac<sha2::Sha256>>(KEY, base));

    assert_eq!((by_sha1, by_sha256), (Some("a library whose default is SHA1"), None));
}

#[test]
fn a_clock_outside_the_window_is_named_before_the_mistakes_that_make_the_signature() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let explained = |key: &str| {
        let options = Options {
            received_at: Some(1_700_003_600),
            timestamp_window: 600,
            ..options()
        };
        explain(&request("/a", "text/plain", "", (&base, key)), &secrets(), &options)
    };

    let sound = explained(KEY);
    let with_key = explained("consumer-secret&");
    let with_unknown = explained("somebody else's&");

    assert_eq!(names(&sound), ["N1"]);
    assert_eq!(names(&with_key), ["N1", "E73"]);
    assert_eq!(with_unknown.outcome, Outcome::Unknown);
    assert!(with_unknown.diagnosis.is_empty());
    assert!(
        with_key.diagnosis[0]
            .sentence
            .starts_with("Your clock is 3600 s behind")
    );
}

#[test]
fn a_form_that_was_not_signed_is_seen_however_long_it_is() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let empty_token = "consumer-secret&";
    for octets in [1_000, 60_000] {
        let form = format!("field={}&", "%C3%A9".repeat(octets / 600)).repeat(100);

        let alone = explained(&request("/a", FORM, &form, (&base, KEY)));
        let with_key = explained(&request("/a", FORM, &form, (&base, empty_token)));

        assert_eq!(names(&alone), ["E46"], "{octets}");
        assert_eq!(names(&with_key), ["E46", "E73"], "{octets}");
    }
}

#[test]
fn without_the_form_nothing_is_said_of_the_signature_and_no_base_string_shown() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let options = Options {
        without_form: true,
        ..options()
    };
    let in_the_form = RawRequest {
        headers: vec![
            ("host".to_owned(), b"shop.example".to_vec()),
            ("content-type".to_owned(), FORM.as_bytes().to_vec()),
        ],
        ..request("/a", FORM, "", (&base, KEY))
    };

    for request in [request("/a", FORM, "", (&base, KEY)), in_the_form] {
        let explanation = explain(&request, &secrets(), &options);

        assert_eq!(explanation.outcome, Outcome::Unknown);
        assert_eq!(explanation.gaps, [Gap::Form]);
        assert_eq!(explanation.base_string, None);
    }
}

#[test]
fn what_was_not_tried_is_told() {
    let request = request("/a", "text/plain", "", ("another", KEY));
    let removed = RawRequest {
        headers: request
            .headers
            .iter()
            .map(|(name, value)| {
                let text = String::from_utf8_lossy(value);
                let cut = text.split_once("oauth_signature=").map(|(before, _)| before);
                let value = cut.map(|before| format!("{before}oauth_signature=\"removed\"").into_bytes());
                (name.clone(), value.unwrap_or_else(|| text.as_bytes().to_vec()))
            })
            .collect(),
        ..request.clone()
    };
    let nobody = Secrets {
        consumer_secret: None,
        ..secrets()
    };
    let tokenless = Secrets {
        token_secret: None,
        ..secrets()
    };

    assert_eq!(explained(&request).gaps, []);
    assert_eq!(explained(&removed).gaps, [Gap::Signature]);
    assert_eq!(explain(&request, &nobody, &options()).gaps, [Gap::Secret]);
    let tokenless = explain(&request, &tokenless, &options());
    assert_eq!(tokenless.gaps, [Gap::TokenSecret]);
    assert_eq!(tokenless.key_shape.as_deref(), Some("<consumer secret>&<unknown>"));
}

#[test]
fn a_token_whose_secret_is_not_known_never_has_an_empty_one() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let tokenless = Secrets {
        token_secret: None,
        ..secrets()
    };

    let explanation = explain(
        &request("/a", "text/plain", "", (&base, "consumer-secret&")),
        &tokenless,
        &options(),
    );

    assert_eq!(names(&explanation), ["E73"]);
}

#[test]
fn equals_are_named_in_a_pair_as_they_are_alone() {
    let unsigned = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let over_http = unsigned.replacen("https", "http", 1);
    let target = "/a?page=1";
    let sentence = |explanation: &Explanation, at: usize| explanation.diagnosis[at].sentence.clone();

    let alone = explained(&request(target, "text/plain", "", (&unsigned, KEY)));
    let with_key = explained(&request(target, "text/plain", "", (&unsigned, "consumer-secret&")));
    let with_scheme = explained(&request(target, "text/plain", "", (&over_http, KEY)));

    assert_eq!(
        (names(&alone), also(&alone)),
        (vec!["E20".to_owned()], vec!["E37".to_owned()])
    );
    assert_eq!(names(&with_key), ["E20", "E73"]);
    assert_eq!(names(&with_scheme), ["E1", "E20"]);
    for pair in [&with_key, &with_scheme] {
        assert_eq!(also(pair), ["E37"]);
    }
    assert_eq!(sentence(&with_key, 0), sentence(&alone, 0));
    assert_eq!(sentence(&with_scheme, 1), sentence(&alone, 0));
}

#[test]
fn a_setting_is_named_where_its_row_has_equals_too() {
    let signed = format!("POST&https%3A%2F%2Fshop.example%2Fa&a%3D1%26{OAUTH}");

    let explanation = explained(&request("/a?a=1&a=1", "text/plain", "", (&signed, KEY)));

    assert_eq!(names(&explanation), ["E32"]);
    assert!(!explanation.diagnosis[0].also.is_empty());
    let sentence = &explanation.diagnosis[0].sentence;
    assert!(sentence.ends_with("(or set collapse_identical_pairs)."), "{sentence}");
}

#[test]
fn a_row_of_singles_alone_does_not_hide_one_of_pairs() {
    let hash = STANDARD.encode([0xff; 20]);
    let oauth = OAUTH.replacen(
        "%26oauth_nonce",
        &format!(
            "%26oauth_body_hash%3D{}%26oauth_nonce",
            hash.replace('/', "%2F").replace('=', "%3D")
        ),
        1,
    );
    let oauth = oauth.replacen("oauth_consumer_key%3Dck%26oauth_body_hash", "oauth_body_hash", 1);
    let first = oauth.find("%26oauth_nonce").expect("the nonce");
    let (body_hash, rest) = oauth.split_at(first);
    let oauth = format!("{body_hash}%26oauth_consumer_key%3Dck{rest}");
    let base = format!("POST&http%3A%2F%2Fshop.example%2Fa&{oauth}");
    let mut request = request("/a", "application/json", "{}", (&base, KEY));
    for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "Authorization") {
        let sent = format!(", oauth_body_hash=\"{}\"", hash.replace('/', "%2F").replace('=', "%3D"));
        value.extend_from_slice(sent.as_bytes());
    }

    let explanation = explained(&request);

    assert_eq!(names(&explanation), ["E1", "E115"]);
    assert_eq!(also(&explanation), ["E57", "E63"]);
}

#[test]
fn the_line_end_of_an_editor_is_no_part_of_a_form() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&a%3D1%26{OAUTH}");
    let pasted = request("/a", FORM, "a=1\n", (&base, KEY));

    assert_eq!(explain_pasted(&pasted, &secrets(), &options()).outcome, Outcome::Valid);
    assert_ne!(explained(&pasted).outcome, Outcome::Valid);
}

#[test]
fn a_form_in_the_url_behind_the_query_and_one_kind_of_array_names_are_seen() {
    let in_url = format!("POST&https%3A%2F%2Fshop.example%2Fa%3Fb%3D2%26a%3D1&{OAUTH}");
    let arrays = format!("POST&https%3A%2F%2Fshop.example%2Fa&a%3D1%26b%255B0%255D%3D2%26{OAUTH}");

    let in_url = explained(&request("/a?b=2", FORM, "a=1", (&in_url, KEY)));
    let arrays = explained(&request("/a?a[]=1&b[0]=2", "text/plain", "", (&arrays, KEY)));

    assert_eq!(names(&in_url), ["E52"]);
    assert_eq!(names(&arrays), ["E28"]);
}

#[test]
fn a_long_drift_is_told_in_days_too() {
    let base = format!("POST&https%3A%2F%2Fshop.example%2Fa&{OAUTH}");
    let late = Options {
        received_at: Some(1_700_000_000 + 295_827_328),
        timestamp_window: 600,
        ..options()
    };

    let explanation = explain(&request("/a", "text/plain", "", (&base, KEY)), &secrets(), &late);

    let sentence = &explanation.diagnosis[0].sentence;
    assert!(sentence.contains("295827328 s behind (about 3423 days)"), "{sentence}");
}

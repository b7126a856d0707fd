//! The OAuth parameters themselves: each once, in one place, well-formed; whatever else is told 400 or 401 and its cause.

use harness::{Call, Credentials, Placement, Refusal, Shop, Signing};
use serde_json::json;

const NAMES: [&str; 6] = [
    "oauth_consumer_key",
    "oauth_nonce",
    "oauth_signature",
    "oauth_signature_method",
    "oauth_timestamp",
    "oauth_token",
];

#[tokio::test]
async fn each_absent_parameter_is_named() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for name in NAMES {
        let call = Call::get("/rest/V1/products/absent").signed(Signing::with(&reader).without(name));
        let told = call.send(&shop.gateway).await;

        assert_eq!(told.status, 400, "{name}");
        assert_eq!(
            told.field("message"),
            "\"%fieldName\" is required. Enter and try again."
        );
        assert_eq!(told.json()["parameters"], json!({ "fieldName": name }));
        assert_eq!(call.refusal(&shop.gateway).await, (400, "parameter_absent"));
    }
    assert_eq!(shop.upstream.count("products/absent"), 0);
}

#[tokio::test]
async fn several_absent_parameters_are_listed() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/parameters").header("Authorization", "OAuth oauth_version=\"1.0\"");

    let told = call.send(&shop.gateway).await;

    assert_eq!(told.status, 400);
    assert_eq!(told.field("message"), "One or more input exceptions have occurred.");
    let errors = told.json()["errors"].clone();
    let listed: Vec<&str> = errors
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|error| error["parameters"]["fieldName"].as_str())
        .collect();
    assert_eq!(
        listed,
        [
            "oauth_consumer_key",
            "oauth_signature",
            "oauth_signature_method",
            "oauth_nonce",
            "oauth_timestamp",
            "oauth_token"
        ]
    );
}

#[tokio::test]
async fn a_version_is_optional() {
    assert_eq!(
        status(|reader| Signing::with(reader).without("oauth_version")).await,
        200
    );
}

#[tokio::test]
async fn another_version_is_refused_before_what_is_absent() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for version in ["1.0a", "1.0A", "2.0", "1", "01.0", " 1.0", ""] {
        let signing = Signing::with(&reader)
            .set("oauth_version", version)
            .without("oauth_nonce");
        let told = call().signed(signing.clone()).send(&shop.gateway).await;

        assert_eq!(told.status, 400, "{version}");
        assert_eq!(told.field("message"), "The \"%1\" Oauth version isn't supported.");
        assert_eq!(told.json()["parameters"], json!([version]));
        assert_eq!(
            call().signed(signing).refusal(&shop.gateway).await,
            (400, "version_rejected")
        );
    }
}

#[tokio::test]
async fn version_1_0a_is_accepted_of_an_integration_with_that_flag() {
    let shop = Shop::shared().await;
    let flagged = shop
        .integration()
        .granted(&["Magento_Catalog::products"])
        .with("flags", json!(["accept_version_1_0A"]));
    let flagged = flagged.active().await.credentials;

    // Also once the gateway has the consumer and its token in memory.
    for version in ["1.0", "1.0", "1.0A", "1.0a", "1.0"] {
        let signing = Signing::with(&flagged).set("oauth_version", version);
        assert_eq!(
            call().signed(signing).send(&shop.gateway).await.status,
            200,
            "{version}"
        );
    }
}

#[tokio::test]
async fn empty_values_have_the_cause_of_what_they_lack() {
    let empty = |name: &'static str| move |reader: &Credentials| Signing::with(reader).set(name, "");

    assert_eq!(
        refused(empty("oauth_consumer_key")).await,
        (401, "consumer_key_unknown")
    );
    assert_eq!(refused(empty("oauth_nonce")).await, (400, "parameter_rejected"));
    assert_eq!(
        refused(empty("oauth_signature_method")).await,
        (400, "signature_method_rejected")
    );
    assert_eq!(refused(empty("oauth_timestamp")).await, (401, "timestamp_refused"));
    assert_eq!(refused(empty("oauth_token")).await, (400, "token_rejected"));
    assert_eq!(
        refused(|reader| Signing::with(reader).set("oauth_signature", "")).await,
        (401, "signature_invalid")
    );
}

#[tokio::test]
async fn a_parameter_that_comes_twice_is_malformed() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for placement in [Placement::Header, Placement::Query] {
        for name in NAMES.into_iter().chain(["oauth_version"]) {
            for value in ["1.0", "other", ""] {
                let signing = Signing::with(&reader).add(name, value).placed(placement);
                let refused = Call::get("/rest/V1/products/twice")
                    .signed(signing)
                    .refusal(&shop.gateway)
                    .await;

                assert_eq!(refused.status, 400, "{name} {value} {placement:?}: {refused:?}");
                assert!(
                    ["request_malformed", "parameter_rejected"].contains(&refused.cause.as_str()),
                    "{refused:?}"
                );
            }
        }
    }
    assert_eq!(shop.upstream.count("products/twice"), 0);
}

#[tokio::test]
async fn a_parameter_that_comes_twice_with_the_same_value_is_malformed() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);

    for name in NAMES {
        let repeated = call.clone().with_changed_header("authorization", |value| {
            let pair = value.split(", ").find(|pair| pair.contains(&format!("{name}=")));
            format!("{value}, {}", pair.unwrap_or_default().trim_start_matches("OAuth "))
        });
        assert_eq!(repeated.refusal().await.status, 400, "{name}");
    }
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn parameters_in_two_places_are_rejected() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let token = reader.token().to_owned();
    let query = Call::get(&format!("/rest/V1/products/two-places?oauth_token={token}"));
    let unknown = Call::get("/rest/V1/products/two-places?oauth_other=1");
    let escaped = Call::get("/rest/V1/products/two-places?%6Fauth_other=1");
    let form = Call::post("/rest/V1/products?mark=two-places").form(&format!("oauth_token={token}"));
    let query_and_form = Call::post("/rest/V1/products?mark=two-places&oauth_token=1").form("oauth_nonce=1");

    for call in [query, unknown, escaped, form, query_and_form] {
        let refused = call.signed_by(&reader).refusal(&shop.gateway).await;
        assert_eq!(refused, (400, "parameter_rejected"));
    }
    assert_eq!(shop.upstream.count("two-places"), 0);
}

#[tokio::test]
async fn two_authorization_headers_are_malformed() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);
    let twice = call.clone().with_header("Authorization", call.header("authorization"));
    let basic = call.clone().with_header("Authorization", "Basic dTpw");

    assert_eq!(twice.refusal().await, (400, "request_malformed"));
    assert_eq!(basic.refusal().await, (400, "request_malformed"));
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn two_schemes_in_one_header_are_malformed() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);
    let before = call
        .clone()
        .with_changed_header("authorization", |value| format!("Basic dTpw, {value}"));
    let behind = call
        .clone()
        .with_changed_header("authorization", |value| format!("{value}, Basic dTpw"));
    let bearer = call
        .clone()
        .with_changed_header("authorization", |value| format!("{value}, Bearer x"));

    for two in [before, behind, bearer] {
        assert_eq!(two.refusal().await, (400, "request_malformed"));
    }
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_bearer_beside_oauth_parameters_is_malformed() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let bearer = format!("Bearer {}", shop.admin.token());

    let query = call()
        .header("Authorization", &bearer)
        .signed(Signing::with(&reader).placed(Placement::Query));
    let form = Call::post("/rest/V1/products?mark=parameters").header("Authorization", &bearer);
    let form = form.signed(Signing::with(&reader).placed(Placement::Form));

    assert_eq!(query.refusal(&shop.gateway).await, (400, "request_malformed"));
    assert_eq!(form.refusal(&shop.gateway).await, (400, "request_malformed"));
}

#[tokio::test]
async fn another_scheme_beside_parameters_in_the_query_does_not_matter_and_does_not_pass() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).placed(Placement::Query);
    let call = Call::get("/rest/V1/products/basic-beside")
        .header("Authorization", "Basic dTpw")
        .signed(signing);

    assert_eq!(call.send(&shop.gateway).await.status, 200);
    assert_eq!(shop.upstream.only("basic-beside").header("authorization"), None);
}

#[tokio::test]
async fn huge_values_are_refused() {
    for name in NAMES {
        let refused = refused(|reader| Signing::with(reader).set(name, &"x".repeat(3000))).await;

        assert!([400, 401, 431].contains(&refused.status), "{name}: {refused:?}");
        assert!(!refused.cause.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn control_characters_and_foreign_octets_are_refused() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);

    for name in NAMES {
        for octets in ["%00", "%0D%0A", "%FF%FE", "%C0%AF"] {
            let changed = call.clone().with_changed_header("authorization", |value| {
                value.replace(&format!("{name}=\""), &format!("{name}=\"{octets}"))
            });
            let refused = changed.refusal().await;

            assert!([400, 401].contains(&refused.status), "{name} {octets}: {refused:?}");
        }
    }
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_nonce_may_be_anything_of_up_to_255_octets_without_control_characters() {
    for nonce in ["a+b/c==", "-8123", "623.456", "x", "ünï", &"n".repeat(255)] {
        assert_eq!(
            status(|reader| Signing::with(reader).set("oauth_nonce", nonce)).await,
            200,
            "{nonce}"
        );
    }
    for nonce in ["a\0b", "a\r\nb", &"n".repeat(256)] {
        let refused = refused(|reader| Signing::with(reader).set("oauth_nonce", nonce)).await;
        assert_eq!(refused, (400, "parameter_rejected"), "{nonce:?}");
    }
}

#[tokio::test]
async fn names_in_another_case_are_other_names() {
    for name in NAMES {
        let refused = refused(|reader| Signing::with(reader).without(name).add(&name.to_uppercase(), "x")).await;

        assert_eq!(refused.status, 400, "{name}: {refused:?}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_signed_and_ignored() {
    let signing = |reader: &Credentials| {
        Signing::with(reader)
            .add("oauth_verifier", "leaked")
            .add("oauth_callback", "oob")
            .add("oauth_extension", "a b")
    };

    assert_eq!(status(signing).await, 200);
}

#[tokio::test]
async fn secrets_as_parameters_are_refused() {
    for name in ["oauth_consumer_secret", "oauth_token_secret"] {
        assert_eq!(
            refused(|reader| Signing::with(reader).add(name, "secret")).await,
            (400, "parameter_rejected")
        );
    }
}

#[tokio::test]
async fn a_header_is_read_tolerantly_where_its_meaning_is_plain() {
    let respellings: [fn(&str) -> String; 7] = [
        |header| header.replace(", ", ","),
        |header| header.replace(", ", " \t ,\t "),
        |header| format!("{header},"),
        |header| header.replacen(", ", ",, ,", 1),
        |header| header.replace("OAuth ", "OAUTH \t  "),
        |header| header.replace("oauth_version=\"1.0\"", "oauth_version=1.0"),
        |header| header.replace("OAuth ", "OAuth realm=\"a \\\"quoted\\\", b\", "),
    ];
    for respell in respellings {
        let shop = Shop::shared().await;
        let call = call().signed_by(&shop.reader().await).to(&shop.gateway);

        let answer = call.with_changed_header("authorization", respell).send().await;

        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_header_that_can_not_be_read_is_malformed() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);
    let spoilings: [fn(&str) -> String; 8] = [
        |header| header.trim_end_matches('"').to_owned(),
        |header| header.replacen("oauth_nonce=\"", "oauth_nonce=\"%G1", 1),
        |header| header.replacen("oauth_nonce=\"", "oauth_nonce=\"%~", 1),
        |header| header.replacen("oauth_nonce=\"", "oauth_nonce%FF=\"", 1),
        |header| header.replacen("oauth_nonce=\"", "oauth_nonce \"", 1),
        |header| header.replacen(", ", " ", 1),
        |_| "OAuth".to_owned(),
        |_| "OAuth ,".to_owned(),
    ];

    for spoil in spoilings {
        let spoiled = call.clone().with_changed_header("authorization", spoil);
        let refused = spoiled.refusal().await;

        assert_eq!(refused.status, 400, "{}: {refused:?}", spoiled.header("authorization"));
    }
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn floods_are_refused_before_any_work() {
    let shop = Shop::shared().await;
    let call = call().signed_by(&shop.reader().await).to(&shop.gateway);

    let commas = call
        .clone()
        .with_changed_header("authorization", |value| format!("{value}{}", ",".repeat(8000)));
    let parameters = call
        .clone()
        .with_target(&format!("/rest/V1/products/parameters?{}", "a&".repeat(3000)));
    let form = Call::post("/rest/V1/products")
        .form(&"a=1&".repeat(1001))
        .signed_by(&shop.reader().await);

    assert_eq!(commas.refusal().await, (400, "request_malformed"));
    assert_eq!(parameters.refusal().await, (400, "request_malformed"));
    assert_eq!(form.refusal(&shop.gateway).await, (400, "request_malformed"));
    assert_eq!(call.send().await.status, 200);
}

#[tokio::test]
async fn a_form_with_content_encoding_is_not_supported() {
    let shop = Shop::shared().await;
    let call = Call::post("/rest/V1/products?mark=encoded-form")
        .header("Content-Encoding", "gzip")
        .form("a=1");

    let told = call.clone().signed_by(&shop.reader().await).send(&shop.gateway).await;

    assert_eq!(told.status, 415);
    assert_eq!(
        call.signed_by(&shop.reader().await).refusal(&shop.gateway).await,
        (415, "form_encoded")
    );
    assert_eq!(shop.upstream.count("encoded-form"), 0);
}

fn call() -> Call {
    Call::get("/rest/V1/products/parameters-of-a-call")
}

async fn refused(signing: impl FnOnce(&Credentials) -> Signing) -> Refusal {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    call().signed(signing(&reader)).refusal(&shop.gateway).await
}

async fn status(signing: impl FnOnce(&Credentials) -> Signing) -> u16 {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    call().signed(signing(&reader)).send(&shop.gateway).await.status
}

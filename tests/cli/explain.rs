//! `countersign explain` offline: a request that another implementation signed wrongly, and what is said of it.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Run, folder};

/// With a signature yet to be put in.
const REQUEST: &str = "GET /rest/V1/products?page=1 HTTP/1.1\r\nHost: shop.example\r\nAuthorization: OAuth \
    oauth_consumer_key=\"ck\", oauth_nonce=\"n0nce\", oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1700000000\", \
    oauth_token=\"tk\", oauth_signature=\"SIGNATURE\"\r\n\r\n";

/// `printf 'GET&https%3A%2F%2Fshop.example%2Frest%2FV1%2Fproducts&…' | openssl dgst -sha256 -hmac 'geheim&leise' -binary | base64`
/// over the base string without `page` …
const WITHOUT_QUERY: &str = "ho55J3%2B81X%2Fudj0YsMpZbsjpjrgNP3DyrfNdQ%2B9FWH8%3D";
/// … and over the right one.
const RIGHT: &str = "998V0UKiZUMiX5wymsgyPovV5We1%2BxSQpt%2F1ycpAwU0%3D";

fn secrets() -> Value {
    json!({
        "consumer_key": "ck", "consumer_secret": "geheim", "token": "tk", "token_secret": "leise",
        "base_url": "https://shop.example", "received_at": 1_700_000_000, "timestamp_window": 600,
    })
}

fn request(signature: &str) -> String {
    REQUEST.replace("SIGNATURE", signature)
}

fn explain(folder: &Path, secrets: &Value, request: &str) -> Value {
    std::fs::write(folder.join("secrets.json"), secrets.to_string()).unwrap();
    let run = Run::within(folder).given(request);
    let told = run.told(&["explain", "--secrets", "secrets.json", "--format", "json"]);
    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
    serde_json::from_str(&told.out).unwrap()
}

#[test]
fn a_query_that_was_not_signed_is_named_with_what_the_server_built() {
    let folder = folder("");

    let answer = explain(folder.path(), &secrets(), &request(WITHOUT_QUERY));

    assert_eq!(answer["result"], "diagnosed");
    assert_eq!(answer["diagnosis"][0]["id"], "E20");
    assert_eq!(answer["diagnosis"][0]["also"], json!(["E37"]));
    let base = answer["base_string"].as_str().unwrap();
    assert!(base.starts_with("GET&https%3A%2F%2Fshop.example%2Frest%2FV1%2Fproducts&oauth_consumer_key%3Dck%26"));
    // What openssl signed.
    let signed = base.strip_suffix("%26page%3D1").unwrap();
    assert_eq!(answer["signed_base_string"], signed);
    assert_eq!(
        answer["base_string_parts"]["url"],
        "https://shop.example/rest/V1/products"
    );
    let origins: Vec<&str> = answer["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["origin"].as_str().unwrap())
        .collect();
    assert_eq!(origins.iter().filter(|origin| **origin == "query").count(), 1);
    assert_eq!(answer["key_shape"], "<consumer secret>&<token secret>");
    assert!(answer["cost"]["macs"].as_u64().unwrap() > 1);
    assert!(answer["cost"]["ms"].is_u64());
}

#[test]
fn a_right_signature_is_valid_and_its_clock_is_judged() {
    let folder = folder("");
    let late = json!({ "received_at": 1_700_001_000 });
    let mut late_secrets = secrets();
    late_secrets["received_at"] = late["received_at"].clone();

    let valid = explain(folder.path(), &secrets(), &request(RIGHT));
    let behind = explain(folder.path(), &late_secrets, &request(RIGHT));

    assert_eq!((&valid["result"], &valid["diagnosis"]), (&json!("valid"), &json!([])));
    assert_eq!(valid["cost"]["macs"], 1);
    assert_eq!(behind["diagnosis"][0]["id"], "N1");
    assert!(
        behind["diagnosis"][0]["sentence"]
            .as_str()
            .unwrap()
            .contains("1000 s behind")
    );
}

#[test]
fn what_may_be_the_gateways_is_told_for_both_sides_and_the_rest_for_the_developer() {
    let folder = folder("");
    let mut behind_tls = secrets();
    behind_tls["base_url"] = json!("http://shop.example");

    let either = explain(folder.path(), &behind_tls, &request(RIGHT));
    let developers = explain(folder.path(), &secrets(), &request(WITHOUT_QUERY));
    std::fs::write(folder.path().join("secrets.json"), behind_tls.to_string()).unwrap();
    let raw = request(RIGHT);
    let told = Run::within(folder.path()).given(&raw);
    let told = told.told(&["explain", "--secrets", "secrets.json"]);

    let (either, developers) = (&either["diagnosis"][0], &developers["diagnosis"][0]);
    assert_eq!((&either["id"], &either["fault"]), (&json!("E2"), &json!("either")));
    let theirs = "Clients sign https://shop.example";
    assert!(
        either["operator_sentence"].as_str().unwrap().starts_with(theirs),
        "{either}"
    );
    assert_eq!(developers["fault"], "developer");
    assert!(developers.get("operator_sentence").is_none());
    assert!(
        told.out
            .contains("Or, for the gateway's operator: Clients sign https://shop.example"),
        "{}",
        told.out
    );
}

#[test]
fn what_no_known_mistake_makes_is_unknown() {
    let folder = folder("");
    let mut others = secrets();
    others["consumer_secret"] = json!("another");

    let answer = explain(folder.path(), &others, &request(RIGHT));

    assert_eq!(
        (&answer["result"], &answer["diagnosis"]),
        (&json!("unknown"), &json!([]))
    );
    assert!(answer["advice"].as_str().unwrap().contains("base string"));
}

#[test]
fn a_request_without_a_signature_or_a_sound_form_is_malformed() {
    let folder = folder("");
    for (raw, id) in [
        ("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n", "N6"),
        ("nothing", "N5"),
        ("", "N5"),
    ] {
        let answer = explain(folder.path(), &secrets(), raw);

        assert_eq!(answer["result"], "malformed", "{raw:?}");
        assert_eq!(answer["diagnosis"][0]["id"], id, "{raw:?}");
    }
}

#[test]
fn the_text_is_for_people_and_holds_no_secret() {
    let folder = folder("");
    std::fs::write(folder.path().join("secrets.json"), secrets().to_string()).unwrap();
    std::fs::write(folder.path().join("request.txt"), request(WITHOUT_QUERY)).unwrap();

    let told = Run::within(folder.path()).told(&["explain", "--secrets", "secrets.json", "request.txt"]);

    assert_eq!((told.code, told.err.as_str()), (Some(0), ""));
    assert!(told.out.starts_with("diagnosed ("), "{}", told.out);
    assert!(
        told.out
            .contains("\nE20   Your client left the query (one parameter) out"),
        "{}",
        told.out
    );
    assert!(told.out.contains("\n              page=1\n"), "{}", told.out);
    assert!(told.out.contains("\nThe client signed\nGET&https%3A"), "{}", told.out);
    assert!(
        told.out.contains("\nKey         <consumer secret>&<token secret>"),
        "{}",
        told.out
    );
    let whole_signature = WITHOUT_QUERY.split('%').next().unwrap();
    for hidden in ["geheim", "leise", whole_signature] {
        assert!(!told.out.contains(hidden), "{}", told.out);
    }
}

#[test]
fn secrets_come_from_stdin_too_and_faults_are_told() {
    let folder = folder("");
    std::fs::write(folder.path().join("request.txt"), request(RIGHT)).unwrap();
    let secrets = secrets().to_string();

    let piped = Run::within(folder.path()).given(&secrets);
    let told = piped.told(&["explain", "--secrets", "-", "request.txt", "--format", "json"]);
    let both = piped.told(&["explain", "--secrets", "-"]);
    let broken = Run::within(folder.path())
        .given("{ geheim")
        .told(&["explain", "--secrets", "-", "request.txt"]);
    let gone = Run::within(folder.path()).told(&["explain", "--secrets", "gone.json"]);

    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.out.contains("\"valid\""));
    assert_eq!(both.code, Some(2));
    assert_eq!(broken.code, Some(1));
    assert!(
        broken.err.contains("is not JSON") && !broken.err.contains("geheim"),
        "{}",
        broken.err
    );
    assert_eq!(gone.code, Some(1));
    assert!(gone.err.contains("gone.json"));
}

#[test]
fn what_curl_printed_is_read_and_what_was_not_tried_is_told() {
    let folder = folder("");
    let right = request(RIGHT);
    let lines = right.lines().map(|line| format!("> {line}\r\n"));
    let printed = lines.collect::<Vec<_>>().concat();
    let nobody = json!({ "consumer_key": "ck", "base_url": "https://shop.example" });

    let valid = explain(folder.path(), &secrets(), &printed);
    let unknown = explain(folder.path(), &nobody, &request(RIGHT));

    assert_eq!(valid["result"], "valid");
    assert_eq!(unknown["result"], "unknown");
    let advice = unknown["advice"].as_str().unwrap();
    assert!(advice.starts_with("Nothing was tried: no secret is known."), "{advice}");
}

#[test]
fn a_secrets_file_that_says_nothing_known_is_refused() {
    let folder = folder("");
    for (text, told) in [
        ("[]", "not the shape of a secrets file"),
        ("{\"consumersecret\": \"geheim\"}", "is consumer_secret meant?"),
        ("{\"base_url\": \"https://shop.example?geheim\"}", "base_url:"),
    ] {
        std::fs::write(folder.path().join("secrets.json"), text).unwrap();
        let raw = request(RIGHT);

        let run = Run::within(folder.path())
            .given(&raw)
            .told(&["explain", "--secrets", "secrets.json"]);

        assert_eq!(run.code, Some(1), "{text}");
        assert!(run.err.contains(told), "{}", run.err);
    }
}

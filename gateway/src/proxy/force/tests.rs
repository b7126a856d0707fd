use std::collections::BTreeMap;

use super::*;
use crate::config;

fn forced(path: &str, pairs: &[(&str, &str)]) -> Vec<Forced> {
    let value = |(name, text): &(&str, &str)| ((*name).to_owned(), ForcedValue::parse(text).unwrap());
    config::forced(path, pairs.iter().map(value).collect::<BTreeMap<_, _>>()).unwrap()
}

fn body(pairs: &[(&str, &str)], text: &str) -> Option<String> {
    let all = forced("/a", pairs);
    let all: Vec<Said<'_>> = all.iter().map(|one| Said::of(one, Some(7))).collect();
    rewritten(text, &all)
}

fn asked(pairs: &[(&str, &str)], text: &str, makes_body: bool) -> String {
    let all = forced("/a", pairs);
    let all: Vec<Said<'_>> = all.iter().map(|one| Said::of(one, Some(7))).collect();
    query(text, &all, makes_body)
}

const CUSTOMER: [(&str, &str); 1] = [("customerId", "%customer_id%")];
const MEMBER: [(&str, &str); 1] = [("customer.id", "%customer_id%")];

#[test]
fn a_member_is_forced_in_every_spelling_and_every_double() {
    let text = r#"{"customer_id":1,"a":1.10,"customerId":2,"customer\u0049d":3,"CUSTOMERID":4,"customerId":{"x":5}}"#;

    let forced = body(&CUSTOMER, text).unwrap();

    assert_eq!(
        forced,
        r#"{"customer_id":7,"a":1.10,"customerId":7,"customerId":7,"CUSTOMERID":7,"customerId":7}"#
    );
}

#[test]
fn what_is_not_forced_stays_octet_by_octet() {
    let text = " { \"b\" : 12345678901234567890123 , \"a\" : [ 1.0 , \"\\u00e9\" ] } ";

    let forced = body(&CUSTOMER, text).unwrap();

    assert_eq!(
        forced,
        "{\"b\":12345678901234567890123,\"a\":[ 1.0 , \"\\u00e9\" ],\"customerId\":7}"
    );
}

#[test]
fn a_nested_member_is_forced_in_every_object_that_could_hold_it() {
    assert_eq!(
        body(
            &MEMBER,
            r#"{"customer":{"id":1,"x":2},"Customer":5,"customer":[{"id":1}]}"#
        )
        .unwrap(),
        r#"{"customer":{"id":7,"x":2},"Customer":{"id":7},"customer":{"id":7}}"#
    );
    assert_eq!(body(&MEMBER, "{}").unwrap(), r#"{"customer":{"id":7}}"#);
}

#[test]
fn each_body_of_a_bulk_is_forced_and_what_is_no_object_is_refused() {
    assert_eq!(
        body(&CUSTOMER, r#"[{"customerId":1},{}]"#).unwrap(),
        r#"[{"customerId":7},{"customerId":7}]"#
    );
    for text in [
        "[]",
        "[1]",
        "[[{}]]",
        "1",
        "\"a\"",
        "null",
        "{\"a\":1,}",
        "{} {}",
        "\u{FEFF}{}",
        "{'a':1}",
    ] {
        assert_eq!(body(&CUSTOMER, text), None, "{text}");
    }
}

#[test]
fn literals_are_what_they_are_written_as() {
    let one = |name: &str, value| Forced {
        names: vec![name.to_owned()],
        value,
        segment: None,
    };
    let all = [
        one("a", ForcedValue::Number(5)),
        one("b", ForcedValue::Flag(true)),
        one("c", ForcedValue::Text("5\"".to_owned())),
        one("d", ForcedValue::Null),
        one("e", ForcedValue::CustomerId),
    ];
    let said: Vec<Said<'_>> = all.iter().map(|one| Said::of(one, None)).collect();

    assert_eq!(
        rewritten("{}", &said).unwrap(),
        r#"{"a":5,"b":true,"c":"5\"","d":null,"e":null}"#
    );
    assert_eq!(query("d=1&e=2&f=3", &said, false), "f=3&a=5&b=true&c=5%22");
}

#[test]
fn a_querys_parameter_goes_in_whatever_way_it_is_named() {
    let names = [
        "customerId",
        "customer_id",
        "CustomerID",
        "%63ustomerId",
        "%2563ustomerId",
        "%252525252563ustomerId",
        "customer.id",
        "customer%20id",
        "customer+id",
        "+customerId",
        "customerId[]",
        "customerId%5B0%5D",
        "customerId[a][b]",
        "customer[id",
        "customerId%00x",
    ];
    for name in names {
        let left = asked(&CUSTOMER, &format!("a=1&{name}=9&{name}=8&{name}&b=x+%20y"), false);
        assert_eq!(left, "a=1&b=x+%20y&customerId=7", "{name}");
    }
    assert_eq!(
        asked(&CUSTOMER, "a=1;customerId=9&customerId=2;b=3", false),
        "a=1&b=3&customerId=7"
    );
    assert_eq!(
        asked(&CUSTOMER, "customerIds=9&my_customer_id=1", false),
        "customerIds=9&my_customer_id=1&customerId=7"
    );
    assert_eq!(asked(&CUSTOMER, "", false), "customerId=7");
}

#[test]
fn a_nested_parameter_of_a_query_is_known_by_brackets_and_by_dots() {
    for name in [
        "customer[id]",
        "customer.id",
        "customer",
        "customer[i_d][x]",
        "customer_id",
        "Customer%5Bid%5D",
    ] {
        assert_eq!(
            asked(&MEMBER, &format!("{name}=9&customer[name]=x"), false),
            "customer[name]=x&customer%5Bid%5D=7",
            "{name}"
        );
    }
}

#[test]
fn beside_a_body_a_query_says_nothing_of_what_the_body_holds() {
    assert_eq!(asked(&CUSTOMER, "customerId=9&a=1", true), "a=1");
    assert_eq!(asked(&MEMBER, "customer[name]=x&a=1", true), "a=1");
}

#[test]
fn the_segment_of_a_path_is_replaced_with_and_without_a_store_code() {
    let one = forced("/rest/{store?}/V1/{customerId}/x", &CUSTOMER);
    let segment = one[0].segment.unwrap();

    assert_eq!(with_segment("/rest/V1/9/x", segment, "7"), "/rest/V1/7/x");
    assert_eq!(with_segment("/rest/de/V1/%39/x/", segment, "7"), "/rest/de/V1/7/x/");
}

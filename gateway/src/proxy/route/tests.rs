use std::collections::BTreeSet;

use super::*;
use crate::config::{Requirement, Route};

fn route(methods: &[&str], path: &str) -> Route {
    Route {
        path: path.to_owned(),
        host: None,
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        upstream: "storefront".to_owned(),
        requirement: Requirement::Resources(BTreeSet::new()),
        observe: false,
        secure: false,
        encoded_slash: false,
        keep_oauth: false,
        force: Vec::new(),
    }
}

fn magento() -> Routes {
    Routes::new(&[
        route(&["GET", "PUT"], "/rest/{store?}/V1/customers/me"),
        route(&["GET", "DELETE"], "/rest/{store?}/V1/customers/{customerId}"),
        route(&["GET"], "/rest/{store?}/V1/products/attributes/{code}"),
        route(&["GET"], "/rest/{store?}/V1/products/{sku}/{part}"),
        Route {
            encoded_slash: true,
            ..route(&["GET"], "/rest/{store?}/V1/products/{sku}")
        },
        route(&["GET"], "/media/{*rest}"),
        Route {
            host: Some("b2b.example".to_owned()),
            ..route(&["GET"], "/rest/{store?}/V1/customers/me")
        },
    ])
    .unwrap()
}

#[test]
fn a_literal_beats_a_variable_at_the_leftmost_difference() {
    let routes = magento();

    assert_eq!(routes.find("h", "GET", "/rest/V1/customers/me"), Found::Route(0));
    assert_eq!(routes.find("h", "GET", "/rest/default/V1/customers/7"), Found::Route(1));
    assert_eq!(
        routes.find("h", "GET", "/rest/V1/products/attributes/color"),
        Found::Route(2)
    );
    assert_eq!(routes.find("h", "GET", "/rest/V1/products/x/media"), Found::Route(3));
}

#[test]
fn a_method_that_the_literal_lacks_goes_by_the_variable() {
    assert_eq!(magento().find("h", "DELETE", "/rest/V1/customers/me"), Found::Route(1));
}

#[test]
fn another_method_says_what_is_allowed_and_head_goes_by_get() {
    let routes = magento();

    assert_eq!(
        routes.find("h", "POST", "/media/a"),
        Found::OtherMethods("GET, HEAD".to_owned())
    );
    assert_eq!(routes.find("h", "HEAD", "/media/a/b"), Found::Route(5));
    assert_eq!(routes.find("h", "GET", "/media"), Found::Unknown);
}

#[test]
fn a_route_of_the_host_comes_before_one_of_any_host() {
    let routes = magento();

    assert_eq!(
        routes.find("b2b.example", "GET", "/rest/V1/customers/me"),
        Found::Route(6)
    );
    assert_eq!(
        routes.find("b2b.example", "PUT", "/rest/V1/customers/me"),
        Found::Route(0)
    );
}

#[test]
fn a_trailing_slash_is_ignored_and_a_literal_may_be_escaped() {
    let routes = magento();

    assert_eq!(routes.find("h", "GET", "/rest/V1/customers/me/"), Found::Route(0));
    assert_eq!(routes.find("h", "GET", "/rest/V1/customers/%6De"), Found::Route(0));
}

#[test]
fn an_escaped_slash_needs_a_route_that_allows_it() {
    let routes = magento();

    assert_eq!(routes.find("h", "GET", "/rest/V1/products/a%2Fb"), Found::Route(4));
    assert_eq!(routes.find("h", "GET", "/rest/V1/customers/a%2fb"), Found::Refused);
}

#[test]
fn a_path_that_upstream_could_read_differently_is_refused() {
    let routes = magento();
    let paths = [
        "/media/../rest",
        "/media/./a",
        "/media/%2e%2E/rest",
        "/media/.%2e/a",
        "/media/%252e%252e/a",
        "/media/..%2frest",
        "/media/..;/rest",
        "/media/..;x=1/rest",
        "/media//a",
        "//media/a",
        "/media/a//",
        "/media/a%5Cb",
        "/media/a\\b",
        "/media/%00",
        "/media/%0d%0aX",
        "/media/%7f",
        "/media/%c0%ae%c0%ae/rest",
        "/media/%u002e/rest",
        "/media/%",
        "/media/%2",
        "/media/\u{FF0E}\u{FF0E}/rest",
        "/media/..%ef%bc%8frest",
        "/media/%252fetc",
        "/media/%25c0%25ae%25c0%25ae/rest",
        "/media/%252525252525252e%252525252525252e/rest",
        "media",
        "",
    ];

    for path in paths {
        assert_eq!(routes.find("h", "GET", path), Found::Refused, "{path}");
    }
}

#[test]
fn the_same_method_and_template_twice_is_a_fault() {
    let faults = Routes::new(&[route(&["GET"], "/a/{x}"), route(&["GET"], "/a/{y}")]).unwrap_err();

    assert_eq!(faults, [(1, TemplateError::Taken("/a/{y}".to_owned()))]);
}

#[test]
fn a_template_that_no_request_could_match_is_a_fault() {
    let fault = |path: &str| Routes::new(&[route(&["GET"], path)]).unwrap_err().remove(0).1;

    assert_eq!(fault("a"), TemplateError::NoSlash);
    assert_eq!(fault("/a//b"), TemplateError::Segment(String::new()));
    assert_eq!(fault("/a/../b"), TemplateError::Segment("..".to_owned()));
    assert_eq!(fault("/{*rest}/b"), TemplateError::RestInside);
    assert_eq!(fault("/p?q=1"), TemplateError::Query("p?q=1".to_owned()));
    assert_eq!(fault("/p#x"), TemplateError::Query("p#x".to_owned()));
    for braces in ["{x", "x}", "a{x}", "{a}{b}"] {
        assert_eq!(fault(&format!("/{braces}/b")), TemplateError::Braces(braces.to_owned()));
    }
}

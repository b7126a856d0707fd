//! The base string (1.5: C41 to C51). Published vectors are in `vectors/base_uri.txt` and `vectors/requests.txt`.

use oauth1::{Problem, RequestParts, Scheme, Target};

use super::{base, base_uri, get, header, problem, request, usual};

fn at(scheme: Scheme, authority: &str, path: &str) -> String {
    let parts = RequestParts {
        target: Target {
            scheme,
            authority,
            path,
            query: Some("not=part#of-it"),
        },
        ..request("GET", "http://h/")
    };
    base_uri(&parts)
}

/// C41
#[test]
fn the_method_is_signed_in_upper_case_and_encoded() {
    assert!(base(&request("post", "http://h/")).starts_with("POST&http%3A%2F%2Fh%2F&"));
    assert!(base(&request("M-SEARCH", "http://h/")).starts_with("M-SEARCH&"));
    assert!(base(&request("X!y", "http://h/")).starts_with("X%21Y&"));
}

/// C41, P21: nothing that a parameter holds can be taken for a separator.
#[test]
fn separators_within_parameters_are_encoded_twice() {
    assert_eq!(
        base(&request("GET", "http://h/?a=%26b%3D1")),
        "GET&http%3A%2F%2Fh%2F&a%3D%2526b%253D1"
    );
    assert_ne!(
        base(&request("GET", "http://h/?a=%26b%3D1")),
        base(&request("GET", "http://h/?a=&b=1"))
    );
}

/// C42
#[test]
fn scheme_and_host_are_lower_case() {
    assert_eq!(
        base_uri(&request("GET", "HTTPS://Shop.EXAMPLE/P")),
        "https://shop.example/P"
    );
}

/// C43
#[test]
fn a_default_port_is_left_out_and_any_other_kept() {
    for (scheme, authority, uri) in [
        (Scheme::Http, "h:80", "http://h/"),
        (Scheme::Https, "h:443", "https://h/"),
        (Scheme::Http, "h:443", "http://h:443/"),
        (Scheme::Https, "h:80", "https://h:80/"),
        (Scheme::Http, "h:8080", "http://h:8080/"),
        (Scheme::Https, "h:", "https://h/"),
        (Scheme::Http, "h", "http://h/"),
    ] {
        assert_eq!(at(scheme, authority, "/"), uri, "{authority}");
    }
}

/// C44, P13, T1
#[test]
fn the_path_is_signed_as_it_came() {
    for path in [
        "/a%2Fb",
        "/a%2fb",
        "/a%7Eb",
        "/r%20v/X",
        "/a;b=1/c",
        "/a/../b/./c",
        "//a//b/",
        "/%41",
        "/a:b@c,d'(e)*!$&+=",
    ] {
        assert_eq!(at(Scheme::Http, "h", path), format!("http://h{path}"));
    }
    assert!(base(&request("GET", "http://h/a%2Fb")).starts_with("GET&http%3A%2F%2Fh%2Fa%252Fb&"));
}

/// C44
#[test]
fn an_empty_path_is_a_slash() {
    assert_eq!(at(Scheme::Http, "h", ""), "http://h/");
    assert_eq!(base_uri(&request("GET", "http://h?a=1")), "http://h/");
}

/// C45, C50: none of them can have come in a request line.
#[test]
fn a_path_with_white_space_or_without_a_slash_is_malformed() {
    let written = header(&usual());
    for path in ["/r v", "/a\tb", "/a\u{7f}", "/a\0", "*", "a", "h:443"] {
        let parts = RequestParts {
            target: Target {
                path,
                ..request("OPTIONS", "http://h/").target
            },
            authorization: Some(written.as_bytes()),
            ..request("OPTIONS", "http://h/")
        };
        assert_eq!(problem(&parts), Problem::Malformed, "{path:?}");
    }
}

/// C46
#[test]
fn query_and_fragment_are_no_part_of_the_uri() {
    assert_eq!(base_uri(&request("GET", "http://h/p?a=/b#c?d")), "http://h/p");
    assert_eq!(base_uri(&request("GET", "http://h/p#f?a=1")), "http://h/p");
    assert!(base(&request("GET", "http://h/p#f?a=1")).ends_with('&'));
}

/// C47
#[test]
fn user_and_password_are_dropped() {
    for authority in [
        "user@h:8080",
        "user:pass@h:8080",
        "a@b:1@h:8080",
        "user:80@h:8080",
        "@h:8080",
    ] {
        assert_eq!(at(Scheme::Http, authority, "/"), "http://h:8080/", "{authority}");
    }
    assert_eq!(at(Scheme::Http, "user:80@h", "/"), "http://h/");
    assert_eq!(at(Scheme::Http, "user:80@[::1]", "/"), "http://[::1]/");
}

/// C48
#[test]
fn ipv6_literals_keep_their_brackets() {
    for (authority, uri) in [
        ("[2001:DB8::A]", "http://[2001:db8::a]/"),
        ("[2001:db8::a]:80", "http://[2001:db8::a]/"),
        ("[2001:db8::80]", "http://[2001:db8::80]/"),
        ("[::1]:8080", "http://[::1]:8080/"),
        ("[::1]:", "http://[::1]/"),
    ] {
        assert_eq!(at(Scheme::Http, authority, "/"), uri);
    }
    assert!(base(&request("GET", "http://[::1]:8080/")).starts_with("GET&http%3A%2F%2F%5B%3A%3A1%5D%3A8080%2F&"));
}

/// C49
#[test]
fn an_international_name_is_signed_by_its_a_label() {
    assert_eq!(
        at(Scheme::Https, "XN--Bcher-KVA.example", "/"),
        "https://xn--bcher-kva.example/"
    );
}

/// C51
#[test]
fn head_is_not_get() {
    let written = header(&usual());
    let head = RequestParts {
        method: "HEAD",
        ..get("http://h/", &written)
    };

    assert!(base(&head).starts_with("HEAD&"));
    assert_ne!(base(&head), base(&get("http://h/", &written)));
}

/// C42: only what can be called has a base string.
#[test]
fn another_scheme_or_no_host_is_no_target() {
    for url in [
        "ftp://h/",
        "//h/",
        "/p",
        "http:/h",
        "http:///p",
        "h",
        "http://",
        "https://?a",
    ] {
        assert!(Target::from_url(url).is_none(), "{url}");
    }
}

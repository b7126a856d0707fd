//! Where parameters stand and how they are read (1.1: C1 to C16).

use oauth1::{OauthRequest, ParameterName, Placement, Placements, Problem, RequestParts, Rules};

use super::{KEY, RULES, TOKEN, URL, form, get, header, normalised, parse, post, problem, request, usual, with};

fn with_form<'a>(method: &'a str, url: &'a str, form: &'a str) -> RequestParts<'a> {
    RequestParts {
        form: Some(form.as_bytes()),
        ..request(method, url)
    }
}

/// C1
#[test]
fn parameters_may_stand_in_header_query_or_form() {
    let (header, form) = (header(&usual()), form(&usual()));
    let url = format!("{URL}?{form}");

    let placements = [get(URL, &header), request("GET", &url), with_form("POST", URL, &form)]
        .map(|parts| parse(&parts).map(|found| found.placement()));

    assert_eq!(
        placements,
        [Placement::Header, Placement::Query, Placement::Form].map(Ok)
    );
}

/// C1
#[test]
fn a_placement_that_is_switched_off_is_refused() {
    let (header, form) = (header(&usual()), form(&usual()));
    let url = format!("{URL}?{form}");
    let none = Rules {
        placements: Placements {
            header: false,
            query: false,
            form: false,
        },
        ..RULES
    };

    let refusals = [get(URL, &header), request("GET", &url), with_form("POST", URL, &form)]
        .map(|parts| OauthRequest::parse(&parts, &none).err());

    let expected = [Placement::Header, Placement::Query, Placement::Form];
    assert_eq!(
        refusals,
        expected.map(|placement| Some(Problem::PlacementRefused(placement)))
    );
}

/// C2, P11: any name that begins with `oauth_` counts, an unknown one and an escaped one too.
#[test]
fn parameters_in_two_placements_are_refused() {
    let (header, form) = (header(&usual()), form(&usual()));
    for name in [
        "oauth_token",
        "oauth_verifier",
        "oauth_x",
        "oauth_",
        "%6Fauth_x",
        "oauth%5fx",
    ] {
        let pair = format!("a=b&{name}=1");
        let other_url = format!("{URL}?{pair}");
        let url = format!("{URL}?{form}");
        for parts in [
            get(&other_url, &header),
            post(URL, &header, &pair),
            with_form("POST", &url, &pair),
            with_form("POST", &other_url, &form),
        ] {
            assert_eq!(problem(&parts), Problem::TwoPlacements, "{name}");
        }
    }
}

/// C2: the scheme alone makes the header a placement.
#[test]
fn an_empty_oauth_header_beside_query_parameters_is_a_second_placement() {
    let url = format!("{URL}?{}", form(&usual()));

    assert_eq!(problem(&get(&url, "OAuth")), Problem::TwoPlacements);
    assert_eq!(problem(&get(&url, "OAuth realm=\"x\"")), Problem::TwoPlacements);
}

/// C2
#[test]
fn a_name_that_only_resembles_oauth_is_no_placement() {
    let url = format!("{URL}?OAuth_token=1&oauth=2&xoauth_token=3&a=oauth_token");

    assert!(parse(&get(&url, &header(&usual()))).is_ok());
    assert!(matches!(OauthRequest::parse(&request("GET", &url), &RULES), Ok(None)));
}

/// C3
#[test]
fn the_scheme_is_read_in_any_letter_case_and_spacing() {
    let expected = normalised(&get(URL, &header(&usual())));
    let pairs = header(&usual()).replacen("OAuth ", "", 1);
    for written in [
        format!("oauth {pairs}"),
        format!("OAUTH\t \t{pairs}"),
        format!("OAuth {}", pairs.replace(", ", ",")),
        format!("OAuth {}", pairs.replace(", ", "\t ,  ")),
        format!("OAuth {}", pairs.replace("=\"", " = \"")),
        format!("  OAuth {pairs}  "),
        // A comma after the scheme, as some clients send it (U28).
        format!("OAuth,{pairs}"),
    ] {
        let parts = get(URL, &written);
        assert!(parse(&parts).is_ok(), "{written}");
        assert_eq!(normalised(&parts), expected, "{written}");
    }
}

/// C4, U27: `+` isn't a space in the header; raw base64 is tolerated.
#[test]
fn header_values_are_percent_decoded_only() {
    let written = header(&with("oauth_nonce", "a+b/c==%20%2B"));
    let parts = get(URL, &written);

    let nonce = parse(&parts).map(|found| found.get(ParameterName::Nonce).map(<[u8]>::to_vec));

    assert_eq!(nonce, Ok(Some(b"a+b/c== +".to_vec())));
    assert!(normalised(&parts).contains("oauth_nonce=a%2Bb%2Fc%3D%3D%20%2B&"));
}

/// C4
#[test]
fn header_names_are_percent_decoded_too() {
    let written = format!("OAuth %6Fauth_token=\"{TOKEN}\", oauth%5Fconsumer_key=\"{KEY}\"");

    let parts = get(URL, &written);
    let found = parse(&parts).expect("an OAuth request");

    assert_eq!(found.get(ParameterName::Token), Some(TOKEN.as_bytes()));
    assert_eq!(found.get(ParameterName::ConsumerKey), Some(KEY.as_bytes()));
}

/// C5
#[test]
fn unquoted_values_empty_elements_and_any_order_are_tolerated() {
    let expected = normalised(&get(URL, &header(&usual())));
    let mut reversed = usual();
    reversed.reverse();
    for written in [
        header(&usual()).replace('"', ""),
        format!("{},", header(&usual())),
        format!("{} , ,", header(&usual())),
        header(&usual()).replace(", ", ",, ,"),
        header(&reversed),
    ] {
        let parts = get(URL, &written);
        assert!(parse(&parts).is_ok(), "{written}");
        assert_eq!(normalised(&parts), expected, "{written}");
    }
}

/// C5
#[test]
fn a_broken_list_or_escape_is_malformed() {
    for pair in [
        "oauth_x=\"%G1\"",
        "oauth_x=\"%\"",
        "oauth_x=\"a%2\"",
        "oauth_%zz=\"1\"",
        "oauth_x",
        "oauth_x=\"1",
        "oauth_x=\"1\" oauth_y=\"2\"",
        "=\"1\"",
        "oauth_x=a b",
        "oauth_x=\"a\\\"b\"",
    ] {
        let written = format!("{}, {pair}", header(&usual()));
        assert_eq!(problem(&get(URL, &written)), Problem::Malformed, "{pair}");
    }
}

/// C5: the base string needs octets only, so a value may be any.
#[test]
fn a_name_that_is_not_utf_8_is_malformed_and_a_value_is_not() {
    let name = format!("{}, %FF=\"1\"", header(&usual()));
    let value = header(&with("oauth_x", "%FF%00"));

    assert_eq!(problem(&get(URL, &name)), Problem::Malformed);
    assert!(normalised(&get(URL, &value)).contains("oauth_x=%FF%00"));
    assert!(parse(&get(URL, &value)).is_ok());
}

/// C6
#[test]
fn the_headers_realm_is_not_signed_nor_decoded_whatever_its_case() {
    let expected = normalised(&get(URL, &header(&usual())));
    for (name, value, realm) in [
        ("realm", "Photos", "Photos"),
        ("REALM", "", ""),
        ("Realm", "a%20b+c", "a%20b+c"),
        ("realm", "%zz", "%zz"),
        ("realm", "say \\\"hi\\\", OAuth", "say \"hi\", OAuth"),
    ] {
        let written = header(&usual()).replacen("OAuth ", &format!("OAuth {name}=\"{value}\", "), 1);
        let parts = get(URL, &written);

        let found = parse(&parts).map(|found| found.realm().map(<[u8]>::to_vec));

        assert_eq!(found, Ok(Some(realm.as_bytes().to_vec())), "{written}");
        assert_eq!(normalised(&parts), expected, "{written}");
    }
}

/// C6
#[test]
fn a_realm_in_query_or_form_is_an_ordinary_parameter() {
    let header = header(&usual());
    let url = format!("{URL}?realm=a");

    assert!(normalised(&post(&url, &header, "realm=b")).ends_with("&realm=a&realm=b"));
}

/// C6
#[test]
fn two_realms_are_malformed() {
    let written = format!("{}, realm=\"a\", Realm=\"a\"", header(&usual()));

    assert_eq!(problem(&get(URL, &written)), Problem::Malformed);
}

/// C7
#[test]
fn what_else_stands_in_the_header_is_signed() {
    let mut parameters = usual();
    parameters.extend([("b", "2"), ("a%5B%5D", "1"), ("b", "1")]);
    let written = header(&parameters);
    let parts = get(URL, &written);

    assert!(parse(&parts).is_ok());
    assert!(normalised(&parts).starts_with("a%5B%5D=1&b=1&b=2&oauth_consumer_key="));
}

/// C8
#[test]
fn two_schemes_in_one_header_are_malformed() {
    let oauth = header(&usual());
    for written in [
        format!("{oauth}, Basic dXNlcjpwYXNz"),
        format!("Basic dXNlcjpwYXNz, {oauth}"),
        format!("{oauth}, Bearer {TOKEN}"),
        format!("Bearer {TOKEN}, {oauth}"),
        format!("{oauth}, {oauth}"),
        format!("{oauth} {oauth}"),
    ] {
        assert_eq!(problem(&get(URL, &written)), Problem::Malformed, "{written}");
    }
    for written in ["Basic dXNlcjpwYXNz, Bearer abc", "Bearer abc, Basic dXNlcjpwYXNz"] {
        assert_eq!(problem(&get(URL, written)), Problem::Malformed, "{written}");
    }
}

/// C9, P11: also with an equal value, also one that is unknown, also through an escape.
#[test]
fn an_oauth_parameter_twice_is_refused_in_any_placement() {
    for (name, written) in usual()
        .iter()
        .map(|(name, _)| (*name, *name))
        .chain([("oauth_x", "oauth_x"), ("oauth_token", "oauth%5Ftoken")])
    {
        for value in ["1", "2"] {
            let mut parameters = usual();
            parameters.retain(|(other, _)| *other != name);
            parameters.extend([(name, "1"), (written, value)]);
            let (header, form) = (header(&parameters), form(&parameters));
            let url = format!("{URL}?{form}");
            for parts in [get(URL, &header), request("GET", &url), with_form("POST", URL, &form)] {
                assert_eq!(problem(&parts), Problem::Rejected(name.to_owned()), "{name} {value}");
            }
        }
    }
}

/// C10
#[test]
fn another_scheme_leaves_the_query_to_be_the_placement() {
    let url = format!("{URL}?{}", form(&usual()));

    let found = parse(&get(&url, "Basic dXNlcjpwYXNz")).map(|found| found.placement());

    assert_eq!(found, Ok(Placement::Query));
}

/// C10: product.md 6 refuses a bearer beside OAuth parameters.
#[test]
fn a_bearer_beside_oauth_parameters_is_malformed() {
    let form = form(&usual());
    let url = format!("{URL}?{form}");

    assert_eq!(problem(&get(&url, "Bearer abc")), Problem::Malformed);
    assert_eq!(problem(&post(URL, "bearer abc", &form)), Problem::Malformed);
}

/// C10
#[test]
fn a_request_without_any_oauth_parameter_is_no_oauth_request() {
    for authorization in ["Basic dXNlcjpwYXNz", "Bearer abc", "", "Negotiate x"] {
        let found = OauthRequest::parse(&get("http://h/?a=1&oauth=2", authorization), &RULES);
        assert!(matches!(found, Ok(None)), "{authorization}");
    }
}

/// C12
#[test]
fn query_parameters_may_stand_in_any_order() {
    let first = format!("{URL}?{}&a=1", form(&usual()));
    let last = format!("{URL}?a=1&{}", form(&usual()));

    assert_eq!(normalised(&request("GET", &first)), normalised(&request("GET", &last)));
    assert!(parse(&request("GET", &first)).is_ok());
}

/// C11, C38: whether a body is a form doesn't depend on the method.
#[test]
fn every_other_method_may_have_a_form() {
    let form = form(&usual());
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
        assert!(parse(&with_form(method, URL, &form)).is_ok(), "{method}");
    }
}

/// C13: what servers make of such a body differs, so it could be smuggled past one of them.
#[test]
fn a_form_on_get_or_head_is_refused() {
    let form = form(&usual());
    let header = header(&usual());
    for method in ["GET", "HEAD", "get"] {
        let refusal = Problem::FormRefused;
        assert_eq!(problem(&with_form(method, URL, &form)), refusal, "{method}");
        let beside = RequestParts {
            authorization: Some(header.as_bytes()),
            ..with_form(method, URL, "a=1")
        };
        assert_eq!(problem(&beside), refusal, "{method}");
    }
}

/// Q16: clients send the form type with GET and no body.
#[test]
fn an_empty_form_adds_nothing_and_is_accepted() {
    let header = header(&usual());
    let empty = RequestParts {
        form: Some(b""),
        ..get(URL, &header)
    };

    assert!(parse(&empty).is_ok());
    assert_eq!(normalised(&empty), normalised(&get(URL, &header)));
}

/// C14
#[test]
fn an_empty_token_is_no_token_and_is_signed_as_sent() {
    let written = header(&with("oauth_token", ""));
    let parts = get(URL, &written);

    let signed = super::require(&parts, oauth1::Call::Resource { two_legged: true });

    assert_eq!(signed.map(|signed| signed.token().map(str::to_owned)), Ok(None));
    assert!(normalised(&parts).ends_with("&oauth_token="));
}

/// C15
#[test]
fn an_unknown_oauth_parameter_is_signed_and_otherwise_ignored() {
    let written = header(&with("oauth_session_handle", "x%20y"));
    let parts = get(URL, &written);

    assert!(super::require(&parts, super::RESOURCE).is_ok());
    assert!(normalised(&parts).contains("&oauth_session_handle=x%20y&"));
}

/// C16
#[test]
fn too_many_parameters_are_too_large() {
    let header = header(&usual());
    let within = format!("{URL}?{}", "a&".repeat(600));
    let rest = "a&".repeat(400);

    assert!(parse(&post(&within, &header, &rest)).is_ok());
    assert_eq!(problem(&post(&within, &header, &format!("{rest}a"))), Problem::TooLarge);
}

/// C16: 64 pairs, 8 KiB, and 2 KiB a value.
#[test]
fn too_large_a_header_is_too_large() {
    let pairs = |count: usize| {
        let mut written = header(&usual());
        written.extend((usual().len()..count).map(|at| format!(", a{at}=\"1\"")));
        written
    };
    let of_length = |length: usize| {
        let start = header(&usual());
        let padding = length + "OAuth".len() - start.len();
        format!("{start}{}", ",".repeat(padding))
    };
    let value = |length: usize| format!("{}, oauth_x=\"{}\"", header(&usual()), "%41".repeat(length));

    for (written, expected) in [
        (pairs(64), None),
        (pairs(65), Some(Problem::TooLarge)),
        (of_length(8192), None),
        (of_length(8193), Some(Problem::TooLarge)),
        (value(2048), None),
        (value(2049), Some(Problem::TooLarge)),
    ] {
        assert_eq!(parse(&get(URL, &written)).err(), expected, "{}", written.len());
    }
}

/// P24: linear, whatever stands there.
#[test]
fn eight_thousand_commas_and_ten_thousand_ampersands_are_nothing() {
    let commas = format!("OAuth {}", ",".repeat(8000));
    let ampersands = format!("{URL}?{}", "&".repeat(10_000));

    assert!(parse(&get(&ampersands, &commas)).is_ok());
    assert_eq!(normalised(&get(&ampersands, &commas)), "");
}

/// magento.md 2, product.md 4: Magento's own client sends `oauth_verifier` in header and form of `/oauth/token/access`.
#[test]
fn a_form_field_may_repeat_a_header_parameter_where_that_is_allowed() {
    let rules = Rules {
        repeat_in_form: true,
        ..RULES
    };
    let header = header(&with("oauth_verifier", "v%20v"));
    let refused = |form: &str| OauthRequest::parse(&post(URL, &header, form), &rules).err();

    let folded = post(URL, &header, "oauth_verifier=v+v&a=1");
    let found = OauthRequest::parse(&folded, &rules)
        .expect("no problem")
        .expect("an OAuth request");

    assert_eq!(found.placement(), Placement::Header);
    assert_eq!(found.get(ParameterName::Verifier), Some(&b"v v"[..]));
    assert_eq!(
        refused("oauth_verifier=w"),
        Some(Problem::Rejected("oauth_verifier".to_owned()))
    );
    assert_eq!(
        refused("oauth_verifier=v+v&oauth_verifier=v+v"),
        Some(Problem::TwoPlacements)
    );
    assert_eq!(refused("oauth_x=1"), Some(Problem::TwoPlacements));
}

/// The same: the repeated field counts once in the base string.
#[test]
fn a_repeated_form_field_is_signed_once() {
    let rules = Rules {
        repeat_in_form: true,
        ..RULES
    };
    let header = header(&with("oauth_verifier", "v"));
    let accept = oauth1::Acceptance {
        methods: oauth1::SignatureMethod::ALL.into_iter().collect(),
        version_1_0a: false,
    };
    let of = |form: &str| {
        let found = OauthRequest::parse(&post(URL, &header, form), &rules).expect("no problem");
        let signed = found
            .expect("an OAuth request")
            .require(oauth1::Call::AccessToken, &accept);
        signed.expect("complete").base_string(oauth1::BaseForm::default())
    };

    assert_eq!(of("oauth_verifier=v&a=1"), of("a=1"));
}

//! Timestamp and nonce (1.8: C65, C67, C69). Which nonces were used is the store's business.

use oauth1::{Problem, timestamp::Window};

use super::{RESOURCE, URL, get, header, refused, require, with};

/// C65
#[test]
fn a_timestamp_is_a_positive_integer_of_at_most_twelve_digits() {
    for timestamp in ["1", "1700000000", "001700000000", "999999999999"] {
        assert_eq!(refused(&with("oauth_timestamp", timestamp)), None, "{timestamp}");
    }
    for timestamp in [
        "",
        "0",
        "000",
        "-1",
        "+1",
        "1.5",
        "1e9",
        "0x1",
        "%201",
        "1%20",
        "abc",
        "1700000000000",
        "%D9%A1",
        "%00",
    ] {
        let parameters = with("oauth_timestamp", timestamp);
        assert_eq!(refused(&parameters), Some(Problem::TimestampRefused), "{timestamp}");
    }
}

/// C67, product.md 3: both sides, inclusive.
#[test]
fn the_window_is_inclusive_on_both_sides() {
    let window = Window { secs: 600 };
    let written = header(&with("oauth_timestamp", "1700000000"));
    let at = |now| require(&get(URL, &written), RESOURCE).and_then(|signed| signed.check_timestamp(window, now));

    for now in [1_699_999_400, 1_700_000_000, 1_700_000_600] {
        assert_eq!(at(now), Ok(()), "{now}");
    }
    for now in [0, 1_699_999_399, 1_700_000_601, u64::MAX] {
        assert_eq!(at(now), Err(Problem::TimestampRefused), "{now}");
    }
}

/// C18
#[test]
fn a_request_that_may_lack_a_timestamp_has_none_to_check() {
    let mut parameters = with("oauth_signature_method", "PLAINTEXT");
    parameters.retain(|(name, _)| *name != "oauth_timestamp");
    let written = header(&parameters);

    let checked =
        require(&get(URL, &written), RESOURCE).and_then(|signed| signed.check_timestamp(Window { secs: 1 }, 0));

    assert_eq!(checked, Ok(()));
}

/// C69, Q15: every alphabet that was seen, case-sensitive, as octets.
#[test]
fn a_nonce_may_hold_any_character() {
    for (sent, decoded) in [
        ("kllo9940pd9333jh", &b"kllo9940pd9333jh"[..]),
        ("623.456", b"623.456"),
        ("-8462301", b"-8462301"),
        ("a%2Bb%2Fc%3D%3D", b"a+b/c=="),
        ("A_b-C~", b"A_b-C~"),
        ("%C3%A9%20%22", "\u{e9} \"".as_bytes()),
        ("%FF", b"\xff"),
    ] {
        let written = header(&with("oauth_nonce", sent));
        let signed = require(&get(URL, &written), RESOURCE).expect("complete");
        assert_eq!(signed.timestamp_and_nonce(), Some((1_700_000_000, decoded)));
    }
}

/// C69; product.md 6: 1 to 255 octets, decoded.
#[test]
fn a_nonce_has_1_to_255_octets() {
    let of = |nonce: String| {
        let written = header(&super::without("oauth_nonce"));
        let written = format!("{written}, oauth_nonce=\"{nonce}\"");
        require(&get(URL, &written), RESOURCE).err()
    };

    assert_eq!(of("n".repeat(255)), None);
    assert_eq!(of("%20".repeat(255)), None);
    assert_eq!(of("n".repeat(256)), Some(Problem::NonceInvalid));
    assert_eq!(of(String::new()), Some(Problem::NonceInvalid));
}

/// P20
#[test]
fn a_nonce_without_control_characters() {
    for nonce in ["a%00", "%0Aa", "a%0D%0Ab", "%7F", "%1F"] {
        assert_eq!(
            refused(&with("oauth_nonce", nonce)),
            Some(Problem::NonceInvalid),
            "{nonce}"
        );
    }
}

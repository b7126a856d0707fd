//! No octets make a parser panic, and whatever is parsed holds what the fuzz targets check.

use proptest::collection::vec;
use proptest::prelude::*;

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "OAuth ",
        "oauth_token",
        "oauth_",
        "realm",
        "=",
        "\"",
        "\\",
        ",",
        "&",
        "%",
        "%6F",
        "%zz",
        "+",
        " ",
        "\t",
        "http://",
        "https://",
        "/",
        "?",
        "#",
        "@",
        ":",
        "[",
        "]",
        "-----BEGIN ",
        "PUBLIC KEY",
        "-----",
        "\n",
        "a",
        "1.0",
        "HMAC-SHA1",
    ];
    let piece = prop_oneof![
        3 => proptest::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_are_parsed_or_refused(octets in octets()) {
        fuzz::authorization(&octets);
        fuzz::parameters(&octets);
        fuzz::target(&octets);
        fuzz::base_string(&octets);
        fuzz::signed(&octets);
        fuzz::signature(&octets);
        fuzz::timestamp(&octets);
        fuzz::rsa_key(&octets);
        fuzz::explain(&octets);
        fuzz::explain(&[SIGNED, &octets].concat());
    }
}

/// A signed form that is anything.
const SIGNED: &[u8] = b"POST /a%20b/?c=d+e HTTP/1.1\r\n\
    Authorization: OAuth oauth_consumer_key=\"k\", oauth_nonce=\"n\", oauth_signature=\"qZk%2BNkcGgWq6PiVxeFDCbJzQ2J0%3D\", \
    oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"1\"\r\n\
    Content-Type: application/x-www-form-urlencoded\r\n\r\n";

//! Codes by time as a second factor: RFC 6238 with HMAC-SHA-1, steps of 30 seconds and six digits, as every authenticator
//! app has them.

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq as _;
use token_store::Secret;

use crate::random::{self, NoRandomness};

/// A fresh secret: 160 bits (RFC 4226 section 4), base32 without padding.
pub fn secret() -> Result<Secret, NoRandomness> {
    let mut octets = [0; 20];
    random::fill(&mut octets)?;
    Ok(Secret::new(base32(&octets)))
}

/// What an app reads from a QR code.
pub fn uri(username: &str, secret: &Secret) -> Secret {
    let name = oauth1::percent::encode(username.as_bytes());
    Secret::new(format!(
        "otpauth://totp/{ISSUER}:{name}?secret={}&issuer={ISSUER}&algorithm=SHA1&digits=6&period=30",
        secret.expose()
    ))
}

/// The step whose code it is: this one, the one before or the one after, and later than `last`, the last that was used. A
/// code counts once (RFC 6238 section 5.2).
pub fn step_of(secret: &Secret, code: &str, now: u64, last: Option<u64>) -> Option<u64> {
    let key = key(secret)?;
    let current = now / STEP;
    let mut found = None;
    // All of them are made and compared, whichever it is.
    for step in current.saturating_sub(1)..=current.saturating_add(1) {
        let is_it: bool = code_at(&key, step).as_bytes().ct_eq(code.as_bytes()).into();
        if is_it && last.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

fn key(secret: &Secret) -> Option<hmac::Key> {
    let octets = of_base32(secret.expose())?;
    Some(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &octets))
}

/// RFC 4226 section 5.3.
fn code_at(key: &hmac::Key, step: u64) -> String {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let octets = tag.as_ref();
    let offset = usize::from(octets.last().copied().unwrap_or_default() & 0xF);
    let four = octets.get(offset..).and_then(|rest| rest.first_chunk::<4>());
    let number = u32::from_be_bytes(four.copied().unwrap_or_default()) & 0x7FFF_FFFF;
    format!("{:06}", number % 1_000_000)
}

/// RFC 4648 section 6, without padding.
fn base32(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for octet in octets {
        bits = (bits << 8) | u32::from(*octet);
        count += 8;
        while count >= 5 {
            count -= 5;
            push(&mut text, bits >> count);
        }
    }
    if count > 0 {
        push(&mut text, bits << (5 - count));
    }
    text
}

fn push(text: &mut String, bits: u32) {
    let place = usize::try_from(bits & 31).unwrap_or_default();
    text.extend(ALPHABET.get(place).map(|letter| char::from(*letter)));
}

fn of_base32(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let place = ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u32::try_from(place).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from((bits >> count) & 0xFF).ok()?);
        }
    }
    Some(octets)
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ISSUER: &str = "Countersign";
/// Seconds.
const STEP: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the ASCII string "12345678901234567890", and the last six of its eight digits.
    const VECTORS: [(u64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn secret_of_the_rfc() -> Secret {
        // By `printf 12345678901234567890 | base32`.
        Secret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (time, code) in VECTORS {
            assert_eq!(
                step_of(&secret_of_the_rfc(), code, time, None),
                Some(time / 30),
                "{time}"
            );
        }
    }

    #[test]
    fn a_code_counts_one_step_early_and_one_step_late() {
        let (time, code) = VECTORS[3];
        let step = time / 30;
        let at = |step: u64| step_of(&secret_of_the_rfc(), code, step * 30, None);

        assert_eq!([at(step - 2), at(step + 2)], [None, None]);
        assert_eq!([at(step - 1), at(step), at(step + 1)], [Some(step); 3]);
    }

    #[test]
    fn a_code_that_was_used_and_those_before_it_count_no_more() {
        let (time, code) = VECTORS[0];
        let after = |last| step_of(&secret_of_the_rfc(), code, time, Some(last));

        assert_eq!([after(0), after(1), after(2)], [Some(1), None, None]);
    }

    #[test]
    fn only_six_digits_are_a_code() {
        let (time, code) = VECTORS[0];
        for wrong in ["", "28708", "2870820", " 287082", "287083", "94287082"] {
            assert_eq!(step_of(&secret_of_the_rfc(), wrong, time, None), None, "{wrong:?}");
        }
        assert_eq!(step_of(&Secret::new("not base32!"), code, time, None), None);
    }

    #[test]
    fn base32_is_that_of_rfc_4648_without_padding() {
        let vectors = [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base32(plain.as_bytes()), encoded);
            assert_eq!(of_base32(encoded).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(secret().unwrap().expose().len(), 32);
    }

    #[test]
    fn a_uri_holds_any_name() {
        let uri = uri("jane&secret=x doe", &Secret::new("ABC"));

        assert!(
            uri.expose()
                .starts_with("otpauth://totp/Countersign:jane%26secret%3Dx%20doe?secret=ABC&issuer=")
        );
    }
}

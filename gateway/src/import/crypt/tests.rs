use super::*;

/// Made by `vectors/make.py`, with another implementation of the cipher.
const VECTORS: &str = include_str!("vectors/encrypted.txt");

fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let words = VECTORS.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words.filter(|words| words[0] == kind).collect()
}

fn keys() -> Keys {
    let keys: Vec<&str> = lines("key").iter().map(|words| words[1]).collect();
    Keys::parse(&keys.join("\n")).unwrap()
}

#[test]
fn secrets_under_each_key_open() {
    let secrets = lines("secret");
    assert_eq!(secrets.len(), 9);

    for words in secrets {
        assert_eq!(keys().open(words[2]).unwrap().expose(), words[1]);
    }
}

#[test]
fn no_octet_of_an_encrypted_secret_can_be_changed() {
    let stored = lines("secret")[0][2];
    let (head, encoded) = stored.rsplit_once(':').unwrap();
    let octets = STANDARD.decode(encoded).unwrap();

    for at in 0..octets.len() {
        let mut changed = octets.clone();
        changed[at] ^= 1;
        let changed = format!("{head}:{}", STANDARD.encode(changed));
        assert_eq!(keys().open(&changed), Err(SecretError::WrongKey(0)), "octet {at}");
    }
    for length in 0..octets.len() {
        let cut = format!("{head}:{}", STANDARD.encode(&octets[..length]));
        assert!(keys().open(&cut).is_err(), "cut to {length}");
    }
}

#[test]
fn env_php_the_bare_keys_and_several_sources_are_the_same_keys() {
    let bare: Vec<&str> = lines("key").iter().map(|words| words[1]).collect();
    let php = format!(
        "<?php\nreturn [\n    'crypt' => [\n        'key' => '{}'\n    ],\n];\n",
        bare.join("\n")
    );
    let mut appended = Keys::none();
    for key in &bare {
        appended.append(Keys::parse(key).unwrap());
    }

    let last = lines("secret")[8].clone();
    for keys in [
        Keys::parse(&php).unwrap(),
        Keys::parse(&bare.join("  \r\n")).unwrap(),
        appended,
    ] {
        assert_eq!(keys.open(last[2]).unwrap().expose(), last[1]);
    }
}

#[test]
fn a_secret_of_32_characters_is_plain() {
    let plain = "abcdefghijklmnopqrstuvwxyz012345";

    assert_eq!(Keys::none().open(plain).unwrap().expose(), plain);
    assert_eq!(Keys::none().open("short"), Err(SecretError::Unreadable));
    assert_eq!(Keys::none().open(""), Err(SecretError::Unreadable));
}

#[test]
fn what_cannot_be_opened_says_why_and_never_what() {
    let open = |stored: &str| keys().open(stored).unwrap_err();

    assert_eq!(open("7:3:AAAA"), SecretError::NoKey(7));
    assert_eq!(open("0:2:AAAA"), SecretError::OldCipher(2));
    assert_eq!(open("0:0:AAAA"), SecretError::OldCipher(0));
    assert_eq!(
        open("0:2:iviviviviviviviviviviviviviviviv:AAAA"),
        SecretError::OldCipher(2)
    );
    assert_eq!(open("0:3:not base64"), SecretError::Unreadable);
    assert_eq!(open("x:3:AAAA"), SecretError::Unreadable);
    assert_eq!(open("0:y:AAAA"), SecretError::Unreadable);
    assert_eq!(open("99999999999999999999:3:AAAA"), SecretError::Unreadable);
    let other = Keys::parse("ffffffffffffffffffffffffffffffff").unwrap();
    assert_eq!(other.open(lines("secret")[0][2]), Err(SecretError::WrongKey(0)));
    let short = Keys::parse("tooshort").unwrap();
    assert_eq!(short.open(lines("secret")[0][2]), Err(SecretError::KeyLength(0)));
}

#[test]
fn what_holds_no_key_is_refused() {
    assert!(matches!(Keys::parse(" \n "), Err(KeyError::Empty)));
    assert!(matches!(Keys::parse("base64!!!"), Err(KeyError::NotBase64(0))));
    assert!(matches!(Keys::parse("<?php return ['a' => 1];"), Err(KeyError::Absent)));
    assert!(matches!(
        Keys::parse("<?php return ['crypt' => ['key' => getenv('K')]];"),
        Err(KeyError::Computed)
    ));
}

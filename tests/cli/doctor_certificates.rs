//! `doctor`: what it says of certificates.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use harness::{Upstream, now};
use rcgen::{CertificateParams, KeyPair};

use crate::doctor::{configuration, doctor, line};

const DAY: u64 = 24 * 60 * 60;

/// A certificate for `shop.example` that holds from and until so many days from now, and its key.
fn certificate(folder: &Path, (from, until): (i64, i64)) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    let at = |days: i64| {
        let apart = Duration::from_secs(days.unsigned_abs() * DAY);
        let now = UNIX_EPOCH + Duration::from_secs(now());
        if days < 0 { now - apart } else { now + apart }
    };
    (params.not_before, params.not_after) = (at(from).into(), at(until).into());
    let paths = (folder.join("shop.pem"), folder.join("shop.key"));
    std::fs::write(&paths.0, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

async fn told(days: (i64, i64), base_url: &str) -> crate::Told {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(folder.path(), days);
    let tls = format!(
        "[public.tls]\ncert = \"{}\"\nkey = \"{}\"",
        cert.display(),
        key.display()
    );
    let text = configuration(&format!("http://{}", upstream.address()), &tls);
    doctor(&text.replace("[public]\n", &format!("[public]\nbase_url = \"{base_url}\"\n")))
}

#[tokio::test]
async fn a_certificate_is_told_by_its_dates() {
    for (days, code, state, words) in [
        ((-10, 100), 0, "ok", "holds until"),
        ((-10, 7), 0, "warn", "expires on"),
        ((-10, -1), 1, "fail", "expired on"),
        ((1, 100), 1, "fail", "does not hold before"),
    ] {
        let told = told(days, "https://shop.example").await;

        let found = line(&told, "public.tls");
        assert_eq!(
            (told.code, found.contains(words)),
            (Some(code), true),
            "{days:?}: {}",
            told.out
        );
        assert!(found.starts_with(&format!("{state} certificates")), "{found}");
    }
}

#[tokio::test]
async fn a_base_url_that_no_certificate_is_for_fails() {
    let told = told((-10, 100), "https://other.example:8443").await;

    assert_eq!(told.code, Some(1), "{}", told.out);
    assert!(
        line(&told, "other.example").starts_with("fail certificates"),
        "{}",
        told.out
    );
}

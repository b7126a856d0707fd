//! The seeds of the fuzz targets, replayed: whatever once broke stays mended, and the targets can't rot.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "test harness: a seed that can't be read is a failed test"
)]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a folder of seeds") {
        let path = entry.expect("a seed").path();
        run(&fs::read(path).expect("a seed"));
        count += 1;
    }
    assert!(count >= 5, "{target} has {count} seeds");
}

#[test]
fn authorization_seeds_hold() {
    replay("authorization", fuzz::authorization);
}

#[test]
fn parameters_seeds_hold() {
    replay("parameters", fuzz::parameters);
}

#[test]
fn target_seeds_hold() {
    replay("target", fuzz::target);
}

#[test]
fn base_string_seeds_hold() {
    replay("base_string", fuzz::base_string);
}

#[test]
fn signed_seeds_hold() {
    replay("signed", fuzz::signed);
}

#[test]
fn signature_seeds_hold() {
    replay("signature", fuzz::signature);
}

#[test]
fn timestamp_seeds_hold() {
    replay("timestamp", fuzz::timestamp);
}

#[test]
fn rsa_key_seeds_hold() {
    replay("rsa_key", fuzz::rsa_key);
}

#[test]
fn explain_seeds_hold() {
    replay("explain", fuzz::explain);
}

#[test]
fn explain_holds_for_seeds_with_any_octet_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/explain");
    for entry in fs::read_dir(folder).expect("a folder of seeds") {
        let seed = fs::read(entry.expect("a seed").path()).expect("a seed");
        for at in (0..seed.len()).step_by(31) {
            for octet in [b'%', b'&', b'=', b'"', 0, 0xff] {
                let mut changed = seed.clone();
                changed[at] = octet;
                fuzz::explain(&changed);
            }
        }
    }
}

//! See `oauth1_fuzz::signed`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| oauth1_fuzz::signed(octets));

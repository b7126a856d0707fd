//! See `oauth1_fuzz::explain`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| oauth1_fuzz::explain(octets));

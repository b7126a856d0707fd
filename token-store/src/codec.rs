//! Rows: one version octet, then the sealed JSON of a record. The row's own key is bound to it, so rows can't be swapped.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;
use crate::seal::Sealer;

/// A record as a row of the key `name`.
pub fn encode<R: Serialize>(sealer: &Sealer, name: &str, record: &R) -> Result<Vec<u8>, StoreError> {
    let plain = serde_json::to_vec(record).map_err(|_| StoreError::Corrupt(name.to_owned()))?;
    let mut row = vec![VERSION];
    sealer.seal(name, plain, &mut row)?;
    Ok(row)
}

/// The record of a row of the key `name`.
pub fn decode<R: DeserializeOwned>(sealer: &Sealer, name: &str, row: &[u8]) -> Result<R, StoreError> {
    let corrupt = || StoreError::Corrupt(name.to_owned());
    let (version, sealed) = row.split_first().ok_or_else(corrupt)?;
    if *version != VERSION {
        return Err(corrupt());
    }
    let plain = sealer.open(name, sealed)?;
    serde_json::from_slice(&plain).map_err(|_| corrupt())
}

/// A row sealed anew with the first key; `None`: it is already.
pub(crate) fn reseal(sealer: &Sealer, name: &str, row: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    if sealer.is_by_first(row) {
        return Ok(None);
    }
    let corrupt = || StoreError::Corrupt(name.to_owned());
    let (version, sealed) = row.split_first().ok_or_else(corrupt)?;
    let plain = sealer.open(name, sealed)?;
    let mut anew = vec![*version];
    sealer.seal(name, plain.to_vec(), &mut anew)?;
    Ok(Some(anew))
}

/// What a token is found by: a reader of the store learns no token from it.
pub fn token_digest(token: &str) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(token.as_bytes()))
}

/// Lower-case hex.
pub(crate) fn hex(octets: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    let digits = octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 0xF)]);
    digits.collect()
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_opens_under_its_own_name_only() {
        let sealer = Sealer::new(&[[7; 32]]).unwrap();
        let row = encode(&sealer, "c:1", &"secret").unwrap();

        assert_eq!(decode::<String>(&sealer, "c:1", &row).unwrap(), "secret");
        assert!(matches!(decode::<String>(&sealer, "c:2", &row), Err(StoreError::Corrupt(name)) if name == "c:2"));
        assert!(!row.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn a_digest_is_lower_case_hex() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

        assert_eq!(token_digest("abc"), abc);
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let old = Sealer::new(&[[1; 32]]).unwrap();
        let row = encode(&old, "c:1", &1_u8).unwrap();

        let rotated = Sealer::new(&[[2; 32], [1; 32]]).unwrap();
        let anew = encode(&rotated, "c:1", &1_u8).unwrap();

        assert_eq!(decode::<u8>(&rotated, "c:1", &row).unwrap(), 1);
        assert!(decode::<u8>(&old, "c:1", &anew).is_err());
        assert!(decode::<u8>(&Sealer::new(&[[3; 32]]).unwrap(), "c:1", &row).is_err());
    }

    #[test]
    fn a_changed_or_cut_row_is_corrupt_never_a_panic() {
        let sealer = Sealer::new(&[[7; 32]]).unwrap();
        let row = encode(&sealer, "n", &1_u8).unwrap();

        for at in 0..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 1;
            assert!(decode::<u8>(&sealer, "n", &changed).is_err(), "octet {at}");
            assert!(decode::<u8>(&sealer, "n", &row[..at]).is_err(), "cut at {at}");
        }
    }
}

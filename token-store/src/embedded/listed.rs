//! Rows in a list: one that nobody can read is left out, and hides no other.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::codec::decode;
use crate::seal::Sealer;

/// The record of a row; `None`, and said so: it is left out.
pub(super) fn listed<R: DeserializeOwned>(sealer: &Sealer, name: &str, row: &[u8]) -> Option<R> {
    let left_out = |error: &_| tracing::error!(%error, "left out of the list");
    decode(sealer, name, row).inspect_err(left_out).ok()
}

/// The same for lists that are asked for all the time: what is left out of them is said once.
#[derive(Default)]
pub(super) struct SaidOnce(Mutex<BTreeSet<String>>);

impl SaidOnce {
    pub(super) fn listed<R: DeserializeOwned>(&self, sealer: &Sealer, name: &str, row: &[u8]) -> Option<R> {
        let left_out = |error: &_| {
            if self.is_new(name) {
                tracing::error!(%error, "left out of the list");
            }
        };
        decode(sealer, name, row).inspect_err(left_out).ok()
    }

    fn is_new(&self, name: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= MOST {
            said.clear();
        }
        said.insert(name.to_owned())
    }
}

/// Names that are remembered; one that was forgotten is said again.
const MOST: usize = 1000;

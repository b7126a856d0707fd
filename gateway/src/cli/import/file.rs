//! A file within its bound, and what is wrong with it.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Why a file, or its folder, can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub(super) struct FileError {
    path: PathBuf,
    what: String,
}

impl FileError {
    pub(super) fn new(path: &Path, what: impl std::fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}

/// Reads a regular file of at most 4 MiB: what hangs or never ends is neither.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let fault = |error: std::io::Error| FileError::new(path, error);
    if !std::fs::metadata(path).map_err(fault)?.is_file() {
        return Err(FileError::new(path, "is no file"));
    }
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(fault)?;
    file.take(MOST_OCTETS + 1).read_to_end(&mut octets).map_err(fault)?;
    if u64::try_from(octets.len()).is_ok_and(|length| length <= MOST_OCTETS) {
        Ok(octets)
    } else {
        Err(FileError::new(path, "is larger than 4 MiB"))
    }
}

const MOST_OCTETS: u64 = 4 << 20;

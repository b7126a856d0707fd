//! The files that are made: written beside their places, then moved there, so that no reader sees half of one.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use toml::{Table, Value};

use super::Arguments;
use super::file::FileError;
use crate::config::Planned;
use crate::import::write::is_made_here;

/// What is to be done to the files of a folder.
#[derive(Debug)]
pub(super) struct Output {
    folder: PathBuf,
    to_write: Vec<(PathBuf, String)>,
    changed: usize,
    unchanged: usize,
    stale: Vec<PathBuf>,
}

/// Why they are not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{} is there already and differs{}: --force replaces what an earlier import made", path.display(), others(*more))]
    Exists { path: PathBuf, more: usize },
}

/// How many more there are, where there are any.
fn others(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => ", as 1 more does".to_owned(),
        _ => format!(", as {more} more do"),
    }
}

impl Output {
    /// Compares the texts with what is there; nothing is written. With `--code`, files of an earlier import that are made
    /// no more are to go.
    pub(super) fn plan(
        folder: &Path,
        texts: BTreeMap<String, String>,
        arguments: &Arguments,
    ) -> Result<Self, OutputError> {
        let stale = if arguments.code.is_some() {
            stale(folder, &texts)
        } else {
            Vec::new()
        };
        let mut output = Self {
            folder: folder.to_owned(),
            to_write: Vec::new(),
            changed: 0,
            unchanged: 0,
            stale,
        };
        let mut differing = output.stale.clone();
        for (name, text) in texts {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(old) if old == text.as_bytes() => {
                    output.unchanged += 1;
                    continue;
                }
                Ok(old) if is_made_here(&String::from_utf8_lossy(&old)) => {
                    output.changed += 1;
                    differing.push(path.clone());
                }
                Ok(_) => {
                    return Err(FileError::new(&path, "is there already, and no import made it: move it away").into());
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(FileError::new(&path, error).into()),
            }
            output.to_write.push((path, text));
        }
        match differing.first() {
            Some(first) if !arguments.force && !arguments.dry_run => Err(OutputError::Exists {
                path: first.clone(),
                more: differing.len() - 1,
            }),
            Some(_) | None => Ok(output),
        }
    }

    /// What is to be done, for who reads the configuration as it will be.
    pub(super) fn planned(&self) -> Planned {
        let written = self
            .to_write
            .iter()
            .map(|(path, text)| (path.as_path(), Some(text.as_str())));
        Planned::of(written.chain(self.stale.iter().map(|path| (path.as_path(), None))))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many files are new, changed, unchanged, and go.
    pub(super) fn counts(&self) -> (usize, usize, usize, usize) {
        (
            self.to_write.len() - self.changed,
            self.changed,
            self.unchanged,
            self.stale.len(),
        )
    }

    /// Writes all files beside their places, then moves them there.
    pub(super) fn carry_out(&self) -> Result<(), FileError> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| FileError::new(&path, error)
        };
        if !self.to_write.is_empty() {
            std::fs::create_dir_all(&self.folder).map_err(fault(&self.folder))?;
        }
        let mut ready: Vec<(NamedTempFile, &Path)> = Vec::new();
        for (path, text) in &self.to_write {
            let mut file = tempfile::Builder::new()
                .prefix(".import-")
                .permissions(std::fs::Permissions::from_mode(0o644))
                .tempfile_in(&self.folder)
                .map_err(fault(&self.folder))?;
            file.write_all(text.as_bytes()).map_err(fault(path))?;
            ready.push((file, path));
        }
        sync(&ready)?;
        for (file, path) in ready {
            file.persist(path).map_err(|error| FileError::new(path, error.error))?;
        }
        for path in &self.stale {
            std::fs::remove_file(path).map_err(fault(path))?;
        }
        Ok(())
    }
}

/// Has all files on the disk before the first of them counts. A disk takes many at a time: one by one, hundreds of files
/// would wait for seconds.
fn sync(files: &[(NamedTempFile, &Path)]) -> Result<(), FileError> {
    let share = files.len().div_ceil(AT_A_TIME).max(1);
    let sync_share = |share: &[(NamedTempFile, &Path)]| {
        let sync_one = |(file, path): &(NamedTempFile, &Path)| {
            let synced = file.as_file().sync_all();
            synced.map_err(|error| FileError::new(path, error))
        };
        share.iter().try_for_each(sync_one)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = files
            .chunks(share)
            .map(|share| scope.spawn(move || sync_share(share)))
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(synced) => synced,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Files that an earlier import made and this one doesn't.
fn stale(folder: &Path, texts: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let is_stale = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !texts.contains_key(name) && std::fs::read_to_string(path).is_ok_and(|text| is_made_here(&text))
    };
    configuration_files(folder).into_iter().filter(is_stale).collect()
}

/// The `*.toml` in a folder.
pub(super) fn configuration_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files
}

/// The folders' files that a configuration includes: more than it reads do no harm here.
pub(super) fn included(config: &Path) -> Vec<PathBuf> {
    let folder = config.parent().unwrap_or_else(|| Path::new("."));
    let text = std::fs::read_to_string(config).unwrap_or_default();
    let root = text.parse::<Table>().unwrap_or_default();
    let patterns = root
        .get("include")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    patterns
        .flat_map(|pattern| {
            let path = folder.join(pattern);
            if pattern.contains('*') {
                path.parent().map(configuration_files).unwrap_or_default()
            } else {
                vec![path]
            }
        })
        .collect()
}

const AT_A_TIME: usize = 8;

//! The file itself: one process has it open, and after a fault of the disk it is opened again.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _, StorageError, WriteTransaction};

use super::guard;
use super::writer::unavailable;
use crate::StoreError;
use crate::open::OpenError;

/// The file in the store's folder.
pub(super) struct StoreFile {
    path: PathBuf,
    /// `None`: the disk failed, and it could not be opened again yet.
    database: RwLock<Option<Database>>,
    /// When the last try to open it again was.
    tried: Mutex<Option<Instant>>,
}

impl StoreFile {
    /// Opens or makes the file and its folder, for their owner only.
    pub(super) fn open(folder: &Path) -> Result<Self, OpenError> {
        let fault = |path: &Path, error: std::io::Error| OpenError::File(path.display().to_string(), Box::new(error));
        let path = folder.join(NAME);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| fault(folder, error))?;
        let mut options = OpenOptions::new();
        let made = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        drop(made.open(&path).map_err(|error| fault(&path, error))?);
        sync_folder(folder).map_err(|error| fault(folder, error))?;
        let created = guard::unbroken(|| Database::create(&path));
        let database = created
            .map_err(|damage| OpenError::Damaged(path.display().to_string(), damage))?
            .map_err(|error| of_opening(folder, &path, error))?;
        Ok(Self {
            path,
            database: RwLock::new(Some(database)),
            tried: Mutex::default(),
        })
    }

    /// Runs `read` on a snapshot.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(failed)?;
        guard::unbroken(|| read(&database.begin_read().fault()?)).unwrap_or_else(|damage| Err(self.damaged(&damage)))
    }

    /// Runs `write` in a transaction and brings it to the disk. Nobody else may write meanwhile.
    pub(super) fn write<T>(&self, write: impl FnOnce(&WriteTransaction) -> T) -> Result<T, StoreError> {
        let committed = self.try_write(write);
        if committed.is_err() {
            self.open_again();
        }
        committed
    }

    fn try_write<T>(&self, write: impl FnOnce(&WriteTransaction) -> T) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(failed)?;
        let written = guard::unbroken(|| {
            let transaction = database.begin_write().fault()?;
            let value = write(&transaction);
            transaction.commit().fault()?;
            Ok(value)
        });
        written.unwrap_or_else(|damage| Err(self.damaged(&damage)))
    }

    fn damaged(&self, damage: &str) -> StoreError {
        let path = self.path.display().to_string();
        StoreError::Unavailable(Box::new(OpenError::Damaged(path, damage.to_owned())))
    }

    /// After an error of the disk redb refuses everything, reads too, until the file is opened anew. A disk that was full
    /// has room again some time.
    fn open_again(&self) {
        let now = now();
        {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            if tried.is_some_and(|last| now.duration_since(last) < AGAIN) {
                return;
            }
            *tried = Some(now);
        }
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closed first: the file is locked while it is open.
        let closed = database.take();
        let opened = guard::unbroken(|| {
            drop(closed);
            Database::open(&self.path)
        });
        match opened.map(|opened| opened.map_err(|error| error.to_string())) {
            Ok(Ok(opened)) => *database = Some(opened),
            Ok(Err(error)) | Err(error) => {
                tracing::error!(%error, file = %self.path.display(), "the store's file can't be opened again");
            }
        }
    }
}

impl Drop for StoreFile {
    fn drop(&mut self) {
        self.close();
    }
}

impl StoreFile {
    /// Brings it into the state from which the next start needs no repair. Whoever may still hold it can't use it any more.
    pub(super) fn close(&self) {
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Err(damage) = guard::unbroken(|| drop(database)) {
            tracing::error!(damage, file = %self.path.display(), "the store's file can't be closed");
        }
    }
}

/// What a file that can't be opened is called.
pub(super) fn of_opening(folder: &Path, path: &Path, error: DatabaseError) -> OpenError {
    if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
        return OpenError::Locked(folder.display().to_string());
    }
    let file = path.display().to_string();
    if let DatabaseError::Storage(StorageError::Corrupted(damage)) = error {
        return OpenError::Damaged(file, damage);
    }
    if let DatabaseError::Storage(StorageError::Io(error)) = &error
        && matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
    {
        return OpenError::Damaged(file, error.to_string());
    }
    OpenError::File(file, Box::new(error))
}

fn failed() -> StoreError {
    unavailable("the disk failed")
}

/// A new file is there after a power cut only if its folder says so.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

#[expect(clippy::disallowed_methods, reason = "how often a failed file is opened again")]
fn now() -> Instant {
    Instant::now()
}

/// The file in the store's folder.
pub const NAME: &str = "store.redb";
/// Between two tries: opening may read the whole file.
const AGAIN: Duration = Duration::from_secs(1);

/// redb's errors are the file's: the store is unavailable.
pub(super) trait Fault<T> {
    fn fault(self) -> Result<T, StoreError>;
}

impl<T, E: std::error::Error + Send + Sync + 'static> Fault<T> for Result<T, E> {
    fn fault(self) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Unavailable(Box::new(error)))
    }
}

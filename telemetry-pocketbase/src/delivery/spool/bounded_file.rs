//! A file for `redb` that refuses to grow beyond a bound.

use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use super::SpoolError;
use crate::files::private_files;

/// The file.
#[derive(Debug)]
pub(super) struct BoundedFile {
    file: FileBackend,
    max_bytes: u64,
    growth: Arc<Growth>,
}

/// What became of the file's size, for whoever gave the file away.
#[derive(Debug, Default)]
pub(super) struct Growth {
    bytes: AtomicU64,
    refused: AtomicBool,
}

impl Growth {
    /// Size of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the bound has made a transaction fail.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

impl BoundedFile {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::File {
            path: path.to_owned(),
            source,
        };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private_files(&mut options);
        let file = options.open(path).map_err(failed)?;
        let growth = Growth::default();
        let bytes = file.metadata().map_err(failed)?.len();
        growth.bytes.store(bytes, Ordering::Relaxed);
        Ok(Self {
            file: FileBackend::new(file).map_err(redb::Error::from)?,
            max_bytes,
            growth: Arc::new(growth),
        })
    }

    pub(super) fn growth(&self) -> Arc<Growth> {
        self.growth.clone()
    }
}

impl StorageBackend for BoundedFile {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        // A file from a time with a greater bound may keep its size.
        if len > self.max_bytes && len > self.growth.file_bytes() {
            self.growth.refused.store(true, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(len)?;
        self.growth.bytes.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

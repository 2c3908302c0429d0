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

/// A file, or whatever else `redb` may write to, and its bound.
#[derive(Debug)]
pub(super) struct BoundedFile<B> {
    file: B,
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

/// Opens or makes the file at `path`, readable by its owner only.
pub(super) fn open_file(path: &Path) -> Result<FileBackend, SpoolError> {
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
    Ok(FileBackend::new(file).map_err(redb::Error::from)?)
}

impl<B: StorageBackend> BoundedFile<B> {
    pub(super) fn new(file: B, max_bytes: u64) -> Result<Self, SpoolError> {
        let growth = Growth::default();
        growth.bytes.store(file.len()?, Ordering::Relaxed);
        Ok(Self {
            file,
            max_bytes,
            growth: Arc::new(growth),
        })
    }

    /// Gives the file its full size, if it is in use at all. `redb` doubles a
    /// file that is too small; where that would exceed the bound, this is how
    /// the rest of the bound is used all the same. It takes a file over that
    /// has grown.
    pub(super) fn grow_to_bound(&self) -> Result<(), SpoolError> {
        let (now, full) = (self.file.len()?, full_size(self.max_bytes));
        if now > 0 && now < full {
            self.file.set_len(full)?;
            self.growth.bytes.store(full, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(super) fn growth(&self) -> Arc<Growth> {
        self.growth.clone()
    }
}

/// The size to which a file of this bound may be set: whole pages. Files beyond
/// 4 GiB consist of regions, which not every size is a sum of; `redb` lets those
/// grow region by region by itself.
pub(super) fn full_size(max_bytes: u64) -> u64 {
    const PAGE: u64 = 4096;
    const REGION: u64 = 4 << 30;
    if max_bytes > REGION {
        return 0;
    }
    max_bytes - max_bytes % PAGE
}

impl<B: StorageBackend> StorageBackend for BoundedFile<B> {
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

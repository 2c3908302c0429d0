//! What the sink asks of the world around it; tests bring their own.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::active::ActiveFile;
use crate::clock::{Clock, SystemClock};
use crate::config::FileConfig;
use crate::error::FileError;
use crate::platform;

/// Bytes that an ordinary user may still write to the file system of a path.
pub(crate) type FreeSpace = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// Appends some of the bytes to a file and says how many: `write(2)`.
pub(crate) type Append = Arc<dyn Fn(&File, &[u8]) -> io::Result<usize> + Send + Sync>;

/// Makes room at the end of a file; false where that cannot be told.
pub(crate) type Reserve = Arc<dyn Fn(&File, u64) -> io::Result<bool> + Send + Sync>;

/// Forces a file to the disk: `fdatasync(2)`.
pub(crate) type Force = Arc<dyn Fn(&File) -> io::Result<()> + Send + Sync>;

/// Opens or creates the active file.
pub(crate) type Open = Arc<dyn Fn(&FileConfig) -> Result<ActiveFile, FileError> + Send + Sync>;

/// Says one line on stderr.
pub(crate) type Complain = Arc<dyn Fn(&str) + Send + Sync>;

/// What the sink asks of the world around it.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) free_space: FreeSpace,
    pub(crate) append: Append,
    pub(crate) reserve: Reserve,
    pub(crate) force: Force,
    pub(crate) open: Open,
    pub(crate) complain: Complain,
    /// The zone of `Timezone::Local`; `None`: the system's.
    pub(crate) local_zone: Option<jiff::tz::TimeZone>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            free_space: Arc::new(platform::free_space),
            append: Arc::new(|mut file, bytes| file.write(bytes)),
            reserve: Arc::new(platform::reserve),
            force: Arc::new(File::sync_data),
            open: Arc::new(ActiveFile::open),
            complain: Arc::new(telemetry_core::complain),
            local_zone: None,
        }
    }
}

//! What a run may and may not do.

use super::filter::Filter;

/// How many deletions one run may do before it does none of them.
pub const DEFAULT_MAX_DELETE: u64 = 1000;
/// Which share of the destination's entries one run may delete, in percent.
pub const DEFAULT_MAX_DELETE_PERCENT: u8 = 50;
/// How many files are copied at once.
pub const DEFAULT_FILE_OPERATIONS: usize = 8;
/// A destination with no more entries than this is too small for a share to mean anything.
pub const PERCENT_APPLIES_ABOVE: u64 = 100;

/// When two regular files count as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Comparison {
    /// Equal size and equal modification time, to the nanosecond.
    #[default]
    SizeMtime,
    /// Equal size and equal content; both files are read whole.
    Checksum,
}

/// What survives a power cut right after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Whatever the kernel has written by then; a file is still wholly old or wholly new
    /// after a crash of the process.
    #[default]
    None,
    /// Every file is on the disk before it takes its name, every directory at the end.
    File,
    /// One flush of the file system before each batch of renames, and one at the end.
    Batch,
}

/// The options of one run. The defaults are those of a configured job.
#[derive(Debug, Clone)]
pub struct Options {
    /// Delete from the destination what the source does not have. Default: false.
    pub delete: bool,
    /// More planned deletions than this, and none is done; 0 is no limit.
    /// Default: [`DEFAULT_MAX_DELETE`].
    pub max_delete: u64,
    /// The same as a share of the destination's entries, from [`PERCENT_APPLIES_ABOVE`] entries
    /// on; 0 is no limit. Default: [`DEFAULT_MAX_DELETE_PERCENT`].
    pub max_delete_percent: u8,
    /// Accept an empty source although the destination has entries. Default: false, because an
    /// unmounted disk looks like this.
    pub allow_empty_source: bool,
    /// Delete what the filters exclude from the destination too, if `delete` is on. Default: false.
    pub delete_excluded: bool,
    /// When two regular files count as the same. Default: size and modification time.
    pub comparison: Comparison,
    /// Treat every name that begins with a dot as excluded. Default: false.
    pub ignore_hidden: bool,
    /// Go on after a file that failed. Default: true. Otherwise the run ends as failed, and
    /// deletes nothing.
    pub continue_on_error: bool,
    /// What survives a power cut. Default: [`Durability::None`].
    pub durability: Durability,
    /// Only plan: nothing in the destination is touched, and the report counts what would be done.
    /// Default: false.
    pub dry_run: bool,
    /// Give files and directories the source's mode, and its owner and group as far as the
    /// process may. Default: true. Otherwise new ones get the source's mode less the umask, and
    /// existing ones keep theirs.
    pub preserve_permissions: bool,
    /// Give everything the source's modification time. Default: true. Otherwise a destination of
    /// equal size that is not older than its source counts as unchanged.
    pub preserve_timestamps: bool,
    /// Which names take part. Default: all.
    pub filter: Filter,
    /// How many files are copied at once, at least 1. Default: [`DEFAULT_FILE_OPERATIONS`].
    pub file_operations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            delete: false,
            max_delete: DEFAULT_MAX_DELETE,
            max_delete_percent: DEFAULT_MAX_DELETE_PERCENT,
            allow_empty_source: false,
            delete_excluded: false,
            comparison: Comparison::default(),
            ignore_hidden: false,
            continue_on_error: true,
            durability: Durability::default(),
            dry_run: false,
            preserve_permissions: true,
            preserve_timestamps: true,
            filter: Filter::default(),
            file_operations: DEFAULT_FILE_OPERATIONS,
        }
    }
}

impl Options {
    /// Whether `deletions` of a destination with `entries` entries are more than is allowed.
    pub fn exceeds_delete_limit(&self, deletions: u64, entries: u64) -> bool {
        let too_many = self.max_delete != 0 && deletions > self.max_delete;
        let share = u128::from(deletions) * 100;
        let too_large_a_share = self.max_delete_percent != 0
            && entries > PERCENT_APPLIES_ABOVE
            && share > u128::from(entries) * u128::from(self.max_delete_percent);
        too_many || too_large_a_share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_no_limit() {
        let options = Options {
            max_delete: 0,
            max_delete_percent: 0,
            ..Options::default()
        };
        assert!(!options.exceeds_delete_limit(u64::MAX, u64::MAX));
    }

    #[test]
    fn number_limits_only_what_is_above_it() {
        let options = Options {
            max_delete: 3,
            ..Options::default()
        };
        assert!(!options.exceeds_delete_limit(3, 50));
        assert!(options.exceeds_delete_limit(4, 50));
    }

    #[test]
    fn share_applies_only_above_a_hundred_entries() {
        let options = Options::default();
        assert!(!options.exceeds_delete_limit(100, 100));
        assert!(options.exceeds_delete_limit(51, 101));
        assert!(!options.exceeds_delete_limit(50, 101));
    }
}

//! Which archives have to go: a pure function of a listing.

use std::time::{Duration, SystemTime};

use crate::directory::Archive;

/// What the archives may take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// 0: any number.
    pub(crate) keep_files: usize,
    /// `None`: any age.
    pub(crate) max_age: Option<Duration>,
    /// 0: any size.
    pub(crate) max_total_bytes: u64,
    /// 0: no floor.
    pub(crate) min_free_bytes: u64,
}

impl Limits {
    /// Number and age alone: what can be said before archives are compressed,
    /// when their sizes are still ten times too large.
    pub(crate) fn without_sizes(self) -> Self {
        Self {
            max_total_bytes: 0,
            min_free_bytes: 0,
            ..self
        }
    }
}

/// The archives that have to go, of a listing with the oldest first, when the
/// file system has `free` bytes left.
///
/// Number, total and free space take the oldest; the age takes whatever was
/// last written too long ago, and nothing that seems to come from the future.
/// An archive that is there in both its forms, until a killed compression is
/// made up for, is one.
pub(crate) fn surplus<'a>(
    archives: &'a [Archive],
    limits: &Limits,
    now: SystemTime,
    free: u64,
) -> Vec<&'a Archive> {
    let both_forms = |one: &Archive, next: &Archive| one.name.packed() == next.name.packed();
    let mut count = archives.chunk_by(both_forms).count();
    let mut total: u64 = archives.iter().map(|archive| archive.bytes).sum();
    let mut free = free;
    let mut surplus = Vec::new();
    for archive in archives.chunk_by(both_forms) {
        let bytes: u64 = archive.iter().map(|form| form.bytes).sum();
        let age = |form: &Archive| now.duration_since(form.modified).unwrap_or_default();
        let too_many = limits.keep_files > 0 && count > limits.keep_files;
        let too_large = limits.max_total_bytes > 0 && total > limits.max_total_bytes;
        let too_full = free < limits.min_free_bytes;
        let too_old = limits
            .max_age
            .is_some_and(|max_age| archive.iter().all(|form| age(form) > max_age));
        if too_many || too_large || too_full || too_old {
            count -= 1;
            total -= bytes;
            free = free.saturating_add(bytes);
            surplus.extend(archive);
        }
    }
    surplus
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive_name::ArchiveName;
    use std::path::PathBuf;
    use std::time::UNIX_EPOCH;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Archives of 100 bytes, one a day, the last one from day 10.
    fn listing(count: u64) -> Vec<Archive> {
        (0..count)
            .map(|index| {
                let text = format!("d-2026-01-{:02}.0.log.xz", index + 1);
                Archive {
                    name: ArchiveName::parse("d", &text).expect("ours"),
                    path: PathBuf::from(text),
                    bytes: 100,
                    modified: day(10 + index + 1 - count),
                }
            })
            .collect()
    }

    fn day(number: u64) -> SystemTime {
        UNIX_EPOCH + DAY * number as u32
    }

    fn surplus_names(archives: &[Archive], limits: Limits, free: u64) -> Vec<String> {
        surplus(archives, &limits, day(10), free)
            .iter()
            .map(|archive| archive.name.to_string())
            .collect()
    }

    #[test]
    fn no_limit_keeps_everything() {
        assert!(surplus_names(&listing(5), Limits::default(), 0).is_empty());
    }

    #[test]
    fn the_oldest_beyond_the_number_go() {
        let limits = Limits {
            keep_files: 3,
            ..Limits::default()
        };
        let gone = surplus_names(&listing(5), limits, 0);
        assert_eq!(gone, ["d-2026-01-01.0.log.xz", "d-2026-01-02.0.log.xz"]);
        assert!(surplus_names(&listing(3), limits, 0).is_empty());
    }

    #[test]
    fn an_archive_in_both_forms_counts_once_and_goes_as_one() {
        let mut archives = listing(3);
        let mut plain = archives[0].clone();
        plain.name.packed = false;
        archives.insert(0, plain);
        let limits = |keep_files| Limits {
            keep_files,
            ..Limits::default()
        };
        assert!(surplus_names(&archives, limits(3), 0).is_empty());
        let gone = surplus_names(&archives, limits(2), 0);
        assert_eq!(gone, ["d-2026-01-01.0.log", "d-2026-01-01.0.log.xz"]);
    }

    #[test]
    fn the_oldest_go_until_the_total_fits() {
        let limits = Limits {
            max_total_bytes: 250,
            ..Limits::default()
        };
        assert_eq!(surplus_names(&listing(5), limits, 0).len(), 3);
        let limits = Limits {
            max_total_bytes: 500,
            ..Limits::default()
        };
        assert!(surplus_names(&listing(5), limits, 0).is_empty());
    }

    #[test]
    fn the_oldest_go_until_enough_is_free() {
        let limits = Limits {
            min_free_bytes: 1000,
            ..Limits::default()
        };
        assert_eq!(surplus_names(&listing(5), limits, 850).len(), 2);
        assert_eq!(
            surplus_names(&listing(5), limits, 0).len(),
            5,
            "all, but no panic"
        );
        assert!(surplus_names(&listing(5), limits, 1000).is_empty());
    }

    #[test]
    fn archives_go_by_the_age_of_their_last_record() {
        let limits = Limits {
            max_age: Some(DAY * 2),
            ..Limits::default()
        };
        // Written on the days 6 to 10: 8, 9 and 10 are not older than two days.
        assert_eq!(surplus_names(&listing(5), limits, 0).len(), 2);
    }

    #[test]
    fn an_archive_from_the_future_is_not_old() {
        let mut archives = listing(2);
        archives[0].modified = day(4000);
        let limits = Limits {
            max_age: Some(DAY),
            ..Limits::default()
        };
        assert!(surplus_names(&archives, limits, 0).is_empty());
    }

    #[test]
    fn sizes_can_be_left_out() {
        let limits = Limits {
            keep_files: 4,
            max_total_bytes: 1,
            min_free_bytes: 9999,
            ..Limits::default()
        };
        assert_eq!(
            surplus_names(&listing(5), limits.without_sizes(), 0).len(),
            1
        );
    }
}

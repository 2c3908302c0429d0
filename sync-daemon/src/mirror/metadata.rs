//! What a run knows about one entry of a directory.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Mode, Stat, Timespec, Timestamps};
use rustix::process;

use super::options::Options;

/// `st_nsec` that tells the kernel to leave a time as it is.
const LEAVE_TIME: i64 = rustix::fs::UTIME_OMIT;

const SETGID: u32 = 0o2000;

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    /// FIFO, socket or device.
    Special,
}

impl Kind {
    /// `None` when the file system did not tell the type with the name.
    pub(super) fn of(file_type: FileType) -> Option<Self> {
        match file_type {
            FileType::RegularFile => Some(Self::File),
            FileType::Directory => Some(Self::Directory),
            FileType::Symlink => Some(Self::Symlink),
            FileType::Unknown => None,
            _ => Some(Self::Special),
        }
    }
}

/// A modification time, exact to the nanosecond; seconds may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mtime {
    pub(super) secs: i64,
    pub(super) nanos: u32,
}

impl Mtime {
    /// A moment as a modification time; `None` before 1970.
    pub(super) fn at(moment: SystemTime) -> Option<Self> {
        let since_1970 = moment.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            secs: i64::try_from(since_1970.as_secs()).ok()?,
            nanos: since_1970.subsec_nanos(),
        })
    }

    /// How long ago this was; `None` if it is in the future, or before 1970.
    pub(super) fn age_at(self, now: SystemTime) -> Option<Duration> {
        let since_1970 = Duration::new(u64::try_from(self.secs).ok()?, self.nanos);
        now.duration_since(UNIX_EPOCH).ok()?.checked_sub(since_1970)
    }

    /// The argument of `utimensat` that sets this time and leaves the access time alone.
    pub(super) fn to_timestamps(self) -> Timestamps {
        Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: LEAVE_TIME,
            },
            last_modification: Timespec {
                tv_sec: self.secs,
                tv_nsec: i64::from(self.nanos),
            },
        }
    }
}

/// The part of `struct stat` that a run compares and restores.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata {
    pub(super) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: Mtime,
    pub(super) has_other_links: bool,
    /// Fewer blocks than the size needs: the file has holes.
    pub(super) is_sparse: bool,
    pub(super) identity: Identity,
}

/// Tells directories apart however they are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

// The widths of the fields of `Stat` differ between architectures.
#[allow(clippy::unnecessary_cast)]
impl From<&Stat> for Metadata {
    fn from(stat: &Stat) -> Self {
        let file_type = FileType::from_raw_mode(stat.st_mode as _);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Self {
            kind: Kind::of(file_type).unwrap_or(Kind::Special),
            mode: stat.st_mode as u32 & 0o7777,
            uid: stat.st_uid as u32,
            gid: stat.st_gid as u32,
            size,
            mtime: Mtime {
                secs: stat.st_mtime as i64,
                nanos: stat.st_mtime_nsec as u32,
            },
            has_other_links: stat.st_nlink as u64 > 1,
            is_sparse: (stat.st_blocks as u64).saturating_mul(512) < size,
            identity: Identity {
                device: stat.st_dev as u64,
                inode: stat.st_ino as u64,
            },
        }
    }
}

/// Permission bits as the type that system calls take.
pub(super) fn mode_of(bits: u32) -> Mode {
    Mode::from_bits_truncate(bits as _)
}

/// Which attributes this process can and shall carry over.
#[derive(Debug, Clone)]
pub(super) struct Preserved {
    pub(super) permissions: bool,
    pub(super) timestamps: bool,
    pub(super) is_root: bool,
    user: u32,
    group: u32,
    /// The groups that an ordinary user may give a file to.
    groups: Vec<u32>,
}

impl Preserved {
    /// Asks the kernel who we are.
    pub(super) fn new(options: &Options) -> Self {
        let mut groups: Vec<u32> = process::getgroups()
            .unwrap_or_default()
            .into_iter()
            .map(rustix::fs::Gid::as_raw)
            .collect();
        let user = process::geteuid();
        let group = process::getegid().as_raw();
        groups.push(group);
        Self {
            permissions: options.preserve_permissions,
            timestamps: options.preserve_timestamps,
            is_root: user.is_root(),
            user: user.as_raw(),
            group,
            groups,
        }
    }

    /// The owner to give, if this process may give one.
    pub(super) fn owner(&self, source: &Metadata) -> Option<u32> {
        (self.permissions && self.is_root).then_some(source.uid)
    }

    /// The group to give, if this process may give it.
    pub(super) fn group(&self, source: &Metadata) -> Option<u32> {
        let may = self.is_root || self.groups.contains(&source.gid);
        (self.permissions && may).then_some(source.gid)
    }

    /// The mode in which a file is created that is to become a copy of `source`.
    ///
    /// If it will be ours anyway, it can have its mode from the start, which saves changing it.
    /// Otherwise nobody else reads it before it has its owner. Without `permissions` the mode less
    /// the umask, which the kernel takes off, is the final one.
    pub(super) fn create_mode(&self, source: &Metadata) -> u32 {
        let will_be_ours = source.uid == self.user && source.gid == self.group;
        if !self.permissions || will_be_ours {
            source.mode & 0o777
        } else {
            0o600
        }
    }

    /// Whether owner and group are as they should be.
    pub(super) fn same_owner(&self, source: &Metadata, destination: &Metadata) -> bool {
        let same_user = self.owner(source).is_none_or(|uid| uid == destination.uid);
        let same_group = self.group(source).is_none_or(|gid| gid == destination.gid);
        same_user && same_group
    }

    /// Whether mode, owner and group are as they should be, or cannot be made so.
    pub(super) fn same_permissions(&self, source: &Metadata, destination: &Metadata) -> bool {
        self.same_mode(source, destination) && self.same_owner(source, destination)
    }

    fn same_mode(&self, source: &Metadata, destination: &Metadata) -> bool {
        if !self.permissions || source.mode == destination.mode {
            return true;
        }
        // The kernel does not let an ordinary user give setgid to what is of a foreign group, and
        // does not say so: trying would repeat itself with every run.
        let is_foreign = |gid: u32| !self.is_root && !self.groups.contains(&gid);
        is_foreign(source.gid)
            && is_foreign(destination.gid)
            && source.mode == destination.mode | SETGID
    }

    /// Whether the time is as it should be.
    pub(super) fn same_time(&self, source: &Metadata, destination: &Metadata) -> bool {
        !self.timestamps || source.mtime == destination.mtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u32, gid: u32) -> Metadata {
        Metadata {
            kind: Kind::File,
            mode,
            uid: 1000,
            gid,
            size: 0,
            mtime: Mtime { secs: 0, nanos: 0 },
            has_other_links: false,
            is_sparse: false,
            identity: Identity::default(),
        }
    }

    #[test]
    fn setgid_that_cannot_be_given_is_not_missed() {
        let user = Preserved {
            permissions: true,
            timestamps: true,
            is_root: false,
            user: 1000,
            group: 1000,
            groups: vec![1000, 20],
        };
        let (foreign, own) = (5, 20);
        assert!(user.same_permissions(&file(0o2755, foreign), &file(0o755, foreign)));
        // It can be taken away, and anything else of the mode can be changed.
        assert!(!user.same_permissions(&file(0o755, foreign), &file(0o2755, foreign)));
        assert!(!user.same_permissions(&file(0o2755, foreign), &file(0o700, foreign)));
        assert!(!user.same_permissions(&file(0o2755, own), &file(0o755, own)));
        // The copy is of a group of ours.
        assert!(!user.same_permissions(&file(0o2755, foreign), &file(0o755, own)));
        let root = Preserved {
            is_root: true,
            ..user
        };
        assert!(!root.same_permissions(&file(0o2755, foreign), &file(0o755, foreign)));
    }
}

//! Why one step failed, in the words of the closed list.

use rustix::io::Errno;

use crate::error_type::ErrorType;

/// A failure before it is known to which path it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) error_type: ErrorType,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(error_type: ErrorType, message: impl Into<String>) -> Self {
        Self {
            error_type,
            message: message.into(),
        }
    }

    /// A system call on the source failed; `doing` completes "cannot ...".
    pub(super) fn reading(doing: &str, errno: Errno) -> Self {
        Self::of(ErrorType::Read, doing, errno)
    }

    /// A system call on the destination failed; `doing` completes "cannot ...".
    pub(super) fn writing(doing: &str, errno: Errno) -> Self {
        Self::of(ErrorType::Write, doing, errno)
    }

    fn of(general: ErrorType, doing: &str, errno: Errno) -> Self {
        let error_type = match errno {
            Errno::NOSPC | Errno::DQUOT => ErrorType::NoSpace,
            Errno::ACCESS | Errno::PERM => ErrorType::Permission,
            _ => general,
        };
        Self::new(error_type, format!("cannot {doing}: {errno}"))
    }
}

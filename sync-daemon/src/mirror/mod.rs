//! The mirror engine: makes the contents of one directory those of another.
//!
//! [`mirror`] leaves the destination as `rsync -a --delete` would: contents, types, modes, times to
//! the nanosecond, symbolic links as links, owner and group as far as the process may give them.
//! Special files are skipped and counted.
//!
//! It promises that
//! - every name in the destination stands for the old or the new file, never for a mixture, also
//!   after a crash; what a crash leaves behind is swept by the next run;
//! - nothing outside the two trees is read or written, whatever links lie in them: every step goes
//!   from a directory handle to one name, without following it;
//! - nothing is deleted before everything was copied, but for what stands in the place of a file;
//!   nothing below a directory that could not be listed whole, nothing that the filters exclude, and
//!   nothing at all above the limit;
//! - a missing source, an empty one, or one that overlaps with the destination is refused before
//!   anything is touched.
//!
//! Directories of the destination that are closed to their owner are opened up for the time of the
//! run. A file that takes unusually long is named in the log while it does.
//!
//! It does not carry over hard links between files (each name gets its own file), access control
//! lists or extended attributes.
//!
//! A run has three parts, each a span in the log: `scan` walks both trees and keeps what differs,
//! `plan` counts and orders that, `apply` does it.
//!
//! ```
//! use sync_daemon::mirror::{Cancel, Options, Status, Unobserved, mirror};
//!
//! let root = tempfile::tempdir()?;
//! let (source, destination) = (root.path().join("a"), root.path().join("b"));
//! std::fs::create_dir(&source)?;
//! std::fs::write(source.join("file"), "content")?;
//!
//! let options = Options { delete: true, ..Options::default() };
//! let report = mirror(&source, &destination, &options, &Unobserved, &Cancel::new());
//! assert_eq!(report.status, Status::Success);
//! assert_eq!(std::fs::read_to_string(destination.join("file"))?, "content");
//! # Ok::<(), std::io::Error>(())
//! ```

mod apply; // doing it
mod compare; // when it differs
mod copy; // one file
mod dirs; // directory handles
mod escape; // names for people
mod failure; // why a step failed
mod filter; // which names take part
mod handles; // how many may be open
mod metadata; // what `stat` tells
mod observer; // watching and stopping
mod options; // what a run may do
mod pinned; // attributes in place
mod plan; // what will be done
mod preflight; // what is refused
mod report; // what was done
mod run; // what the parts share
mod scan; // what differs
mod slow; // what holds it up
mod tally; // counting it
mod temporary; // unfinished files
mod workers; // threads

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Instant;

pub use escape::escape;
pub use filter::{Filter, FilterError};
pub use observer::{Cancel, Observer, Unobserved};
pub use options::{
    Comparison, DEFAULT_FILE_OPERATIONS, DEFAULT_MAX_DELETE, DEFAULT_MAX_DELETE_PERCENT,
    Durability, Options, PERCENT_APPLIES_ABOVE,
};
pub use plan::{Plan, PlannedAction, Totals};
pub use report::{FileError, MAX_REPORTED_ERRORS, Report, Status};
pub use tally::Operation;

use crate::error_type::ErrorType;
use failure::Failure;
use handles::Handles;
use metadata::Preserved;
use run::Run;
use scan::Scanned;
use tally::Tally;

/// Scanning waits for the disk more than for the processor, but too many threads only disturb
/// each other.
const MIN_SCAN_THREADS: usize = 4;
const MAX_SCAN_THREADS: usize = 8;

/// Makes `destination` what `source` is, as far as `options` allow.
///
/// The destination is created if only its last component is missing. It is locked for the time of
/// the run against other runs on this machine. Blocks until done: call it where blocking is fine,
/// inside the span of the job. It starts threads of its own, and all have ended when it returns.
///
/// Nothing is returned as an error: a refused run is a [`Report`] with [`Status::Failed`] and one
/// error that says why.
pub fn mirror(
    source: &Path,
    destination: &Path,
    options: &Options,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Report {
    let begun = Instant::now();
    let mut report = match preflight::open(source, destination, options) {
        Err(refusal) => refusal.into_report(),
        Ok(roots) => {
            let run = Run {
                roots,
                handles: Handles::of_process(),
                options,
                preserved: Preserved::new(options),
                tally: Tally::default(),
                observer,
                cancel,
            };
            carry_out(run, destination)
        }
    };
    report.duration = begun.elapsed();
    report
}

/// A path as one line of printable text; see [`escape`].
pub(crate) fn escape_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    escape(path.as_os_str().as_bytes())
}

fn carry_out(run: Run<'_>, destination: &Path) -> Report {
    let scanned = tracing::info_span!("scan").in_scope(|| scan::scan(&run, scan_threads()));
    // An unfinished scan makes no plan.
    let plan = if run.should_stop() {
        Plan::to_restore(scanned.directories)
    } else {
        make_plan(&run, scanned, destination)
    };
    if run.options.dry_run {
        pretend(&run, &plan);
    } else {
        tracing::info_span!("apply").in_scope(|| apply::apply(&run, &plan));
    }
    let status = status_of(&run, &plan);
    let report = run.tally.into_report();
    Report {
        status,
        deletions_withheld: plan.deletions_withheld(),
        ..report
    }
}

fn make_plan(run: &Run<'_>, scanned: Scanned, destination: &Path) -> Plan {
    let plan = tracing::info_span!("plan").in_scope(|| {
        let entries = scanned.destination_entries;
        Plan::new(scanned.directories, scanned.steps, entries, run.options)
    });
    note_withheld_deletions(run, plan.deletions_withheld(), destination);
    run.observer.planned(&plan);
    plan
}

fn scan_threads() -> usize {
    std::thread::available_parallelism()
        .map_or(MIN_SCAN_THREADS, std::num::NonZero::get)
        .clamp(MIN_SCAN_THREADS, MAX_SCAN_THREADS)
}

fn note_withheld_deletions(run: &Run<'_>, deletions: u64, destination: &Path) {
    if deletions == 0 {
        return;
    }
    let message = format!(
        "{deletions} deletions are more than the limit allows, so that none was done; \
         raise the limit if this is meant"
    );
    let failure = Failure::new(ErrorType::DeleteLimit, message);
    run.tally.note(escape_path(destination), failure);
}

/// Counts a plan as if it had been applied.
fn pretend(run: &Run<'_>, plan: &Plan) {
    let totals = plan.totals();
    run.tally.add(Operation::Create, totals.create);
    run.tally.add(Operation::Update, totals.update);
    run.tally.add(Operation::Delete, totals.delete);
    run.tally.add_bytes(totals.bytes);
}

fn status_of(run: &Run<'_>, plan: &Plan) -> Status {
    if run.cancel.is_cancelled() {
        Status::Cancelled
    } else if run.stopped_by_error() {
        Status::Failed
    } else if run.tally.has_failures() || plan.deletions_withheld() > 0 {
        Status::Partial
    } else {
        Status::Success
    }
}
